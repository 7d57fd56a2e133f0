// SPDX-License-Identifier: GPL-2.0-only
/* Joining by order: rows whose truth is known, with causes and effects missing at random. */
#include <stdlib.h>
#include <string.h>

#include "correlate/order.h"
#include "correlate/times.h"

#include "cm.h"

#define US 1000ull

static struct {
	uint64_t right, wrong, firm, cause_alone, effect_alone;
} seen;

static uint64_t seed_state;

static uint64_t random_below(uint64_t limit)
{
	seed_state ^= seed_state << 13;
	seed_state ^= seed_state >> 7;
	seed_state ^= seed_state << 17;
	return seed_state * 0x2545f4914f6cdd1dull % limit;
}

/* Refs are numbers: the same one in a cause and its effect. */
static void on_match(void *ctx, const struct hs_order_match *match)
{
	(void)ctx;
	if (match->cause->ref == match->effect->ref)
		seen.right++;
	else
		seen.wrong++;
	seen.firm += match->is_firm;
}

static void on_alone(void *ctx, const struct hs_order_item *item, bool is_cause)
{
	(void)ctx, (void)item;
	if (is_cause)
		seen.cause_alone++;
	else
		seen.effect_alone++;
}

static struct hs_order *open_order(uint64_t tolerance_ns)
{
	struct hs_order_config config = {
		.on_match = on_match, .on_alone = on_alone, .tolerance_ns = tolerance_ns, .max_age_ns = 1000 * US
	};
	struct hs_order *order;

	memset(&seen, 0, sizeof(seen));
	assert_int_equal(hs_order_open(&config, &order), 0);
	return order;
}

static void add_cause(struct hs_order *order, uintptr_t ref, uint64_t time_ns, uint32_t key)
{
	struct hs_order_item item = { .time_ns = time_ns, .key = key, .ref = (void *)ref };

	assert_int_equal(hs_order_add_cause(order, &item), 0);
}

static void add_effect(struct hs_order *order, uintptr_t ref, uint64_t time_ns, uint32_t key)
{
	struct hs_order_item item = { .time_ns = time_ns, .key = key, .ref = (void *)ref };

	assert_int_equal(hs_order_add_effect(order, &item), 0);
}

static void test_equal_rows_are_joined_one_by_one(void **state)
{
	struct hs_order *order = open_order(0);

	(void)state;
	for (uintptr_t i = 1; i <= 10000; i++) {
		add_cause(order, i, i * US, 1514);
		if (i > 100)
			add_effect(order, i - 100, i * US, 1514);
		hs_order_settle(order, i * US);
	}
	hs_order_finish(order);
	assert_int_equal(seen.right, 9900);
	assert_int_equal(seen.wrong, 0);
	assert_int_equal(seen.cause_alone, 100);
	assert_int_equal(seen.effect_alone, 0);
	hs_order_free(order);
}

static void test_an_effect_waits_for_its_cause(void **state)
{
	struct hs_order *order = open_order(10 * US);

	(void)state;
	add_effect(order, 1, 100 * US, 7);
	hs_order_settle(order, 105 * US);
	add_cause(order, 1, 108 * US, 7); /* the other's clock is ahead */
	hs_order_settle(order, 111 * US);
	assert_int_equal(seen.right, 1);
	add_effect(order, 2, 200 * US, 7);
	add_cause(order, 2, 211 * US, 7); /* too late */
	hs_order_finish(order);
	assert_int_equal(seen.right, 1);
	assert_int_equal(seen.cause_alone, 1);
	assert_int_equal(seen.effect_alone, 1);
	hs_order_free(order);
}

static void test_missing_ones_do_not_shift_the_others(void **state)
{
	uint64_t right = 0, nr = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct hs_order *order = open_order(0);
		uint64_t lost = 0;

		seed_state = seed * 0x9e3779b97f4a7c15ull;
		for (uintptr_t i = 1; i <= 1000; i++) {
			uint32_t key = 1 + (uint32_t)random_below(10) * (uint32_t)random_below(2);
			unsigned int fate = (unsigned int)random_below(100);

			if (fate)
				add_cause(order, i, i * US, key);
			if (fate != 1)
				add_effect(order, i, i * US + 30 * US, key);
			lost += fate < 2;
		}
		hs_order_finish(order);
		assert_true(seen.right + seen.wrong + seen.cause_alone <= 1000);
		right += seen.right;
		nr += 1000 - lost;
		hs_order_free(order);
	}
	assert_true((double)right / (double)nr > 0.95);
}

static void test_distinct_keys_are_never_joined_wrongly(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 100; seed++) {
		struct hs_order *order = open_order(0);

		seed_state = seed * 0x9e3779b97f4a7c15ull;
		for (uintptr_t i = 1; i <= 1000; i++) {
			unsigned int fate = (unsigned int)random_below(20);

			if (fate)
				add_cause(order, i, i * US, (uint32_t)i);
			if (fate != 1)
				add_effect(order, i, i * US + 30 * US, (uint32_t)i);
		}
		hs_order_finish(order);
		assert_int_equal(seen.wrong, 0);
		assert_true(seen.right > 850);
		hs_order_free(order);
	}
}

