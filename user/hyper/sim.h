/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How much of a link many tenants can use when every DMA of their packets is translated: one trace, one configuration,
 * one result. Packets come in the link's slots; their translations are looked up in the device's TLB and, if need be,
 * in the IOMMU behind PCIe, by caches of contexts and pages or a walk of tables in memory. Time is in picoseconds. No
 * globals: any number of runs at a time, by threads or processes, over one open trace.
 */
#ifndef HS_HYPER_SIM_H
#define HS_HYPER_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/histogram.h"
#include "base/json.h"
#include "hyper/dmatrace.h"
#include "hyper/sim_config.h"

/* One cache. Hits and misses are counted when it is asked. */
struct hs_sim_structure {
	uint64_t hits, misses;			 /* for translations */
	uint64_t prefetch_hits, prefetch_misses; /* for prefetches */
	uint64_t fills, evictions, invalidated;
	uint64_t held; /* at the end */
};

/* Where the time of translations went: the parts of their latency, which is their sum. */
enum hs_sim_part {
	HS_SIM_PART_QUEUE,   /* the packet was there, its translation had to wait for a place */
	HS_SIM_PART_DEVICE,  /* hits of the device's TLB and its prefetch buffer */
	HS_SIM_PART_PCIE,    /* to the IOMMU and back */
	HS_SIM_PART_CONTEXT, /* context cache and reads of context entries */
	HS_SIM_PART_PAGE,    /* looks into the caches of pages */
	HS_SIM_PART_WALK,    /* reads of tables */
	HS_SIM_PART_ORDER,   /* done, but behind others that were not */
	HS_SIM_PART_NR
};
extern const char *const hs_sim_part_names[];

struct hs_sim_tenant {
	uint64_t translations, packets;
	uint64_t dtlb_hits, walk_reads;
	uint64_t latency_ps, latency_max_ps; /* sum, and the longest */
	uint64_t first_ps, last_ps;	     /* from its first packet's arrival to its last translation's end */
	double rate_bps;		     /* of its packets' bytes, over that time */
};

struct hs_sim_result {
	uint64_t translations, packets;
	uint64_t slots_lost; /* slots of the link in which no packet was taken in, between the first and the last */
	uint64_t elapsed_ps; /* from the first arrival to the last translation's end, and the last packet's */
	uint64_t walk_reads, prefetch_reads, context_reads;
	uint64_t prefetches, prefetches_spared; /* asked for; not, as the page was there or on its way */
	uint64_t guesses, guesses_right;	/* of the prefetcher, of which tenant comes */
	uint64_t invalidations;			/* records of the trace that were applied */
	struct hs_sim_structure dtlb, prefetch, context, page[HS_SIM_LEVELS];
	uint64_t part_ps[HS_SIM_PART_NR];
	struct hs_histogram latency_ps; /* of a translation, from its packet's arrival */
	struct hs_sim_tenant *tenants;	/* by number in the trace; those without translations are zeros */
	uint32_t tenant_nr;
	/* From the above. */
	double rate_bps, link_pct;	   /* of packets' bytes */
	double jain;			   /* of tenants' rates: 1 all alike, 1/n one has all */
	double rate_min_bps, rate_max_bps; /* of a tenant, over its own time */
	uint32_t active_nr, worst, best;   /* tenants with translations; whose those two are */
};

/*
 * Runs the whole trace. *result is written on success only, and cleared by hs_sim_result_clear(). 0, -EINVAL for a
 * configuration that does not fit together, -ENODATA for a trace without translations, -EOVERFLOW when the clock or the
 * sum of all latencies leaves 64 bits, -ENOMEM; message.
 */
int hs_sim_run(const struct hs_dmatrace *trace, const struct hs_sim_config *config, struct hs_sim_result *result);
void hs_sim_result_clear(struct hs_sim_result *result);

/* What the counts say of the rates: called at the end of a run. */
void hs_sim_result_conclude(struct hs_sim_result *result, const struct hs_sim_config *config);

/* As a table for people; as a document of schema hsbpf.iommu-sim/1; one CSV row for each tenant. */
void hs_sim_result_print(const struct hs_sim_result *result, const struct hs_sim_config *config, FILE *out);
json_object *hs_sim_result_to_json(const struct hs_sim_result *result, const struct hs_sim_config *config);
void hs_sim_result_print_tenants(const struct hs_sim_result *result, const struct hs_dmatrace *trace, FILE *out);

/* scoped(hs_sim_result) struct hs_sim_result result = { 0 }; */
static inline void hs_sim_result_scoped(struct hs_sim_result *result)
{
	hs_sim_result_clear(result);
}

#endif
