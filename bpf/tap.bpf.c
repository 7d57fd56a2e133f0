// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets on the watched taps, in both directions and with what the device refused. Handlers run in softirqs
 * and in the threads that send; the same packet may pass two taps on two CPUs at once.
 */
#include "bpf/compat.bpf.h"
#include "bpf/hs.bpf.h"
#include <bpf/bpf_endian.h>

char LICENSE[] SEC("license") = "GPL";

#define ETH_HLEN 14
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define VLAN_HLEN 4
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IP_OFFSET 0x1fff

struct ipv4_header {
	u8 ihl : 4, version : 4;
	u8 tos;
	__be16 tot_len;
	__be16 id;
	__be16 frag_off;
	u8 ttl;
	u8 protocol;
	u16 check;
	__be32 saddr;
	__be32 daddr;
};

/* The part of TCP's header that we look at; the ports are UDP's too. */
struct l4_header {
	__be16 sport;
	__be16 dport;
	__be32 seq;
	__be32 ack_seq;
	__be16 flags;
	__be16 window;
};

/* The first 36 of IPv6's 40 bytes, where the frame's start has IPv4's header and L4's; and what is behind them. */
struct ipv6_start {
	u8 version_class_flow[4];
	__be16 payload_len;
	u8 next_header;
	u8 hop_limit;
	__be32 saddr[4];
	__be32 daddr[3];
};

struct ipv6_rest {
	__be32 daddr;
	struct l4_header l4;
};

/* The frame's start as it lies in memory from `ethernet` on; l4 is right when there are no IP options. */
struct frame_start {
	u16 unused; /* puts the IP header on 4 bytes */
	u8 ethernet[12];
	__be16 ethertype;
	struct ipv4_header ip;
	struct l4_header l4;
};

struct packet {
	u64 start;	  /* address of the Ethernet header */
	u32 linear_bytes; /* readable from there on */
	u32 len;	  /* the whole frame */
	u16 gso_size, gso_segs;
	struct frame_start frame; /* zeros where nothing could be read */
};

static __always_inline struct hs_tap_value *watched_tap(const struct net_device *dev, u32 *ifindex)
{
	struct hs_tap_key key = { .netns_inum = dev->nd_net.net->ns.inum, .ifindex = dev->ifindex };

	*ifindex = key.ifindex;
	return bpf_map_lookup_elem(&taps, &key);
}

static __always_inline void packet_read(struct packet *packet, const struct sk_buff *skb, u64 start)
{
	u32 pulled = (u64)skb->data - start; /* the link header is before data once it was received */
	const struct skb_shared_info *shared = (const void *)((u64)skb->head + skb->end);

	packet->start = start;
	packet->len = skb->len + pulled + (hs_skb_has_vlan_tag(skb) ? VLAN_HLEN : 0);
	packet->linear_bytes = skb->len - skb->data_len + pulled;
	packet->gso_size = BPF_CORE_READ(shared, gso_size);
	packet->gso_segs = packet->gso_size ? BPF_CORE_READ(shared, gso_segs) : 0;
	hs_read_bounded(packet->frame.ethernet, sizeof(packet->frame) - offsetof(struct frame_start, ethernet), start,
			packet->linear_bytes);
}

/* UDP's header is shorter than what was read. */
static __always_inline void l4_trim(struct l4_header *l4, bool is_tcp)
{
	if (!is_tcp)
		l4->seq = l4->flags = 0;
}

/* Of the addresses their ends: on one link they tell who it is. Headers between IPv6's and L4's are not looked through.
 */
static __always_inline void packet_parse_ipv6(struct packet *packet)
{
	struct ipv6_start *start = (void *)&packet->frame.ip;
	struct ipv4_header *ip = &packet->frame.ip;
	struct l4_header *l4 = &packet->frame.l4;
	u32 l4_start = ETH_HLEN + sizeof(*start) + sizeof(__be32);
	bool is_ipv6 = start->version_class_flow[0] >> 4 == 6 && packet->linear_bytes >= l4_start;
	u8 next_header = start->next_header;
	__be32 saddr = start->saddr[3];
	struct ipv6_rest rest = {};
	bool is_tcp = next_header == IPPROTO_TCP;

	__builtin_memset(ip, 0, sizeof(*ip));
	__builtin_memset(l4, 0, sizeof(*l4));
	if (!is_ipv6)
		return;
	hs_read_bounded(&rest, sizeof(rest), packet->start + ETH_HLEN + sizeof(*start),
			packet->linear_bytes - ETH_HLEN - sizeof(*start));
	ip->protocol = next_header;
	ip->saddr = saddr;
	ip->daddr = rest.daddr;
	if ((is_tcp || next_header == IPPROTO_UDP) && packet->linear_bytes >= l4_start + (is_tcp ? sizeof(*l4) : 8)) {
		*l4 = rest.l4;
		l4_trim(l4, is_tcp);
	}
}

