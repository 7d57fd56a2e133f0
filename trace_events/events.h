/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The records of a trace: ids, structs and (user space only) their tables, all made from events.def. BPF
 * programs write these structs into the rings and the CTF writer copies them as they are, so their layout is
 * CTF's: natural alignment, no implicit padding. Constant data, usable from any thread.
 */
#ifndef HS_TRACE_EVENTS_H
#define HS_TRACE_EVENTS_H

#ifdef __bpf__
#define HS_TYPE_u8 __u8
#define HS_TYPE_u16 __u16
#define HS_TYPE_u32 __u32
#define HS_TYPE_u64 __u64
#define HS_TYPE_s16 __s16
#define HS_TYPE_s32 __s32
#else
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#define HS_TYPE_u8 uint8_t
#define HS_TYPE_u16 uint16_t
#define HS_TYPE_u32 uint32_t
#define HS_TYPE_u64 uint64_t
#define HS_TYPE_s16 int16_t
#define HS_TYPE_s32 int32_t
#endif

/* Counts up when rows are added or laid out anew; a reader refuses traces that are newer, or older than the layout. */
#define HS_EVENTS_SCHEMA 2
#define HS_EVENTS_SCHEMA_OLDEST 2

struct hs_event_header {
	HS_TYPE_u64 ts;	 /* CLOCK_BOOTTIME, ns, of the machine the record is from */
	HS_TYPE_u16 id;	 /* enum hs_event_id */
	HS_TYPE_u16 lap; /* of a ring, see bpf/shared.h; 0 elsewhere */
	HS_TYPE_u32 tid;
};

enum hs_event_id {
#define EVENT(id, system, name, doc) HS_EVENT_##name = id,
#define FIELD_AS(type, member, name, format, doc)
#define END_EVENT(name)
#include "trace_events/events.def"
	HS_EVENT_ID_NR, /* one more than the highest id: size of arrays indexed by id */
};

#define EVENT(id, system, name, doc)                                                                                   \
	struct hs_event_##name {                                                                                       \
		struct hs_event_header header;
#define FIELD_AS(type, member, name, format, doc) HS_TYPE_##type member;
#define END_EVENT(name)                                                                                                \
	}                                                                                                              \
	;
#include "trace_events/events.def"

/* A record is the sum of its parts. The struct's alignment of 8 makes the sum a multiple of 8 too. */
#define EVENT(id, system, name, doc)                                                                                   \
	_Static_assert(sizeof(struct hs_event_##name) == sizeof(struct hs_event_header)
#define FIELD_AS(type, member, name, format, doc) +sizeof(HS_TYPE_##type)
#define END_EVENT(name) , "hs_event_" #name " has implicit padding");
#include "trace_events/events.def"
/* A record fits the slot of a ring. */
#define EVENT(id, system, name, doc)                                                                                   \
	_Static_assert(sizeof(struct hs_event_##name) <= 64, "hs_event_" #name " is too long");
#define FIELD_AS(type, member, name, format, doc)
#define END_EVENT(name)
#include "trace_events/events.def"
_Static_assert(sizeof(struct hs_event_header) == 16, "the header is 16 bytes on every machine");

enum hs_role { HS_ROLE_L2, HS_ROLE_CLIENT, HS_ROLE_OTHER };

#ifndef __bpf__
#include "trace_events/table.h"
#endif

#endif
