// SPDX-License-Identifier: GPL-2.0-only
/* What one-way probes and ticks say: losses, order and outages, with clocks that have nothing in common. */
#include "cm.h"

#include <stdlib.h>

#include "migtools/arrivals.h"

#define MS 1000000ull
#define START (1000000 * MS) /* of the server's clock */
#define NEVER UINT64_MAX

typedef uint64_t (*arrival_fn)(uint64_t sent_ms);

static int by_arrival(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return a[0] != b[0] ? (a[0] > b[0] ? 1 : -1) : a[1] > b[1] ? 1 : -1;
}

/* Probes 10 ms apart, of a client whose clock says `client_ns` when ours says START; NULL: ticks. */
static struct hs_arrivals play(uint64_t until_ms, arrival_fn arrives, const uint64_t *client_ns)
{
	size_t sent_nr = until_ms / 10, i;
	uint64_t(*order)[2] = calloc(sent_nr, sizeof(*order));
	struct hs_arrivals arrivals;
	struct hs_probe probe = { .session = 7, .interval_ns = 10 * MS };

	for (i = 0; i < sent_nr; i++) {
		order[i][0] = arrives(i * 10);
		order[i][1] = i;
	}
	qsort(order, sent_nr, sizeof(*order), by_arrival);
	for (i = 0; i < sent_nr && order[i][0] != NEVER; i++) {
		uint64_t arrival_ns = START + order[i][0] * MS;

		probe.seq = 100 + order[i][1];
		probe.sent_ns = (client_ns ? *client_ns : 0) + order[i][1] * 10 * MS;
		if (!i)
			assert_int_equal(hs_arrivals_start(&arrivals, client_ns ? &probe : NULL, 0, arrival_ns), 0);
		assert_int_equal(hs_arrivals_add(&arrivals, client_ns ? &probe : NULL, arrival_ns), 0);
	}
	assert_int_equal(hs_arrivals_finish(&arrivals), 0);
	free(order);
	return arrivals;
}

static void assert_outage(const struct hs_arrivals *arrivals, size_t i, uint64_t start_ms, uint64_t end_ms,
			  uint64_t probes, uint64_t off)
{
	const struct hs_outage *outage = &arrivals->probes.outages.items[i];

	assert_true(i < arrivals->probes.outages.count);
	assert_in_range(outage->start_ns, START + start_ms * MS - MS, START + start_ms * MS + MS);
	assert_in_range(outage->end_ns, START + end_ms * MS - MS, START + end_ms * MS + MS);
	assert_in_range(outage->probes, probes - off, probes + off);
	assert_true(outage->at_least_ns <= outage->end_ns - outage->start_ns);
	assert_true(outage->at_most_ns >= outage->end_ns - outage->start_ns);
	assert_false(outage->is_open);
}

/* Far ahead of ours, far behind, about to wrap. */
static const uint64_t client_clocks[] = { 5, 9000000 * MS, UINT64_MAX - 300 * MS };

static uint64_t two_outages(uint64_t sent_ms)
{
	if (sent_ms >= 500 && sent_ms < 1000)
		return 1000; /* queued */
	return sent_ms >= 1200 && sent_ms < 1500 ? NEVER : sent_ms + 2;
}

static void test_queued_and_lost_probes_are_outages_whatever_the_clocks_say(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(client_clocks) / sizeof(client_clocks[0]); i++) {
		struct hs_arrivals arrivals = play(3000, two_outages, &client_clocks[i]);

		assert_int_equal(arrivals.received, 270);
		assert_int_equal(arrivals.refused, 0);
		assert_int_equal(hs_probes_lost(&arrivals.probes), 30);
		assert_int_equal(arrivals.probes.outages.count, 2);
		assert_outage(&arrivals, 0, 502, 1000, 48, 0);
		assert_outage(&arrivals, 1, 1202, 1502, 30, 0);
		assert_int_equal(arrivals.probes.late, 48);
		hs_arrivals_clear(&arrivals);
	}
}

/* The queue of the first outage arrives one every 9 ms all through the second one. */
static uint64_t trickle(uint64_t sent_ms)
{
	if (sent_ms >= 500 && sent_ms < 1000)
		return 1000 + (sent_ms - 500) / 10 * 9;
	return sent_ms >= 1100 && sent_ms < 1400 ? NEVER : sent_ms + 2;
}

