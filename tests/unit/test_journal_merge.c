// SPDX-License-Identifier: GPL-2.0-only
/* Records of several machines put into one order; what is out of order, missing or twice is told. Time is the test's.
 */
#include "cm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/merge.h"

#define MS 1000000ull
#define WINDOW (500 * MS)

/* What was handed out, a word each: "l1:5", "l1:6-8!" (a gap), "l1:9~" (late), "l1:9+" (a fragment). */
static struct {
	char words[200000];
	char text[HS_MERGE_TEXT_MAX + 1]; /* of the last */
	size_t len;
	uint64_t late_ns, boot_ns;
	bool is_quiet;
	unsigned count;
} out;

static void on_record(void *ctx, const struct hs_journal_record *record)
{
	size_t at = strlen(out.words);

	(void)ctx;
	out.count++;
	memcpy(out.text, record->text, record->len);
	out.text[record->len] = '\0';
	out.len = record->len;
	out.late_ns = record->late_ns;
	out.boot_ns = record->boot_ns;
	if (out.is_quiet)
		return;
	at += (size_t)snprintf(out.words + at, sizeof(out.words) - at, "%s%s:", at ? " " : "", record->machine);
	if (!record->has_seq)
		snprintf(out.words + at, sizeof(out.words) - at, "%s", out.text);
	else if (record->last_seq > record->seq)
		snprintf(out.words + at, sizeof(out.words) - at, "%d-%d", (int)record->seq, (int)record->last_seq);
	else
		snprintf(out.words + at, sizeof(out.words) - at, "%d", (int)record->seq);
	if (record->kind == HS_JOURNAL_GAP)
		strcat(out.words, "!");
	if (record->late_ns)
		strcat(out.words, "~");
	if (record->is_fragment)
		strcat(out.words, "+");
}

static struct hs_merge *new_merge(uint64_t memory_bytes)
{
	struct hs_merge_config config = { .window_ns = WINDOW, .memory_bytes = memory_bytes, .on_record = on_record };
	struct hs_merge *merge;

	memset(&out, 0, sizeof(out));
	assert_int_equal(hs_merge_open(&config, &merge), 0);
	assert_int_equal(hs_merge_add_stream(merge, "host", HS_JOURNAL_KERNEL), 0);
	assert_int_equal(hs_merge_add_stream(merge, "l1", HS_JOURNAL_KERNEL), 1);
	return merge;
}

static struct hs_journal_record numbered(uint64_t seq, uint64_t boot_ns, const char *text)
{
	struct hs_journal_record record = hs_journal_record_new(NULL, HS_JOURNAL_KERNEL);

	record.has_seq = true;
	record.seq = record.last_seq = seq;
	record.severity = 6;
	record.boot_ns = boot_ns;
	record.text = text;
	record.len = strlen(text);
	return record;
}

static void put(struct hs_merge *merge, unsigned stream, uint64_t seq, uint64_t boot_ns, uint64_t now_ns)
{
	struct hs_journal_record record = numbered(seq, boot_ns, "text");

	assert_int_equal(hs_merge_put(merge, stream, &record, false, now_ns), 0);
}

static void put_text(struct hs_merge *merge, uint64_t seq, int tid, const char *text, bool is_continuation)
{
	struct hs_journal_record record = numbered(seq, 1000 * MS, text);

	record.tid = tid;
	assert_int_equal(hs_merge_put(merge, 0, &record, is_continuation, 1000 * MS), 0);
}

static void assert_out(struct hs_merge *merge, const char *words)
{
	hs_merge_flush(merge);
	assert_string_equal(out.words, words);
}

