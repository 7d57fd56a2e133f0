// SPDX-License-Identifier: GPL-2.0-only
/* The tables of `hsbpf stat` and `top` from contents of the kernel's maps that are made up, with known sums. */
#include "cm.h"

#include <stdlib.h>
#include <string.h>

#include "stat/ranking.h"

#define SECOND_NS 1000000000ull

/* ---- buckets ---- */

static void test_buckets_have_no_gap_and_a_quarter_at_most(void **state)
{
	uint64_t next = 0, from, to;

	(void)state;
	for (uint32_t i = 0; i < HS_STAT_BUCKET_NR; i++) {
		hs_stat_bucket_range(i, &from, &to);
		assert_int_equal(from, next);
		assert_int_equal(hs_stat_bucket(from), i);
		assert_int_equal(hs_stat_bucket(to - 1), i);
		assert_true(to - from == 1 || (to - from) * 4 <= from);
		next = to;
	}
	assert_true(next > 120 * SECOND_NS);
	assert_int_equal(hs_stat_bucket(next), HS_STAT_BUCKET_NR - 1);
	assert_int_equal(hs_stat_bucket(UINT64_MAX), HS_STAT_BUCKET_NR - 1);
}

/* ---- snapshots ---- */

static struct hs_stat_time time_row(uint32_t tgid)
{
	return (struct hs_stat_time){ .tgid = tgid };
}

static void note(struct hs_stat_time *row, uint64_t ns)
{
	row->count++;
	row->total_ns += ns;
	row->max_ns = ns > row->max_ns ? ns : row->max_ns;
	row->buckets[hs_stat_bucket(ns)]++;
}

