/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The binary frame of our CTF 1.8 streams, shared by writer and reader: a trace is a directory with
 * `metadata` and one file `cpu<N>` per CPU (and ftrace_cpu<N> of a guest, told_cpu0 of programs), a file is a row of
 * packets, a packet is this struct followed by records as events.h lays them out. The metadata text in ctf_metadata.c
 * describes exactly this. Little endian.
 */
#ifndef HS_TRACE_CTF_H
#define HS_TRACE_CTF_H

#include <stdint.h>

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

#endif