static void test_machines_are_merged_by_time(void **state)
{
	scoped(hs_merge) struct hs_merge *merge = new_merge(1 << 20);

	(void)state;
	put(merge, 0, 10, 1000 * MS, 1200 * MS);
	put(merge, 0, 11, 1300 * MS, 1300 * MS);
	put(merge, 1, 500, 1100 * MS, 1310 * MS); /* its clock's error is smaller than what is between */
	assert_int_equal(hs_merge_advance(merge, 1400 * MS), 1700 * MS);
	assert_string_equal(out.words, "");
	assert_int_equal(hs_merge_advance(merge, 1700 * MS), 1800 * MS);
	assert_string_equal(out.words, "host:10");
	hs_merge_advance(merge, 1800 * MS);
	assert_out(merge, "host:10 l1:500 host:11");
}

/* Two clocks of which one is 300 ms behind, without being corrected: inside a machine the numbers still decide. */
static void test_skewed_and_stepping_clocks_do_not_change_the_order_inside_a_machine(void **state)
{
	scoped(hs_merge) struct hs_merge *merge = new_merge(1 << 20);

	(void)state;
	put(merge, 1, 1, 700 * MS, 1000 * MS);
	put(merge, 0, 1, 1000 * MS, 1000 * MS);
	put(merge, 1, 2, 650 * MS, 1001 * MS); /* stepped back */
	put(merge, 0, 2, 1002 * MS, 1002 * MS);
	put(merge, 1, 3, 705 * MS, 1003 * MS);
	assert_out(merge, "l1:1 l1:2 l1:3 host:1 host:2");
	assert_int_equal(hs_merge_counts(merge)->late, 0);
	assert_int_equal(hs_merge_counts(merge)->missing, 0);
}

/* acrnlog: a CPU whose buffer was empty at the poll brought a smaller number later, out of order and with a false gap.
 */
static void test_a_smaller_number_that_comes_within_the_window_finds_its_place(void **state)
{
	scoped(hs_merge) struct hs_merge *merge = new_merge(1 << 20);

	(void)state;
	hs_merge_expect(merge, 1, 7);
	put(merge, 1, 9, 1009 * MS, 1010 * MS);
	put(merge, 1, 7, 1007 * MS, 1020 * MS);
	put(merge, 1, 8, 1008 * MS, 1300 * MS);
	hs_merge_advance(merge, 1020 * MS);
	assert_out(merge, "l1:7 l1:8 l1:9");
	assert_int_equal(hs_merge_counts(merge)->missing, 0);
}

static void test_a_gap_is_told_where_it_is_with_its_size(void **state)
{
	scoped(hs_merge) struct hs_merge *merge = new_merge(1 << 20);

	(void)state;
	put(merge, 0, 5, 1000 * MS, 1000 * MS);
	put(merge, 0, 6, 1001 * MS, 1001 * MS);
	put(merge, 0, 74, 1002 * MS, 1002 * MS);
	put(merge, 0, 75, 1003 * MS, 1003 * MS);
	assert_out(merge, "host:5 host:6 host:7-73! host:74 host:75");
	assert_int_equal(hs_merge_counts(merge)->missing, 67);
}

static void test_a_record_after_the_window_is_marked_late_and_takes_its_number_out_of_the_gap(void **state)
{
	scoped(hs_merge) struct hs_merge *merge = new_merge(1 << 20);

	(void)state;
	put(merge, 1, 1, 1000 * MS, 1000 * MS);
	put(merge, 1, 5, 1040 * MS, 1040 * MS);
	hs_merge_advance(merge, 2000 * MS);
	assert_string_equal(out.words, "l1:1 l1:2-4! l1:5");
	put(merge, 1, 3, 1020 * MS, 2100 * MS);
	hs_merge_advance(merge, 2700 * MS);
	assert_string_equal(out.words, "l1:1 l1:2-4! l1:5 l1:3~");
	assert_int_equal(out.late_ns, 20 * MS);
	put(merge, 1, 3, 1020 * MS, 2800 * MS); /* and now it is there twice */
	put(merge, 1, 4, 1030 * MS, 2800 * MS);
	put(merge, 1, 2, 1030 * MS, 2800 * MS);
	put(merge, 1, 6, 2900 * MS, 2900 * MS);
	assert_out(merge, "l1:1 l1:2-4! l1:5 l1:3~ l1:2~ l1:4~ l1:6");
	assert_int_equal(hs_merge_counts(merge)->missing, 0);
	assert_int_equal(hs_merge_counts(merge)->late, 3);
	assert_int_equal(hs_merge_counts(merge)->duplicates, 1);
}

