/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the BPF programs and user/capture say to each other beside the records: keys and values of maps.
 * Included by both; the counters are added to by any CPU at any time.
 */
#ifndef HS_BPF_SHARED_H
#define HS_BPF_SHARED_H

#include "trace_events/events.h"

/*
 * The ring of one CPU is a row of slots, one cache line each: a record takes one. `head` is the number of slots ever
 * reserved, `consumed` of those that user space has taken; modulo the ring's size they are places. A slot is published
 * by its record's id and lap (the low bits of position / slots), stored last and together; id 0 is not published.
 */
#define HS_SLOT_BYTES 64

struct hs_ring_control {
	HS_TYPE_u64 head; /* written by the producer only */
	HS_TYPE_u64 unused_head[7];
	HS_TYPE_u64 consumed; /* written by the consumer only */
	HS_TYPE_u64 unused_consumed[7];
};

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
