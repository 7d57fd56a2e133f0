// SPDX-License-Identifier: GPL-2.0-only
/* A guest's queue: order and content through memory and file, exact counts when there is no room, two threads. */
#include "cm.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "guest/spool.h"

#define RECORDS 20000u

struct pattern {
	uint32_t number, len;
	unsigned char bytes[3000];
};

static void make_pattern(struct pattern *pattern, uint32_t number)
{
	pattern->number = number;
	pattern->len = number * 7919u % sizeof(pattern->bytes);
	for (uint32_t i = 0; i < pattern->len; i++)
		pattern->bytes[i] = (unsigned char)(number + i);
}

static int put_pattern(struct hs_spool *spool, uint32_t number)
{
	struct pattern pattern;
	struct iovec parts[2] = { { &pattern, 8 }, { pattern.bytes, 0 } };

	make_pattern(&pattern, number);
	parts[1].iov_len = pattern.len;
	return hs_spool_put(spool, parts, 2);
}

static void expect_pattern(const struct pattern *got, ssize_t len)
{
	struct pattern expected;

	make_pattern(&expected, got->number);
	assert_int_equal(len, 8 + expected.len);
	assert_memory_equal(got, &expected, (size_t)len);
}

static struct hs_spool *open_spool(uint64_t memory_bytes, uint64_t disk_bytes)
{
	struct hs_spool_config config = { .dir = "/tmp", .memory_bytes = memory_bytes, .disk_bytes = disk_bytes };
	struct hs_spool *spool = NULL;

	assert_int_equal(hs_spool_open(&config, &spool), 0);
	return spool;
}

static void test_records_come_back_in_order_through_memory_and_file(void **state)
{
	struct hs_spool *spool = open_spool(10000, 100 << 20);
	struct hs_spool_counts counts;
	struct pattern got;
	uint32_t put = 0, taken = 0;

	(void)state;
	/* The stretches by which it fills and empties go through every state: ring only, both, file only. */
	for (uint32_t stretch = 1; put < RECORDS; stretch = stretch * 3 % 101) {
		for (uint32_t i = 0; i < stretch; i++)
			assert_int_equal(put_pattern(spool, put++), 0);
		for (uint32_t i = 0; i < stretch * 4 / 5; i++) {
			expect_pattern(&got, hs_spool_take(spool, &got, sizeof(got)));
			assert_int_equal(got.number, taken++);
		}
	}
	while (taken < put) {
		expect_pattern(&got, hs_spool_take(spool, &got, sizeof(got)));
		assert_int_equal(got.number, taken++);
	}
	assert_int_equal(hs_spool_take(spool, &got, sizeof(got)), 0);
	hs_spool_counts(spool, &counts);
	assert_int_equal(counts.records, put);
	assert_int_equal(counts.dropped_records, 0);
	assert_true(counts.spilled_records > 100 && counts.spilled_records < put);
	hs_spool_free(spool);
}

static void test_what_finds_no_room_is_dropped_whole_and_counted(void **state)
{
	struct hs_spool *spool = open_spool(4096, 8192);
	struct hs_spool_counts counts;
	struct pattern got;
	uint64_t kept = 0, dropped = 0, dropped_bytes = 0, taken = 0;
	ssize_t len;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		int err = put_pattern(spool, i);

		assert_true(err == 0 || err == -ENOBUFS);
		kept += err == 0;
		dropped += err != 0;
		dropped_bytes += err ? 8 + i * 7919u % sizeof(got.bytes) : 0;
	}
	hs_spool_counts(spool, &counts);
	assert_int_equal(counts.records, kept);
	assert_int_equal(counts.dropped_records, dropped);
	assert_int_equal(counts.dropped_bytes, dropped_bytes);
	assert_true(dropped > 900 && counts.spilled_records > 0);
	for (; (len = hs_spool_take(spool, &got, sizeof(got))) > 0; taken++)
		expect_pattern(&got, len);
	assert_int_equal(taken, kept);
	assert_int_equal(put_pattern(spool, 1), 0); /* there is room again */
	hs_spool_free(spool);
}

static void test_without_a_file_only_memory_is_used(void **state)
{
	struct hs_spool *spool = open_spool(100, 0);
	struct iovec part = { "0123456789012345678901234567890123456789", 40 };
	char small[8];

	(void)state;
	assert_int_equal(hs_spool_put(spool, &part, 1), 0);
	assert_int_equal(hs_spool_put(spool, &part, 1), 0);
	assert_int_equal(hs_spool_put(spool, &part, 1), -ENOBUFS);
	assert_int_equal(hs_spool_put(spool, &part, 0), -EINVAL);
	assert_int_equal(hs_spool_take(spool, small, sizeof(small)), -EMSGSIZE);
	hs_spool_free(spool);
}

static void test_a_folder_that_is_gone_loses_with_a_message_and_a_count(void **state)
{
	struct hs_spool_config config = { .dir = "/nonexistent", .memory_bytes = 64, .disk_bytes = 1 << 20 };
	struct iovec part = { "0123456789012345678901234567890123456789", 40 };
	struct hs_spool_counts counts;
	struct hs_spool *spool = NULL;

	(void)state;
	assert_int_equal(hs_spool_open(&config, &spool), 0);
	assert_int_equal(hs_spool_put(spool, &part, 1), 0);
	assert_int_equal(hs_spool_put(spool, &part, 1), -ENOBUFS);
	assert_non_null(strstr(hs_log_last_error(), "/nonexistent"));
	hs_spool_counts(spool, &counts);
	assert_int_equal(counts.dropped_records, 1);
	hs_spool_free(spool);
}

static void *take_all(void *arg)
{
	struct hs_spool *spool = arg;
	struct pattern got;

	for (uint32_t taken = 0; taken < RECORDS;) {
		ssize_t len = hs_spool_take(spool, &got, sizeof(got));

		if (len == 0)
			continue;
		expect_pattern(&got, len);
		assert_int_equal(got.number, taken++);
	}
	return NULL;
}

static void test_one_puts_while_the_other_takes(void **state)
{
	struct hs_spool *spool = open_spool(20000, 100 << 20);
	struct hs_spool_counts counts;
	pthread_t taker;

	(void)state;
	assert_int_equal(pthread_create(&taker, NULL, take_all, spool), 0);
	for (uint32_t i = 0; i < RECORDS; i++)
		assert_int_equal(put_pattern(spool, i), 0);
	pthread_join(taker, NULL);
	hs_spool_counts(spool, &counts);
	assert_int_equal(counts.records, RECORDS);
	hs_spool_free(spool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records_come_back_in_order_through_memory_and_file),
		cmocka_unit_test(test_what_finds_no_room_is_dropped_whole_and_counted),
		cmocka_unit_test(test_without_a_file_only_memory_is_used),
		cmocka_unit_test(test_a_folder_that_is_gone_loses_with_a_message_and_a_count),
		cmocka_unit_test(test_one_puts_while_the_other_takes),
	};

	return RUN_TESTS("spool", tests);
}
