/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When which thread dirties how many pages. The rate is kept in windows of 100 ms: each has its own number of pages,
 * spread over its first four fifths, so that a wake-up that comes late costs nothing. What a window could not do is
 * given up at its end: a stall is not slept over (every time is absolute) and not made up for later in a burst.
 * Within a window a late thread goes at most twice as fast. Pure: times come in as ns since the start.
 */
#ifndef HS_MIGTOOLS_MM_PACE_H
#define HS_MIGTOOLS_MM_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define HS_PACE_WINDOW_NS 100000000ull
#define HS_PACE_TICK_NS 1000000ull /* how often a thread looks what is due */
#define HS_PACE_NO_LIMIT UINT64_MAX
#define HS_PACE_RATE_MAX (1ull << 40)	     /* bytes per second */
#define HS_PACE_RAMP_MAX_NS 3600000000000ull /* with these two nothing overflows */

struct hs_pace {
	uint64_t bytes_per_second; /* 0: as fast as the machine; at most HS_PACE_RATE_MAX */
	uint64_t page_bytes;
	uint64_t ramp_ns; /* the rate rises from nothing over this time; at most HS_PACE_RAMP_MAX_NS */
	uint32_t threads;
};

/* Pages that all threads together should have dirtied from the start until t_ns; rounded down. */
uint64_t hs_pace_due(const struct hs_pace *pace, uint64_t t_ns);

/* Of that, thread's part: the parts of all threads add up exactly. */
uint64_t hs_pace_due_of(const struct hs_pace *pace, uint32_t thread, uint64_t t_ns);

/* One thread's place in its windows; starts with hs_pacer_begin(). */
struct hs_pacer {
	const struct hs_pace *pace; /* borrowed */
	uint32_t thread;
	uint64_t window;       /* index of the current one */
	uint64_t budget, done; /* pages of it */
	int64_t last_ns;       /* when pages were last granted; one tick before the start at first */
};

void hs_pacer_begin(struct hs_pacer *pacer, const struct hs_pace *pace, uint32_t thread);

/* Whether now_ns lies past the current window: hs_pacer_enter() goes there. */
bool hs_pacer_is_past(const struct hs_pacer *pacer, uint64_t now_ns);
void hs_pacer_enter(struct hs_pacer *pacer, uint64_t now_ns);

/* How many pages to dirty at once now, now_ns being in the current window; 0: wait until hs_pacer_next_ns(). */
uint64_t hs_pacer_grant(struct hs_pacer *pacer, uint64_t now_ns);
uint64_t hs_pacer_next_ns(uint64_t now_ns);

#endif
