/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes one machine's records as a CTF 1.8 trace, packet by packet. Records may come from rings of this
 * kernel or from a guest. One writer belongs to one thread.
 */
#ifndef HS_TRACE_CTF_WRITER_H
#define HS_TRACE_CTF_WRITER_H

#include <stdint.h>

#include "base/scoped.h"
#include "trace/ctf_file.h"
#include "trace_events/events.h"

struct hs_ctf_writer;

struct hs_ctf_writer_config {
	const char *dir;	 /* made (with 0755) if its parent exists; its old stream files are refused */
	const char *machine;	 /* host, l1, l2-0, ... */
	int64_t clock_offset_ns; /* the machine's CLOCK_REALTIME - CLOCK_BOOTTIME */
	uint64_t start_ns; /* no record is earlier; a loss at the very begin is said to be after it. 0: not known */
	const struct hs_ctf_output *output; /* NULL: files in `dir`; else `dir` is not used, and no metadata written */
};

struct hs_ctf_writer_counts {
	uint64_t recorded[HS_EVENT_ID_NR];  /* in a packet that is on disk */
	uint64_t disk_lost[HS_EVENT_ID_NR]; /* in a packet that could not be written, or whose file was deleted */
	uint64_t sorted;		    /* stood after a later record, now before it */
	uint64_t clamped;		    /* too late to be sorted: written with the time of its predecessor */
	uint64_t bytes;			    /* of stream files */
};

/* Writes `metadata` at once, so that whatever follows can be read after an interruption. 0 or -errno (said).
 */
int hs_ctf_writer_open(const struct hs_ctf_writer_config *config, struct hs_ctf_writer **out);

/* Starts a packet of `cpu`. -EINVAL: no such CPU can be. One packet is open at a time. */
int hs_ctf_writer_begin(struct hs_ctf_writer *writer, uint32_t cpu);

/*
 * Copies the record (`bytes` long, 8-aligned; what follows the event's size is ignored) into the packet.
 * Small steps back in time are sorted. -EBADMSG: no event has that id, or the record is too short.
 */
int hs_ctf_writer_add(struct hs_ctf_writer *writer, const void *record, uint32_t bytes);

/*
 * Writes the packet; an empty one only if `lost` grew. `lost`: records that the CPU lost before they came
 * here, in total; the writer adds what it lost itself. A write that fails is said once and counted; the next packet is
 * tried all the same. 0 or -errno. A file that somebody has deleted is noticed here: its records are lost then.
 */
int hs_ctf_writer_end(struct hs_ctf_writer *writer, uint64_t lost);

/* The file of the open packet's stream: its size now, and once the packet is written with that `lost`. */
uint64_t hs_ctf_writer_stream_bytes(const struct hs_ctf_writer *writer);
uint64_t hs_ctf_writer_bytes_after(const struct hs_ctf_writer *writer, uint64_t lost);

/* Records of that CPU that the writer has lost. */
uint64_t hs_ctf_writer_disk_lost(const struct hs_ctf_writer *writer, uint32_t cpu);

/* Valid until the writer is freed. */
const struct hs_ctf_writer_counts *hs_ctf_writer_counts(const struct hs_ctf_writer *writer);

void hs_ctf_writer_free(struct hs_ctf_writer *writer);
HS_SCOPED(hs_ctf_writer, struct hs_ctf_writer *, hs_ctf_writer_free)

#endif
