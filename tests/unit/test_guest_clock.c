// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guests' clocks that are known, behind links whose delays are noisy and differ by direction: the true time of every
 * event must lie within the bound that the mapping states, whatever the seed, and the bound must be of use.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/scoped.h"
#include "timeline/guest_clock.h"
#include "timeline/guest_clock_json.h"

#include "cm.h"

#define SECOND 1000000000ll
#define MS 1000000ll
#define US 1000ll
#define START (1000 * SECOND) /* host time of the first burst */
#define SEEDS 3000

/* How a guest's clock runs: shifted, too fast, its rate wandering, changed once or the clock stepped once. */
struct truth {
	int64_t shift_ns, drift_ppm, wander_ppm, wander_period_ns;
	int64_t change_at_ns, change_ppm; /* host time; 0: never */
	int64_t step_at_ns, step_ns;	  /* host time; 0: never */
	int64_t still_ns;		  /* the clock stands still so long from step_at_ns on */
};

/* How pings travel. */
struct link {
	int64_t there_ns, back_ns; /* at least */
	int64_t noise_ns;	   /* most are delayed by less than twice that, some by much more */
	unsigned int slow_pct;	   /* bursts that are slow as a whole, by slow_ns */
	int64_t slow_ns;
};

static uint64_t seed_state;

static uint64_t random_u64(void)
{
	seed_state ^= seed_state << 13;
	seed_state ^= seed_state >> 7;
	seed_state ^= seed_state << 17;
	return seed_state * 0x2545f4914f6cdd1dull;
}

static int64_t random_below(int64_t limit)
{
	return limit > 0 ? (int64_t)(random_u64() % (uint64_t)limit) : 0;
}

static int64_t random_noise(int64_t noise_ns)
{
	double uniform = ((double)(random_u64() >> 11) + 1) / 9007199254740993.0;

	return (int64_t)(-log(uniform) * (double)noise_ns);
}

static int64_t guest_at(const struct truth *truth, int64_t host_ns)
{
	int64_t elapsed = host_ns - START, guest;
	double wander = 0;

	if (truth->still_ns && host_ns > truth->step_at_ns)
		elapsed -=
			host_ns - truth->step_at_ns < truth->still_ns ? host_ns - truth->step_at_ns : truth->still_ns;
	guest = START + truth->shift_ns + elapsed + (int64_t)((__int128)elapsed * truth->drift_ppm / 1000000);
	if (truth->change_at_ns && host_ns > truth->change_at_ns)
		guest += (int64_t)((__int128)(host_ns - truth->change_at_ns) * truth->change_ppm / 1000000);
	if (truth->step_ns && host_ns >= truth->step_at_ns)
		guest += truth->step_ns;
	if (truth->wander_period_ns) {
		double turn = 2 * M_PI / (double)truth->wander_period_ns;

		wander = (double)truth->wander_ppm / 1e6 / turn * sin((double)elapsed * turn);
	}
	return guest + (int64_t)wander;
}

static struct hs_guest_sample ping(const struct truth *truth, const struct link *link, int64_t *host_ns,
				   int64_t slow_ns)
{
	struct hs_guest_sample sample = { .host_send_ns = (uint64_t)*host_ns };

	*host_ns += link->there_ns + random_noise(link->noise_ns) + random_below(slow_ns);
	sample.guest_recv_ns = (uint64_t)guest_at(truth, *host_ns);
	*host_ns += random_below(100 * US);
	sample.guest_send_ns = (uint64_t)guest_at(truth, *host_ns);
	*host_ns += link->back_ns + random_noise(link->noise_ns) + random_below(slow_ns);
	sample.host_recv_ns = (uint64_t)*host_ns;
	*host_ns += random_below(50 * US);
	return sample;
}

