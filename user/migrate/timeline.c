// SPDX-License-Identifier: GPL-2.0-only
/*
 * What was seen in a trial, as traces beside the taps' one, so that `hsbpf print`, babeltrace2 and Trace Compass show
 * all of it on one time line: source and destination (each QEMU's trace events and QMP events), client (probes), guest
 * (what mm_dirty says it dirtied). Called by the trial when it is over.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "migrate/seen.h"
#include "migrate/sources.h"
#include "trace/ctf_told.h"

struct telling {
	const struct hs_seen_input *input;
	struct hs_ctf_told *told;
	uint64_t error_ns; /* the most by which a time may be off */
	int err;
};

/* What has no identifier for a name is no event: a log's torn line. */
static void add(struct telling *telling, uint64_t ns, uint32_t tid, const struct hs_ctf_told_kind *kind,
		const uint64_t *numbers, const char *text)
{
	int err = hs_ctf_told_add(telling->told, ns, tid, kind, numbers, text);

	if (err && err != -EINVAL)
		telling->err = err;
}

static void note_error(struct telling *telling, uint64_t error_ns)
{
	if (error_ns > telling->error_ns)
		telling->error_ns = error_ns;
}

/* ---- each source ------------------------------------------------------------------------------- */

static void on_entry(void *ctx, const struct hs_seen_entry *entry)
{
	struct telling *telling = ctx;
	struct hs_ctf_told_kind kind = { .system = "qemu", .name = entry->event, .text = "text" };

	note_error(telling, entry->error_ns);
	add(telling, entry->ns, entry->tid, &kind, NULL, entry->text);
}

static void tell_event(struct telling *telling, json_object *event)
{
	struct hs_ctf_told_kind kind = { .system = "qmp", .name = hs_json_get_string(event, "event"), .text = "data" };
	json_object *data = hs_json_get(event, "data");
	uint64_t ns, error_ns;

	if (hs_clock_real_to_boot(telling->input->clocks, hs_json_get_u64(event, "realtime_us") * 1000, 1000, &ns,
				  &error_ns))
		return;
	note_error(telling, error_ns);
	add(telling, ns, 0, &kind, NULL,
	    data ? json_object_to_json_string_ext(data, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE) : "");
}

static int tell_end(struct telling *telling, enum hs_end end)
{
	json_object *events = telling->input->drive->events;

	for (size_t i = 0; i < json_object_array_length(events); i++) {
		json_object *event = json_object_array_get_idx(events, i);

		if (!strcmp(hs_json_get_string(event, "end"), hs_end_name(end)))
			tell_event(telling, event);
	}
	return hs_sources_read_log(telling->input->site->logs[end], telling->input->clocks, on_entry, telling);
}

static int tell_source(struct telling *telling)
{
	return tell_end(telling, HS_SOURCE);
}

static int tell_destination(struct telling *telling)
{
	return tell_end(telling, HS_DESTINATION);
}

static void on_probe(void *ctx, const struct hs_seen_probe *probe)
{
	static const struct hs_ctf_told_kind sent = {
		.system = "client_rr", .name = "probe_sent", .numbers = { "seq" }, .text = "outcome"
	};
	static const struct hs_ctf_told_kind answered = {
		.system = "client_rr", .name = "probe_answered", .numbers = { "seq", "rtt_ns" }, .text = "outcome"
	};
	uint64_t numbers[] = { probe->seq, probe->rtt_ns };

	if (strcmp(probe->what, "duplicate") != 0)
		add(ctx, probe->sent_ns, 0, &sent, numbers, probe->what);
	if (probe->rtt_ns)
		add(ctx, probe->sent_ns + probe->rtt_ns, 0, &answered, numbers, probe->what);
}

static int tell_client(struct telling *telling)
{
	return hs_sources_read_probes(telling->input->dir, on_probe, telling);
}

/* At the arrival of the line that says so. */
static int tell_guest(struct telling *telling)
{
	static const struct hs_ctf_told_kind kind = {
		.system = "mm_dirty", .name = "dirty_rate", .numbers = { "mib_per_s" }, .text = "through"
	};
	const struct hs_load *load = telling->input->load;

	for (size_t i = 0; i < load->line_nr; i++)
		add(telling, load->lines[i].ns, 0, &kind, &load->lines[i].mib, hs_end_name(load->lines[i].end));
	return 0;
}

/* ---- all --------------------------------------------------------------------------------------- */

static int write_one(const struct hs_seen_input *input, const char *machine, int (*tell)(struct telling *telling),
		     json_object *traces)
{
	scoped(mem) char *dir = hs_format("%s/trace/%s", input->dir, machine);
	scoped(hs_ctf_told) struct hs_ctf_told *told = NULL;
	struct telling telling = { .input = input };
	const struct hs_clock_sample *first = input->clocks->samples;
	int err = dir ? hs_ctf_told_open(&told) : -ENOMEM;

	telling.told = told;
	if (!err)
		err = tell(&telling);
	if (!err)
		err = telling.err;
	if (!err)
		err = hs_ctf_told_write(told, dir, machine, (int64_t)(first->real_ns - first->boot_ns));
	if (!err)
		hs_json_add_u64(hs_json_add_object(traces, machine), "host_clock_error_bound_ns", telling.error_ns);
	return err;
}

int hs_seen_write_traces(const struct hs_seen_input *input, json_object *trial)
{
	static const struct {
		const char *machine;
		int (*tell)(struct telling *telling);
	} all[] = {
		{ "source", tell_source },
		{ "destination", tell_destination },
		{ "client", tell_client },
		{ "guest", tell_guest },
	};
	scoped(mem) char *dir = hs_format("%s/trace", input->dir);
	json_object *traces = hs_json_add_object(trial, "trace");
	int err = dir ? hs_make_dirs(dir) : -ENOMEM;

	if (!err && !input->clocks->sample_nr)
		err = hs_fail(-ENODATA, "no clock was read during the trial");
	for (size_t i = 0; i < HS_ARRAY_SIZE(all) && !err; i++)
		err = write_one(input, all[i].machine, all[i].tell, traces);
	return err;
}
