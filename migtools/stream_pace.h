/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A limit of bytes per second: a token bucket. What it did not give while its owner was held up (stopped, blocked by
 * the network) is lost beyond one burst: no more than burst + rate * t bytes leave in any time t. Pure; one thread.
 */
#ifndef HS_MIGTOOLS_STREAM_PACE_H
#define HS_MIGTOOLS_STREAM_PACE_H

#include <stdint.h>

struct hs_stream_pace {
	uint64_t bytes_per_s; /* 0: no limit */
	uint64_t burst_bytes;
	double tokens;	  /* bytes */
	uint64_t last_ns; /* when tokens was right */
};

void hs_stream_pace_begin(struct hs_stream_pace *pace, uint64_t bytes_per_s, uint64_t burst_bytes, uint64_t now_ns);

/* How many units of unit_bytes may leave now, at most `wanted`; they are taken out. */
uint64_t hs_stream_pace_take(struct hs_stream_pace *pace, uint64_t now_ns, uint64_t unit_bytes, uint64_t wanted);

/* How long until something worth a wake-up may leave: half a burst, or one unit if that is more. */
uint64_t hs_stream_pace_wait_ns(const struct hs_stream_pace *pace, uint64_t unit_bytes);

#endif
