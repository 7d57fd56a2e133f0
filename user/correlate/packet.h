/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A packet of a tenant as it is followed: a frame on the L2's tap, with what identifies it and when each layer saw it.
 * Plain data; one thread.
 */
#ifndef HS_CORRELATE_PACKET_H
#define HS_CORRELATE_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "correlate/dma.h"
#include "trace_events/events.h"

/* Where a packet can be seen. The order in which it is depends on the direction: hs_layers_of(). */
enum hs_layer {
	HS_LAYER_CLIENT_STACK, /* client: net_dev_queue; received: netif_receive_skb */
	HS_LAYER_CLIENT_NIC,   /* client: net_dev_start_xmit; received: napi_gro_receive_entry */
	HS_LAYER_CLIENT_TAP,   /* host, on the client's tap */
	HS_LAYER_TAP,	       /* host, on the L2's tap */
	HS_LAYER_DMA_BEGIN,    /* QEMU of L1: the NIC's first translation */
	HS_LAYER_DMA_END,      /* and its last */
	HS_LAYER_L1_IRQ,       /* L1: irq_handler_entry of the NIC */
	HS_LAYER_L1_ENTRY,     /* L1: kvm_entry of the L2 after it */
	HS_LAYER_L2_NIC,       /* L2: napi_gro_receive_entry; sent: net_dev_start_xmit */
	HS_LAYER_L2_STACK,     /* L2: netif_receive_skb; sent: net_dev_queue */
	HS_LAYER_NR,
};

extern const char *const hs_layer_names[HS_LAYER_NR]; /* "client stack", ... */

enum hs_direction { HS_TO_L2, HS_FROM_L2, HS_DIRECTION_NR };

/* The layers that a packet of that direction passes, in this order. */
const enum hs_layer *hs_layers_of(enum hs_direction direction, unsigned int *layer_nr);

/* What headers say; 0 where a packet has none. Host byte order. */
struct hs_identity {
	uint32_t len; /* of the frame */
	uint32_t saddr, daddr, seq;
	uint16_t protocol, ip_id, sport, dport, tcp_flags, frag_off, gso_size, gso_segs;
	uint8_t ip_proto;
};

/* Why a packet is not joined to the translations that carried it, or to the other end. */
enum hs_fate {
	HS_FATE_JOINED,
	HS_FATE_REFUSED,    /* the tap's queue was full */
	HS_FATE_MULTICAST,  /* no translation: the NIC's filter leaves such packets out */
	HS_FATE_BEFORE_LOG, /* no translation, and the NIC made none before it in this run: its driver was not there yet
			     */
	HS_FATE_AFTER_LOG,  /* no translation, and the NIC made none afterwards: its driver was gone */
	HS_FATE_NO_DMA,	    /* no translation that could be its own */
	HS_FATE_NR,
};

extern const char *const hs_fate_names[HS_FATE_NR];

struct hs_sight {
	uint64_t time_ns, error_ns; /* host's CLOCK_BOOTTIME; 0: not seen */
};

struct hs_packet {
	uint64_t number; /* by time, from 1, over all tenants of the run */
	uint32_t tenant, ifindex, tid;
	enum hs_direction direction;
	enum hs_fate fate;
	bool is_multicast;
	struct hs_identity identity;
	struct hs_sight sights[HS_LAYER_NR];
	struct hs_dma dma;
	uint32_t exit_nr; /* of the L2's vCPUs in L1, between the packet's first and last sight in L1 and L2 */

	/* The lane's. */
	unsigned int hold_nr; /* joins that are not decided */
	struct hs_seen *sender, *receiver;
	struct hs_packet *next, *before;
};

/* From net_dev_start_xmit or netif_receive_skb of ours: they have the same fields. */
void hs_identity_from_record(const struct hs_event_header *header, struct hs_identity *identity);

/* Whether it is sent to more than one, by its addresses: or cannot be told. The NIC may leave it out then. */
bool hs_identity_is_multicast(const struct hs_identity *identity);

/* Bytes behind the headers of TCP; 0: none, or another protocol. */
uint32_t hs_identity_payload(const struct hs_identity *identity);

/* Whether it has something that another packet soon afterwards has not. */
bool hs_identity_is_known(const struct hs_identity *identity);

/* Whether `part` is the whole packet or one of its segments. */
bool hs_identity_has_part(const struct hs_identity *whole, const struct hs_identity *part);

/* From the first to the last layer that saw it, ns. */
uint64_t hs_packet_duration_ns(const struct hs_packet *packet);

#endif
