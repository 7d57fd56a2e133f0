// SPDX-License-Identifier: GPL-2.0-only
/* The histogram of times against the sorted values themselves. */
#include "cm.h"

#include <stdlib.h>

#include "base/histogram.h"

#define VALUES 20000

static int compare(const void *a, const void *b)
{
	uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;

	return (one > other) - (one < other);
}

/* xorshift: the same numbers everywhere. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void expect_quantiles(const struct hs_histogram *histogram, uint64_t *values, size_t count)
{
	static const double quantiles[] = { 0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1 };

	qsort(values, count, sizeof(*values), compare);
	for (size_t i = 0; i < sizeof(quantiles) / sizeof(*quantiles); i++) {
		size_t rank = (size_t)(quantiles[i] * (double)count + 0.999999);
		uint64_t exact = values[rank ? rank - 1 : 0], got = hs_histogram_quantile(histogram, quantiles[i]);
		uint64_t off = got > exact ? got - exact : exact - got;

		assert_true(off * 64 <= exact);
	}
}

static void test_quantiles_are_within_a_64th_of_the_sorted_values(void **state)
{
	uint64_t *values = calloc(VALUES, sizeof(*values)), random = 42;

	(void)state;
	for (unsigned int shift = 0; shift < 64; shift += 9) {
		struct hs_histogram histogram = { 0 };

		for (size_t i = 0; i < VALUES; i++) {
			values[i] = next_random(&random) >> (shift + next_random(&random) % (64 - shift));
			assert_int_equal(hs_histogram_add(&histogram, values[i], 1), 0);
		}
		expect_quantiles(&histogram, values, VALUES);
		assert_int_equal(histogram.min, values[0]);
		assert_int_equal(histogram.max, values[VALUES - 1]);
		assert_int_equal(histogram.count, VALUES);
		hs_histogram_clear(&histogram);
	}
	free(values);
}

static void test_small_values_are_exact(void **state)
{
	struct hs_histogram histogram = { 0 };

	(void)state;
	for (uint64_t value = 1; value <= 63; value++)
		hs_histogram_add(&histogram, value, 1);
	for (unsigned int i = 1; i <= 63; i++)
		assert_int_equal(hs_histogram_quantile(&histogram, (double)i / 63), i);
	assert_int_equal(hs_histogram_average(&histogram), 32);
	hs_histogram_clear(&histogram);
}

static void test_octaves_hold_every_value_once(void **state)
{
	struct hs_histogram histogram = { 0 };
	uint64_t from, to, last = 0, sum = 0;

	(void)state;
	hs_histogram_add(&histogram, 0, 3);
	hs_histogram_add(&histogram, 31, 1);
	hs_histogram_add(&histogram, 32, 1);
	hs_histogram_add(&histogram, UINT64_MAX, 2);
	assert_int_equal(hs_histogram_octave(&histogram, 0, &from, &to), 4);
	assert_int_equal(hs_histogram_octave(&histogram, 1, &from, &to), 1);
	assert_int_equal(hs_histogram_octave(&histogram, HS_HISTOGRAM_OCTAVES - 1, &from, &to), 2);
	assert_int_equal(to, UINT64_MAX);
	for (unsigned int i = 0; i < HS_HISTOGRAM_OCTAVES; i++) {
		sum += hs_histogram_octave(&histogram, i, &from, &to);
		assert_int_equal(from, i ? last + 1 : 0);
		last = to;
	}
	assert_int_equal(sum, histogram.count);
	assert_int_equal(histogram.sum, UINT64_MAX);
	hs_histogram_clear(&histogram);
}

static void test_merged_is_as_if_added_to_one(void **state)
{
	struct hs_histogram one = { 0 }, other = { 0 }, both = { 0 };
	uint64_t random = 7;

	(void)state;
	for (unsigned int i = 0; i < 1000; i++) {
		uint64_t value = next_random(&random) >> (i % 50);

		hs_histogram_add(i % 3 ? &one : &other, value, i % 5);
		hs_histogram_add(&both, value, i % 5);
	}
	assert_int_equal(hs_histogram_merge(&one, &other), 0);
	assert_int_equal(one.count, both.count);
	assert_int_equal(one.min, both.min);
	assert_int_equal(one.max, both.max);
	for (double quantile = 0; quantile <= 1; quantile += 0.01)
		assert_int_equal(hs_histogram_quantile(&one, quantile), hs_histogram_quantile(&both, quantile));
	hs_histogram_clear(&one);
	hs_histogram_clear(&other);
	hs_histogram_clear(&both);
}

static void test_nothing_has_no_quantiles(void **state)
{
	struct hs_histogram histogram = { 0 };

	(void)state;
	assert_int_equal(hs_histogram_add(&histogram, 5, 0), 0);
	assert_int_equal(hs_histogram_quantile(&histogram, 0.5), 0);
	assert_int_equal(hs_histogram_average(&histogram), 0);
	hs_histogram_clear(&histogram);
}

static void test_values_below_are_counted(void **state)
{
	struct hs_histogram histogram = { 0 };

	(void)state;
	assert_int_equal(hs_histogram_count_below(&histogram, 10), 0);
	for (uint64_t value = 1; value <= 100000; value++)
		assert_int_equal(hs_histogram_add(&histogram, value, 1), 0);
	assert_int_equal(hs_histogram_count_below(&histogram, 1), 0);
	assert_int_equal(hs_histogram_count_below(&histogram, 33), 32);
	assert_int_equal(hs_histogram_count_below(&histogram, 1ull << 12), (1 << 12) - 1);
	assert_in_range(hs_histogram_count_below(&histogram, 50000), 50000 - 50000 / 64, 50000 + 50000 / 64);
	assert_int_equal(hs_histogram_count_below(&histogram, 100001), 100000);
	hs_histogram_clear(&histogram);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quantiles_are_within_a_64th_of_the_sorted_values),
		cmocka_unit_test(test_small_values_are_exact),
		cmocka_unit_test(test_octaves_hold_every_value_once),
		cmocka_unit_test(test_merged_is_as_if_added_to_one),
		cmocka_unit_test(test_nothing_has_no_quantiles),
		cmocka_unit_test(test_values_below_are_counted),
	};

	return RUN_TESTS("histogram", tests);
}
