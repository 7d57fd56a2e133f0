// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping REALTIME to BOOTTIME on synthetic clocks whose truth is known: the true time must lie within the
 * bound that the mapping states, and the bound must be of use.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "timeline/clock.h"

#define SECOND 1000000000ull
#define EPOCH (1700000000ull * SECOND)
#define WIDTH 200
#define SAMPLE_NR 20

/* A clock that drifts against BOOTTIME and is stepped once. */
struct truth {
	int64_t drift_ppm;
	uint64_t step_at_ns; /* BOOTTIME */
	int64_t step_ns;
};

static uint64_t real_at(const struct truth *truth, uint64_t boot_ns)
{
	int64_t drift = (int64_t)boot_ns * truth->drift_ppm / 1000000;

	return EPOCH + boot_ns + drift +
	       (truth->step_ns && boot_ns >= truth->step_at_ns ? truth->step_ns : 0);
}

/* Samples every second from 10 s on; the other clock is read somewhere within the width. */
static void sample(const struct truth *truth, struct hs_clock_list *list)
{
	for (uint64_t i = 0; i < SAMPLE_NR; i++) {
		uint64_t boot = (10 + i) * SECOND, off = i * 37 % (WIDTH + 1);
		struct hs_clock_sample taken = { .boot_ns = boot,
						 .real_ns = real_at(truth, boot - WIDTH / 2 + off),
						 .width_ns = WIDTH };

		assert_int_equal(hs_clock_list_append(list, &taken), 0);
	}
}

/* Maps the clock at many places; the truth is within the bound everywhere. Returns the largest bound. */
static uint64_t check_bounds(const struct truth *truth, uint64_t from, uint64_t to, uint64_t quantum)
{
	struct hs_clock_list list = { 0 };
	uint64_t worst = 0;

	sample(truth, &list);
	for (uint64_t boot = from; boot < to; boot += 7654321) {
		uint64_t real = real_at(truth, boot), mapped, error, off;

		if (quantum)
			real -= real % quantum;
		assert_int_equal(hs_clock_real_to_boot(&list, real, quantum, &mapped, &error), 0);
		off = mapped > boot ? mapped - boot : boot - mapped;
		if (off > error)
			print_message("# at %llu: off by %llu, stated %llu\n", (unsigned long long)boot,
				      (unsigned long long)off, (unsigned long long)error);
		assert_true(off <= error);
		if (error > worst)
			worst = error;
	}
	hs_clock_list_clear(&list);
	return worst;
}

static void test_steady_clock_maps_within_the_sampling_width(void **state)
{
	(void)state;
	assert_true(check_bounds(&(struct truth){ 0 }, 10 * SECOND, 29 * SECOND, 0) <= 3 * WIDTH);
}

static void test_drift_of_200_ppm_is_followed(void **state)
{
	(void)state;
	assert_true(check_bounds(&(struct truth){ .drift_ppm = 200 }, 10 * SECOND, 29 * SECOND, 0) <=
		    5 * WIDTH);
	assert_true(check_bounds(&(struct truth){ .drift_ppm = -200 }, 10 * SECOND, 29 * SECOND, 0) <=
		    5 * WIDTH);
}

static void test_quantised_times_add_their_unit(void **state)
{
	uint64_t exact = check_bounds(&(struct truth){ 0 }, 10 * SECOND, 29 * SECOND, 0);
	uint64_t cut = check_bounds(&(struct truth){ 0 }, 10 * SECOND, 29 * SECOND, 1000);

	(void)state;
	assert_true(cut >= exact + 500 && cut <= exact + 1000);
}

static void test_step_forward_widens_its_interval_only(void **state)
{
	struct truth truth = { .step_at_ns = 15 * SECOND + 400000000, .step_ns = 300000000 };

	(void)state;
	assert_true(check_bounds(&truth, 15 * SECOND, 16 * SECOND, 0) >= 100000000);
	assert_true(check_bounds(&truth, 10 * SECOND, 14 * SECOND, 0) <= 3 * WIDTH);
	assert_true(check_bounds(&truth, 17 * SECOND, 29 * SECOND, 0) <= 3 * WIDTH);
}

