/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Walks along all that a run recorded, merged by the host's time, and gives out each tenant's packets with everything
 * that belongs to them. Reads traces, log and document once, from their begin to their end; memory is bounded by the
 * packets under way. For `hsbpf correlate`; one call at a time.
 */
#ifndef HS_CORRELATE_CORRELATE_H
#define HS_CORRELATE_CORRELATE_H

#include "base/json.h"
#include "correlate/lane.h"
#include "orchestrate/topology.h"

/* A machine whose trace was read. */
struct hs_correlate_machine {
	char name[64];
	uint64_t record_nr; /* of use here */
	uint64_t bound_ns;  /* of its clock; 0 for the host */
};

struct hs_correlate_tenant {
	bool is_there;
	struct hs_lane_config has; /* what the run tells of it; only the flags */
	struct hs_lane_counts counts;
	uint64_t unparsed_lines; /* of the log */
};

struct hs_correlate_result {
	uint64_t begin_ns, end_ns; /* of the host's trace */
	uint64_t packet_nr;	   /* on the L2s' taps */
	uint64_t line_nr;	   /* of the log, of devices */
	uint64_t foreign_line_nr;  /* of devices that no tenant has */
	uint64_t log_bound_ns;
	uint64_t lost_nr; /* host's events that its trace says were lost */
	bool has_log;
	struct hs_causality causality;
	struct hs_correlate_machine machines[2 * HS_PAIRS_MAX + 2];
	size_t machine_nr;
	struct hs_correlate_tenant tenants[HS_PAIRS_MAX];
	unsigned int tenant_nr;
};

struct hs_correlate_config {
	const char *trace_dir; /* DIR/trace */
	const char *log;       /* DIR.txt */
	json_object *document; /* run.json */
	int tenant;	       /* -1: all */
	/* Each packet once, in the order of time of its tenant; false: that is enough. */
	bool (*on_packet)(void *ctx, const struct hs_packet *packet);
	void *ctx;
};

/* *result is whole also when on_packet ended the walk. 0; -ENOENT: the run has no trace; -errno. Said. */
int hs_correlate(const struct hs_correlate_config *config, struct hs_correlate_result *result);

#endif