/* Bursts of ten from START on, period_ns apart. Returns the host time of the end. */
static int64_t learn(struct hs_guest_clock *clock, const struct truth *truth, const struct link *link, int64_t burst_nr,
		     int64_t period_ns)
{
	int64_t host_ns = START;

	for (int64_t i = 0; i < burst_nr; i++) {
		bool is_slow = random_below(100) < link->slow_pct;
		struct hs_guest_sample samples[10];

		if (host_ns < START + i * period_ns)
			host_ns = START + i * period_ns;
		for (size_t j = 0; j < 10; j++)
			samples[j] = ping(truth, link, &host_ns, is_slow ? link->slow_ns : 0);
		assert_int_equal(hs_guest_clock_add_burst(clock, samples, 10), 0);
	}
	return host_ns;
}

/* The true time is within the bound, in both directions. Returns the bound. */
static uint64_t check_event(struct hs_guest_clock *clock, const struct truth *truth, int64_t host_ns)
{
	uint64_t guest_ns = (uint64_t)guest_at(truth, host_ns), mapped, error, back, back_error;
	int64_t off;

	assert_int_equal(hs_guest_clock_to_host(clock, guest_ns, &mapped, &error), 0);
	off = llabs((int64_t)mapped - host_ns);
	if (off > (int64_t)error)
		print_message("# at %lld: off by %lld, stated %lld\n", (long long)(host_ns - START), (long long)off,
			      (long long)error);
	assert_true(off <= (int64_t)error);
	assert_int_equal(hs_guest_clock_to_guest(clock, (uint64_t)host_ns, &back, &back_error), 0);
	off = llabs((int64_t)(back - guest_ns));
	if (off > (int64_t)back_error)
		print_message("# at %lld: back off by %lld, stated %lld\n", (long long)(host_ns - START),
			      (long long)off, (long long)back_error);
	assert_true(off <= (int64_t)back_error);
	return error;
}

/* Many events of [from, to): returns the largest bound. */
static uint64_t check_events(struct hs_guest_clock *clock, const struct truth *truth, int64_t from, int64_t to, int nr)
{
	uint64_t worst = 0;

	for (int i = 0; i < nr; i++) {
		uint64_t error = check_event(clock, truth, from + random_below(to - from));

		worst = error > worst ? error : worst;
	}
	return worst;
}

static struct truth random_truth(void)
{
	return (struct truth){
		.shift_ns = random_below(20 * SECOND) - 10 * SECOND,
		.drift_ppm = 200,
		.wander_ppm = random_below(11),
		.wander_period_ns = 100 * MS + random_below(30 * SECOND),
	};
}

static struct link random_link(void)
{
	return (struct link){
		.there_ns = random_below(200 * US),
		.back_ns = random_below(200 * US),
		.noise_ns = random_below(300 * US),
		.slow_pct = (unsigned int)random_below(40),
		.slow_ns = random_below(50 * MS),
	};
}

static void test_every_event_of_a_shifted_fast_guest_is_within_the_bound(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct hs_guest_clock clock = { 0 };
		struct truth truth;
		struct link link;
		int64_t end;

		seed_state = seed * 0x9e3779b97f4a7c15ull;
		truth = random_truth();
		link = random_link();
		end = learn(&clock, &truth, &link, 2 + random_below(30), 100 * MS + random_below(2 * SECOND));
		check_events(&clock, &truth, START, end, 60);
		check_events(&clock, &truth, START - 5 * SECOND, START, 5);
		check_events(&clock, &truth, end, end + 5 * SECOND, 5);
		hs_guest_clock_clear(&clock);
	}
}

static void test_a_change_of_rate_is_within_the_bound(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct link link = { 20 * US, 20 * US, 5 * US, 0, 0 };
		struct hs_guest_clock clock = { 0 };
		struct truth truth = { .shift_ns = -3 * SECOND };
		int64_t end;

		seed_state = seed * 0x9e3779b97f4a7c15ull;
		truth.change_at_ns = START + 2 * SECOND + random_below(6 * SECOND);
		truth.change_ppm = random_below(1600) - 800;
		/* Less is within what the pings cannot tell from wandering. */
		if (llabs(truth.change_ppm) < 300)
			truth.change_ppm += truth.change_ppm < 0 ? -300 : 300;
		end = learn(&clock, &truth, &link, 11, SECOND);
		check_events(&clock, &truth, START, end, 100);
		hs_guest_clock_clear(&clock);
	}
}

