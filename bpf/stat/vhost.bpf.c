// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost-net counted by VM: kicks of the guest, interrupts to it, buffers given back. There are no tracepoints; fentry,
 * else kprobe. Handlers run in vhost's worker threads, of which a VM may have several: the counters are atomic.
 */
#include "bpf/compat.bpf.h"
#include "bpf/stat/stat.bpf.h"

char LICENSE[] SEC("license") = "GPL";

struct hs_stat_vhosts {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u32);
	__type(value, struct hs_stat_vhost);
};

struct hs_stat_vhosts vhosts SEC(".maps");

/* The counters of the VM that the current worker serves; NULL when it is not watched, or without room (counted). */
static __always_inline struct hs_stat_vhost *vhost_of(void)
{
	u32 tgid = hs_owner_tgid();
	struct hs_stat_vhost none = {}, *counters;

	if (!host_wide && !bpf_map_lookup_elem(&tgids, &tgid))
		return NULL;
	counters = bpf_map_lookup_elem(&vhosts, &tgid);
	if (counters)
		return counters;
	bpf_map_update_elem(&vhosts, &tgid, &none, BPF_NOEXIST);
	counters = bpf_map_lookup_elem(&vhosts, &tgid);
	if (!counters)
		__sync_fetch_and_add(&no_room[HS_STAT_NO_ROOM_VHOST], 1);
	return counters;
}

static __always_inline int count_kick(bool is_tx)
{
	struct hs_stat_vhost *counters = vhost_of();

	if (counters)
		__sync_fetch_and_add(is_tx ? &counters->tx_kicks : &counters->rx_kicks, 1);
	return 0;
}

SEC("fentry/handle_tx_kick")
int BPF_PROG(on_handle_tx_kick)
{
	return count_kick(1);
}

SEC("kprobe/handle_tx_kick")
int BPF_KPROBE(on_handle_tx_kick__kprobe)
{
	return count_kick(1);
}

SEC("fentry/handle_rx_kick")
int BPF_PROG(on_handle_rx_kick)
{
	return count_kick(0);
}

SEC("kprobe/handle_rx_kick")
int BPF_KPROBE(on_handle_rx_kick__kprobe)
{
	return count_kick(0);
}

/* Counts here and not at vhost_signal(), which is a part of this function on most kernels and then cannot be probed. */
static __always_inline int count_used(u32 count)
{
	struct hs_stat_vhost *counters = vhost_of();

	if (!counters)
		return 0;
	__sync_fetch_and_add(&counters->signals, 1);
	__sync_fetch_and_add(&counters->buffers, count);
	return 0;
}

SEC("fentry/vhost_add_used_and_signal_n")
int BPF_PROG(on_vhost_add_used_and_signal_n, const void *dev, const void *vq, const void *heads, u32 count)
{
	return count_used(count);
}

SEC("kprobe/vhost_add_used_and_signal_n")
int BPF_KPROBE(on_vhost_add_used_and_signal_n__kprobe, const void *dev, const void *vq, const void *heads, u32 count)
{
	return count_used(count);
}
