/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One connection of the emulated source, with a thread of its own: it streams pages of its part of the memory, and
 * answers requests ahead of them. The session (stream_source.c) starts senders, asks for rounds, and ends them.
 */
#ifndef HS_MIGTOOLS_STREAM_SENDER_H
#define HS_MIGTOOLS_STREAM_SENDER_H

#include <pthread.h>
#include <stdatomic.h>

#include "migtools/stream_guest.h"
#include "migtools/stream_pace.h"
#include "migtools/stream_parser.h"

/* What all senders of a session share; set before the first starts, and the guest between rounds. */
struct hs_stream_plan {
	struct hs_stream_hello hello;  /* stream is the sender's own */
	bool is_legacy;		       /* no hello: mig_mon's bytes alone */
	bool has_rounds;	       /* pages that are dirty, round by round; else all of them again and again */
	struct hs_stream_guest *guest; /* of rounds; borrowed */
	const uint8_t *contents;       /* HS_STREAM_PAGE_BYTES_MAX bytes that pages are made of; borrowed */
	uint32_t bulk_streams;	       /* that share the memory */
	uint64_t bytes_per_s;	       /* of one bulk stream; 0: no limit */
	uint64_t burst_bytes;
	int event_fd; /* an eventfd that is told what the session should look at; borrowed */
};

enum hs_stream_peer {
	HS_STREAM_PEER_UNKNOWN, /* not answered yet */
	HS_STREAM_PEER_OURS,
	HS_STREAM_PEER_MIG_MON, /* the session gave up waiting for an answer */
};

struct hs_stream_sender {
	/* Set before the start. */
	const struct hs_stream_plan *plan;
	int fd; /* owned */
	uint32_t stream, bulk_part;
	bool has_bulk, has_requests;
	/* Told by the sender; any thread reads. */
	atomic_uint_fast64_t bytes, pages, answers;
	atomic_uint_fast32_t flushed_round; /* all pages of this round have arrived */
	atomic_int peer;		    /* enum hs_stream_peer; the session may set MIG_MON */
	atomic_bool is_over;
	/* When is_over or peer is OURS. */
	struct hs_stream_accept accept;
	int err; /* 0: ended as asked; -ECONNRESET: lost; -ECONNREFUSED: see accept; others with a message */
	bool was_accepted;
	/* Private. */
	pthread_t thread;
	bool has_thread;
	int wake_fd; /* owned */
	atomic_bool is_stopping;
	atomic_uint_fast32_t round; /* the one asked for */
};

/* fd is taken over in any case. Starts the thread. Message on failure. */
int hs_stream_sender_start(struct hs_stream_sender *sender, const struct hs_stream_plan *plan, int fd, uint32_t stream);

/* Sends what is dirty in its part; flushed_round follows. */
void hs_stream_sender_ask_round(struct hs_stream_sender *sender, uint32_t round);

/* Ends: the frame under way is finished, the peer sees a regular end. */
void hs_stream_sender_stop(struct hs_stream_sender *sender);

/* Waits for the end after hs_stream_sender_stop() or is_over; frees what it owns. A sender that never started is fine.
 */
void hs_stream_sender_join(struct hs_stream_sender *sender);

#endif
