/* SPDX-License-Identifier: GPL-2.0-only */
/* What `hsbpf correlate` found, for people and as a document (schema "hsbpf.correlate/1"). */
#ifndef HS_CORRELATE_REPORT_H
#define HS_CORRELATE_REPORT_H

#include <stdio.h>

#include "correlate/correlate.h"
#include "correlate/tally.h"

#define HS_CORRELATE_SCHEMA "hsbpf.correlate/1"

struct hs_correlate_report {
	const struct hs_correlate_result *result;
	const struct hs_tally (*tallies)[HS_DIRECTION_NR]; /* by tenant */
	const char *run;
	uint64_t from_ns, to_ns; /* of the host's trace; to_ns 0: its end */
	double seconds;		 /* that it took */
};

void hs_correlate_print(const struct hs_correlate_report *report, FILE *out);
json_object *hs_correlate_to_json(const struct hs_correlate_report *report);

#endif
