// SPDX-License-Identifier: GPL-2.0-only
/* The measures. Each is one function over one source. */
#include "migrate/seen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/histogram.h"
#include "base/io.h"
#include "base/log.h"
#include "migrate/sources.h"

#define MS 1e6
/* Probes that a page can draw around STOP. */
#define BEFORE_NS 1500000000u
#define AFTER_NS 10000000000u

struct looking {
	const struct hs_seen_input *input;
	uint64_t stop_ns, resume_ns; /* QEMU's events, 0: there was none */
	struct hs_arrivals_seen answers;
	json_object *probes;
	/* On the taps, from the guest; traffic is what is no announcement (ARP, RARP, IPv6's neighbours). */
	uint64_t last_traffic_ns, first_traffic_ns, first_packet_ns, rarp_ns, arp_ns;
	struct {
		char page[24];
		uint64_t ns;
	} waiting[256]; /* pages that postcopy asked for */
	size_t waiting_nr;
	struct hs_histogram waits;
	int err;
};

/* ---- pure parts -------------------------------------------------------------------------------- */

uint64_t hs_seen_gap_at(const struct hs_arrivals_seen *arrivals, uint64_t at_ns)
{
	for (size_t i = 1; i < arrivals->nr; i++)
		if (arrivals->ns[i - 1] < at_ns && arrivals->ns[i] >= at_ns)
			return arrivals->ns[i] - arrivals->ns[i - 1];
	return 0;
}

uint64_t hs_seen_longest_gap(const struct hs_arrivals_seen *arrivals, uint64_t from_ns, uint64_t to_ns)
{
	uint64_t longest = 0;

	for (size_t i = 1; i < arrivals->nr; i++)
		if (arrivals->ns[i] >= from_ns && arrivals->ns[i] <= to_ns &&
		    arrivals->ns[i] - arrivals->ns[i - 1] > longest)
			longest = arrivals->ns[i] - arrivals->ns[i - 1];
	return longest;
}

double hs_seen_brownout_ms(json_object *mm_dirty, uint64_t from_ns)
{
	json_object *due = hs_json_get(mm_dirty, "windows.due_pages"),
		    *done = hs_json_get(mm_dirty, "windows.done_pages");
	uint64_t window_ns = hs_json_get_u64(mm_dirty, "windows.length_ns");
	size_t nr, slow = 0;

	if (!window_ns || !json_object_is_type(due, json_type_array) || !json_object_is_type(done, json_type_array))
		return -1;
	nr = json_object_array_length(done);
	nr = json_object_array_length(due) < nr ? json_object_array_length(due) : nr;
	for (size_t i = from_ns / window_ns; i < nr; i++)
		slow += 2 * json_object_get_int64(json_object_array_get_idx(done, i)) <
			json_object_get_int64(json_object_array_get_idx(due, i));
	return (double)(slow * window_ns) / MS;
}

/* ---- sources ----------------------------------------------------------------------------------- */

