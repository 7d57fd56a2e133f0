/* SPDX-License-Identifier: GPL-2.0-only */
/* A report from a trace on disk: one reading, one analysis, its tables. For `hsbpf report`; one thread. */
#ifndef HS_ANALYSIS_REPLAY_H
#define HS_ANALYSIS_REPLAY_H

#include "analysis/report.h"
#include "analysis/scope.h"

struct hs_replay_config {
	const char *kind;  /* vm_exit, irq or cpu */
	const char *trace; /* a CTF folder */
	struct hs_scope scope;
	uint64_t from_ns, to_ns; /* the stretch, after the first record; to_ns 0: up to the end */
	struct hs_vm_list vms;	 /* names and vCPUs that are known; borrowed */
	enum hs_report_format format;
	const char *sort; /* key of a column */
	bool with_histograms;
};

/* Prints the report. 0; -EINVAL: no such kind; -errno. Said. */
int hs_replay(const struct hs_replay_config *config, FILE *out);

#endif
