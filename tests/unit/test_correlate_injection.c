// SPDX-License-Identifier: GPL-2.0-only
/* Interrupts that are injected at known times and handled on a clock that is off by a known distance. */
#include <stdlib.h>
#include <string.h>

#include "correlate/injection.h"

#include "cm.h"

#define US 1000ull
#define MS 1000000ull
#define ERROR_NS (100 * US)
#define TICKS 400

static struct hs_causality causality;
static struct hs_injections *injections;
static uint64_t seed;

static void open_injections(void)
{
	memset(&causality, 0, sizeof(causality));
	seed = 42;
	assert_int_equal(hs_injections_open(&causality, &injections), 0);
}

static const struct hs_causality_count *close_injections(void)
{
	hs_injections_settle(injections, UINT64_MAX);
	hs_injections_free(injections);
	return &causality.pairs[HS_PAIR_INJECTED_TO_HANDLER];
}

static uint64_t below(uint64_t limit)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % limit;
}

struct play {
	int64_t clock_ns;     /* by which the guest's clock is late: its handlers seem that much later */
	uint64_t period_ns;   /* 0: 2 to 14 ms apart, as ticks of an idle CPU */
	unsigned int lost;    /* every lost-th injection is not told; 0: none */
	unsigned int unknown; /* the handlers that come before the first injection which is told */
};

static void tell(const struct play *play, uint32_t vector, enum hs_injection_kind kind)
{
	uint64_t now_ns = 1000 * MS;

	for (unsigned int i = 0; i < TICKS; i++) {
		uint64_t handled_ns = now_ns + 10 * US + below(100 * US) + (uint64_t)play->clock_ns;
		bool is_told = i >= play->unknown && (!play->lost || i % play->lost);

		if (is_told)
			hs_injections_add(injections, vector, &(struct hs_sight){ now_ns, ERROR_NS / 2 });
		hs_injections_handled(injections, kind, &(struct hs_sight){ handled_ns, ERROR_NS / 2 });
		hs_injections_settle(injections, now_ns);
		now_ns += play->period_ns ? play->period_ns : 2 * MS + below(12 * MS);
	}
}

static void test_handlers_after_their_injections_are_in_order(void **state)
{
	const struct hs_causality_count *count;

	(void)state;
	open_injections();
	tell(&(struct play){ 0 }, HS_TIMER_VECTOR, HS_INJECTION_TIMER);
	tell(&(struct play){ 0 }, 0x27, HS_INJECTION_DEVICE);
	count = close_injections();
	assert_int_equal(count->in_order, 2 * TICKS);
	assert_int_equal(count->within_bound + count->beyond_bound, 0);
}

static void test_a_clock_that_is_ahead_by_less_than_the_bound_is_within_it(void **state)
{
	const struct hs_causality_count *count;

	(void)state;
	open_injections();
	tell(&(struct play){ .clock_ns = -(int64_t)ERROR_NS }, HS_TIMER_VECTOR, HS_INJECTION_TIMER);
	count = close_injections();
	assert_int_equal(count->in_order + count->within_bound, TICKS);
	assert_true(count->within_bound > TICKS / 2);
	assert_int_equal(count->beyond_bound, 0);
}

static void test_a_clock_that_is_ahead_by_more_is_an_error_each_time(void **state)
{
	const struct hs_causality_count *count;

	(void)state;
	for (int64_t ahead_ns = MS; ahead_ns <= (int64_t)(16 * MS); ahead_ns += 3 * (int64_t)MS) {
		open_injections();
		tell(&(struct play){ .clock_ns = -ahead_ns }, HS_TIMER_VECTOR, HS_INJECTION_TIMER);
		count = close_injections();
		assert_true(count->beyond_bound > TICKS * 3 / 4);
		assert_int_equal(count->in_order + count->within_bound, 0);
		assert_true(count->worst_ns <= (uint64_t)ahead_ns && count->worst_ns + 110 * US > (uint64_t)ahead_ns);
	}
}

static void test_what_is_lost_makes_no_pair_that_is_none(void **state)
{
	const struct hs_causality_count *count;

	(void)state;
	open_injections();
	tell(&(struct play){ .lost = 37, .unknown = 50 }, HS_TIMER_VECTOR, HS_INJECTION_TIMER);
	count = close_injections();
	assert_true(count->in_order > TICKS / 2 && count->in_order < TICKS - 50);
	assert_int_equal(count->within_bound + count->beyond_bound, 0);
}

static void test_steady_ticks_tell_nothing(void **state)
{
	const struct hs_causality_count *count;

	(void)state;
	open_injections();
	tell(&(struct play){ .clock_ns = -(int64_t)(2 * MS), .period_ns = 4 * MS }, HS_TIMER_VECTOR,
	     HS_INJECTION_TIMER);
	count = close_injections();
	assert_int_equal(count->in_order + count->within_bound + count->beyond_bound, 0);
}

/* A CPU that delivers interrupts by itself: KVM injects few. */
static void test_interrupts_that_were_not_injected_are_nobodys(void **state)
{
	const struct hs_causality_count *count;

	(void)state;
	open_injections();
	for (uint64_t now_ns = 1000 * MS, i = 0; i < 4000; i++, now_ns += 500 * US + below(4 * MS)) {
		hs_injections_handled(injections, HS_INJECTION_TIMER, &(struct hs_sight){ now_ns, ERROR_NS });
		if (!below(3))
			hs_injections_add(injections, HS_TIMER_VECTOR,
					  &(struct hs_sight){ now_ns + below(500 * US), ERROR_NS });
		hs_injections_settle(injections, now_ns);
	}
	count = close_injections();
	assert_int_equal(count->in_order + count->within_bound + count->beyond_bound, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handlers_after_their_injections_are_in_order),
		cmocka_unit_test(test_a_clock_that_is_ahead_by_less_than_the_bound_is_within_it),
		cmocka_unit_test(test_a_clock_that_is_ahead_by_more_is_an_error_each_time),
		cmocka_unit_test(test_what_is_lost_makes_no_pair_that_is_none),
		cmocka_unit_test(test_steady_ticks_tell_nothing),
		cmocka_unit_test(test_interrupts_that_were_not_injected_are_nobodys),
	};

	return RUN_TESTS("correlate_injection", tests);
}
