/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Cheap time stamps for single memory accesses: the CPU's counter where there is one (a guest's clock_gettime() can
 * cost microseconds), turned into ns by what CLOCK_MONOTONIC said. Any thread.
 */
#ifndef HS_MIGTOOLS_TICKS_H
#define HS_MIGTOOLS_TICKS_H

#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC in ns. */
static inline uint64_t hs_monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The counter, read after every load before it has its value. */
static inline uint64_t hs_ticks_now(void)
{
#ifdef __x86_64__
	__builtin_ia32_lfence();
	return __builtin_ia32_rdtsc();
#else
	return hs_monotonic_ns();
#endif
}

/* Both clocks at one moment, and what follows from two of them. */
struct hs_ticks {
	uint64_t start_ticks, start_ns;
	uint64_t ns_per_tick_32; /* times 2^32 */
};

/* Takes the first sample; hs_ticks_calibrate() takes the second, at least 20 ms later (it waits as long). */
void hs_ticks_start(struct hs_ticks *ticks);
void hs_ticks_calibrate(struct hs_ticks *ticks);

static inline uint64_t hs_ticks_to_ns(const struct hs_ticks *ticks, uint64_t count)
{
	return (uint64_t)((unsigned __int128)count * ticks->ns_per_tick_32 >> 32);
}

/* How far the counter ran off since the start, as a share (0.01: it counted 1 % too much). */
double hs_ticks_drift(const struct hs_ticks *ticks);

#endif
