/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The lane of one tenant: takes what every layer saw of its packets, in the order of the host's time, and gives out
 * packets with all that belongs to them, in the order of their time on the L2's tap. What is joined by what:
 *   client tap - tap           addresses, ports, TCP sequence or IP identification, length; segments to their packet
 *   tap - DMA, to the L2       order: a tap is a queue, and QEMU takes packets out one by one
 *   tap - DMA, from the L2     thread and time: the thread sends between reading the data and writing the status
 *   client NIC - client tap, L2 NIC - tap, DMA - L2 NIC      order and length, of merged packets the sum
 *   stack - NIC in a guest     the packet's address in its memory
 *   L1 interrupt, L2 entry     time: the first after the one before
 * Memory is bounded by the packets under way. One thread.
 */
#ifndef HS_CORRELATE_LANE_H
#define HS_CORRELATE_LANE_H

#include "correlate/causality.h"

struct hs_lane;

struct hs_lane_config {
	uint32_t tenant;
	bool has_dma, has_client, has_l2; /* whether a run has such sights: otherwise nobody waits for them */
	bool client_tells_arrivals, l2_tells_arrivals; /* HS_GUEST_ARRIVE is recorded there */
	/* A packet of which all is known; it is freed afterwards. */
	void (*on_packet)(void *ctx, const struct hs_packet *packet);
	void *ctx;
	struct hs_causality *causality;
};

struct hs_lane_counts {
	uint64_t dma_alone;	  /* DMA of the NIC without a packet */
	uint64_t client_alone[2]; /* client's sights without a packet: sent, received */
	uint64_t l2_alone[2];	  /* L2's */
	uint64_t interrupt_nr, entry_nr, exit_nr;
};

/* What a guest's net events say. */
struct hs_lane_guest_event {
	enum { HS_GUEST_QUEUE, HS_GUEST_XMIT, HS_GUEST_ARRIVE, HS_GUEST_STACK } what;
	struct hs_sight sight;
	uint64_t skb;
	uint32_t len;
	uint16_t gso_segs;
};

int hs_lane_open(const struct hs_lane_config *config, struct hs_lane **out);

/* Of the host's trace. `number` is the next packet's; true: this is one. 0 or -ENOMEM in *err. */
bool hs_lane_tap(struct hs_lane *lane, const struct hs_event_header *header, bool to_guest, uint64_t number, int *err);
/* The tap did not take its last packet. */
void hs_lane_refused(struct hs_lane *lane, const struct hs_event_net_dev_xmit *record);
int hs_lane_dma(struct hs_lane *lane, const struct hs_dma *dma);
int hs_lane_guest(struct hs_lane *lane, bool is_l2, const struct hs_lane_guest_event *event);
/* Of L1: the NIC's interrupt; entries and exits of the L2. */
void hs_lane_interrupt(struct hs_lane *lane, const struct hs_sight *sight);
void hs_lane_entry(struct hs_lane *lane, const struct hs_sight *sight);
void hs_lane_exit(struct hs_lane *lane, const struct hs_sight *sight);

/* All that happened before now_ns was told. */
void hs_lane_settle(struct hs_lane *lane, uint64_t now_ns);
/* All was told. */
void hs_lane_finish(struct hs_lane *lane);

const struct hs_lane_counts *hs_lane_counts(const struct hs_lane *lane);

void hs_lane_free(struct hs_lane *lane);
HS_SCOPED(hs_lane, struct hs_lane *, hs_lane_free)

#endif
