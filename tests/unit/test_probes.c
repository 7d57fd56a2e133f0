// SPDX-License-Identifier: GPL-2.0-only
/* What became of every probe, and which outages follow: scenes with a clock of the test's own, in ms. */
#include "cm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migtools/probe.h"
#include "migtools/probes.h"

#define MS 1000000ull
#define START (1000000 * MS)
#define NEVER UINT64_MAX

/* ---- a network --------------------------------------------------------------------------------- */

/* When a probe's answer arrives, of the time at which it was sent: ms since the start; NEVER: it is lost. */
typedef uint64_t (*answer_fn)(uint64_t sent_ms);

static int by_arrival(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return a[0] != b[0] ? (a[0] > b[0] ? 1 : -1) : a[1] > b[1] ? 1 : -1;
}

/* Sends probes every interval until `until`, and gives each its answer when it arrives. */
static void play(struct hs_probes *probes, uint64_t interval_ms, uint64_t until_ms, answer_fn answer)
{
	size_t sent_nr = until_ms / interval_ms, next_sent = 0;
	uint64_t(*answers)[2] = calloc(sent_nr, sizeof(*answers));
	enum hs_probes_verdict verdict;

	for (size_t i = 0; i < sent_nr; i++) {
		answers[i][0] = answer(i * interval_ms);
		answers[i][1] = i;
	}
	qsort(answers, sent_nr, sizeof(*answers), by_arrival);
	for (size_t i = 0; i < sent_nr && answers[i][0] != NEVER; i++) {
		for (; next_sent < sent_nr && next_sent * interval_ms < answers[i][0]; next_sent++) {
			assert_int_equal(hs_probes_judge(probes, START + next_sent * interval_ms * MS), 0);
			assert_int_equal(hs_probes_sent(probes, START + next_sent * interval_ms * MS, 0), 0);
		}
		assert_int_equal(hs_probes_answer(probes, answers[i][1], START + answers[i][0] * MS, &verdict), 0);
	}
	for (; next_sent < sent_nr; next_sent++)
		assert_int_equal(hs_probes_sent(probes, START + next_sent * interval_ms * MS, 0), 0);
	assert_int_equal(hs_probes_judge(probes, START + (until_ms + 10000) * MS), 0);
	assert_int_equal(hs_probes_finish(probes, START + (until_ms + 10000) * MS), 0);
	free(answers);
}

static struct hs_probes play_new(uint64_t interval_ms, uint64_t patience_ms, uint64_t until_ms, answer_fn answer)
{
	struct hs_probes probes;

	assert_int_equal(hs_probes_start(&probes, interval_ms * MS, patience_ms * MS, START), 0);
	play(&probes, interval_ms, until_ms, answer);
	return probes;
}

/* In ms since the start. */
static void assert_outage(const struct hs_probes *probes, size_t i, uint64_t start_ms, uint64_t end_ms,
			  uint64_t at_least_ms, uint64_t at_most_ms)
{
	const struct hs_outage *outage = &probes->outages.items[i];

	assert_true(i < probes->outages.count);
	assert_int_equal((outage->start_ns - START) / MS, start_ms);
	assert_int_equal((outage->end_ns - START) / MS, end_ms);
	assert_int_equal(outage->at_least_ns / MS, at_least_ms);
	assert_int_equal(outage->at_most_ns / MS, at_most_ms);
}

/* ---- scenes ------------------------------------------------------------------------------------ */

static uint64_t at_once(uint64_t sent_ms)
{
	return sent_ms + 1;
}

static void test_a_network_that_works_has_no_outage(void **state)
{
	struct hs_probes probes = play_new(50, 100, 5000, at_once);

	(void)state;
	assert_int_equal(probes.outages.count, 0);
	assert_int_equal(probes.sent, 100);
	assert_int_equal(probes.answered, 100);
	assert_int_equal(probes.late + probes.duplicates + probes.reordered + probes.unknown + probes.unsent, 0);
	assert_int_equal(hs_probes_lost(&probes), 0);
	assert_int_equal(probes.rtt.count, 100);
	assert_int_equal(probes.rtt.max, MS);
	assert_int_equal(probes.delay.count, 99);
	assert_int_equal(probes.delay.min, 50 * MS);
	hs_probes_clear(&probes);
}

/* mig_mon reported 2050 ms for the first and nothing for the second. */
static uint64_t stopped_twice(uint64_t sent_ms)
{
	if (sent_ms >= 1010 && sent_ms < 3010)
		return 3010;
	return sent_ms >= 4020 && sent_ms < 5520 ? 5520 : sent_ms + 1;
}