static int compare_times(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

static void test_percentiles_are_within_an_eighth_of_the_sorted_times(void **state)
{
	scoped(hs_stat_table) struct hs_stat_table table = { 0 };
	struct hs_stat_time_row row = { .key = { .tid = 11, .kind = HS_STAT_EXIT, .reason = 12 },
					.value = time_row(1) };
	struct hs_stat_snapshot snapshot = { .boot_ns = 1, .times = &row, .time_nr = 1 };
	static uint64_t times[5000];
	unsigned int seed = 7;

	(void)state;
	for (size_t i = 0; i < 5000; i++) {
		times[i] = 200 + ((uint64_t)rand_r(&seed) % 1000) * ((uint64_t)rand_r(&seed) % 3000);
		note(&row.value, times[i]);
	}
	qsort(times, 5000, sizeof(times[0]), compare_times);
	assert_int_equal(hs_stat_table_update(&table, &snapshot, false), 0);
	for (double percent = 1; percent < 100; percent += 7) {
		double exact = (double)times[(size_t)(5000 * percent / 100)];
		double got = (double)hs_stat_sums_percentile(&table.lines[0]->total, percent);

		assert_true(got >= exact * 0.875 - 1 && got <= exact * 1.125 + 1);
	}
	assert_int_equal(hs_stat_sums_percentile(&table.lines[0]->total, 100), table.lines[0]->total.max_ns);
	assert_int_equal(table.lines[0]->total.timed, 5000);
	assert_int_equal(table.lines[0]->total.max_ns, times[4999]);
	assert_int_equal(hs_stat_sums_percentile(&(struct hs_stat_sums){ 0 }, 50), 0);
}

static void test_intervals_add_up_to_the_total(void **state)
{
	scoped(hs_stat_table) struct hs_stat_table table = { 0 };
	struct hs_stat_count_row count = { .key = { .tid = 11, .kind = HS_STAT_PIO, .reason = 0x80 },
					   .value = { .count = 5, .tgid = 1 } };
	struct hs_stat_time_row time = { .key = { .tid = 11, .kind = HS_STAT_EXIT }, .value = time_row(1) };
	struct hs_stat_snapshot snapshot = {
		.boot_ns = SECOND_NS, .counts = &count, .count_nr = 1, .times = &time, .time_nr = 1
	};

	(void)state;
	note(&time.value, 9000);
	assert_int_equal(hs_stat_table_update(&table, &snapshot, false), 0);
	hs_stat_table_begin(&table);
	assert_int_equal(table.lines[0]->interval.count, 0);
	count.value.count = 12;
	note(&time.value, 300);
	note(&time.value, 500);
	snapshot.boot_ns += SECOND_NS;
	assert_int_equal(hs_stat_table_update(&table, &snapshot, false), 0);
	assert_int_equal(table.line_nr, 2);
	assert_int_equal(table.lines[0]->interval.count, 7);
	assert_int_equal(table.lines[0]->total.count, 12);
	assert_int_equal(table.lines[1]->interval.count, 2);
	assert_int_equal(table.lines[1]->interval.total_ns, 800);
	assert_in_range(table.lines[1]->interval.max_ns, 500, 562); /* the 9000 were before */
	assert_int_equal(table.lines[1]->total.max_ns, 9000);
	assert_int_equal(table.lines[1]->total.total_ns, 9800);
	assert_int_equal(table.end_ns - table.begin_ns, SECOND_NS);
}

static void test_a_thread_number_that_comes_back_adds_to_what_it_was(void **state)
{
	scoped(hs_stat_table) struct hs_stat_table table = { 0 };
	struct hs_stat_count_row count = { .key = { .tid = 11, .kind = HS_STAT_PIO },
					   .value = { .count = 5, .tgid = 1 } };
	struct hs_stat_vcpu_row vcpu = { .tid = 11,
					 .value = { .tgid = 1, .has_ended = 1, .first_cpu_ns = 100, .cpu_ns = 400 } };
	struct hs_stat_snapshot snapshot = {
		.boot_ns = 1, .counts = &count, .count_nr = 1, .vcpus = &vcpu, .vcpu_nr = 1
	};

	(void)state;
	assert_int_equal(hs_stat_table_update(&table, &snapshot, false), 0);
	hs_stat_table_forget(&table, 11);
	count.value.count = 2;
	vcpu.value.first_cpu_ns = 10;
	vcpu.value.cpu_ns = 15;
	assert_int_equal(hs_stat_table_update(&table, &snapshot, false), 0);
	assert_int_equal(table.line_nr, 1);
	assert_int_equal(table.lines[0]->total.count, 7);
	assert_int_equal(table.vcpus[0]->total.cpu_ns, 305);
	hs_stat_table_forget(&table, 11);
	count.value.tgid = vcpu.value.tgid = 2; /* of another process: a line of its own */
	assert_int_equal(hs_stat_table_update(&table, &snapshot, false), 0);
	assert_int_equal(table.line_nr, 2);
	assert_int_equal(table.lines[1]->total.count, 2);
}

static void test_an_exit_without_an_entry_counts_once_and_has_no_time(void **state)
{
	scoped(hs_stat_table) struct hs_stat_table table = { 0 };
	struct hs_stat_vcpu_row vcpu = { .tid = 11,
					 .value = { .tgid = 1, .exit_ns = 77, .exit_reason = 12, .exit_isa = 1 } };
	struct hs_stat_snapshot snapshot = { .boot_ns = 1, .vcpus = &vcpu, .vcpu_nr = 1 };

	(void)state;
	assert_int_equal(hs_stat_table_update(&table, &snapshot, false), 0);
	assert_int_equal(table.line_nr, 0); /* its entry may still come */
	assert_int_equal(hs_stat_table_update(&table, &snapshot, true), 0);
	assert_int_equal(table.line_nr, 1);
	assert_int_equal(table.lines[0]->key.reason, 12);
	assert_int_equal(table.lines[0]->total.count, 1);
	assert_int_equal(table.lines[0]->total.timed, 0);
	assert_non_null(table.lines[0]->total.buckets); /* of a kind that has times */
}

static void test_what_was_not_counted_is_known(void **state)
{
	scoped(hs_stat_table) struct hs_stat_table table = { 0 };
	struct hs_stat_snapshot snapshot = { .boot_ns = 1, .missed = 3 };

	(void)state;
	snapshot.no_room[HS_STAT_PIO] = 4;
	snapshot.no_room[HS_STAT_NO_ROOM_VHOST] = 2;
	assert_int_equal(hs_stat_table_update(&table, &snapshot, false), 0);
	assert_int_equal(hs_stat_table_uncounted(&table), 9);
}

/* ---- rankings and documents ---- */

#define VM_NR 100
#define VCPU_NR 4

/* VM i has vCPUs 10 * i + 1 ..., of which each made i exits; its tap is held by nobody. */
static void fill(struct hs_stat_monitor *monitor)
{
	static struct hs_stat_time_row times[VM_NR * VCPU_NR];
	static struct hs_stat_vcpu_row vcpus[VM_NR * VCPU_NR];
	struct hs_stat_tap_row tap = {
		.key = { .netns_inum = 1, .ifindex = 5 },
		.value = { .to_guest_packets = 10, .from_guest_packets = 4, .refused_packets = 3 }
	};
	struct hs_stat_snapshot snapshot = { .times = times,
					     .time_nr = VM_NR * VCPU_NR,
					     .vcpus = vcpus,
					     .vcpu_nr = VM_NR * VCPU_NR,
					     .taps = &tap,
					     .tap_nr = 1 };

	assert_int_equal(
		hs_stat_table_update(&monitor->table, &(struct hs_stat_snapshot){ .boot_ns = SECOND_NS }, false), 0);
	for (uint32_t i = 0; i < VM_NR * VCPU_NR; i++) {
		uint32_t tgid = 10 * (i / VCPU_NR + 1), tid = tgid + 1 + i % VCPU_NR;

		times[i] = (struct hs_stat_time_row){ .key = { .tid = tid, .kind = HS_STAT_EXIT, .reason = 12 },
						      .value = { .tgid = tgid } };
		for (uint32_t j = 0; j <= i / VCPU_NR; j++)
			note(&times[i].value, 1000);
		vcpus[i] = (struct hs_stat_vcpu_row){
			.tid = tid,
			.value = { .tgid = tgid, .vcpu_id = i % VCPU_NR, .entries = 1, .name = "qemu, \"x\"" }
		};
	}
	snapshot.boot_ns = 2 * SECOND_NS;
	assert_int_equal(hs_stat_table_update(&monitor->table, &snapshot, false), 0);
}

static void clear(struct hs_stat_monitor *monitor)
{
	hs_stat_table_clear(&monitor->table);
}

static void test_a_hundred_vms_are_ranked(void **state)
{
	struct hs_stat_monitor monitor = { 0 };
	struct hs_stat_report report = { .monitor = &monitor, .is_total = true };
	scoped(hs_stat_ranking) struct hs_stat_ranking ranking = { 0 };
	char text[HS_STAT_RANK_TEXT_BYTES];

	(void)state;
	fill(&monitor);
	assert_int_equal(hs_stat_ranking_make(&report, false, &ranking), 0);
	assert_int_equal(ranking.rank_nr, VM_NR + 1); /* and the tap */
	assert_int_equal(ranking.ranks[0].tgid, 10 * VM_NR);
	assert_int_equal(ranking.ranks[0].exits, VM_NR * VCPU_NR);
	assert_int_equal(ranking.ranks[0].vcpu_nr, VCPU_NR);
	assert_int_equal(ranking.sum.exits, VCPU_NR * VM_NR * (VM_NR + 1) / 2);
	assert_int_equal(ranking.sum.exit_ns, 1000 * ranking.sum.exits);
	assert_int_equal(ranking.sum.packets, 11);
	hs_stat_rank_format(&report, &ranking.ranks[0], text, sizeof(text));
	assert_string_equal(
		text,
		"qemu, \"x\"               x4        400    0.0%        0.0        0.0        0.0        0.0        "
		"0.0    0.0%    0.0%    0.0%");
	report.sort = HS_STAT_SORT_PACKETS;
	assert_int_equal(hs_stat_ranking_make(&report, true, &ranking), 0);
	assert_int_equal(ranking.rank_nr, VM_NR * VCPU_NR + 1);
	assert_int_equal(ranking.ranks[0].tgid, 0);
	assert_int_equal(ranking.ranks[0].packets, 11);
	assert_int_equal(ranking.ranks[1].tgid, 10 * VM_NR);
	clear(&monitor);
}

static void test_the_document_has_every_sum(void **state)
{
	struct hs_stat_monitor monitor = { 0 };
	struct hs_stat_report report = { .monitor = &monitor, .is_total = true };
	scoped(json) json_object *document = NULL;
	json_object *row;

	(void)state;
	fill(&monitor);
	document = hs_stat_report_to_json(&report);
	assert_int_equal(json_object_array_length(hs_json_get(document, "rows")), VM_NR * VCPU_NR);
	row = json_object_array_get_idx(hs_json_get(document, "rows"), 0);
	assert_int_equal(hs_json_get_u64(row, "count"), VM_NR);
	assert_int_equal(hs_json_get_u64(row, "timed"), VM_NR);
	assert_int_equal(hs_json_get_u64(row, "avg_ns"), 1000);
	assert_int_equal(hs_json_get_u64(row, "p99_ns"), 960); /* of the bucket 896 to 1024 */
	assert_int_equal(hs_json_get_u64(row, "max_ns"), 1000);
	row = json_object_array_get_idx(hs_json_get(row, "buckets"), 0);
	assert_int_equal(hs_json_get_u64(row, "count"), VM_NR);
	assert_int_equal(hs_json_get_u64(document, "duration_ns"), SECOND_NS);
	assert_int_equal(json_object_array_length(hs_json_get(document, "vcpus")), VM_NR * VCPU_NR);
	clear(&monitor);
}

static void test_csv_quotes_names(void **state)
{
	struct hs_stat_monitor monitor = { 0 };
	struct hs_stat_report report = { .monitor = &monitor, .is_total = true };
	scoped(mem) char *text = NULL;
	size_t bytes;
	FILE *file = open_memstream(&text, &bytes);

	(void)state;
	fill(&monitor);
	hs_stat_report_print_csv(file, &report);
	fclose(file);
	assert_ptr_equal(strstr(text, "1.000,total,\"qemu, \"\"x\"\"\",0,exit,"), text);
	clear(&monitor);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buckets_have_no_gap_and_a_quarter_at_most),
		cmocka_unit_test(test_percentiles_are_within_an_eighth_of_the_sorted_times),
		cmocka_unit_test(test_intervals_add_up_to_the_total),
		cmocka_unit_test(test_a_thread_number_that_comes_back_adds_to_what_it_was),
		cmocka_unit_test(test_an_exit_without_an_entry_counts_once_and_has_no_time),
		cmocka_unit_test(test_what_was_not_counted_is_known),
		cmocka_unit_test(test_a_hundred_vms_are_ranked),
		cmocka_unit_test(test_the_document_has_every_sum),
		cmocka_unit_test(test_csv_quotes_names),
	};

	return RUN_TESTS("stat", tests);
}