static void test_another_machines_record_after_the_window_is_marked_late(void **state)
{
	scoped(hs_merge) struct hs_merge *merge = new_merge(1 << 20);

	(void)state;
	put(merge, 0, 1, 2000 * MS, 2000 * MS);
	hs_merge_advance(merge, 2500 * MS);
	put(merge, 1, 1, 1900 * MS, 2600 * MS);
	assert_int_equal(hs_merge_advance(merge, 2600 * MS), 3100 * MS);
	hs_merge_advance(merge, 3100 * MS);
	assert_string_equal(out.words, "host:1 l1:1~");
	assert_int_equal(out.late_ns, 100 * MS);
}

static void test_duplicates_are_dropped_and_counted(void **state)
{
	scoped(hs_merge) struct hs_merge *merge = new_merge(1 << 20);

	(void)state;
	put(merge, 0, 1, 1000 * MS, 1000 * MS);
	put(merge, 0, 1, 1000 * MS, 1000 * MS); /* while held */
	put(merge, 0, 2, 1001 * MS, 1001 * MS);
	put(merge, 0, 1, 1000 * MS, 1001 * MS);
	hs_merge_flush(merge);
	put(merge, 0, 2, 1001 * MS, 1002 * MS); /* after it went */
	assert_out(merge, "host:1 host:2");
	assert_int_equal(hs_merge_counts(merge)->duplicates, 3);
}

/* acrnlog: a number that only the console took was a hole in the stored log. Here a threshold makes none. */
static void test_a_threshold_leaves_no_gap_and_can_change_at_any_time(void **state)
{
	scoped(hs_merge) struct hs_merge *merge = new_merge(1 << 20);
	struct hs_journal_record error = numbered(13, 1003 * MS, "bad");

	(void)state;
	assert_int_equal(hs_merge_set_level(merge, "l1", 4), 0);
	assert_int_equal(hs_merge_set_level(merge, "l7", 4), -ENOENT);
	put(merge, 1, 10, 1000 * MS, 1000 * MS);
	put(merge, 1, 11, 1001 * MS, 1001 * MS);
	put(merge, 0, 1, 1001 * MS, 1001 * MS); /* another machine's is its own */
	error.severity = 3;
	assert_int_equal(hs_merge_put(merge, 1, &error, false, 1003 * MS), 0); /* 12 is missing */
	assert_int_equal(hs_merge_set_level(merge, "l1", 7), 0);
	put(merge, 1, 14, 1004 * MS, 1004 * MS);
	assert_out(merge, "host:1 l1:12! l1:13 l1:14");
	assert_int_equal(hs_merge_counts(merge)->below, 2);
	assert_int_equal(hs_merge_level(merge, "l1"), 7);
	assert_int_equal(hs_merge_level(merge, "host"), 7);
}

static void test_continuation_records_are_one_record(void **state)
{
	scoped(hs_merge) struct hs_merge *merge = new_merge(1 << 20);

	(void)state;
	put_text(merge, 1, -1, "BIOS: ", false);
	put_text(merge, 2, -1, "one, ", true);
	put_text(merge, 3, -1, "two", true);
	hs_merge_flush(merge);
	assert_string_equal(out.words, "host:1-3");
	assert_string_equal(out.text, "BIOS: one, two");
	put_text(merge, 4, -1, "next", false);
	assert_out(merge, "host:1-3 host:4");
	assert_int_equal(hs_merge_counts(merge)->missing, 0);
}