static void test_what_was_queued_does_not_hide_a_second_outage(void **state)
{
	struct hs_arrivals arrivals = play(3000, trickle, &client_clocks[1]);

	(void)state;
	assert_int_equal(arrivals.probes.outages.count, 2);
	assert_outage(&arrivals, 1, 1102, 1402, 30, 0);
	assert_int_equal(hs_probes_lost(&arrivals.probes), 30);
	hs_arrivals_clear(&arrivals);
}

static uint64_t shuffled(uint64_t sent_ms)
{
	return sent_ms == 300 ? 312 : sent_ms == 600 ? NEVER : sent_ms + 1;
}

static void test_order_and_lone_losses_are_counted(void **state)
{
	struct hs_arrivals arrivals = play(1000, shuffled, &client_clocks[0]);
	struct hs_probe again = { .session = 7, .seq = 105, .sent_ns = 50 * MS, .interval_ns = 10 * MS };

	(void)state;
	assert_int_equal(arrivals.probes.reordered, 1);
	assert_int_equal(hs_probes_lost(&arrivals.probes), 1);
	assert_int_equal(arrivals.probes.outages.count, 0);
	assert_int_equal(hs_arrivals_add(&arrivals, &again, START + 1000 * MS), 0);
	assert_int_equal(arrivals.probes.duplicates, 1);
	hs_arrivals_clear(&arrivals);
}

static void test_numbers_that_cannot_be_are_refused(void **state)
{
	struct hs_probe probe = { .session = 7, .seq = 100, .interval_ns = 10 * MS };
	struct hs_arrivals arrivals;

	(void)state;
	assert_int_equal(hs_arrivals_start(&arrivals, &probe, 0, START), 0);
	assert_int_equal(hs_arrivals_add(&arrivals, &probe, START), 0);
	probe.seq = UINT64_MAX;
	assert_int_equal(hs_arrivals_add(&arrivals, &probe, START + MS), 0);
	probe.seq = 99; /* before the first that came: wraps */
	assert_int_equal(hs_arrivals_add(&arrivals, &probe, START + MS), 0);
	probe.seq = 101;
	probe.session = 8;
	assert_int_equal(hs_arrivals_add(&arrivals, &probe, START + MS), 0);
	assert_int_equal(hs_arrivals_add(&arrivals, NULL, START + MS), 0);
	assert_int_equal(arrivals.refused, 4);
	assert_int_equal(arrivals.received, 1);
	probe = (struct hs_probe){ .session = 7, .seq = 101, .sent_ns = UINT64_MAX / 2, .interval_ns = 10 * MS };
	assert_int_equal(hs_arrivals_add(&arrivals, &probe, START + 10 * MS), 0);
	assert_int_equal(arrivals.received, 2);
	assert_int_equal(hs_arrivals_finish(&arrivals), 0);
	hs_arrivals_clear(&arrivals);
}

static void test_ticks_without_number_show_outages_by_the_delay_that_is_usual(void **state)
{
	struct hs_arrivals arrivals = play(3000, two_outages, NULL);

	(void)state;
	assert_false(arrivals.is_numbered);
	assert_in_range(hs_arrivals_interval_ns(&arrivals), 98 * MS / 10, 102 * MS / 10);
	assert_int_equal(arrivals.received, 270);
	assert_int_equal(arrivals.probes.outages.count, 2);
	assert_outage(&arrivals, 0, 502, 1000, 50, 2);
	assert_outage(&arrivals, 1, 1202, 1502, 30, 2);
	hs_arrivals_clear(&arrivals);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queued_and_lost_probes_are_outages_whatever_the_clocks_say),
		cmocka_unit_test(test_what_was_queued_does_not_hide_a_second_outage),
		cmocka_unit_test(test_order_and_lone_losses_are_counted),
		cmocka_unit_test(test_numbers_that_cannot_be_are_refused),
		cmocka_unit_test(test_ticks_without_number_show_outages_by_the_delay_that_is_usual),
	};

	return RUN_TESTS("arrivals", tests);
}
