// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets and bytes of the watched taps, counted. Handlers run in softirqs and in the threads that send, on any CPU
 * at once: the counters are atomic.
 */
#include "bpf/compat.bpf.h"
#include "bpf/stat/stat.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define VLAN_HLEN 4

static __always_inline struct hs_tap_value *watched_tap(const struct net_device *dev)
{
	struct hs_tap_key key = { .netns_inum = dev->nd_net.net->ns.inum, .ifindex = dev->ifindex };

	return bpf_map_lookup_elem(&taps, &key);
}

/* What the interface's byte counter adds; `pulled` is how far data is behind the Ethernet header. */
static __always_inline u32 frame_bytes(const struct sk_buff *skb, u64 pulled)
{
	/* Linux 6.18 knows these as pointers, on which it allows no 32-bit arithmetic. */
	asm volatile("" : "+r"(pulled));
	return skb->len + pulled + (hs_skb_has_vlan_tag(skb) ? VLAN_HLEN : 0);
}

SEC("tp_btf/net_dev_start_xmit")
int BPF_PROG(on_net_dev_start_xmit, const struct sk_buff *skb, const struct net_device *dev)
{
	struct hs_tap_value *tap = watched_tap(dev);

	if (!tap)
		return 0;
	__sync_fetch_and_add(&tap->to_guest_packets, 1);
	__sync_fetch_and_add(&tap->to_guest_bytes, frame_bytes(skb, 0));
	return 0;
}

SEC("tp_btf/netif_receive_skb")
int BPF_PROG(on_netif_receive_skb, const struct sk_buff *skb)
{
	struct hs_tap_value *tap = watched_tap(skb->dev);

	if (!tap)
		return 0;
	__sync_fetch_and_add(&tap->from_guest_packets, 1);
	__sync_fetch_and_add(&tap->from_guest_bytes,
			     frame_bytes(skb, (u64)skb->data - (u64)skb->head - skb->mac_header));
	return 0;
}

/* The packet may be gone by now: only the arguments are safe. The tracepoint's len has no VLAN tag. */
SEC("tp_btf/net_dev_xmit")
int BPF_PROG(on_net_dev_xmit, const struct sk_buff *skb, int rc, const struct net_device *dev, u32 len)
{
	struct hs_tap_value *tap;

	if (!rc)
		return 0;
	tap = watched_tap(dev);
	if (!tap)
		return 0;
	__sync_fetch_and_add(&tap->refused_packets, 1);
	__sync_fetch_and_add(&tap->refused_bytes, len);
	return 0;
}