static void test_late_records_that_are_joined_take_all_their_numbers_out_of_the_gap(void **state)
{
	scoped(hs_merge) struct hs_merge *merge = new_merge(1 << 20);

	(void)state;
	put_text(merge, 1, -1, "first", false);
	put_text(merge, 4, -1, "fourth", false);
	hs_merge_flush(merge);
	put_text(merge, 2, -1, "late, ", false);
	put_text(merge, 3, -1, "and more", true);
	hs_merge_flush(merge);
	put_text(merge, 3, -1, "again", false);
	put_text(merge, 5, -1, "fifth", false);
	assert_out(merge, "host:1 host:2-3! host:4 host:2-3~ host:5");
	assert_int_equal(hs_merge_counts(merge)->missing, 0);
	assert_int_equal(hs_merge_counts(merge)->duplicates, 1);
}

static void test_a_continuation_finds_its_own_callers_line_among_others(void **state)
{
	scoped(hs_merge) struct hs_merge *merge = new_merge(1 << 20);

	(void)state;
	put_text(merge, 1, 55, "a", false);
	put_text(merge, 2, 66, "x", false);
	put_text(merge, 3, 55, "b", true);
	put_text(merge, 4, 66, "y", true);
	put_text(merge, 5, 55, "c", true);
	put_text(merge, 6, 77, "lost head", true);
	hs_merge_flush(merge);
	assert_string_equal(out.words, "host:1 host:2 host:6+");
	assert_string_equal(out.text, "lost head");
	assert_int_equal(hs_merge_counts(merge)->joined, 3);
	assert_int_equal(hs_merge_counts(merge)->missing, 0);
}

/* acrnlog: a fragment without its head looked like "no data", and what followed waited for the next poll. */
static void test_a_fragment_without_its_head_is_kept_and_said_to_be_one(void **state)
{
	scoped(hs_merge) struct hs_merge *merge = new_merge(1 << 20);

	(void)state;
	put_text(merge, 1, -1, "head", false);
	hs_merge_flush(merge);
	put_text(merge, 2, -1, "tail", true);
	put_text(merge, 3, -1, "next", false);
	assert_out(merge, "host:1 host:2+ host:3");
}

static void test_a_record_below_the_threshold_takes_its_continuations_with_it(void **state)
{
	scoped(hs_merge) struct hs_merge *merge = new_merge(1 << 20);

	(void)state;
	hs_merge_set_level(merge, "host", 4);
	put_text(merge, 1, -1, "a", false);
	put_text(merge, 2, -1, "b", true);
	hs_merge_set_level(merge, "host", 7);
	put_text(merge, 3, -1, "c", false);
	assert_out(merge, "host:3");
}

/* acrnlog: 320 bytes. */
static void test_long_texts_are_whole_and_huge_ones_go_on_in_another_record(void **state)
{
	scoped(hs_merge) struct hs_merge *merge = new_merge(1 << 20);
	static char part[1000];
	unsigned parts = HS_MERGE_TEXT_MAX / 999 + 1;

	(void)state;
	memset(part, 'x', 999);
	for (unsigned i = 0; i < parts; i++)
		put_text(merge, 1 + i, -1, part, i > 0);
	hs_merge_flush(merge);
	assert_string_equal(out.words, "host:1-16 host:17+");
	assert_int_equal(out.len, 999);
	assert_int_equal(hs_merge_counts(merge)->missing, 0);
}

static void test_another_boot_begins_with_other_numbers(void **state)
{
	scoped(hs_merge) struct hs_merge *merge = new_merge(1 << 20);

	(void)state;
	put(merge, 1, 900, 1000 * MS, 1000 * MS);
	put(merge, 0, 1, 1000 * MS, 1000 * MS);
	hs_merge_restart(merge, 1);
	put(merge, 1, 0, 1100 * MS, 1100 * MS);
	put(merge, 1, 1, 1101 * MS, 1101 * MS);
	assert_out(merge, "host:1 l1:900 l1:0 l1:1");
	assert_int_equal(hs_merge_counts(merge)->missing + hs_merge_counts(merge)->duplicates, 0);
}

