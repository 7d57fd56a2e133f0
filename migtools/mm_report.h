/* SPDX-License-Identifier: GPL-2.0-only */
/* What mm_dirty says at its end, as text in mig_mon's words and as a document. Main thread, after the engine ended. */
#ifndef HS_MIGTOOLS_MM_REPORT_H
#define HS_MIGTOOLS_MM_REPORT_H

#include <stdio.h>

#include "migtools/mm_engine.h"

#define HS_DIRTY_SCHEMA "hsbpf.mm_dirty/1"

/* All that there is to say; the pointers are borrowed. */
struct hs_dirty_report {
	const struct hs_dirty_config *config;
	const struct hs_memory *memory;
	const struct hs_engine *engine;
	const char *pattern, *fill;
	uint64_t start_boottime_ns, start_realtime_ns;
	const struct hs_histogram *latency; /* ns; of the whole run */
	uint64_t stamp_ns;		    /* what a time stamp adds to each of them */
	double drift;			    /* hs_ticks_drift() */
};

/* How many windows had which verdict; all 0 without a rate. Windows from `from` on, `nr` of them. */
struct hs_dirty_verdicts {
	uint64_t nr[HS_WINDOW_VERDICT_NR];
};
void hs_dirty_report_verdicts(const struct hs_engine *engine, uint64_t from, uint64_t nr,
			      struct hs_dirty_verdicts *verdicts);

void hs_dirty_report_print(FILE *out, const struct hs_dirty_report *report);
/* The document on stdout; 0 or -ENOMEM after a message. */
int hs_dirty_report_print_json(const struct hs_dirty_report *report);

#endif