static void test_the_bound_is_half_the_best_round_trip_and_the_drift(void **state)
{
	struct truth truth = { .shift_ns = 7 * SECOND, .drift_ppm = 200 };
	struct link link = { 50 * US, 50 * US, 20 * US, 0, 0 };
	struct hs_guest_clock clock = { 0 };
	struct hs_guest_clock_summary summary;
	uint64_t worst;
	int64_t end;

	(void)state;
	seed_state = 42;
	end = learn(&clock, &truth, &link, 30, SECOND);
	worst = check_events(&clock, &truth, START + MS, end - 10 * MS, 10000);
	assert_int_equal(hs_guest_clock_summary(&clock, &summary), 0);
	assert_int_equal(summary.burst_nr, 30);
	assert_int_equal(summary.sample_nr, 300);
	assert_int_equal(summary.step_nr, 0);
	assert_true(summary.best_trip_ns >= 100000 && summary.best_trip_ns < 130000);
	assert_true(worst >= 50000 && worst <= 50000 + 15000 + 10000);
	assert_true(summary.bound_ns >= worst && summary.bound_ns <= worst + 30000);
	assert_true(llabs(summary.drift_ppb - 200000) < 5000);
	hs_guest_clock_clear(&clock);
}

static void test_slow_bursts_do_not_widen_the_bound(void **state)
{
	struct truth truth = { .shift_ns = -7 * SECOND, .drift_ppm = -200 };
	struct link link = { 50 * US, 50 * US, 20 * US, 40, 60 * MS };
	struct hs_guest_clock clock = { 0 };
	int64_t end;

	(void)state;
	seed_state = 7;
	end = learn(&clock, &truth, &link, 2, 400 * MS);
	hs_guest_clock_clear(&clock);
	seed_state = 12345;
	end = learn(&clock, &truth, &link, 60, SECOND);
	assert_true(clock.knot_nr < clock.burst_nr);
	/* The first and the last burst have no neighbour on one side. */
	assert_true(check_events(&clock, &truth, START + 8 * SECOND, end - 8 * SECOND, 5000) < 150000);
	hs_guest_clock_clear(&clock);
}

static void test_a_guest_that_stood_still_is_within_the_bound(void **state)
{
	struct truth truth = { .drift_ppm = 30, .step_at_ns = START + 4300 * MS, .still_ns = 2 * SECOND };
	struct link link = { 50 * US, 20 * US, 20 * US, 0, 0 };
	struct hs_guest_clock clock = { 0 };
	struct hs_guest_clock_summary summary;
	int64_t host_ns = START;

	(void)state;
	seed_state = 3;
	for (int i = 0; i < 12; i++) {
		struct hs_guest_sample sample;

		/* Nobody answers while it stands still. */
		if (host_ns >= truth.step_at_ns && host_ns < truth.step_at_ns + truth.still_ns)
			host_ns = truth.step_at_ns + truth.still_ns;
		sample = ping(&truth, &link, &host_ns, 0);
		assert_int_equal(hs_guest_clock_add_burst(&clock, &sample, 1), 0);
		host_ns += SECOND;
	}
	assert_int_equal(hs_guest_clock_summary(&clock, &summary), 0);
	assert_int_equal(summary.step_nr, 1);
	assert_true(summary.bound_ns < 300000);
	assert_true(check_events(&clock, &truth, START, START + 3900 * MS, 500) < 300000);
	check_events(&clock, &truth, START + 3900 * MS, truth.step_at_ns, 500);
	check_events(&clock, &truth, truth.step_at_ns + truth.still_ns, host_ns, 500);
	assert_true(check_events(&clock, &truth, START + 8 * SECOND, host_ns - 2 * SECOND, 500) < 300000);
	hs_guest_clock_clear(&clock);
}

