/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One stream file for the reader: packet after packet, each checked when it is loaded so that walking over its
 * records needs no further care. Only ctf_reader.c uses it; one thread.
 */
#ifndef HS_TRACE_CTF_STREAM_H
#define HS_TRACE_CTF_STREAM_H

#include "trace/ctf.h"
#include "trace/ctf_events.h"
#include "trace/ctf_reader.h"

/* What all streams of a reader share. */
struct hs_ctf_source {
	const char *dir; /* for messages */
	uint8_t uuid[HS_CTF_UUID_BYTES];
	uint64_t from_ns, to_ns;
	hs_ctf_loss_fn on_loss; /* or NULL */
	void *loss_ctx;
	struct hs_ctf_reader_counts counts; /* all but read[] */
	unsigned int message_nr;
	uint16_t size[HS_EVENT_ID_NR];	    /* on disk, of our own records by id, 0 when there is no such event */
	const struct hs_ctf_events *events; /* of ftrace; NULL when nobody wants them */
};

struct hs_ctf_stream {
	/* Records still to be given out, each whole, of a known event and 8-aligned; and the time of the first. */
	const uint8_t *at, *end;
	uint64_t next_ns;
	uint32_t cpu;
	uint32_t class; /* 0: our own records; HS_CTF_FTRACE_STREAM */

	int fd;
	char name[24];
	uint64_t file_bytes; /* when opened */
	uint64_t offset;     /* of the next packet */
	uint64_t begin_ns;   /* of its first packet; 0: none */

	bool has_packet; /* one was seen; the next three are of the newest */
	uint64_t discarded;
	uint64_t sequence;
	uint64_t packet_end_ns;
	uint64_t last_ns;      /* of the newest record */
	const char *damage;    /* what is wrong at `offset`, NULL: nothing known yet */
	uint64_t damage_bytes; /* between the newest packet and the next, not told yet */

	uint8_t *window; /* bytes of the file */
	uint64_t room, window_offset, window_bytes;
};

/* -errno without a message. */
int hs_ctf_stream_open(struct hs_ctf_stream *stream, const struct hs_ctf_source *source, int dir_fd, const char *name,
		       uint32_t class, uint32_t cpu);

static inline uint16_t hs_ctf_stream_id(const struct hs_ctf_stream *stream, const void *at)
{
	return stream->class ? ((const struct hs_event_header *)at)->id : hs_ctf_stamp_id(*(const uint64_t *)at);
}

/* near_ns: any time of the record's packet. */
static inline uint64_t hs_ctf_stream_ns(const struct hs_ctf_stream *stream, const void *at, uint64_t near_ns)
{
	return stream->class ? ((const struct hs_event_header *)at)->ts
			     : hs_ctf_stamp_ts(*(const uint64_t *)at, near_ns);
}

/* Bytes of the record at `at`, of which `bytes` are there; 0: no event has its id, or it is longer. */
static inline size_t hs_ctf_stream_record_bytes(const struct hs_ctf_stream *stream, const struct hs_ctf_source *source,
						const void *at, size_t bytes)
{
	uint16_t id = hs_ctf_stream_id(stream, at);
	const struct hs_event *event;
	size_t size;

	if (stream->class) {
		event = hs_ctf_events_find(source->events, id);
		return event ? hs_ctf_event_record_bytes(event, at, bytes) : 0;
	}
	size = id < HS_EVENT_ID_NR ? source->size[id] : 0;
	return size <= bytes ? size : 0;
}

/* Goes behind the record at `at`. */
static inline void hs_ctf_stream_advance(struct hs_ctf_stream *stream, const struct hs_ctf_source *source)
{
	stream->at += hs_ctf_stream_record_bytes(stream, source, stream->at, (size_t)(stream->end - stream->at));
	if (stream->at < stream->end)
		stream->next_ns = hs_ctf_stream_ns(stream, stream->at, stream->next_ns);
}

/* Loads the next packet that has records of the range. 1; 0 at the end; -errno (said). */
int hs_ctf_stream_load(struct hs_ctf_stream *stream, struct hs_ctf_source *source);

void hs_ctf_stream_close(struct hs_ctf_stream *stream);

#endif
