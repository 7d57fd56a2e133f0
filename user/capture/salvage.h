/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What recorders that were killed left in their pinned rings, written as traces of their own. Called before a recording
 * starts; several may be started at once.
 */
#ifndef HS_CAPTURE_SALVAGE_H
#define HS_CAPTURE_SALVAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "trace_events/events.h"

struct hs_salvaged {
	const char *machine;   /* whose kernel it was, "host" */
	const char *trace_dir; /* as the recorder was given it, absolute */
	uint32_t pid;	       /* of the recorder */
	bool flight;
	uint64_t start_ns; /* CLOCK_BOOTTIME when it began */
	int64_t clock_offset_ns;

	/* Of what was left. Losses that the recorder's own trace tells are not among these. */
	uint64_t recorded[HS_EVENT_ID_NR];
	uint64_t ring_lost[HS_EVENT_ID_NR];
	uint64_t untold_disk_lost; /* by the recorder, after the last packet that it could write */
	uint32_t cpu_nr;
	const uint64_t *cpu_lost; /* ring_lost by CPU */
	uint64_t bytes, sorted, clamped;
};

/* `dir` is the folder in which trace/<machine> was written. An error leaves the rings for another try. */
typedef int (*hs_salvage_fn)(void *ctx, const char *dir, const struct hs_salvaged *salvaged);

/*
 * Writes each dead recorder's rest below the first free of dir/last, dir/last2, ..., tells on_saved, and removes
 * its rings; where not all of it can be written, nothing is, and the rings stay. A rest of nothing leaves no folder.
 * How many were written, or -errno (said).
 */
int hs_salvage(const char *dir, hs_salvage_fn on_saved, void *ctx);

#endif