static void test_optional_causes_are_left_out_when_others_fit(void **state)
{
	struct hs_order *order = open_order(0);
	struct hs_order_item optional = { .time_ns = 1 * US, .is_optional = true, .ref = (void *)1 };

	(void)state;
	assert_int_equal(hs_order_add_cause(order, &optional), 0);
	add_cause(order, 2, 2 * US, 0);
	add_effect(order, 2, 3 * US, 0);
	optional.time_ns = 10 * US;
	optional.ref = (void *)3;
	assert_int_equal(hs_order_add_cause(order, &optional), 0);
	add_effect(order, 3, 11 * US, 0); /* nothing else can be it */
	add_cause(order, 4, 20 * US, 0);
	add_effect(order, 4, 21 * US, 0);
	hs_order_finish(order);
	assert_int_equal(seen.right, 3);
	assert_int_equal(seen.wrong, 0);
	assert_int_equal(seen.cause_alone, 1);
	hs_order_free(order);
}

static void test_merged_effects_have_all_their_causes(void **state)
{
	struct hs_order *order = open_order(0);
	uint64_t cause_nr = 0;

	(void)state;
	seed_state = 77;
	for (uintptr_t i = 1; i <= 500; i++) {
		unsigned int span = 1 + (unsigned int)random_below(20);
		struct hs_order_item effect = { .key = 52, .is_merged = true, .ref = (void *)i };

		for (unsigned int j = 0; j < span; j++) {
			uint32_t payload = j + 1 < span ? 1448 : 1 + (uint32_t)random_below(1448);
			struct hs_order_item cause = {
				.time_ns = ++cause_nr * US, .key = 52 + payload, .merge_key = payload, .ref = (void *)i
			};

			effect.key += payload;
			assert_int_equal(hs_order_add_cause(order, &cause), 0);
		}
		effect.time_ns = cause_nr * US + 10 * US;
		if (i % 50) /* some are lost */
			assert_int_equal(hs_order_add_effect(order, &effect), 0);
		else
			seen.cause_alone -= span;
	}
	hs_order_finish(order);
	assert_int_equal(seen.wrong, 0);
	assert_int_equal(seen.effect_alone, 0);
	assert_int_equal(seen.cause_alone, 0);
	assert_true(seen.right > 4000);
	hs_order_free(order);
}

static void test_a_withdrawn_cause_never_was(void **state)
{
	struct hs_order *order = open_order(0);

	(void)state;
	add_cause(order, 1, 1 * US, 0);
	add_cause(order, 2, 2 * US, 0);
	add_cause(order, 3, 3 * US, 0);
	hs_order_withdraw(order, (void *)2);
	hs_order_withdraw(order, (void *)9);
	add_effect(order, 1, 4 * US, 0);
	add_effect(order, 3, 5 * US, 0);
	hs_order_finish(order);
	assert_int_equal(seen.right, 2);
	assert_int_equal(seen.cause_alone, 0);
	hs_order_free(order);
}

static void test_only_keys_that_tell_neighbours_apart_are_firm(void **state)
{
	static const uint32_t keys[] = { 5, 6, 6, 6, 7, 0, 8 };
	struct hs_order *order = open_order(0);

	(void)state;
	for (uintptr_t i = 0; i < 7; i++)
		add_cause(order, i + 1, i * US, keys[i]);
	for (uintptr_t i = 0; i < 7; i++)
		add_effect(order, i + 1, i * US + 100 * US, keys[i]);
	hs_order_finish(order);
	assert_int_equal(seen.right, 7);
	assert_int_equal(seen.firm, 3); /* 5, 7, 8 */
	hs_order_free(order);
}

static void test_old_causes_are_given_up_and_memory_is_bounded(void **state)
{
	struct hs_order *order = open_order(0);

	(void)state;
	for (uintptr_t i = 1; i <= 100000; i++)
		add_cause(order, i, i, 0);
	assert_int_equal(seen.cause_alone, 100000 - 65536);
	hs_order_settle(order, 100000 + 1000 * US);
	assert_int_equal(seen.cause_alone, 99999);
	hs_order_settle(order, 100001 + 1000 * US);
	assert_int_equal(seen.cause_alone, 100000);
	hs_order_free(order);
}

static void test_times_tell_the_first_after_a_moment(void **state)
{
	static struct hs_times times;

	(void)state;
	memset(&times, 0, sizeof(times));
	assert_int_equal(hs_times_first_from(&times, 5), 0);
	for (uint64_t i = 1; i <= HS_TIMES_MAX + 100; i++)
		hs_times_add(&times, i * 10);
	assert_int_equal(hs_times_first_from(&times, 2000), 2000);
	assert_int_equal(hs_times_first_from(&times, 2001), 2010);
	assert_int_equal(hs_times_before(&times, 2001) - hs_times_before(&times, 1990), 2);
	assert_int_equal(hs_times_first_from(&times, 5), 1010); /* what is forgotten is not found */
	assert_int_equal(hs_times_first_from(&times, (HS_TIMES_MAX + 100) * 10 + 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_rows_are_joined_one_by_one),
		cmocka_unit_test(test_an_effect_waits_for_its_cause),
		cmocka_unit_test(test_missing_ones_do_not_shift_the_others),
		cmocka_unit_test(test_distinct_keys_are_never_joined_wrongly),
		cmocka_unit_test(test_optional_causes_are_left_out_when_others_fit),
		cmocka_unit_test(test_merged_effects_have_all_their_causes),
		cmocka_unit_test(test_a_withdrawn_cause_never_was),
		cmocka_unit_test(test_only_keys_that_tell_neighbours_apart_are_firm),
		cmocka_unit_test(test_old_causes_are_given_up_and_memory_is_bounded),
		cmocka_unit_test(test_times_tell_the_first_after_a_moment),
	};

	return RUN_TESTS("correlate_order", tests);
}
