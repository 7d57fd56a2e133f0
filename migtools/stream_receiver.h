/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One connection of the emulated destination, with a thread of its own: it reads pages, answers a hello, and once the
 * source asks for it, requests one page after the other and measures how long each takes. stream_destination.c owns it.
 */
#ifndef HS_MIGTOOLS_STREAM_RECEIVER_H
#define HS_MIGTOOLS_STREAM_RECEIVER_H

#include <pthread.h>
#include <stdatomic.h>

#include "migtools/address.h"
#include "migtools/stream_latency.h"
#include "migtools/stream_parser.h"

enum hs_stream_outcome {
	HS_STREAM_RUNNING,
	HS_STREAM_CLOSED,      /* by the source, between two messages */
	HS_STREAM_LOST,	       /* in the middle of one, or reset */
	HS_STREAM_REFUSED,     /* see accept */
	HS_STREAM_INVALID,     /* it sent what no source sends */
	HS_STREAM_INTERRUPTED, /* by us */
	HS_STREAM_OUTCOME_NR
};

struct hs_stream_receiver {
	/* The owner's. */
	struct hs_stream_receiver *next;
	bool has_told_requests;
	/* Set before the start. */
	struct hs_stream_offer offer; /* ours */
	int event_fd;		      /* an eventfd that is told of an end; borrowed */
	char peer[HS_ADDRESS_TEXT_MAX];
	uint64_t start_ns;
	/* Told by the thread; any thread reads. */
	atomic_uint_fast64_t bytes, pages;
	atomic_bool has_requests, is_over;
	atomic_uint_fast64_t requested_ns; /* BOOTTIME of the request that is not answered, 0: none */
	pthread_mutex_t lock;		   /* of latency */
	struct hs_stream_latency latency;
	/* When is_over. */
	enum hs_stream_outcome outcome;
	bool is_ours;
	struct hs_stream_hello hello; /* when is_ours */
	struct hs_stream_accept accept;
	uint64_t end_ns;
	/* Private. */
	pthread_t thread;
	int fd; /* owned */
	atomic_bool is_stopping;
};

/* fd is taken over in any case; starts the thread. Message on failure: then only free() is left. */
int hs_stream_receiver_start(struct hs_stream_receiver *receiver, int fd);
/* Ends it at once. */
void hs_stream_receiver_stop(struct hs_stream_receiver *receiver);
/* Waits for its end and closes the socket; the figures stay. */
void hs_stream_receiver_join(struct hs_stream_receiver *receiver);
/* After hs_stream_receiver_join(): frees it; malloc'd. */
void hs_stream_receiver_free(struct hs_stream_receiver *receiver);

const char *hs_stream_outcome_name(enum hs_stream_outcome outcome);

#endif
