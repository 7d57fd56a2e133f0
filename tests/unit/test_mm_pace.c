// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pace of mm_dirty on simulated machines: a clock that the test moves, writes that cost what the test says, and
 * stalls. Judged by what was done in each window of 100 ms and in each millisecond.
 */
#include "cm.h"

#include <stdlib.h>
#include <string.h>

#include "migtools/mm_pace.h"

#define MS 1000000ull
#define WINDOW_MS 100
#define MAX_MS 20000
#define MIB (1ull << 20)

/* A machine and a run on it. */
struct simulation {
	uint64_t page_ns;		/* what one write costs */
	uint64_t stall_at_ms, stall_ms; /* at that time the thread stops for so long */
	uint64_t late_ns;		/* how late every wake-up comes */
	uint32_t per_ms[MAX_MS + 1];	/* pages done */
};

static struct simulation simulation;

static struct hs_pace pace_of(uint64_t mib_per_second, uint32_t threads)
{
	return (struct hs_pace){ .bytes_per_second = mib_per_second * MIB, .page_bytes = 4096, .threads = threads };
}

static uint64_t pass(uint64_t now, uint64_t ns)
{
	uint64_t stall = simulation.stall_at_ms * MS;

	return now < stall && now + ns >= stall ? now + ns + simulation.stall_ms * MS : now + ns;
}

/* What the thread of mm_worker.c does, in batches of one. */
static void simulate(const struct hs_pace *pace, uint32_t thread, uint64_t length_ms)
{
	struct hs_pacer pacer;
	uint64_t now = 0;

	hs_pacer_begin(&pacer, pace, thread);
	while (now < length_ms * MS) {
		uint64_t grant;

		if (hs_pacer_is_past(&pacer, now))
			hs_pacer_enter(&pacer, now);
		grant = hs_pacer_grant(&pacer, now);
		if (!grant) {
			now = pass(now, hs_pacer_next_ns(now) - now + simulation.late_ns);
			continue;
		}
		while (grant-- && !hs_pacer_is_past(&pacer, now)) {
			now = pass(now, simulation.page_ns);
			if (now < length_ms * MS)
				simulation.per_ms[now / MS]++;
			if (hs_pacer_is_past(&pacer, now))
				hs_pacer_enter(&pacer, now);
			pacer.done++;
		}
	}
}

static uint64_t sum(uint64_t from_ms, uint64_t count)
{
	uint64_t pages = 0;

	for (uint64_t i = from_ms; i < from_ms + count; i++)
		pages += simulation.per_ms[i];
	return pages;
}

static void start(uint64_t page_ns)
{
	memset(&simulation, 0, sizeof(simulation));
	simulation.page_ns = page_ns;
	simulation.stall_at_ms = MAX_MS + 1;
}

static void expect_every_window(uint64_t pages_per_window, uint64_t off, uint64_t length_ms)
{
	for (uint64_t from = 0; from + WINDOW_MS <= length_ms; from += WINDOW_MS)
		assert_in_range(sum(from, WINDOW_MS), pages_per_window - off, pages_per_window + off);
}

static void test_every_window_gets_its_pages(void **state)
{
	static const uint64_t rates[] = { 1, 7, 100, 1000, 9000 };

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
		struct hs_pace pace = pace_of(rates[i], 1);

		start(100);
		simulate(&pace, 0, 3000);
		/* 25.6 pages are 25 or 26 */
		expect_every_window((rates[i] * 256 + 5) / 10, rates[i] * 256 % 10 ? 1 : 0, 3000);
		assert_int_equal(sum(0, 3000), rates[i] * 256 * 3);
	}
}

/* The pattern repeats with every window, so it does not matter where one starts to count. */
static void test_windows_that_start_anywhere_get_their_pages(void **state)
{
	struct hs_pace pace = pace_of(100, 1);

	(void)state;
	start(200);
	simulate(&pace, 0, 2000);
	for (uint64_t from = 0; from + WINDOW_MS <= 2000; from++)
		assert_in_range(sum(from, WINDOW_MS), 2560 * 99 / 100, 2560 * 101 / 100);
}

static void test_a_window_is_no_burst(void **state)
{
	struct hs_pace pace = pace_of(100, 1);

	(void)state;
	start(200);
	simulate(&pace, 0, 2000);
	for (uint64_t ms = 0; ms < 2000; ms++)
		assert_in_range(simulation.per_ms[ms], 0, 2560 / 80 + 1);
}

static void test_late_wake_ups_cost_nothing(void **state)
{
	struct hs_pace pace = pace_of(100, 1);

	(void)state;
	for (uint64_t late_ms = 1; late_ms <= 8; late_ms++) {
		start(200);
		simulation.late_ns = late_ms * MS;
		simulate(&pace, 0, 3000);
		expect_every_window(2560, 25, 3000);
	}
}

static void test_a_rate_just_below_the_machines_own_is_held(void **state)
{
	struct hs_pace pace = pace_of(100, 1); /* 39062 ns for a page */

	(void)state;
	start(38900);
	simulate(&pace, 0, 3000);
	expect_every_window(2560, 25, 3000);
}

static void test_a_rate_that_the_machine_cannot_do_is_its_limit(void **state)
{
	struct hs_pace pace = pace_of(1000, 1);

	(void)state;
	start(10000); /* 10000 pages in a window where 25600 are due */
	simulate(&pace, 0, 3000);
	expect_every_window(10000, 1, 3000);
}

