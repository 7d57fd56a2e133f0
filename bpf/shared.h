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
	/* Written by the producer, but for what user space sets before it starts. */
	HS_TYPE_u64 head;
	HS_TYPE_u32 first_slot; /* in the map `slots` */
	HS_TYPE_u32 slot_nr;	/* 0: this CPU has no ring */
	HS_TYPE_u64 unused_head[6];
	/*
	 * Written by the consumer only. What concerns the packet that it is about to write is told before: who finds
	 * the rings of a killed recorder compares `next_bytes` with the file and knows whether that packet is in it.
	 */
	HS_TYPE_u64 consumed;
	HS_TYPE_u64 disk_lost;	    /* records taken and not written, in total; */
	HS_TYPE_u64 told_disk_lost; /* as much as the stream's last packet says of them */
	HS_TYPE_u64 next_consumed;
	HS_TYPE_u64 next_bytes; /* size of the stream's file with the packet; 0: none is being written */
	HS_TYPE_u64 file_bytes; /* without it */
	HS_TYPE_u64 unused_consumed[2];
};

_Static_assert(sizeof(struct hs_ring_control) == 2 * 64, "producer and consumer have a cache line each");

/*
 * The map `lost` has these parts, each with a counter per possible CPU and event id: part * CPUs * HS_EVENT_ID_NR +
 * CPU * HS_EVENT_ID_NR + id.
 */
enum hs_lost_part {
	HS_LOST_NOW,	 /* added to by the producer: no room, or written over */
	HS_LOST_TOLD,	 /* as the stream's last packet says it */
	HS_LOST_TELLING, /* as the packet says it that is being written */
	HS_LOST_PART_NR,
};

/* What a pinned capture says of itself: all that is needed to read its rings when its recorder is dead. */
#define HS_ABOUT_MAGIC 0x6863617074757265ull
struct hs_about {
	HS_TYPE_u64 magic;
	HS_TYPE_u32 schema;	 /* HS_EVENTS_SCHEMA */
	HS_TYPE_u32 event_id_nr; /* HS_EVENT_ID_NR */
	HS_TYPE_u32 cpu_nr;
	HS_TYPE_u32 slot_nr; /* of all rings together */
	HS_TYPE_u32 overwriting;
	HS_TYPE_u32 pid;
	HS_TYPE_u64 start_boot_ns;
	HS_TYPE_u64 clock_offset_ns; /* CLOCK_REALTIME - CLOCK_BOOTTIME */
	HS_TYPE_u8 machine[64];
	HS_TYPE_u8 trace_dir[3960]; /* absolute; when overwriting, where snapshots stand beside */
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
