/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The binary frame of our CTF 1.8 streams, shared by writer and reader: a trace is a directory with
 * `metadata` and one file `cpu<N>` per CPU (and ftrace_cpu<N> of a guest, told_cpu0 of programs), a file is a row of
 * packets, a packet is this struct followed by records. The metadata text in ctf_metadata.c describes exactly this.
 * Little endian.
 */
#ifndef HS_TRACE_CTF_H
#define HS_TRACE_CTF_H

#include <stdint.h>
#include <string.h>

#include "trace_events/events.h"

#define HS_CTF_MAGIC 0xC1FC1FC1u
#define HS_CTF_UUID_BYTES 16
#define HS_CTF_CPU_MAX 4096 /* CPU numbers are below; no kernel has more */

struct hs_ctf_packet {
	uint32_t magic;
	uint8_t uuid[HS_CTF_UUID_BYTES];
	uint32_t stream_id; /* 0: our records, cpu<N>; 1: events of ftrace or told, see ctf_events.h */
	uint64_t timestamp_begin;
	uint64_t timestamp_end;
	uint64_t content_bits;	   /* this header and the records */
	uint64_t packet_bits;	   /* the same, up to a multiple of 64 */
	uint64_t events_discarded; /* since the stream began */
	uint64_t packet_seq_num;
	uint32_t cpu_id;
	uint32_t unused;
};

_Static_assert(sizeof(struct hs_ctf_packet) == 80, "the packet header is what the metadata says");

/*
 * One of our own records (stream_id 0) is its stamp, then what its struct of events.h has behind the header, as it is
 * there. A stamp has the time's low 32 bits, 10 bits of id and 22 of tid, which is as far as the kernel counts them.
 * A packet spans HS_CTF_SPAN_NS at most, so that any time of the packet tells what a stamp's high bits are.
 */
#define HS_CTF_STAMP_BYTES 8u
#define HS_CTF_STAMP_ID_BITS 10
#define HS_CTF_STAMP_TID_BITS 22
#define HS_CTF_SPAN_NS 0x7fffffffull

static inline uint64_t hs_ctf_stamp(uint64_t ts, uint16_t id, uint32_t tid)
{
	return (uint32_t)ts | (uint64_t)id << 32 | (uint64_t)tid << (32 + HS_CTF_STAMP_ID_BITS);
}

/* Bytes of a record whose struct has so many. */
static inline uint32_t hs_ctf_record_bytes(uint32_t struct_bytes)
{
	return struct_bytes - (uint32_t)sizeof(struct hs_event_header) + HS_CTF_STAMP_BYTES;
}

static inline uint16_t hs_ctf_stamp_id(uint64_t stamp)
{
	return stamp >> 32 & ((1u << HS_CTF_STAMP_ID_BITS) - 1);
}

static inline uint32_t hs_ctf_stamp_tid(uint64_t stamp)
{
	return (uint32_t)(stamp >> (32 + HS_CTF_STAMP_ID_BITS));
}

/* near_ns: any time of its packet. */
static inline uint64_t hs_ctf_stamp_ts(uint64_t stamp, uint64_t near_ns)
{
	return near_ns + (uint64_t)(int32_t)((uint32_t)stamp - (uint32_t)near_ns);
}

/* A record as it is in memory; no event's struct is longer. */
struct hs_ctf_record_room {
	struct hs_event_header header;
	uint64_t fields[6];
};
#define EVENT(id, system, name, doc)                                                                                   \
	_Static_assert(sizeof(struct hs_event_##name) <= sizeof(struct hs_ctf_record_room), "hs_event_" #name);
#define FIELD_AS(type, member, name, format, doc)
#define END_EVENT(name)
#include "trace_events/events.def"

/* Out of the `bytes` that the record has on disk, which may lie anywhere. near_ns: as above. */
static inline void hs_ctf_unpack(struct hs_ctf_record_room *out, const void *record, uint32_t bytes, uint64_t near_ns)
{
	uint64_t stamp;

	memcpy(&stamp, record, sizeof(stamp));
	out->header = (struct hs_event_header){ .ts = hs_ctf_stamp_ts(stamp, near_ns),
						.id = hs_ctf_stamp_id(stamp),
						.tid = hs_ctf_stamp_tid(stamp) };
	memcpy(out->fields, (const uint8_t *)record + HS_CTF_STAMP_BYTES, bytes - HS_CTF_STAMP_BYTES);
}

#endif