static void test_a_stall_is_neither_slept_over_nor_made_up_for(void **state)
{
	static const uint64_t stalls_ms[] = { 80, 250, 1000, 3000, 15000 };
	struct hs_pace pace = pace_of(100, 1);

	(void)state;
	for (size_t i = 0; i < sizeof(stalls_ms) / sizeof(*stalls_ms); i++) {
		uint64_t end_ms = 730 + stalls_ms[i], next_window = (end_ms / WINDOW_MS + 1) * WINDOW_MS;

		start(200);
		simulation.stall_at_ms = 730;
		simulation.stall_ms = stalls_ms[i];
		simulate(&pace, 0, next_window + 1000);
		assert_int_equal(sum(731, stalls_ms[i] - 1), 0);
		for (uint64_t from = next_window; from < next_window + 1000; from += WINDOW_MS)
			assert_int_equal(sum(from, WINDOW_MS), 2560);
		/* Where it ends: not more than the window's own, and in no 10 ms more than 2.5 times the rate + 5 ms.
		 */
		assert_in_range(sum(next_window - WINDOW_MS, WINDOW_MS), 0, 2560);
		for (uint64_t from = end_ms; from < next_window; from++)
			assert_in_range(sum(from, 10), 0, 256 * 5 / 2 + 2560 * 10 / 80);
	}
}

static void test_a_short_stall_is_made_up_for_in_its_window(void **state)
{
	struct hs_pace pace = pace_of(100, 1);

	(void)state;
	start(200);
	simulation.stall_at_ms = 710;
	simulation.stall_ms = 40;
	simulate(&pace, 0, 2000);
	expect_every_window(2560, 0, 2000);
}

static void test_threads_parts_add_up_at_any_time(void **state)
{
	(void)state;
	for (uint32_t threads = 1; threads < 9; threads++) {
		struct hs_pace pace = pace_of(3, threads);
		uint64_t before[9] = { 0 };

		pace.ramp_ns = 700 * MS;
		for (uint64_t t_ns = 0; t_ns < 2000 * MS; t_ns += 777777) {
			uint64_t parts = 0;

			for (uint32_t i = 0; i < threads; i++) {
				uint64_t part = hs_pace_due_of(&pace, i, t_ns);

				assert_true(part >= before[i]);
				before[i] = part;
				parts += part;
			}
			assert_int_equal(parts, hs_pace_due(&pace, t_ns));
		}
	}
}

static void test_threads_together_hold_the_rate(void **state)
{
	struct hs_pace pace = pace_of(10, 3);

	(void)state;
	start(100);
	for (uint32_t i = 0; i < 3; i++)
		simulate(&pace, i, 1000);
	expect_every_window(256, 0, 1000);
}

static void test_a_ramp_rises_evenly_to_the_rate(void **state)
{
	struct hs_pace pace = pace_of(100, 1);
	uint64_t before = 0;

	(void)state;
	pace.ramp_ns = 2000 * MS;
	start(200);
	simulate(&pace, 0, 3000);
	assert_int_equal(sum(0, 2000), 25600); /* half of the rate for 2 s */
	for (uint64_t from = 0; from < 2000; from += WINDOW_MS) {
		uint64_t pages = sum(from, WINDOW_MS);

		assert_in_range(pages - before, from ? 127 : 63, from ? 129 : 65); /* 2560 / 20 more each time */
		before = pages;
	}
	for (uint64_t from = 2000; from < 3000; from += WINDOW_MS)
		assert_int_equal(sum(from, WINDOW_MS), 2560);
}

static void test_the_largest_numbers_do_not_overflow(void **state)
{
	struct hs_pace pace = {
		.bytes_per_second = HS_PACE_RATE_MAX, .page_bytes = 4096, .ramp_ns = HS_PACE_RAMP_MAX_NS, .threads = 1
	};
	uint64_t year_ns = 365ull * 24 * 3600 * 1000 * MS;

	(void)state;
	assert_int_equal(hs_pace_due(&pace, HS_PACE_RAMP_MAX_NS), 3600ull / 2 << 28);
	assert_int_equal(hs_pace_due(&pace, HS_PACE_RAMP_MAX_NS - 1), (3600ull / 2 << 28) - 1);
	assert_int_equal(hs_pace_due(&pace, year_ns), (365ull * 24 * 3600 - 1800) << 28);
}

static void test_without_a_rate_there_is_no_limit(void **state)
{
	struct hs_pace pace = pace_of(0, 1);
	struct hs_pacer pacer;

	(void)state;
	hs_pacer_begin(&pacer, &pace, 0);
	assert_true(hs_pacer_grant(&pacer, 12345) == HS_PACE_NO_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_window_gets_its_pages),
		cmocka_unit_test(test_windows_that_start_anywhere_get_their_pages),
		cmocka_unit_test(test_a_window_is_no_burst),
		cmocka_unit_test(test_late_wake_ups_cost_nothing),
		cmocka_unit_test(test_a_rate_just_below_the_machines_own_is_held),
		cmocka_unit_test(test_a_rate_that_the_machine_cannot_do_is_its_limit),
		cmocka_unit_test(test_a_stall_is_neither_slept_over_nor_made_up_for),
		cmocka_unit_test(test_a_short_stall_is_made_up_for_in_its_window),
		cmocka_unit_test(test_threads_parts_add_up_at_any_time),
		cmocka_unit_test(test_threads_together_hold_the_rate),
		cmocka_unit_test(test_a_ramp_rises_evenly_to_the_rate),
		cmocka_unit_test(test_the_largest_numbers_do_not_overflow),
		cmocka_unit_test(test_without_a_rate_there_is_no_limit),
	};

	return RUN_TESTS("mm_pace", tests);
}
