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

#endif