static void test_a_guest_that_claims_to_be_in_the_future_makes_nobody_late(void **state)
{
	scoped(hs_merge) struct hs_merge *merge = new_merge(1 << 20);

	(void)state;
	put(merge, 1, 1, UINT64_MAX, 1000 * MS);
	put(merge, 0, 1, 1001 * MS, 1001 * MS);
	hs_merge_advance(merge, 1500 * MS);
	put(merge, 0, 2, 1600 * MS, 1600 * MS);
	assert_out(merge, "l1:1 host:1 host:2");
	assert_int_equal(hs_merge_counts(merge)->late, 0);
}

static void test_memory_is_bounded_and_nothing_is_lost_by_it(void **state)
{
	scoped(hs_merge) struct hs_merge *merge = new_merge(64 << 10);

	(void)state;
	out.is_quiet = true;
	for (unsigned i = 0; i < 100000; i++)
		put(merge, i & 1, i / 2, 1000 * MS + i, 1000 * MS + i);
	assert_true(out.count > 99000); /* although the window is not over */
	hs_merge_flush(merge);
	assert_int_equal(out.count, 100000);
	assert_int_equal(hs_merge_counts(merge)->late + hs_merge_counts(merge)->missing, 0);
}

/* Any order of arrival within the window comes out sorted: 5000 numbers, each moved by up to 40 places. */
static void test_a_shuffled_machine_comes_out_in_order(void **state)
{
	scoped(hs_merge) struct hs_merge *merge = new_merge(16 << 20);
	enum { NR = 5000 };
	static unsigned order[NR];
	unsigned seed = 7;

	(void)state;
	for (unsigned i = 0; i < NR; i++)
		order[i] = i;
	for (unsigned i = 0; i + 40 < NR; i++) {
		unsigned other = i + (seed = seed * 1103515245u + 12345u) / 65536u % 40, kept = order[i];

		order[i] = order[other];
		order[other] = kept;
	}
	hs_merge_expect(merge, 1, 0);
	out.is_quiet = true;
	for (unsigned i = 0; i < NR; i++) {
		put(merge, 1, order[i], (1000 + order[i]) * MS, (6000 + i) * MS);
		hs_merge_advance(merge, (6000 + i) * MS);
	}
	hs_merge_flush(merge);
	assert_int_equal(out.count, NR);
	assert_int_equal(hs_merge_counts(merge)->missing, 0);
	assert_int_equal(hs_merge_counts(merge)->late, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_machines_are_merged_by_time),
		cmocka_unit_test(test_skewed_and_stepping_clocks_do_not_change_the_order_inside_a_machine),
		cmocka_unit_test(test_a_smaller_number_that_comes_within_the_window_finds_its_place),
		cmocka_unit_test(test_a_gap_is_told_where_it_is_with_its_size),
		cmocka_unit_test(test_a_record_after_the_window_is_marked_late_and_takes_its_number_out_of_the_gap),
		cmocka_unit_test(test_another_machines_record_after_the_window_is_marked_late),
		cmocka_unit_test(test_duplicates_are_dropped_and_counted),
		cmocka_unit_test(test_a_threshold_leaves_no_gap_and_can_change_at_any_time),
		cmocka_unit_test(test_continuation_records_are_one_record),
		cmocka_unit_test(test_late_records_that_are_joined_take_all_their_numbers_out_of_the_gap),
		cmocka_unit_test(test_a_continuation_finds_its_own_callers_line_among_others),
		cmocka_unit_test(test_a_fragment_without_its_head_is_kept_and_said_to_be_one),
		cmocka_unit_test(test_a_record_below_the_threshold_takes_its_continuations_with_it),
		cmocka_unit_test(test_long_texts_are_whole_and_huge_ones_go_on_in_another_record),
		cmocka_unit_test(test_another_boot_begins_with_other_numbers),
		cmocka_unit_test(test_a_guest_that_claims_to_be_in_the_future_makes_nobody_late),
		cmocka_unit_test(test_memory_is_bounded_and_nothing_is_lost_by_it),
		cmocka_unit_test(test_a_shuffled_machine_comes_out_in_order),
	};

	return RUN_TESTS("journal_merge", tests);
}
