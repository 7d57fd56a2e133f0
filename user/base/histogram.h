/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How values (times in ns, mostly) are spread: a log-linear histogram as of HdrHistogram. Every power of two is cut
 * into 32 equal buckets, so a quantile is off by at most 1/64 (1.6 %); values below 64 are exact. Takes memory
 * only for powers of two that occur. One histogram belongs to one thread.
 */
#ifndef HS_BASE_HISTOGRAM_H
#define HS_BASE_HISTOGRAM_H

#include <stdint.h>

#define HS_HISTOGRAM_OCTAVES 60 /* 0..31, then one for each power of two from 32 to 2^63 */
#define HS_HISTOGRAM_BUCKETS 32 /* in each */

/* Starts as zeros. min and max mean nothing while count is 0. */
struct hs_histogram {
	uint64_t count, sum, min, max; /* sum stays at UINT64_MAX once it has reached it */
	uint64_t *octaves[HS_HISTOGRAM_OCTAVES];
};

/* Adds the value `times` times. 0 or -ENOMEM (then nothing was added). */
int hs_histogram_add(struct hs_histogram *histogram, uint64_t value, uint64_t times);

/* Adds what `from` holds. 0 or -ENOMEM (then nothing was added). */
int hs_histogram_merge(struct hs_histogram *histogram, const struct hs_histogram *from);

/* The value that the share `quantile` (0 to 1) of all values does not exceed; 0 when there are none. */
uint64_t hs_histogram_quantile(const struct hs_histogram *histogram, double quantile);

/* sum / count; 0 when there are none. */
uint64_t hs_histogram_average(const struct hs_histogram *histogram);

/* How many values are below `value`; those of its own bucket go by the bucket's middle. */
uint64_t hs_histogram_count_below(const struct hs_histogram *histogram, uint64_t value);

/* How many values lie in the octave; its values are *from to *to, both included. */
uint64_t hs_histogram_octave(const struct hs_histogram *histogram, unsigned int octave, uint64_t *from, uint64_t *to);

/* Back to zeros. */
void hs_histogram_clear(struct hs_histogram *histogram);

#endif
