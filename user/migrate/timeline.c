// SPDX-License-Identifier: GPL-2.0-only
/*
 * One table of everything that was seen in a trial, by time: QMP events, both QEMUs' trace events, packets on both
 * taps, probes, lines from the guest. Called by the trial when it is over.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "migrate/seen.h"
#include "migrate/sources.h"

struct row {
	uint64_t ns;
	const char *source;
	char *what;
};

struct rows {
	struct row *items;
	size_t nr, room;
	const char *source; /* of what is being read */
	int err;
};

static void rows_scoped(struct rows *rows)
{
	for (size_t i = 0; i < rows->nr; i++)
		free(rows->items[i].what);
	free(rows->items);
}

/* Takes what. */
static void append(struct rows *rows, uint64_t ns, const char *source, char *what)
{
	if (rows->nr == rows->room && what) {
		size_t room = rows->room ? 2 * rows->room : 4096;
		struct row *grown = reallocarray(rows->items, room, sizeof(*grown));

		if (grown) {
			rows->items = grown;
			rows->room = room;
		}
	}
	if (!what || rows->nr == rows->room) {
		free(what);
		rows->err = -ENOMEM;
		return;
	}
	rows->items[rows->nr++] = (struct row){ ns, source, what };
}

static void on_probe(void *ctx, const struct hs_seen_probe *probe)
{
	append(ctx, probe->sent_ns, "probe",
	       hs_format("sent seq=%" PRIu64 " rtt_ns=%" PRIu64 " %s", probe->seq, probe->rtt_ns, probe->what));
}

static void on_packet(void *ctx, const struct hs_seen_packet *packet)
{
	append(ctx, packet->ns, packet->end == HS_SOURCE ? "source tap" : "destination tap",
	       hs_format("%s guest protocol=0x%04x len=%u", packet->from_guest ? "from" : "to", packet->protocol,
			 packet->len));
}

static void on_entry(void *ctx, const struct hs_seen_entry *entry)
{
	struct rows *rows = ctx;

	append(rows, entry->ns, rows->source, hs_format("%s %s", entry->event, entry->text));
}

static void add_events(struct rows *rows, const struct hs_seen_input *input)
{
	json_object *events = input->drive->events;
	uint64_t ns, error_ns;

	for (size_t i = 0; i < json_object_array_length(events); i++) {
		json_object *event = json_object_array_get_idx(events, i), *data = hs_json_get(event, "data");
		bool is_source = !strcmp(hs_json_get_string(event, "end"), hs_end_name(HS_SOURCE));

		if (!hs_clock_real_to_boot(input->clocks, hs_json_get_u64(event, "realtime_us") * 1000, 1000, &ns,
					   &error_ns))
			append(rows, ns, is_source ? "source qmp" : "destination qmp",
			       hs_format("%s %s", hs_json_get_string(event, "event"),
					 data ? json_object_to_json_string_ext(data, JSON_C_TO_STRING_PLAIN) : ""));
	}
}

/* What the guest dirtied, at the arrival of the line that says so. */
static void add_guest(struct rows *rows, const struct hs_load *load)
{
	for (size_t i = 0; i < load->line_nr; i++)
		append(rows, load->lines[i].ns, "guest",
		       hs_format("line %zu through the %s: %" PRIu64 " MiB/s dirtied", i,
				 hs_end_name(load->lines[i].end), load->lines[i].mib));
}

static int by_time(const void *a, const void *b)
{
	const struct row *left = a, *right = b;

	return left->ns < right->ns ? -1 : left->ns > right->ns;
}

static int write_rows(const struct rows *rows, const char *path)
{
	scoped(file) FILE *file = fopen(path, "we");

	if (!file)
		return hs_fail(-errno, "cannot write %s:", path);
	fputs("boottime_ns,source,what\n", file);
	for (size_t i = 0; i < rows->nr; i++) {
		for (char *at = rows->items[i].what; *at; at++)
			if (*at == '"')
				*at = '\'';
		fprintf(file, "%" PRIu64 ",%s,\"%s\"\n", rows->items[i].ns, rows->items[i].source, rows->items[i].what);
	}
	return fflush(file) ? hs_fail(-EIO, "cannot write %s", path) : 0;
}

int hs_seen_write_timeline(const struct hs_seen_input *input)
{
	scoped(mem) char *path = hs_format("%s/timeline.csv", input->dir);
	static const char *const logs[HS_END_NR] = { "source qemu", "destination qemu" };
	__attribute__((cleanup(rows_scoped))) struct rows rows = { 0 };
	int err = path ? hs_sources_read_probes(input->dir, on_probe, &rows) : -ENOMEM;

	if (!err)
		err = hs_sources_read_packets(input->dir, on_packet, &rows);
	for (int end = 0; end < HS_END_NR && !err; end++) {
		rows.source = logs[end];
		err = hs_sources_read_log(input->site->logs[end], input->clocks, on_entry, &rows);
	}
	add_events(&rows, input);
	add_guest(&rows, input->load);
	if (!err)
		err = rows.err;
	if (err)
		return err;
	qsort(rows.items, rows.nr, sizeof(*rows.items), by_time);
	return write_rows(&rows, path);
}
