/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differences between kernels, one helper each, with the change that made it. CO-RE decides at load time.
 */
#ifndef HS_COMPAT_BPF_H
#define HS_COMPAT_BPF_H

#include "bpf/hs.bpf.h"

/* Until Linux 6.2 (354259fa73e2 "net: remove skb->vlan_present") a bit said whether there is a tag. */
struct sk_buff___before_6_2 {
	u8 vlan_present : 1;
} __attribute__((preserve_access_index));

/* A VLAN tag that travels beside the packet, not in it. */
static __always_inline bool hs_skb_has_vlan_tag(const struct sk_buff *skb)
{
	const struct sk_buff___before_6_2 *old = (const void *)skb;

	if (bpf_core_field_exists(skb->vlan_all))
		return skb->vlan_all != 0;
	return BPF_CORE_READ_BITFIELD_PROBED(old, vlan_present);
}

/* Declared here: the address is in an anonymous struct, which CO-RE finds, and it wants the flags as the enum they are.
 */
enum fault_flag { FAULT_FLAG_WRITE = 1 };

/* The address is in an anonymous struct, which CO-RE finds. */
struct vm_fault {
	unsigned long address;
	enum fault_flag flags;
} __attribute__((preserve_access_index));

struct vm_fault___with_int {
	unsigned int flags;
} __attribute__((preserve_access_index));

/* An enum, or before that an integer; 0 where they are neither. */
static __always_inline u32 hs_fault_flags(const struct vm_fault *fault)
{
	const struct vm_fault___with_int *with_int = (const void *)fault;

	if (bpf_core_field_exists(fault->flags))
		return BPF_CORE_READ(fault, flags);
	if (bpf_core_field_exists(with_int->flags))
		return BPF_CORE_READ(with_int, flags);
	return 0;
}

/* Types of the module vhost, which the kernel that vmlinux.h was made from lacks. */
struct vring_used_elem {
	u32 id;
	u32 len;
} __attribute__((preserve_access_index));

struct list_head;
struct vhost_msg_node;

struct vhost_dev {
	struct {
		void *next, *prev;
	} pending_list;
} __attribute__((preserve_access_index));

/* uapi/linux/vhost_types.h */
struct vhost_iotlb_msg {
	u64 iova;
	u64 size;
	u64 uaddr;
	u8 perm;
	u8 type;
};

struct vhost_virtqueue {
	u16 last_avail_idx;
	u16 last_used_idx;
} __attribute__((preserve_access_index));

/* The numbers are the running kernel's, see hs_drop_reason(). */
enum skb_drop_reason {
	SKB_DROP_REASON_NOT_SPECIFIED = 1,
	SKB_DROP_REASON_OTHERHOST,
	SKB_DROP_REASON_QDISC_DROP,
	SKB_DROP_REASON_CPU_BACKLOG,
	SKB_DROP_REASON_UNHANDLED_PROTO,
	SKB_DROP_REASON_SKB_CSUM,
	SKB_DROP_REASON_SKB_GSO_SEG,
	SKB_DROP_REASON_SKB_UCOPY_FAULT,
	SKB_DROP_REASON_DEV_HDR,
	SKB_DROP_REASON_DEV_READY,
	SKB_DROP_REASON_FULL_RING,
	SKB_DROP_REASON_NOMEM,
	SKB_DROP_REASON_HDR_TRUNC,
	SKB_DROP_REASON_TAP_FILTER,
	SKB_DROP_REASON_TAP_TXFILTER,
};

/* The kernel renumbers its reasons (since Linux 5.17, c504e5c2f964); ours are those of enums.def's drop_reason. */
static __always_inline u16 hs_drop_reason(u32 reason)
{
#define REASON(name, number)                                                                                           \
	if (bpf_core_enum_value_exists(enum skb_drop_reason, SKB_DROP_REASON_##name) &&                                \
	    reason == bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_##name))                               \
		return number;
	REASON(NOT_SPECIFIED, 1)
	REASON(FULL_RING, 2)
	REASON(TAP_TXFILTER, 3)
	REASON(TAP_FILTER, 4)
	REASON(DEV_READY, 5)
	REASON(DEV_HDR, 6)
	REASON(HDR_TRUNC, 7)
	REASON(NOMEM, 8)
	REASON(SKB_UCOPY_FAULT, 9)
	REASON(SKB_GSO_SEG, 10)
	REASON(SKB_CSUM, 11)
	REASON(CPU_BACKLOG, 12)
	REASON(QDISC_DROP, 13)
	REASON(OTHERHOST, 14)
	REASON(UNHANDLED_PROTO, 15)
#undef REASON
	return 0;
}

/*
 * Whose memory a vhost worker uses: before Linux 6.4 (6e890c5d5021 "vhost: use vhost_tasks for worker threads") it is a
 * kernel thread, later a thread of the process.
 */
static __always_inline u32 hs_owner_tgid(void)
{
	const struct task_struct *task = (const void *)bpf_get_current_task();
	u32 tgid = BPF_CORE_READ(task, mm, owner, tgid);

	return tgid ?: hs_pid_tgid() >> 32;
}

#endif