static int append(struct hs_arrivals_seen *arrivals, uint64_t ns)
{
	if (arrivals->nr == arrivals->room) {
		size_t room = arrivals->room ? 2 * arrivals->room : 1024;
		uint64_t *grown = reallocarray(arrivals->ns, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		arrivals->ns = grown;
		arrivals->room = room;
	}
	arrivals->ns[arrivals->nr++] = ns;
	return 0;
}

static int by_time(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

static void on_probe(void *ctx, const struct hs_seen_probe *probe)
{
	struct looking *looking = ctx;
	uint64_t centre = looking->stop_ns;
	json_object *pair;

	if (probe->rtt_ns && strcmp(probe->what, "duplicate") != 0 &&
	    append(&looking->answers, probe->sent_ns + probe->rtt_ns))
		looking->err = -ENOMEM;
	if (!centre || probe->sent_ns + BEFORE_NS < centre || probe->sent_ns > centre + AFTER_NS)
		return;
	pair = json_object_new_array();
	json_object_array_add(pair, json_object_new_int64((int64_t)probe->sent_ns - (int64_t)centre));
	json_object_array_add(pair, probe->rtt_ns ? json_object_new_int64((int64_t)probe->rtt_ns) : NULL);
	json_object_array_add(looking->probes, pair);
}

static void on_packet(void *ctx, const struct hs_seen_packet *packet)
{
	struct looking *looking = ctx;

	if (!packet->from_guest)
		return;
	if (packet->end == HS_SOURCE) {
		if (packet->protocol == HS_ETHERTYPE_IPV4 && packet->ns > looking->last_traffic_ns)
			looking->last_traffic_ns = packet->ns;
		return;
	}
	if (!looking->first_packet_ns)
		looking->first_packet_ns = packet->ns;
	if (packet->protocol == HS_ETHERTYPE_IPV4 && !looking->first_traffic_ns)
		looking->first_traffic_ns = packet->ns;
	if (packet->protocol == HS_ETHERTYPE_RARP && !looking->rarp_ns)
		looking->rarp_ns = packet->ns;
	if (packet->protocol == HS_ETHERTYPE_ARP && !looking->arp_ns)
		looking->arp_ns = packet->ns;
}

/* "new page req 0x7f.. total 1", "resolved page req 0x7f.. total 0" (QEMU's migration/trace-events). */
static void on_page(struct looking *looking, const struct hs_seen_entry *entry, bool is_new)
{
	char page[24];

	if (sscanf(entry->text, "%*s page req %23s", page) != 1)
		return;
	for (size_t i = 0; i < looking->waiting_nr; i++) {
		if (strcmp(looking->waiting[i].page, page) != 0)
			continue;
		if (!is_new) {
			hs_histogram_add(&looking->waits, entry->ns - looking->waiting[i].ns, 1);
			looking->waiting[i] = looking->waiting[--looking->waiting_nr];
		}
		return;
	}
	if (is_new && looking->waiting_nr < HS_ARRAY_SIZE(looking->waiting)) {
		snprintf(looking->waiting[looking->waiting_nr].page, sizeof(page), "%s", page);
		looking->waiting[looking->waiting_nr++].ns = entry->ns;
	}
}

static void on_entry(void *ctx, const struct hs_seen_entry *entry)
{
	if (!strcmp(entry->event, "postcopy_page_req_add"))
		on_page(ctx, entry, true);
	else if (!strcmp(entry->event, "postcopy_page_req_del"))
		on_page(ctx, entry, false);
}

/* BOOTTIME of the last event of that name at that end; 0: none. */
static uint64_t event_ns(const struct hs_seen_input *input, enum hs_end end, const char *name)
{
	json_object *events = input->drive->events;
	uint64_t found = 0, ns, error_ns;

	for (size_t i = 0; i < json_object_array_length(events); i++) {
		json_object *event = json_object_array_get_idx(events, i);

		if (!strcmp(hs_json_get_string(event, "event"), name) &&
		    !strcmp(hs_json_get_string(event, "end"), hs_end_name(end)) &&
		    !hs_clock_real_to_boot(input->clocks, hs_json_get_u64(event, "realtime_us") * 1000, 1000, &ns,
					   &error_ns))
			found = ns;
	}
	return found;
}

static int look(struct looking *looking)
{
	const struct hs_seen_input *input = looking->input;
	int err;

	looking->resume_ns = event_ns(input, HS_DESTINATION, "RESUME");
	looking->stop_ns = looking->resume_ns ? event_ns(input, HS_SOURCE, "STOP") : 0;
	err = hs_sources_read_probes(input->dir, on_probe, looking);
	if (!err)
		err = hs_sources_read_packets(input->dir, on_packet, looking);
	if (!err)
		err = hs_sources_read_log(input->site->logs[HS_DESTINATION], input->clocks, on_entry, looking);
	qsort(looking->answers.ns, looking->answers.nr, sizeof(*looking->answers.ns), by_time);
	return err ? err : looking->err;
}

/* ---- the document ------------------------------------------------------------------------------ */

/* In ms; null when `has` says that there is none. */
static void add(json_object *seen, const char *key, bool has, double ms)
{
	if (has)
		hs_json_add_double(seen, key, ms, 3);
	else
		json_object_object_add(seen, key, NULL);
}

static void add_between(json_object *seen, const char *key, uint64_t from_ns, uint64_t to_ns)
{
	add(seen, key, from_ns && to_ns, (double)((int64_t)to_ns - (int64_t)from_ns) / MS);
}

static void add_guest(const struct looking *looking, json_object *seen)
{
	const struct hs_load *load = looking->input->load;
	scoped(json) json_object *document = load->document ? json_tokener_parse(load->document) : NULL;
	uint64_t longest = 0, migrating_ns = looking->input->drive->start_ns;
	/* Until the first STOP the guest's clock goes as the host's; its first line comes right after its start. */
	uint64_t start_ns = load->line_nr ? load->lines[0].ns : 0;
	double brownout_ms =
		document && migrating_ns && start_ns
			? hs_seen_brownout_ms(document, migrating_ns > start_ns ? migrating_ns - start_ns : 0)
			: -1;

	for (size_t i = 1; i < load->line_nr && migrating_ns; i++)
		if (load->lines[i].ns >= migrating_ns && load->lines[i].ns - load->lines[i - 1].ns > longest)
			longest = load->lines[i].ns - load->lines[i - 1].ns;
	add(seen, "guest_blackout_ms", longest && document, (double)longest / MS);
	add(seen, "guest_stall_ms", document, (double)hs_json_get_u64(document, "stalls.longest_ns") / MS);
	add(seen, "brownout_ms", brownout_ms >= 0, brownout_ms);
	add(seen, "guest_wrong_pages", document, (double)hs_json_get_u64(document, "verification.wrong"));
}

static void add_waits(const struct looking *looking, json_object *seen)
{
	const struct hs_histogram *waits = &looking->waits;
	bool has = waits->count > 0;

	add(seen, "postcopy_waits", looking->input->drive->postcopy_ns, (double)waits->count);
	add(seen, "postcopy_wait_p50_ms", has, (double)hs_histogram_quantile(waits, 0.5) / MS);
	add(seen, "postcopy_wait_p99_ms", has, (double)hs_histogram_quantile(waits, 0.99) / MS);
	add(seen, "postcopy_wait_max_ms", has, has ? (double)waits->max / MS : 0);
}

static void add_seen(const struct looking *looking, json_object *trial)
{
	const struct hs_seen_input *input = looking->input;
	json_object *seen = hs_json_add_object(trial, "seen");
	uint64_t at_switch = looking->resume_ns ? hs_seen_gap_at(&looking->answers, looking->resume_ns) : 0;
	uint64_t longest = input->drive->start_ns ? hs_seen_longest_gap(&looking->answers, input->drive->start_ns,
									input->watched_until_ns)
						  : 0;

	add(seen, "network_gap_ms", at_switch, (double)at_switch / MS);
	add(seen, "network_longest_ms", longest, (double)longest / MS);
	add_between(seen, "tap_gap_ms", looking->last_traffic_ns, looking->first_traffic_ns);
	add_between(seen, "stop_resume_ms", looking->stop_ns, looking->resume_ns);
	add_between(seen, "stop_to_first_packet_ms", looking->stop_ns, looking->first_packet_ns);
	add_between(seen, "stop_to_announcement_ms", looking->stop_ns, looking->rarp_ns);
	add_between(seen, "stop_to_guest_arp_ms", looking->stop_ns, looking->arp_ns);
	add_guest(looking, seen);
	add_waits(looking, seen);
}

static void add_switch(const struct looking *looking, json_object *trial)
{
	json_object *at = hs_json_add_object(trial, "switch");
	uint64_t boot_ns, error_ns = 0;
	struct hs_clock_sample now;

	hs_clock_sample_take(&now);
	hs_clock_real_to_boot(looking->input->clocks, now.real_ns, 1000, &boot_ns, &error_ns);
	hs_json_add_u64(at, "stop_boottime_ns", looking->stop_ns);
	hs_json_add_u64(at, "resume_boottime_ns", looking->resume_ns);
	hs_json_add_u64(at, "error_bound_ns", error_ns);
}

int hs_seen_add(const struct hs_seen_input *input, json_object *trial)
{
	struct looking looking = { .input = input, .probes = json_object_new_array() };
	int err = look(&looking);

	add_seen(&looking, trial);
	add_switch(&looking, trial);
	json_object_object_add(trial, "probes", looking.probes);
	free(looking.answers.ns);
	hs_histogram_clear(&looking.waits);
	return err;
}
