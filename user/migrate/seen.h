/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a migration looked like from outside, each way of looking under its own name; none of them is "the downtime".
 * Computed after the trial from what it left. Main thread.
 */
#ifndef HS_MIGRATE_SEEN_H
#define HS_MIGRATE_SEEN_H

#include "migrate/drive.h"
#include "migrate/load.h"
#include "timeline/clock.h"

struct hs_seen_input {
	const char *dir;
	const struct hs_site *site;
	const struct hs_drive *drive;
	const struct hs_load *load;
	struct hs_clock_list *clocks;
	uint64_t watched_until_ns;
};

/* Adds "seen" (numbers; null where there is none), "clock", "switch" and "probes" to the trial's document. */
int hs_seen_add(const struct hs_seen_input *input, json_object *trial);

/*
 * DIR/trace/source, destination, client, guest: what happened, on one time line with the taps' DIR/trace/host. Adds
 * "trace" to the document: by how much their times may be off. 0 or -errno after a message.
 */
int hs_seen_write_traces(const struct hs_seen_input *input, json_object *trial);

/* ---- pure parts ---- */

/* Times of arrival, in order. The gap that holds `at_ns`, and the longest that ends in [from_ns, to_ns]; 0: none. */
struct hs_arrivals_seen {
	uint64_t *ns;
	size_t nr, room;
};
uint64_t hs_seen_gap_at(const struct hs_arrivals_seen *arrivals, uint64_t at_ns);
uint64_t hs_seen_longest_gap(const struct hs_arrivals_seen *arrivals, uint64_t from_ns, uint64_t to_ns);

/*
 * ms of mm_dirty's windows (its document), from_ns after its start and later, in which it wrote less than half of what
 * was due; -1: it had no rate.
 */
double hs_seen_brownout_ms(json_object *mm_dirty, uint64_t from_ns);

#endif