static void test_two_outages_with_a_backlog_are_two(void **state)
{
	struct hs_probes probes = play_new(50, 100, 8000, stopped_twice);

	(void)state;
	assert_int_equal(probes.outages.count, 2);
	assert_outage(&probes, 0, 1050, 3009, 1959, 2009);
	assert_outage(&probes, 1, 4050, 5519, 1469, 1519);
	/* The two sent last in each were waited for less than 100 ms. */
	assert_int_equal(probes.outages.items[0].probes, 38);
	assert_int_equal(probes.late, 38 + 28);
	assert_int_equal(hs_probes_lost(&probes), 0);
	assert_int_equal(probes.delay.max, 2009 * MS);
	hs_probes_clear(&probes);
}

/* The echoes of the first outage are delivered one every 45 ms, through the whole of the second one. */
static uint64_t trickle(uint64_t sent_ms)
{
	if (sent_ms >= 1000 && sent_ms < 3000)
		return 3000 + (sent_ms - 1000) / 50 * 45;
	return sent_ms >= 3500 && sent_ms < 4500 ? NEVER : sent_ms + 1;
}

static void test_echoes_of_the_first_outage_do_not_hide_the_second(void **state)
{
	struct hs_probes probes = play_new(50, 100, 8000, trickle);

	(void)state;
	/* In mig_mon's eyes the second one was not there: something always came. */
	assert_int_equal(probes.delay.max, 2049 * MS);
	assert_true(hs_histogram_quantile(&probes.delay, 0.99) < 100 * MS);
	assert_int_equal(probes.outages.count, 2);
	assert_outage(&probes, 0, 1000, 2999, 1999, 2049);
	assert_outage(&probes, 1, 3500, 4500, 950, 1050);
	assert_int_equal(hs_probes_lost(&probes), 20);
	hs_probes_clear(&probes);
}

static uint64_t link_down(uint64_t sent_ms)
{
	return sent_ms >= 1010 && sent_ms < 1340 ? NEVER : sent_ms + 1;
}

static void test_a_link_that_is_down_loses_probes_and_the_bounds_hold_its_length(void **state)
{
	struct hs_probes probes = play_new(10, 20, 3000, link_down);

	(void)state;
	assert_int_equal(probes.outages.count, 1);
	assert_outage(&probes, 0, 1010, 1340, 320, 340);
	assert_int_equal(probes.outages.items[0].probes, 33);
	assert_int_equal(hs_probes_lost(&probes), 33);
	assert_int_equal(probes.late, 0);
	hs_probes_clear(&probes);
}

static uint64_t two_lost(uint64_t sent_ms)
{
	return sent_ms == 500 || sent_ms == 1000 || sent_ms == 1010 ? NEVER : sent_ms + 5;
}

static void test_a_lone_loss_is_a_loss_and_two_in_a_row_are_an_outage(void **state)
{
	struct hs_probes probes = play_new(10, 20, 3000, two_lost);

	(void)state;
	assert_int_equal(hs_probes_lost(&probes), 3);
	assert_int_equal(probes.outages.count, 1);
	/* It was over before the second one's time was up. */
	assert_outage(&probes, 0, 1000, 1020, 10, 30);
	assert_int_equal(probes.outages.items[0].probes, 2);
	hs_probes_clear(&probes);
}

static uint64_t farther_away(uint64_t sent_ms)
{
	return sent_ms + (sent_ms < 1000 ? 1 : 81);
}

static void test_a_longer_way_is_soon_the_usual_one(void **state)
{
	struct hs_probes probes = play_new(10, 20, 10000, farther_away);

	(void)state;
	assert_int_equal(probes.usual_rtt_ns, 81 * MS);
	assert_in_range(probes.outages.count, 1, 3);
	assert_in_range(probes.late, 1, 32);
	hs_probes_clear(&probes);
}

/* A queue that a stop has filled and that drains while a second stop is on: nothing is ever lost. */
static uint64_t queued(uint64_t sent_ms)
{
	uint64_t echoed_ms = sent_ms + 1;

	if (sent_ms >= 1000 && sent_ms < 3000)
		echoed_ms = 3000;
	if (sent_ms >= 3300 && sent_ms < 4300)
		echoed_ms = 4300;
	/* One leaves every 7 ms from 3000 on. */
	return sent_ms >= 1000 && 3000 + (sent_ms - 1000) / 10 * 7 > echoed_ms ? 3000 + (sent_ms - 1000) / 10 * 7
									       : echoed_ms;
}

static void test_a_queue_that_drains_is_not_the_usual_way(void **state)
{
	struct hs_probes probes = play_new(10, 20, 12000, queued);
	uint64_t covered_ms = 0;

	(void)state;
	assert_true(probes.usual_rtt_ns < 2 * MS);
	assert_int_equal(hs_probes_lost(&probes), 0);
	assert_outage(&probes, 0, 1000, 2999, 1999, 2009);
	for (size_t i = 1; i < probes.outages.count; i++) {
		const struct hs_outage *outage = &probes.outages.items[i];

		assert_true(outage->start_ns >= probes.outages.items[i - 1].end_ns);
		covered_ms += (outage->end_ns - outage->start_ns) / MS;
	}
	/* All the time until the queue is empty, but for an interval at each seam. */
	assert_in_range(covered_ms, 1300, 6000);
	hs_probes_clear(&probes);
}

