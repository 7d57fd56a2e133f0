// SPDX-License-Identifier: GPL-2.0-only
/*
 * vhost and vhost-net: there are no tracepoints, so functions of the modules, by fentry, else by kprobe. Handlers run
 * in vhost's workers and in threads that ring a queue.
 */
#include "bpf/compat.bpf.h"
#include "bpf/filter.bpf.h"

char LICENSE[] SEC("license") = "GPL";

extern int LINUX_KERNEL_VERSION __kconfig;

/* Of a vhost_msg_node, both versions of the message: after its type (uapi/linux/vhost_types.h). */
#define IOTLB_MESSAGE_OFFSET 8

#define BATCH_MAX 64 /* as many buffers as vhost-net gives back at once (VHOST_NET_BATCH) */

static __always_inline bool is_owner_watched(u32 *tgid)
{
	*tgid = hs_owner_tgid();
	return hs_is_tgid_watched(*tgid);
}

/* The function as an event without arguments of interest, both ways. */
#define VHOST_FUNCTION(event)                                                                                          \
	static __always_inline int emit_##event(void)                                                                  \
	{                                                                                                              \
		u32 tgid;                                                                                              \
                                                                                                                       \
		if (!is_owner_watched(&tgid))                                                                          \
			return 0;                                                                                      \
		return hs_emit(event, .tgid = tgid);                                                                   \
	}                                                                                                              \
	SEC("fentry/" #event)                                                                                          \
	int BPF_PROG(on_##event)                                                                                       \
	{                                                                                                              \
		return emit_##event();                                                                                 \
	}                                                                                                              \
	SEC("kprobe/" #event)                                                                                          \
	int BPF_KPROBE(on_##event##__kprobe)                                                                           \
	{                                                                                                              \
		return emit_##event();                                                                                 \
	}

VHOST_FUNCTION(handle_tx_kick)
VHOST_FUNCTION(handle_rx_kick)
VHOST_FUNCTION(handle_tx)
VHOST_FUNCTION(handle_rx)

static __always_inline int emit_used(const struct vhost_virtqueue *vq, const struct vring_used_elem *heads, u32 count)
{
	u32 tgid, bytes = 0, len;

	if (!is_owner_watched(&tgid))
		return 0;
	for (u32 i = 0; i < BATCH_MAX && i < count; i++) {
		if (!bpf_probe_read_kernel(&len, sizeof(len), (const u8 *)heads + i * 8 + 4))
			bytes += len;
	}
	return hs_emit(vhost_add_used_and_signal_n, .count = count, .bytes = bytes, .tgid = tgid,
		       .last_avail_idx = BPF_CORE_READ(vq, last_avail_idx),
		       .last_used_idx = BPF_CORE_READ(vq, last_used_idx));
}

/* Linux 6.18 (67a873df0c41 "vhost: basic in order support") put an argument before the count. */
static __always_inline u32 used_count(u64 fourth, u64 fifth)
{
	/* Both are read before one is chosen: the verifier wants a register's place in pt_regs to be a constant. */
	barrier_var(fourth);
	barrier_var(fifth);
	return LINUX_KERNEL_VERSION >= KERNEL_VERSION(6, 18, 0) ? fifth : fourth;
}

SEC("kprobe/vhost_add_used_and_signal_n")
int BPF_KPROBE(on_vhost_add_used_and_signal_n__kprobe, const void *dev, const struct vhost_virtqueue *vq,
	       const struct vring_used_elem *heads, u64 fourth, u64 fifth)
{
	return emit_used(vq, heads, used_count(fourth, fifth));
}

SEC("fentry/vhost_add_used_and_signal_n")
int on_vhost_add_used_and_signal_n(u64 *ctx)
{
	u64 vq = 0, heads = 0, count = 0;

	bpf_get_func_arg(ctx, 1, &vq);
	bpf_get_func_arg(ctx, 2, &heads);
	bpf_get_func_arg(ctx, bpf_get_func_arg_cnt(ctx) - 1, &count);
	return emit_used((const void *)vq, (const void *)heads, count);
}

/*
 * vhost_iotlb_miss() is optimized beyond recognition; what it asks for is enqueued twice, when it is asked and when the
 * VMM has read it: the second is looked at, which happens in the VMM's own thread.
 */
static __always_inline int emit_miss(const struct vhost_dev *dev, const void *head, const struct vhost_msg_node *node)
{
	struct vhost_iotlb_msg message = {};
	u32 tgid;

	if (head != (const u8 *)dev + bpf_core_field_offset(dev->pending_list) || !hs_is_watched(&tgid))
		return 0;
	bpf_probe_read_kernel(&message, sizeof(message), (const u8 *)node + IOTLB_MESSAGE_OFFSET);
	return hs_emit(vhost_enqueue_msg, .iova = message.iova, .perm = message.perm, .tgid = tgid);
}

SEC("fentry/vhost_enqueue_msg")
int BPF_PROG(on_vhost_enqueue_msg, const struct vhost_dev *dev, const void *head, const struct vhost_msg_node *node)
{
	return emit_miss(dev, head, node);
}

SEC("kprobe/vhost_enqueue_msg")
int BPF_KPROBE(on_vhost_enqueue_msg__kprobe, const struct vhost_dev *dev, const void *head,
	       const struct vhost_msg_node *node)
{
	return emit_miss(dev, head, node);
}

static __always_inline int emit_range(u64 start, u64 last, u64 addr, u32 perm)
{
	u32 tgid;

	if (!is_owner_watched(&tgid))
		return 0;
	return hs_emit(vhost_iotlb_add_range_ctx, .start = start, .last = last, .addr = addr, .perm = perm,
		       .tgid = tgid);
}

SEC("fentry/vhost_iotlb_add_range_ctx")
int BPF_PROG(on_vhost_iotlb_add_range_ctx, const void *iotlb, u64 start, u64 last, u64 addr, u32 perm)
{
	return emit_range(start, last, addr, perm);
}

SEC("kprobe/vhost_iotlb_add_range_ctx")
int BPF_KPROBE(on_vhost_iotlb_add_range_ctx__kprobe, const void *iotlb, u64 start, u64 last, u64 addr, u32 perm)
{
	return emit_range(start, last, addr, perm);
}
