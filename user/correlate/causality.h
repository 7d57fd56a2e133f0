/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Are causes before their effects? Pairs across machines, counted: one whose effect seems to be earlier than its cause
 * by more than the clocks' stated errors says that the alignment is wrong. Plain data; one thread.
 */
#ifndef HS_CORRELATE_CAUSALITY_H
#define HS_CORRELATE_CAUSALITY_H

#include "base/json.h"
#include "correlate/packet.h"

enum hs_causality_pair {
	HS_PAIR_CLIENT_TO_TAP,	     /* the client's NIC is given a packet before it is on its tap */
	HS_PAIR_TAP_TO_CLIENT,	     /* a packet is on the client's tap before the client receives it */
	HS_PAIR_TAP_TO_DMA,	     /* a packet is on the tap before its translations */
	HS_PAIR_DMA_TO_L2,	     /* a packet's translations are before the L2 receives it */
	HS_PAIR_L2_TO_TAP,	     /* the L2's NIC is given a packet before it is on its tap */
	HS_PAIR_INJECTED_TO_HANDLER, /* L1 injects an interrupt before the L2 handles it */
	HS_PAIR_NR,
};

struct hs_causality_count {
	uint64_t in_order;	 /* cause first */
	uint64_t within_bound;	 /* the effect first, by no more than both errors */
	uint64_t beyond_bound;	 /* by more: the alignment is wrong */
	uint64_t worst_ns;	 /* by how much the effect was first, at the most */
	uint64_t worst_error_ns; /* and what that pair's errors were */
};

struct hs_causality {
	struct hs_causality_count pairs[HS_PAIR_NR];
};

void hs_causality_add(struct hs_causality *causality, enum hs_causality_pair pair, const struct hs_sight *cause,
		      const struct hs_sight *effect);

uint64_t hs_causality_beyond_bound(const struct hs_causality *causality);

/* "client NIC before client tap", ... */
extern const char *const hs_causality_pair_names[HS_PAIR_NR];

/* [{"pair":"...","in_order":1,"within_bound":0,"beyond_bound":0,"worst_ns":0,"worst_error_ns":0}] as member `key`. */
void hs_causality_to_json(const struct hs_causality *causality, json_object *object, const char *key);

#endif