static uint64_t never(uint64_t sent_ms)
{
	(void)sent_ms;
	return NEVER;
}

static void test_nobody_there_is_one_outage_that_is_still_on(void **state)
{
	struct hs_probes probes = play_new(1, 2, 200000, never);

	(void)state;
	/* More probes than are remembered. */
	assert_true(probes.sent > probes.slot_nr);
	assert_int_equal(hs_probes_lost(&probes), 200000);
	assert_int_equal(probes.outages.count, 1);
	assert_true(probes.outages.items[0].is_open);
	assert_int_equal(probes.outages.items[0].probes, 200000);
	assert_outage(&probes, 0, 0, 210000, 199999, 210000);
	hs_probes_clear(&probes);
}

/* ---- single answers ---------------------------------------------------------------------------- */

static enum hs_probes_verdict answer(struct hs_probes *probes, uint64_t seq, uint64_t at_ms)
{
	enum hs_probes_verdict verdict;

	assert_int_equal(hs_probes_answer(probes, seq, START + at_ms * MS, &verdict), 0);
	return verdict;
}

static void test_every_answer_is_told_by_its_number(void **state)
{
	struct hs_probes probes;

	(void)state;
	assert_int_equal(hs_probes_start(&probes, 10 * MS, 20 * MS, START), 0);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(hs_probes_sent(&probes, START + i * 10 * MS, 0), 0);
	assert_int_equal(answer(&probes, 3, 31), HS_PROBES_IN_TIME);
	assert_int_equal(answer(&probes, 2, 32), HS_PROBES_IN_TIME);
	assert_int_equal(answer(&probes, 0, 33), HS_PROBES_LATE);
	assert_int_equal(answer(&probes, 0, 34), HS_PROBES_DUPLICATE);
	assert_int_equal(answer(&probes, 4, 35), HS_PROBES_UNKNOWN);
	assert_int_equal(answer(&probes, UINT64_MAX, 36), HS_PROBES_UNKNOWN);
	assert_int_equal(answer(&probes, 1, 37), HS_PROBES_LATE);
	assert_int_equal(probes.answered, 4);
	assert_int_equal(probes.reordered, 3);
	assert_int_equal(probes.duplicates, 1);
	assert_int_equal(probes.unknown, 2);
	hs_probes_clear(&probes);
}

static void test_what_could_not_be_sent_is_an_outage_with_its_reason(void **state)
{
	struct hs_probes probes;

	(void)state;
	assert_int_equal(hs_probes_start(&probes, 10 * MS, 20 * MS, START), 0);
	for (uint64_t i = 0; i < 100; i++) {
		assert_int_equal(hs_probes_sent(&probes, START + i * 10 * MS, i >= 20 && i < 60 ? -ENETUNREACH : 0), 0);
		if (i < 20 || i >= 60)
			assert_int_equal(answer(&probes, i, i * 10 + 1), HS_PROBES_IN_TIME);
		assert_int_equal(hs_probes_judge(&probes, START + i * 10 * MS), 0);
	}
	assert_int_equal(hs_probes_finish(&probes, START + 2000 * MS), 0);
	assert_int_equal(probes.unsent, 40);
	assert_int_equal(hs_probes_lost(&probes), 0);
	assert_int_equal(probes.outages.count, 1);
	assert_outage(&probes, 0, 200, 600, 390, 410);
	assert_int_equal(probes.outages.items[0].error, -ENETUNREACH);
	hs_probes_clear(&probes);
}

static void test_an_error_before_an_outage_is_not_its_reason(void **state)
{
	struct hs_probes probes;

	(void)state;
	assert_int_equal(hs_probes_start(&probes, 10 * MS, 20 * MS, START), 0);
	hs_probes_error(&probes, START, -ECONNREFUSED);
	for (uint64_t i = 1; i < 100; i++) {
		assert_int_equal(hs_probes_sent(&probes, START + i * 10 * MS, 0), 0);
		if (i < 20 || i >= 60)
			answer(&probes, i - 1, i * 10 + 1);
	}
	assert_int_equal(hs_probes_finish(&probes, START + 2000 * MS), 0);
	assert_int_equal(probes.outages.count, 1);
	assert_int_equal(probes.outages.items[0].error, 0);
	hs_probes_clear(&probes);
}

