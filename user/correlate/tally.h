/* SPDX-License-Identifier: GPL-2.0-only */
/* What the packets of a tenant come to: times from layer to layer, translations, who was joined. One thread. */
#ifndef HS_CORRELATE_TALLY_H
#define HS_CORRELATE_TALLY_H

#include "base/histogram.h"
#include "correlate/packet.h"

#define HS_TALLY_SLOWEST 3

/* How far a packet could be followed. */
enum hs_end {
	HS_END_WHOLE,	      /* from the client's to the L2's layers, as many as the run has */
	HS_END_NO_DMA,	      /* see its fate */
	HS_END_NO_CLIENT_TAP, /* it did not pass the client's tap: it is the host's own, or for the host */
	HS_END_NO_CLIENT,     /* nothing in the client's trace could be it */
	HS_END_NO_L2,	      /* nothing in the L2's trace could be it */
	HS_END_NR,
};

extern const char *const hs_end_names[HS_END_NR];

/* What the run has. */
struct hs_tally_scope {
	bool has_dma, has_client, has_l2;
};

struct hs_tally {
	struct hs_tally_scope scope;
	uint64_t packet_nr, bytes;
	uint64_t fates[HS_FATE_NR], ends[HS_END_NR];
	uint64_t kinds[HS_DMA_KIND_NR], events[HS_QEMULOG_EVENT_NR]; /* translations of joined packets */
	uint64_t exit_nr,
		exit_packet_nr; /* in L1 while packets were between host and L2, and how many packets that tells of */
	struct hs_histogram hops[HS_LAYER_NR][HS_LAYER_NR]; /* from a layer to the next that saw the packet, ns */
	struct hs_histogram total;		    /* of packets with translations: from the first layer to the last */
	struct hs_packet slowest[HS_TALLY_SLOWEST]; /* the slowest first; number 0: none */
};

/* 0 or -ENOMEM. */
int hs_tally_add(struct hs_tally *tally, const struct hs_packet *packet);

enum hs_end hs_tally_end_of(const struct hs_tally_scope *scope, const struct hs_packet *packet);

void hs_tally_clear(struct hs_tally *tally);

#endif