static void test_steps_forward_and_back_are_within_the_bound(void **state)
{
	static const int64_t steps[] = { 30 * SECOND, 10 * MS, -10 * MS, -2 * SECOND };
	struct link link = { 50 * US, 20 * US, 20 * US, 0, 0 };

	(void)state;
	seed_state = 5;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct truth truth = { .shift_ns = SECOND, .step_at_ns = START + 5600 * MS, .step_ns = steps[i] };
		struct hs_guest_clock clock = { 0 };
		struct hs_guest_clock_summary summary;
		int64_t end = learn(&clock, &truth, &link, 15, SECOND);

		assert_int_equal(hs_guest_clock_summary(&clock, &summary), 0);
		assert_int_equal(summary.step_nr, 1);
		check_events(&clock, &truth, START, end, 2000);
		assert_true(check_events(&clock, &truth, START, START + 3 * SECOND, 500) < 300000);
		assert_true(check_events(&clock, &truth, START + 8 * SECOND, end, 500) < 300000);
		hs_guest_clock_clear(&clock);
	}
}

static void test_beyond_the_bursts_the_bound_grows(void **state)
{
	struct truth truth = { .shift_ns = SECOND, .drift_ppm = 200 };
	struct link link = { 50 * US, 20 * US, 20 * US, 0, 0 };
	struct hs_guest_clock clock = { 0 };
	uint64_t at_end, later, much_later;
	int64_t end;

	(void)state;
	seed_state = 8;
	end = learn(&clock, &truth, &link, 20, SECOND);
	at_end = check_event(&clock, &truth, end);
	later = check_event(&clock, &truth, end + 10 * SECOND);
	much_later = check_event(&clock, &truth, end + 100 * SECOND);
	assert_true(at_end < later && later < much_later);
	/* The rate is known from 19 s. */
	assert_true(later < at_end + 10 * 60 * 1000);
	check_event(&clock, &truth, START - 100 * SECOND);
	hs_guest_clock_clear(&clock);
}

static void test_one_burst_is_enough_for_a_wide_bound(void **state)
{
	struct truth truth = { .shift_ns = -900 * SECOND, .drift_ppm = 200 };
	struct link link = { 50 * US, 20 * US, 20 * US, 0, 0 };
	struct hs_guest_clock clock = { 0 };

	(void)state;
	seed_state = 9;
	learn(&clock, &truth, &link, 1, SECOND);
	assert_true(check_event(&clock, &truth, START) < 200000);
	check_events(&clock, &truth, START - 10 * SECOND, START + 10 * SECOND, 1000);
	hs_guest_clock_clear(&clock);
}

static void test_pings_that_cannot_be_are_left_out(void **state)
{
	struct hs_guest_sample good = { 1000000, 5000000, 5000000, 1100000 };
	const struct hs_guest_sample bad[] = {
		{ 1100000, 5000000, 5000000, 1000000 },		      /* ends before it begins */
		{ 1000000, 5000001, 5000000, 1100000 },		      /* answered before it came */
		{ 1000000, 5000000, 6000000, 1100000 },		      /* under way for less than no time */
		{ 1000000, 5000000, UINT64_MAX, 1100000 },	      /* no such time */
		{ 1000000, 5000000, 5000000, UINT64_MAX },	      /* no such time */
		{ 1000000, 5000000, 5000000, 2000000 + (1ull << 40) } /* of no use */
	};
	struct hs_guest_sample burst[2] = { bad[0], good };
	struct hs_guest_clock clock = { 0 };
	uint64_t host_ns, error_ns;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(hs_guest_clock_add_burst(&clock, &bad[i], 1), -EINVAL);
	assert_int_equal(hs_guest_clock_add_burst(&clock, burst, 0), -EINVAL);
	assert_int_equal(hs_guest_clock_to_host(&clock, 1, &host_ns, &error_ns), -ENODATA);
	assert_int_equal(hs_guest_clock_to_guest(&clock, 1, &host_ns, &error_ns), -ENODATA);
	assert_int_equal(hs_guest_clock_add_burst(&clock, burst, 2), 0);
	assert_int_equal(clock.bursts[0].sample_nr, 1);
	assert_int_equal(hs_guest_clock_add_burst(&clock, burst, 2), -EINVAL); /* not later */
	assert_int_equal(clock.burst_nr, 1);
	hs_guest_clock_clear(&clock);
}

