/* SPDX-License-Identifier: GPL-2.0-only */
/* A run under way: the link and the queue (sim.c), and what a translation meets on its way (sim_path.c). */
#ifndef HS_HYPER_SIM_INTERNAL_H
#define HS_HYPER_SIM_INTERNAL_H

#include "hyper/sim.h"
#include "hyper/sim_cache.h"
#include "hyper/sim_lanes.h"
#include "hyper/sim_prefetch.h"

#define PS_PER_NS 1000u

/* Lanes in the order in which things that come at the same time happen: places become free before they are taken. */
enum hs_sim_lane_number {
	HS_SIM_LANE_DTLB_HIT,
	HS_SIM_LANE_PREFETCH_HIT,
	HS_SIM_LANE_BACK,	      /* an answer of the IOMMU has reached the device */
	HS_SIM_LANE_ARRIVED,	      /* a request of the device has reached the IOMMU */
	HS_SIM_LANE_PREFETCH_ARRIVED, /* the same of a prefetch, whose history had to be read first */
	HS_SIM_LANE_WALK,	      /* and those behind: the IOMMU knows, after so many reads of memory */
};

/* The longest walk: 5 levels of the guest, each through 5 of the host, and once more for the root; 8 of a context. */
#define HS_SIM_READS_MAX (5 * 6 + 5 + 8)
_Static_assert(HS_SIM_LANE_WALK + HS_SIM_READS_MAX < HS_SIM_LANES, "a lane for every length of a walk");

struct hs_sim_request {
	uint64_t iova, arrived_ps, issued_ps, done_ps;
	uint32_t tenant, rank; /* as in the trace; in order of first appearance */
	uint32_t next_use, epoch;
	uint8_t size_class, levels;
	bool is_prefetch, is_done;
	uint8_t context_reads, walk_reads;
	bool asked_iommu, knew_context;
	uint8_t found; /* the lowest level whose entry the IOMMU had; 0: none */
	uint32_t next_free;
};

struct hs_sim {
	const struct hs_dmatrace *trace;
	struct hs_sim_config config;
	struct hs_sim_result *result;
	int err;
	uint64_t now_ps;
	/* the link */
	uint64_t record;							   /* the next of the trace */
	uint64_t slot_ps, slot_step_ps, slot_step_rest, slot_rest, slot_rest_unit; /* the next slot; its fraction */
	uint64_t link_end_ps; /* of the packet that was taken in last */
	bool packet_open;     /* there was one: a translation that begins none is part of it */
	uint64_t packet_arrived_ps, last_done_ps;
	/* pending translations */
	uint32_t pending;
	struct hs_sim_request *requests;
	uint32_t request_nr, free_request;
	uint32_t *ring; /* in order: those that are not out yet, oldest first */
	uint32_t ring_head, ring_mask;
	struct hs_sim_lanes lanes;
	/* caches */
	struct hs_sim_cache dtlb, context, page[HS_SIM_LEVELS], buffer;
	struct hs_sim_prefetch prefetch;
	uint32_t expected;   /* the tenant whose pages were prefetched last */
	uint32_t *next_use;  /* by record, for the optimum */
	uint32_t *rank;	     /* by tenant: order of appearance, or HS_SIM_NO_TENANT */
	uint32_t *tenant_of; /* by rank */
	uint32_t *epoch;     /* by rank: counts invalidations; an answer from before one is not kept */
	uint32_t rank_nr;
};

/* Looks a translation up where it begins, and sends it on its way. */
void hs_sim_path_begin(struct hs_sim *sim, uint32_t request);
/* Something has come in that lane. Returns the translation that is done by it, or NONE. */
#define HS_SIM_NO_REQUEST UINT32_MAX
uint32_t hs_sim_path_step(struct hs_sim *sim, unsigned int lane, uint32_t request);
/* An invalidation of the trace. */
void hs_sim_path_invalidate(struct hs_sim *sim, const struct hs_dmatrace_record *record);

/* A request that is free; its fields are the caller's to fill. NONE without memory (err is set). */
uint32_t hs_sim_request_take(struct hs_sim *sim);
void hs_sim_request_give(struct hs_sim *sim, uint32_t request);

#endif
