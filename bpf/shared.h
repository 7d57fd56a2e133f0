/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the BPF programs and user/capture say to each other beside the records: keys and values of maps.
 * Included by both; the counters are added to by any CPU at any time.
 */
#ifndef HS_BPF_SHARED_H
#define HS_BPF_SHARED_H

#include "trace_events/events.h"

struct hs_tap_key {
	HS_TYPE_u32 netns_inum;
	HS_TYPE_u32 ifindex;
};

struct hs_tap_value {
	HS_TYPE_u64 to_guest_packets; /* given to the device, refused ones included */
	HS_TYPE_u64 to_guest_bytes;
	HS_TYPE_u64 from_guest_packets;
	HS_TYPE_u64 from_guest_bytes;
	HS_TYPE_u64 refused_packets; /* the device said no: dropped, or busy and tried again */
	HS_TYPE_u64 refused_bytes;
	HS_TYPE_u16 tenant;
	HS_TYPE_u16 role;
	HS_TYPE_u32 unused;
};

#endif
