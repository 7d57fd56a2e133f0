/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads back the CTF traces of ctf_writer.h, all CPUs merged by time. Trusts nothing in the files: what does
 * not fit is counted, not followed. One reader belongs to one thread; a trace still growing is read up to the
 * packets it had when their stream was opened.
 */
#ifndef HS_TRACE_CTF_READER_H
#define HS_TRACE_CTF_READER_H

#include <stdint.h>

#include "base/scoped.h"
#include "trace/ctf_metadata.h"
#include "trace_events/events.h"

struct hs_ctf_reader;

struct hs_ctf_record {
	const struct hs_event *event;
	const struct hs_event_header *header; /* starts a struct hs_event_<name>; until the next record */
	uint32_t cpu;
};

struct hs_ctf_reader_counts {
	uint64_t read[HS_EVENT_ID_NR];
	uint64_t discarded;	  /* events that the trace says were lost */
	uint64_t packets;	  /* read whole */
	uint64_t torn_packets;	  /* cut off by the file's end; their whole records are read */
	uint64_t corrupt_streams; /* given up at a place that makes no sense */
	uint64_t unread_bytes;	  /* behind such places and in torn records */
	uint64_t steps_back;	  /* records earlier than the one before in their stream */
};

/* 0; -EBADMSG: not a trace of ours; -EPROTO: of a newer hsbpf; -errno. Said in every case. */
int hs_ctf_reader_open(const char *dir, struct hs_ctf_reader **out);

/* 1 and the next record; 0 at the end; -errno when a file cannot be read (said). */
int hs_ctf_reader_next(struct hs_ctf_reader *reader, struct hs_ctf_record *out);

const struct hs_ctf_info *hs_ctf_reader_info(const struct hs_ctf_reader *reader);

/* Complete when hs_ctf_reader_next() has returned 0. */
const struct hs_ctf_reader_counts *hs_ctf_reader_counts(const struct hs_ctf_reader *reader);

void hs_ctf_reader_free(struct hs_ctf_reader *reader);
HS_SCOPED(hs_ctf_reader, struct hs_ctf_reader *, hs_ctf_reader_free)

#endif
