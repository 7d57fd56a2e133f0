/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How long requested pages take, and where the time goes: in the source's program, in its socket, in the network, in
 * the destination's socket. The times of the source come with the answer after. One thread at a time.
 */
#ifndef HS_MIGTOOLS_STREAM_LATENCY_H
#define HS_MIGTOOLS_STREAM_LATENCY_H

#include <stdbool.h>

#include "base/histogram.h"
#include "migtools/stream_wire.h"

struct hs_stream_latency {
	struct hs_histogram total; /* all ns: from the request's sending until its page was read whole */
	/* Only of requests whose times are known to both ends; they add up to the total of each. */
	struct hs_histogram program, socket; /* queueing at the source */
	struct hs_histogram network;	     /* both ways, and the interrupts and softirqs at both ends */
	struct hs_histogram receive;	     /* queueing here */
	/* Since hs_stream_latency_next(). */
	uint64_t interval_count, interval_sum_ns, interval_max_ns;
	/* The newest request, until its source's times come; 0: none. */
	uint64_t open_total_ns, open_receive_ns;
};

/* receive_ns: how long the answer lay here before it was read; UINT64_MAX: not known. -ENOMEM. */
int hs_stream_latency_add(struct hs_stream_latency *latency, uint64_t total_ns, uint64_t receive_ns);
/* Of the request before; call it ahead of hs_stream_latency_add() of the one that brought them. -ENOMEM. */
int hs_stream_latency_split(struct hs_stream_latency *latency, const struct hs_stream_times *times);
/* Begins a new interval. */
void hs_stream_latency_next(struct hs_stream_latency *latency);
void hs_stream_latency_clear(struct hs_stream_latency *latency);

#endif