static void test_small_step_back_is_not_hidden(void **state)
{
	struct truth truth = { .step_at_ns = 15 * SECOND + 900000000, .step_ns = -100000 };

	(void)state;
	check_bounds(&truth, 10 * SECOND, 29 * SECOND, 0);
}

static void test_tiny_step_back_beside_a_sample_is_not_hidden(void **state)
{
	struct truth truth = { .step_at_ns = 16 * SECOND - 20000000, .step_ns = -400000 };

	(void)state;
	check_bounds(&truth, 10 * SECOND, 29 * SECOND, 0);
}

static void test_step_back_of_seconds_gives_both_times(void **state)
{
	struct truth truth = { .step_at_ns = 20 * SECOND + 300000000, .step_ns = -3 * (int64_t)SECOND };

	(void)state;
	assert_true(check_bounds(&truth, 10 * SECOND, 29 * SECOND, 0) >= SECOND);
	assert_true(check_bounds(&truth, 10 * SECOND, 16 * SECOND, 0) <= 3 * WIDTH);
}

static void test_outside_the_samples_the_bound_grows(void **state)
{
	struct truth truth = { .drift_ppm = 400 };

	(void)state;
	assert_true(check_bounds(&truth, 2 * SECOND, 9 * SECOND, 0) >= 7 * 500000);
	check_bounds(&truth, 29 * SECOND, 60 * SECOND, 0);
}

static void test_one_sample_is_enough_to_map(void **state)
{
	struct hs_clock_list list = { 0 };
	struct hs_clock_sample only = { .boot_ns = 5 * SECOND, .real_ns = EPOCH, .width_ns = WIDTH };
	uint64_t boot, error;

	(void)state;
	assert_int_equal(hs_clock_real_to_boot(&list, EPOCH, 0, &boot, &error), -ENODATA);
	assert_int_equal(hs_clock_list_append(&list, &only), 0);
	assert_int_equal(hs_clock_real_to_boot(&list, EPOCH + SECOND, 0, &boot, &error), 0);
	assert_int_equal(boot, 6 * SECOND);
	assert_in_range(error, 500000, 510000);
	hs_clock_list_clear(&list);
}

static void test_samples_out_of_order_are_refused(void **state)
{
	struct hs_clock_list list = { 0 };
	struct hs_clock_sample one = { .boot_ns = 5 }, same = { .boot_ns = 5 };

	(void)state;
	assert_int_equal(hs_clock_list_append(&list, &one), 0);
	assert_int_equal(hs_clock_list_append(&list, &same), -EINVAL);
	assert_int_equal(list.sample_nr, 1);
	hs_clock_list_clear(&list);
}

static void test_this_machines_clocks_map_to_each_other(void **state)
{
	struct hs_clock_list list = { 0 };
	struct hs_clock_sample first, second, third;
	uint64_t boot, error;

	(void)state;
	hs_clock_sample_take(&first);
	hs_clock_sample_take(&second);
	hs_clock_sample_take(&third);
	assert_int_equal(hs_clock_list_append(&list, &first), 0);
	assert_int_equal(hs_clock_list_append(&list, &third), 0);
	assert_int_equal(hs_clock_real_to_boot(&list, second.real_ns, 0, &boot, &error), 0);
	assert_in_range(boot, second.boot_ns - error - second.width_ns,
			second.boot_ns + error + second.width_ns);
	hs_clock_list_clear(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steady_clock_maps_within_the_sampling_width),
		cmocka_unit_test(test_drift_of_200_ppm_is_followed),
		cmocka_unit_test(test_quantised_times_add_their_unit),
		cmocka_unit_test(test_step_forward_widens_its_interval_only),
		cmocka_unit_test(test_small_step_back_is_not_hidden),
		cmocka_unit_test(test_tiny_step_back_beside_a_sample_is_not_hidden),
		cmocka_unit_test(test_step_back_of_seconds_gives_both_times),
		cmocka_unit_test(test_outside_the_samples_the_bound_grows),
		cmocka_unit_test(test_one_sample_is_enough_to_map),
		cmocka_unit_test(test_samples_out_of_order_are_refused),
		cmocka_unit_test(test_this_machines_clocks_map_to_each_other),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
