/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads back the CTF traces of ctf_writer.h, all CPUs merged by time. Trusts nothing in the files: a packet that
 * makes no sense is refused from the place on where it stops to, with its file and offset, and reading goes on with
 * the next. One reader belongs to one thread; a trace still growing is read up to the packets it had when opened.
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
	uint32_t index; /* of the event among all of the reader's, for tables; its id if it is one of ours */
};

struct hs_ctf_reader_counts {
	uint64_t read[HS_EVENT_ID_NR]; /* of ours */
	uint64_t discarded;	       /* events that the trace says were lost (inside the range) */
	uint64_t packets;	       /* read whole */
	uint64_t skipped_packets;      /* outside the range: not read */
	uint64_t torn_packets;	       /* cut off by the file's end; their whole records are read */
	uint64_t damaged_packets;      /* refused, from some place on, because of what is in them */
	uint64_t missing_packets;      /* gaps in the packets' sequence numbers */
	uint64_t unread_bytes;	       /* of damaged packets and in torn records */
	uint64_t steps_back;	       /* records earlier than the one before in their stream */
};

/* Something of one CPU is not in the trace: what it says it lost, or what could not be read. */
struct hs_ctf_loss {
	uint32_t cpu;
	uint64_t begin_ns; /* the last record before; 0: from the trace's start */
	uint64_t end_ns;   /* at the latest then; UINT64_MAX: to the trace's end */
	uint64_t events;   /* lost when the trace was made */
	uint64_t packets;  /* missing by their numbers */
	uint64_t bytes;	   /* damaged */
};

/*
 * Called from inside hs_ctf_reader_next(), where the loss begins: before the first record that is later than the
 * last one in front of the loss.
 */
typedef void (*hs_ctf_loss_fn)(void *ctx, const struct hs_ctf_loss *loss);

/* 0; -EBADMSG: not a trace of ours; -EPROTO: of a newer hsbpf; -errno. Said in every case. */
int hs_ctf_reader_open(const char *dir, struct hs_ctf_reader **out);

/*
 * Also the events of ftrace, if the trace has any, merged with ours; it describes them itself. Their names can be the
 * same as ours: event->is_foreign tells them apart, their header->id is the guest kernel's, header->lap has
 * common_flags and common_preempt_count. Find their fields by name, once for each event; the values of a record are
 * hs_field_value() for kind HS_FIELD_NUMBER, hs_ctf_field_content() of trace/ctf_events.h for the others.
 */
int hs_ctf_reader_open_all(const char *dir, struct hs_ctf_reader **out);

/* One more than the highest index of an event; the event with that index, NULL for an id that no event of ours has. */
uint32_t hs_ctf_reader_event_nr(const struct hs_ctf_reader *reader);
const struct hs_event *hs_ctf_reader_event(const struct hs_ctf_reader *reader, uint32_t index);
/* How many of it were read. */
uint64_t hs_ctf_reader_read_nr(const struct hs_ctf_reader *reader, uint32_t index);

/*
 * Only records of [from_ns, to_ns] and losses that may lie in it; packets that are outside are not read. Both before
 * the first hs_ctf_reader_next().
 */
void hs_ctf_reader_set_range(struct hs_ctf_reader *reader, uint64_t from_ns, uint64_t to_ns);
void hs_ctf_reader_on_loss(struct hs_ctf_reader *reader, hs_ctf_loss_fn fn, void *ctx);

/* 1 and the next record; 0 at the end; -errno when a file cannot be read (said). */
int hs_ctf_reader_next(struct hs_ctf_reader *reader, struct hs_ctf_record *out);

const struct hs_ctf_info *hs_ctf_reader_info(const struct hs_ctf_reader *reader);

/* When the trace begins (BOOTTIME); 0 when it holds no packet. */
uint64_t hs_ctf_reader_begin_ns(const struct hs_ctf_reader *reader);

/* Complete when hs_ctf_reader_next() has returned 0. */
const struct hs_ctf_reader_counts *hs_ctf_reader_counts(const struct hs_ctf_reader *reader);

void hs_ctf_reader_free(struct hs_ctf_reader *reader);
HS_SCOPED(hs_ctf_reader, struct hs_ctf_reader *, hs_ctf_reader_free)

#endif
