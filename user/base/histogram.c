// SPDX-License-Identifier: GPL-2.0-only
/* The log-linear histogram: octave 0 holds 0 to 31, octave n the values whose highest bit is n + 4. */
#include "base/histogram.h"

#include <errno.h>
#include <stdlib.h>

#define BUCKET_BITS 5
_Static_assert(HS_HISTOGRAM_BUCKETS == 1 << BUCKET_BITS, "a bucket is the five bits below the highest");

static unsigned int octave_of(uint64_t value)
{
	return value < HS_HISTOGRAM_BUCKETS ? 0 : 63 - __builtin_clzll(value) - BUCKET_BITS + 1;
}

/* Buckets of octave 0 and 1 hold one value each, those of octave n 2^(n-1). */
static unsigned int shift_of(unsigned int octave)
{
	return octave ? octave - 1 : 0;
}

static uint64_t octave_start(unsigned int octave)
{
	return octave ? (uint64_t)HS_HISTOGRAM_BUCKETS << shift_of(octave) : 0;
}

static int make_octave(struct hs_histogram *histogram, unsigned int octave)
{
	if (!histogram->octaves[octave])
		histogram->octaves[octave] = calloc(HS_HISTOGRAM_BUCKETS, sizeof(uint64_t));
	return histogram->octaves[octave] ? 0 : -ENOMEM;
}

static uint64_t add_saturated(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t multiply_saturated(uint64_t a, uint64_t b)
{
	uint64_t product;

	return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static void add_totals(struct hs_histogram *histogram, uint64_t count, uint64_t sum, uint64_t min, uint64_t max)
{
	if (!histogram->count || min < histogram->min)
		histogram->min = min;
	if (!histogram->count || max > histogram->max)
		histogram->max = max;
	histogram->count += count;
	histogram->sum = add_saturated(histogram->sum, sum);
}

int hs_histogram_add(struct hs_histogram *histogram, uint64_t value, uint64_t times)
{
	unsigned int octave = octave_of(value);

	if (!times)
		return 0;
	if (make_octave(histogram, octave))
		return -ENOMEM;
	histogram->octaves[octave][(value - octave_start(octave)) >> shift_of(octave)] += times;
	add_totals(histogram, times, multiply_saturated(value, times), value, value);
	return 0;
}

int hs_histogram_merge(struct hs_histogram *histogram, const struct hs_histogram *from)
{
	if (!from->count)
		return 0;
	for (unsigned int i = 0; i < HS_HISTOGRAM_OCTAVES; i++)
		if (from->octaves[i] && make_octave(histogram, i))
			return -ENOMEM;
	for (unsigned int i = 0; i < HS_HISTOGRAM_OCTAVES; i++)
		for (unsigned int bucket = 0; from->octaves[i] && bucket < HS_HISTOGRAM_BUCKETS; bucket++)
			histogram->octaves[i][bucket] += from->octaves[i][bucket];
	add_totals(histogram, from->count, from->sum, from->min, from->max);
	return 0;
}

/* The middle of the bucket, but nothing that was not there. */
static uint64_t bucket_value(const struct hs_histogram *histogram, unsigned int octave, unsigned int bucket)
{
	uint64_t width = (uint64_t)1 << shift_of(octave);
	uint64_t value = octave_start(octave) + bucket * width + width / 2;

	if (value < histogram->min)
		return histogram->min;
	return value > histogram->max ? histogram->max : value;
}

uint64_t hs_histogram_quantile(const struct hs_histogram *histogram, double quantile)
{
	double exact = quantile * (double)histogram->count;
	uint64_t rank = exact <= 1 ? 1 : (uint64_t)exact, seen = 0;

	if (!histogram->count)
		return 0;
	rank += (double)rank < exact; /* the nearest rank: rounded up */
	if (rank >= histogram->count)
		return histogram->max;
	for (unsigned int i = 0; i < HS_HISTOGRAM_OCTAVES; i++)
		for (unsigned int bucket = 0; histogram->octaves[i] && bucket < HS_HISTOGRAM_BUCKETS; bucket++) {
			seen += histogram->octaves[i][bucket];
			if (seen >= rank)
				return bucket_value(histogram, i, bucket);
		}
	return histogram->max;
}

uint64_t hs_histogram_count_below(const struct hs_histogram *histogram, uint64_t value)
{
	uint64_t count = 0;

	for (unsigned int i = 0; i < HS_HISTOGRAM_OCTAVES; i++)
		for (unsigned int bucket = 0; histogram->octaves[i] && bucket < HS_HISTOGRAM_BUCKETS; bucket++) {
			if (bucket_value(histogram, i, bucket) >= value)
				return count;
			count += histogram->octaves[i][bucket];
		}
	return count;
}

uint64_t hs_histogram_average(const struct hs_histogram *histogram)
{
	return histogram->count ? histogram->sum / histogram->count : 0;
}

uint64_t hs_histogram_octave(const struct hs_histogram *histogram, unsigned int octave, uint64_t *from, uint64_t *to)
{
	uint64_t count = 0;

	*from = octave_start(octave);
	*to = *from + (((uint64_t)HS_HISTOGRAM_BUCKETS << shift_of(octave)) - 1);
	for (unsigned int bucket = 0; histogram->octaves[octave] && bucket < HS_HISTOGRAM_BUCKETS; bucket++)
		count += histogram->octaves[octave][bucket];
	return count;
}

void hs_histogram_clear(struct hs_histogram *histogram)
{
	for (unsigned int i = 0; i < HS_HISTOGRAM_OCTAVES; i++)
		free(histogram->octaves[i]);
	*histogram = (struct hs_histogram){ 0 };
}