/* Clears what only looks like headers, and finds the ports behind IP options. */
static __always_inline void packet_parse(struct packet *packet)
{
	struct ipv4_header *ip = &packet->frame.ip;
	struct l4_header *l4 = &packet->frame.l4;
	u32 l4_start = ETH_HLEN + ip->ihl * 4;
	bool is_tcp = ip->protocol == IPPROTO_TCP;

	if (packet->frame.ethertype == bpf_htons(ETH_P_IPV6)) {
		packet_parse_ipv6(packet);
		return;
	}
	if (packet->frame.ethertype != bpf_htons(ETH_P_IP) || ip->version != 4 || ip->ihl < 5 ||
	    packet->linear_bytes < ETH_HLEN + sizeof(*ip)) {
		__builtin_memset(ip, 0, sizeof(*ip));
		__builtin_memset(l4, 0, sizeof(*l4));
		return;
	}
	if ((!is_tcp && ip->protocol != IPPROTO_UDP) || ip->frag_off & bpf_htons(IP_OFFSET) ||
	    packet->linear_bytes < l4_start + (is_tcp ? sizeof(*l4) : 8)) {
		__builtin_memset(l4, 0, sizeof(*l4));
		return;
	}
	if (ip->ihl > 5)
		hs_read_bounded(l4, sizeof(*l4), packet->start + l4_start, packet->linear_bytes - l4_start);
	l4_trim(l4, is_tcp);
}

#define PACKET_FIELDS(packet, ifindex_, tap)                                                                           \
	.ifindex = ifindex_, .len = packet.len, .tenant = tap->tenant, .role = tap->role,                              \
	.ip_proto = packet.frame.ip.protocol, .protocol = bpf_ntohs(packet.frame.ethertype),                           \
	.ip_id = bpf_ntohs(packet.frame.ip.id), .saddr = bpf_ntohl(packet.frame.ip.saddr),                             \
	.daddr = bpf_ntohl(packet.frame.ip.daddr), .sport = bpf_ntohs(packet.frame.l4.sport),                          \
	.dport = bpf_ntohs(packet.frame.l4.dport), .seq = bpf_ntohl(packet.frame.l4.seq),                              \
	.frag_off = bpf_ntohs(packet.frame.ip.frag_off), .tcp_flags = bpf_ntohs(packet.frame.l4.flags),                \
	.gso_size = packet.gso_size, .gso_segs = packet.gso_segs, .hash = skb->hash, .vlan_tci = skb->vlan_tci

SEC("tp_btf/net_dev_start_xmit")
int BPF_PROG(on_net_dev_start_xmit, const struct sk_buff *skb, const struct net_device *dev)
{
	struct packet packet = {};
	u32 ifindex;
	struct hs_tap_value *tap = watched_tap(dev, &ifindex);

	if (!tap)
		return 0;
	packet_read(&packet, skb, (u64)skb->data);
	packet_parse(&packet);
	__sync_fetch_and_add(&tap->to_guest_packets, 1);
	__sync_fetch_and_add(&tap->to_guest_bytes, packet.len);
	return hs_emit(net_dev_start_xmit, PACKET_FIELDS(packet, ifindex, tap), .queue = skb->queue_mapping);
}

SEC("tp_btf/netif_receive_skb")
int BPF_PROG(on_netif_receive_skb, struct sk_buff *skb)
{
	struct packet packet = {};
	u32 ifindex;
	struct hs_tap_value *tap = watched_tap(skb->dev, &ifindex);

	if (!tap)
		return 0;
	packet_read(&packet, skb, (u64)skb->head + skb->mac_header);
	packet_parse(&packet);
	__sync_fetch_and_add(&tap->from_guest_packets, 1);
	__sync_fetch_and_add(&tap->from_guest_bytes, packet.len);
	/* A received packet has its queue + 1, 0 when the driver did not say. */
	return hs_emit(netif_receive_skb, PACKET_FIELDS(packet, ifindex, tap),
		       .queue = skb->queue_mapping ? skb->queue_mapping - 1 : 0);
}

/* The packet may be gone by now: only the arguments are safe. The tracepoint's len has no VLAN tag. */
SEC("tp_btf/net_dev_xmit")
int BPF_PROG(on_net_dev_xmit, struct sk_buff *skb, int rc, struct net_device *dev, u32 len)
{
	u32 ifindex;
	struct hs_tap_value *tap;

	if (!rc)
		return 0;
	tap = watched_tap(dev, &ifindex);
	if (!tap)
		return 0;
	__sync_fetch_and_add(&tap->refused_packets, 1);
	__sync_fetch_and_add(&tap->refused_bytes, len);
	return hs_emit(net_dev_xmit, .ifindex = ifindex, .len = len, .rc = rc, .tenant = tap->tenant,
		       .role = tap->role);
}

SEC("tp_btf/kfree_skb")
int BPF_PROG(on_kfree_skb, struct sk_buff *skb, const void *location, u32 reason)
{
	const struct net_device *dev = skb->dev;
	struct hs_tap_value *tap;
	u32 ifindex;

	if (!dev)
		return 0;
	tap = watched_tap(dev, &ifindex);
	if (!tap)
		return 0;
	return hs_emit(kfree_skb, .ifindex = ifindex, .len = skb->len, .tenant = tap->tenant, .role = tap->role,
		       .protocol = bpf_ntohs(skb->protocol), .reason = hs_drop_reason(reason));
}
