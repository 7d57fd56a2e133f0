/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The model of hypersio 1.0 (Princeton's simulator of HyperTRIO), faults included, to the last digit of what it prints:
 * whole ns, four queues that let one event go in each, and what is described at enum hs_sim_fault. It is how our model
 * is compared with the one in use, and each fault can be corrected by itself to see what it makes of the result. No
 * globals.
 */
#ifndef HS_HYPER_SIM_COMPAT_H
#define HS_HYPER_SIM_COMPAT_H

#include "hyper/sim.h"

/* What is wrong in that model, by the names in hs_sim_fault_names: each can be there or not. */
enum hs_sim_fault {
	HS_SIM_FAULT_WALK,	/* a walk from the root costs 50 ns times the leaf's level, not times the reads */
	HS_SIM_FAULT_GIANT,	/* a 1 GiB page that level 3 has comes back without PCIe; one that level 2 has never */
	HS_SIM_FAULT_PREFETCH,	/* with a buffer of size 0 pages are prefetched all the same */
	HS_SIM_FAULT_SUCCESSOR, /* who follows a device is learned when it is first seen, and never again */
	HS_SIM_FAULT_ARRIVAL,	/* the time between packets is rounded down to whole ns */
	HS_SIM_FAULT_PAGE_SIZE, /* a page of 4 KiB satisfies an access to one of 2 MiB at the same address */
	HS_SIM_FAULT_PACKET,	/* a packet is three translations, whatever the log says */
	HS_SIM_FAULT_SID, /* its builder of traces numbers devices sid + 128 * log, in 16 bits: some are the same */
	HS_SIM_FAULT_NR
};
/* Those of the model itself; `trace-gen --format hypersio` numbers devices by tenant. */
#define HS_SIM_FAULTS_OF_MODEL ((1u << HS_SIM_FAULT_SID) - 1)
extern const char *const hs_sim_fault_names[];

/* A cache: counted when it is filled, as hypersio does, and when a translation asks it. */
struct hs_sim_compat_cache {
	uint64_t hit, miss, conflict;
	uint64_t asked_hit, asked_miss;
};

struct hs_sim_compat_result {
	uint64_t mbps; /* "[Mb/s] for 1542B pkts" */
	uint64_t elapsed_ns, translations, packets, dropped;
	struct hs_sim_compat_cache context, dtlb, l2, l3;
	uint64_t prefetched;				 /* pages that were asked for */
	uint64_t predictions, predicted_right, mappings; /* "Predictions Made", "Correct ...", "New SID mappings" */
	uint64_t buffer_hit, buffer_miss, buffer_fill, buffer_same;
};

/*
 * Runs the trace's translations as tenants 0, 1, ... with the configuration's sizes (caches dtlb, context, l2 and l3,
 * prefetch, queue, order, link); its times are hypersio's. `corrected` has bit n set for each fault n that is put
 * right. 0; -EINVAL for what that model does not have, -EDEADLK where hypersio never ends (a 1 GiB page that is used
 * twice), with message; -ENOMEM.
 */
int hs_sim_compat_run(const struct hs_dmatrace *trace, const struct hs_sim_config *config, unsigned int faults,
		      struct hs_sim_compat_result *result);

void hs_sim_compat_print(const struct hs_sim_compat_result *result, FILE *out);
/* Of schema hsbpf.iommu-sim.hypersio/1. */
json_object *hs_sim_compat_to_json(const struct hs_sim_compat_result *result, const struct hs_sim_config *config,
				   unsigned int faults);

#endif
