/* SPDX-License-Identifier: GPL-2.0-only */
/* The newest times at which something happened, to ask what was the first after a moment, or how many were between two.
 */
#ifndef HS_CORRELATE_TIMES_H
#define HS_CORRELATE_TIMES_H

#include <stdint.h>

#define HS_TIMES_MAX 16384

/* Starts as zeros. One thread. */
struct hs_times {
	uint64_t times[HS_TIMES_MAX];
	uint64_t nr; /* that ever came */
};

/* In the order of time. */
static inline void hs_times_add(struct hs_times *times, uint64_t time_ns)
{
	times->times[times->nr++ % HS_TIMES_MAX] = time_ns;
}

/* How many came before time_ns; those that are forgotten count as before. */
static inline uint64_t hs_times_before(const struct hs_times *times, uint64_t time_ns)
{
	uint64_t low = times->nr > HS_TIMES_MAX ? times->nr - HS_TIMES_MAX : 0, high = times->nr;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (times->times[middle % HS_TIMES_MAX] < time_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The first at or after time_ns; 0: there is none. */
static inline uint64_t hs_times_first_from(const struct hs_times *times, uint64_t time_ns)
{
	uint64_t at = hs_times_before(times, time_ns);

	return at < times->nr ? times->times[at % HS_TIMES_MAX] : 0;
}

#endif
