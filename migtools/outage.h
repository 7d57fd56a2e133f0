/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Outages: stretches of time in which probes were not answered, or did not come. Times are CLOCK_BOOTTIME of the
 * machine that measures. Kept for the summary in the order in which they began. One thread.
 */
#ifndef HS_MIGTOOLS_OUTAGE_H
#define HS_MIGTOOLS_OUTAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"

struct hs_outage {
	uint64_t start_ns, end_ns;	  /* end: of the measurement when is_open */
	uint64_t at_least_ns, at_most_ns; /* what the probes prove; end - start lies between */
	uint64_t probes;		  /* were in it: lost, or answered only when it was over */
	int error;			  /* the newest that the network reported in it, negative; 0: it was silent */
	bool is_open;			  /* it was still on when the measurement ended */
};

struct hs_outages {
	struct hs_outage *items;
	size_t count, room;
};

/* Appends a copy. 0 or -ENOMEM. */
int hs_outages_add(struct hs_outages *outages, const struct hs_outage *outage);
void hs_outages_clear(struct hs_outages *outages);

/* "outages": an array. */
void hs_outages_add_json(const struct hs_outages *outages, json_object *object);
/* A table on stdout; nothing when there are none. */
void hs_outages_print(const struct hs_outages *outages);

/* "2026-11-21 10:55:01.234" (UTC) of a BOOTTIME of this machine. Returns text. */
const char *hs_outage_format_time(char *text, size_t size, uint64_t boottime_ns);

#endif