static void test_any_time_that_a_guest_can_say_is_answered(void **state)
{
	static const uint64_t times[] = { 0, 1, 1ull << 40, (1ull << 61) - 1, 1ull << 61, 1ull << 62, UINT64_MAX };
	struct hs_guest_clock clock = { 0 };
	uint64_t ns, error;

	(void)state;
	seed_state = 11;
	for (uint64_t i = 0; i < 2000; i++) {
		uint64_t guest = random_u64() >> (3 + random_below(61));
		struct hs_guest_sample sample = { i * SECOND, guest, guest + random_u64() % 1000, i * SECOND + 100000 };

		hs_guest_clock_add_burst(&clock, &sample, 1);
		for (size_t j = 0; j < sizeof(times) / sizeof(times[0]); j++) {
			int wanted = times[j] >= 1ull << 61 ? -ERANGE : 0;

			if (i % 100)
				continue;
			assert_int_equal(hs_guest_clock_to_host(&clock, times[j], &ns, &error), wanted);
			assert_int_equal(hs_guest_clock_to_guest(&clock, times[j], &ns, &error), wanted);
		}
	}
	assert_true(clock.burst_nr > 1000);
	hs_guest_clock_clear(&clock);
}

static void test_a_document_holds_the_whole_clock(void **state)
{
	struct hs_guest_clock clock = { .boot_id = "0f1e2d3c-aaaa-bbbb-cccc-1234567890ab" }, read = { 0 };
	struct truth truth = { .shift_ns = 5 * SECOND, .drift_ppm = 200 };
	struct link link = { 50 * US, 20 * US, 20 * US, 30, 10 * MS };
	scoped(json) json_object *object = json_object_new_object();

	(void)state;
	seed_state = 13;
	learn(&clock, &truth, &link, 20, SECOND);
	hs_guest_clock_to_json(&clock, object);
	assert_int_equal(hs_guest_clock_from_json(object, &read), 0);
	assert_string_equal(read.boot_id, clock.boot_id);
	assert_int_equal(read.burst_nr, clock.burst_nr);
	assert_memory_equal(read.bursts, clock.bursts, clock.burst_nr * sizeof(*clock.bursts));
	assert_int_equal(read.knot_nr, clock.knot_nr);
	assert_int_equal(hs_json_get_u64(object, "wander_ppm"), HS_GUEST_CLOCK_WANDER_PPM);
	assert_true(hs_json_get_u64(object, "bound_ns") > 35000);
	hs_guest_clock_clear(&clock);
	hs_guest_clock_clear(&read);
}

static void test_a_document_without_sense_is_refused(void **state)
{
	static const char *const texts[] = {
		"{}",
		"{\"bursts\":3}",
		"{\"bursts\":[{\"host_send_ns\":5,\"host_recv_ns\":3}]}",
		"{\"bursts\":[{\"host_send_ns\":5,\"host_recv_ns\":6},{\"host_send_ns\":5,\"host_recv_ns\":6}]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		scoped(json) json_object *object = json_tokener_parse(texts[i]);
		struct hs_guest_clock clock = { 0 };

		assert_int_equal(hs_guest_clock_from_json(object, &clock), -EBADMSG);
		hs_guest_clock_clear(&clock);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_event_of_a_shifted_fast_guest_is_within_the_bound),
		cmocka_unit_test(test_a_change_of_rate_is_within_the_bound),
		cmocka_unit_test(test_the_bound_is_half_the_best_round_trip_and_the_drift),
		cmocka_unit_test(test_slow_bursts_do_not_widen_the_bound),
		cmocka_unit_test(test_a_guest_that_stood_still_is_within_the_bound),
		cmocka_unit_test(test_steps_forward_and_back_are_within_the_bound),
		cmocka_unit_test(test_beyond_the_bursts_the_bound_grows),
		cmocka_unit_test(test_one_burst_is_enough_for_a_wide_bound),
		cmocka_unit_test(test_pings_that_cannot_be_are_left_out),
		cmocka_unit_test(test_any_time_that_a_guest_can_say_is_answered),
		cmocka_unit_test(test_a_document_holds_the_whole_clock),
		cmocka_unit_test(test_a_document_without_sense_is_refused),
	};

	return RUN_TESTS("guest_clock", tests);
}
