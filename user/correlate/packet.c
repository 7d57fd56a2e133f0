// SPDX-License-Identifier: GPL-2.0-only
/* What identifies a packet, and the layers that it passes. Pure; called by the correlator. */
#include "correlate/packet.h"

#define ETH_HLEN 14
#define ETH_P_IP 0x0800
#define IPV4_HLEN 20
#define IPV6_HLEN 40
#define IPPROTO_TCP 6

const char *const hs_layer_names[HS_LAYER_NR] = {
	[HS_LAYER_CLIENT_STACK] = "client stack",
	[HS_LAYER_CLIENT_NIC] = "client NIC",
	[HS_LAYER_CLIENT_TAP] = "client tap",
	[HS_LAYER_TAP] = "tap",
	[HS_LAYER_DMA_BEGIN] = "DMA begin",
	[HS_LAYER_DMA_END] = "DMA end",
	[HS_LAYER_L1_IRQ] = "L1 interrupt",
	[HS_LAYER_L1_ENTRY] = "L2 entry",
	[HS_LAYER_L2_NIC] = "L2 NIC",
	[HS_LAYER_L2_STACK] = "L2 stack",
};

const char *const hs_fate_names[HS_FATE_NR] = {
	[HS_FATE_JOINED] = "joined",
	[HS_FATE_REFUSED] = "refused by the tap",
	[HS_FATE_MULTICAST] = "multicast that the NIC left out",
	[HS_FATE_BEFORE_LOG] = "before the NIC's first translation",
	[HS_FATE_AFTER_LOG] = "after the NIC's last translation",
	[HS_FATE_NO_DMA] = "no translation found",
};

const enum hs_layer *hs_layers_of(enum hs_direction direction, unsigned int *layer_nr)
{
	static const enum hs_layer to_l2[] = {
		HS_LAYER_CLIENT_STACK, HS_LAYER_CLIENT_NIC, HS_LAYER_CLIENT_TAP, HS_LAYER_TAP,	  HS_LAYER_DMA_BEGIN,
		HS_LAYER_DMA_END,      HS_LAYER_L1_IRQ,	    HS_LAYER_L1_ENTRY,	 HS_LAYER_L2_NIC, HS_LAYER_L2_STACK,
	};
	/* The NIC sends a packet when it has read it, and writes its status afterwards. */
	static const enum hs_layer from_l2[] = {
		HS_LAYER_L2_STACK,   HS_LAYER_L2_NIC,	  HS_LAYER_DMA_BEGIN,	 HS_LAYER_TAP,
		HS_LAYER_CLIENT_TAP, HS_LAYER_CLIENT_NIC, HS_LAYER_CLIENT_STACK,
	};

	*layer_nr = direction == HS_TO_L2 ? HS_ARRAY_SIZE(to_l2) : HS_ARRAY_SIZE(from_l2);
	return direction == HS_TO_L2 ? to_l2 : from_l2;
}

void hs_identity_from_record(const struct hs_event_header *header, struct hs_identity *identity)
{
	const struct hs_event_net_dev_start_xmit *record = (const void *)header;

	*identity = (struct hs_identity){
		.len = record->len,
		.saddr = record->saddr,
		.daddr = record->daddr,
		.seq = record->seq,
		.protocol = record->protocol,
		.ip_id = record->ip_id,
		.sport = record->sport,
		.dport = record->dport,
		.tcp_flags = record->tcp_flags,
		.frag_off = record->frag_off,
		.gso_size = record->gso_size,
		.gso_segs = record->gso_segs,
		.ip_proto = record->ip_proto,
	};
}

bool hs_identity_is_multicast(const struct hs_identity *identity)
{
	if (identity->protocol == ETH_P_IP && identity->daddr)
		return identity->daddr >> 28 == 0xe;
	/* IPv6 speaks to all mostly by multicast, but its bulk is TCP and UDP; ARP is broadcast or to the NIC alone. */
	return identity->protocol != ETH_P_IP && identity->protocol != 0x0806 && !identity->sport;
}

uint32_t hs_identity_payload(const struct hs_identity *identity)
{
	uint32_t headers =
		ETH_HLEN + (identity->protocol == ETH_P_IP ? IPV4_HLEN : IPV6_HLEN) + (identity->tcp_flags >> 12) * 4;

	return identity->ip_proto == IPPROTO_TCP && identity->len > headers ? identity->len - headers : 0;
}

static bool same_flow(const struct hs_identity *a, const struct hs_identity *b)
{
	return a->protocol == b->protocol && a->ip_proto == b->ip_proto && a->saddr == b->saddr &&
	       a->daddr == b->daddr && a->sport == b->sport && a->dport == b->dport;
}

bool hs_identity_is_known(const struct hs_identity *identity)
{
	return identity->ip_id || identity->seq || identity->sport;
}

bool hs_identity_has_part(const struct hs_identity *whole, const struct hs_identity *part)
{
	if (!same_flow(whole, part) || part->len > whole->len)
		return false;
	if (!whole->gso_size)
		return whole->len == part->len && whole->seq == part->seq && whole->ip_id == part->ip_id &&
		       whole->frag_off == part->frag_off;
	if (whole->ip_proto == IPPROTO_TCP) {
		uint32_t at = part->seq - whole->seq;

		return at < hs_identity_payload(whole) && at % whole->gso_size == 0;
	}
	return (uint16_t)(part->ip_id - whole->ip_id) <=
	       (whole->gso_segs ? whole->gso_segs : whole->len / whole->gso_size);
}

uint64_t hs_packet_duration_ns(const struct hs_packet *packet)
{
	unsigned int layer_nr;
	const enum hs_layer *layers = hs_layers_of(packet->direction, &layer_nr);
	uint64_t first = UINT64_MAX, last = 0;

	for (unsigned int i = 0; i < layer_nr; i++) {
		uint64_t time_ns = packet->sights[layers[i]].time_ns;

		if (time_ns && time_ns < first)
			first = time_ns;
		if (time_ns > last)
			last = time_ns;
	}
	return last > first ? last - first : 0;
}