static void test_the_log_has_a_line_for_every_probe(void **state)
{
	struct hs_probes probes;
	char *text = NULL;
	size_t size = 0;
	FILE *log = open_memstream(&text, &size);

	(void)state;
	assert_int_equal(hs_probes_start(&probes, 10 * MS, 20 * MS, START), 0);
	hs_probes_log(&probes, log);
	for (uint64_t i = 0; i < 5; i++)
		assert_int_equal(hs_probes_sent(&probes, START + i * 10 * MS, i == 3 ? -ENETDOWN : 0), 0);
	answer(&probes, 1, 12);
	answer(&probes, 1, 13);
	answer(&probes, 0, 60);
	answer(&probes, 2, 61);
	assert_int_equal(hs_probes_finish(&probes, START + 100 * MS), 0);
	fclose(log);
	assert_string_equal(text, "seq,sent_boottime_ns,rtt_ns,what\n"
				  "3,1000030000000,,unsent\n"
				  "1,1000010000000,2000000,ok\n"
				  "1,1000010000000,3000000,duplicate\n"
				  "0,1000000000000,60000000,late\n"
				  "2,1000020000000,41000000,late\n"
				  "4,1000040000000,,lost\n");
	free(text);
	hs_probes_clear(&probes);
}

/* ---- the wire ---------------------------------------------------------------------------------- */

static const uint8_t wire[HS_PROBE_BYTES] = {
	0x65, 0x63, 0x68, 0x6f, 0x48, 0x53, 0x50, 0x31, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab,
	0xcd, 0xef, 0,	  0,	0,    0,    0,	  0,	0,    7,    0,	  0,	0,    0,
	0x3b, 0x9a, 0xca, 0x00, 0,    0,    0,	  0,	2,    0xfa, 0xf0, 0x80,
};

static void test_a_probe_is_these_bytes(void **state)
{
	struct hs_probe probe = {
		.session = 0x0123456789abcdef, .seq = 7, .sent_ns = 1000000000, .interval_ns = 50000000
	};
	uint8_t bytes[HS_PROBE_BYTES];

	(void)state;
	hs_probe_encode(&probe, bytes);
	assert_memory_equal(bytes, wire, sizeof(wire));
	probe = (struct hs_probe){ 0 };
	assert_true(hs_probe_decode(wire, sizeof(wire), &probe));
	assert_int_equal(probe.session, 0x0123456789abcdef);
	assert_int_equal(probe.seq, 7);
	assert_int_equal(probe.sent_ns, 1000000000);
	assert_int_equal(probe.interval_ns, 50000000);
}

static void test_what_mig_mon_sends_is_no_probe_of_ours(void **state)
{
	struct hs_probe probe;
	uint8_t bytes[HS_PROBE_BYTES + 1] = { 0 };

	(void)state;
	assert_false(hs_probe_decode((const uint8_t *)"echo", 4, &probe));
	memcpy(bytes, wire, sizeof(wire));
	assert_false(hs_probe_decode(bytes, HS_PROBE_BYTES + 1, &probe));
	assert_false(hs_probe_decode(bytes, HS_PROBE_BYTES - 1, &probe));
	assert_false(hs_probe_decode(bytes, 0, &probe));
	bytes[36] = bytes[37] = bytes[38] = bytes[39] = 0;
	assert_false(hs_probe_decode(bytes, HS_PROBE_BYTES, &probe)); /* an interval of 0 */
	memcpy(bytes, wire, sizeof(wire));
	bytes[7]++;
	assert_false(hs_probe_decode(bytes, HS_PROBE_BYTES, &probe));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_network_that_works_has_no_outage),
		cmocka_unit_test(test_two_outages_with_a_backlog_are_two),
		cmocka_unit_test(test_echoes_of_the_first_outage_do_not_hide_the_second),
		cmocka_unit_test(test_a_link_that_is_down_loses_probes_and_the_bounds_hold_its_length),
		cmocka_unit_test(test_a_lone_loss_is_a_loss_and_two_in_a_row_are_an_outage),
		cmocka_unit_test(test_a_longer_way_is_soon_the_usual_one),
		cmocka_unit_test(test_a_queue_that_drains_is_not_the_usual_way),
		cmocka_unit_test(test_nobody_there_is_one_outage_that_is_still_on),
		cmocka_unit_test(test_every_answer_is_told_by_its_number),
		cmocka_unit_test(test_what_could_not_be_sent_is_an_outage_with_its_reason),
		cmocka_unit_test(test_an_error_before_an_outage_is_not_its_reason),
		cmocka_unit_test(test_the_log_has_a_line_for_every_probe),
		cmocka_unit_test(test_a_probe_is_these_bytes),
		cmocka_unit_test(test_what_mig_mon_sends_is_no_probe_of_ours),
	};

	return RUN_TESTS("probes", tests);
}
