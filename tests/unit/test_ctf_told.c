// SPDX-License-Identifier: GPL-2.0-only
/* What programs told, written as a trace and read back. (babeltrace2 as the judge: tests/e2e/migrate.sh.) */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "cm.h"
#include "trace/ctf_events.h"
#include "trace/ctf_reader.h"
#include "trace/ctf_told.h"

static const struct hs_ctf_told_kind kind_pair = {
	.system = "qemu", .name = "pair", .numbers = { "one", "other" }, .text = "text"
};

struct fixture {
	char dir[64], trace[96];
	struct hs_ctf_told *told;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	hs_log_set_level(HS_LOG_ERR);
	strcpy(fixture->dir, "/tmp/hsbpf-told-XXXXXX");
	if (!mkdtemp(fixture->dir))
		return -1;
	snprintf(fixture->trace, sizeof(fixture->trace), "%s/t", fixture->dir);
	*state = fixture;
	return hs_ctf_told_open(&fixture->told);
}

static int tear_down(void **state)
{
	static const char *const names[] = { "/t/metadata", "/t/told_cpu0", "/t", "" };
	struct fixture *fixture = *state;

	for (size_t i = 0; i < HS_ARRAY_SIZE(names); i++) {
		scoped(mem) char *path = hs_format("%s%s", fixture->dir, names[i]);

		assert_true(!remove(path) || errno == ENOENT);
	}
	hs_ctf_told_free(fixture->told);
	free(fixture);
	return 0;
}

static const char *text_of(const struct hs_ctf_record *record, size_t *count)
{
	const struct hs_field *fields = record->event->fields;

	return hs_ctf_field_content(record->event, &fields[record->event->field_nr - 1], record->header, count);
}

static void test_what_was_told_is_read_back_by_time(void **state)
{
	struct fixture *fixture = *state;
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = NULL;
	struct hs_ctf_told_kind plain = { .system = "qmp", .name = "STOP" };
	struct hs_ctf_record record;
	size_t count;

	assert_int_equal(hs_ctf_told_add(fixture->told, 30, 77, &kind_pair, (uint64_t[]){ 1, UINT64_MAX }, "later"), 0);
	assert_int_equal(hs_ctf_told_add(fixture->told, 20, 0, &plain, NULL, NULL), 0);
	assert_int_equal(hs_ctf_told_add(fixture->told, 20, 0, &kind_pair, (uint64_t[]){ 2, 3 }, "a\nb\xff\"c"), 0);
	assert_int_equal(hs_ctf_told_write(fixture->told, fixture->trace, "source", -7), 0);

	assert_int_equal(hs_ctf_reader_open_all(fixture->trace, &reader), 0);
	assert_string_equal(hs_ctf_reader_info(reader)->machine, "source");
	assert_int_equal(hs_ctf_reader_info(reader)->clock_offset_ns, -7);
	assert_int_equal(hs_ctf_reader_next(reader, &record), 1);
	assert_string_equal(record.event->name, "STOP");
	assert_string_equal(record.event->system, "qmp");
	assert_int_equal(hs_ctf_reader_next(reader, &record), 1);
	assert_int_equal(record.header->ts, 20);
	assert_string_equal(text_of(&record, &count), "a?b?\"c");
	assert_int_equal(hs_ctf_reader_next(reader, &record), 1);
	assert_int_equal(record.header->ts, 30);
	assert_int_equal(record.header->tid, 77);
	assert_true(hs_field_value(&record.event->fields[1], record.header) == UINT64_MAX);
	assert_string_equal(text_of(&record, &count), "later");
	assert_int_equal(hs_ctf_reader_next(reader, &record), 0);
	assert_int_equal(hs_ctf_reader_counts(reader)->damaged_packets, 0);
}

static void test_many_records_are_several_packets(void **state)
{
	enum { NR = 20000 };
	struct fixture *fixture = *state;
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = NULL;
	struct hs_ctf_record record;
	uint64_t last = 0, nr = 0;

	for (uint64_t i = 0; i < NR; i++)
		assert_int_equal(hs_ctf_told_add(fixture->told, (i * 7919) % NR, 0, &kind_pair, (uint64_t[]){ i, 0 },
						 i % 2 ? "odd" : ""),
				 0);
	assert_int_equal(hs_ctf_told_write(fixture->told, fixture->trace, "source", 0), 0);
	assert_int_equal(hs_ctf_reader_open_all(fixture->trace, &reader), 0);
	for (; hs_ctf_reader_next(reader, &record) > 0; nr++) {
		assert_true(record.header->ts >= last);
		last = record.header->ts;
	}
	assert_int_equal(nr, NR);
	assert_true(hs_ctf_reader_counts(reader)->packets > 1);
	assert_int_equal(hs_ctf_reader_counts(reader)->unread_bytes, 0);
}

static void test_names_that_are_none_are_refused(void **state)
{
	struct fixture *fixture = *state;
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = NULL;
	struct hs_ctf_told_kind torn = { .system = "qemu", .name = "a b", .text = "text" };
	struct hs_ctf_record record;

	assert_int_equal(hs_ctf_told_add(fixture->told, 1, 0, &torn, NULL, ""), -EINVAL);
	assert_int_equal(hs_ctf_told_write(fixture->told, fixture->trace, "source", 0), 0);
	assert_int_equal(hs_ctf_reader_open_all(fixture->trace, &reader), 0);
	assert_int_equal(hs_ctf_reader_next(reader, &record), 0);
}

static void test_kinds_are_bounded(void **state)
{
	struct fixture *fixture = *state;
	int err = 0;
	unsigned int nr = 0;

	for (; !err && nr < 100000; nr++) {
		char name[16];
		struct hs_ctf_told_kind kind = { .system = "qemu", .name = name, .text = "text" };

		snprintf(name, sizeof(name), "e%u", nr);
		err = hs_ctf_told_add(fixture->told, nr, 0, &kind, NULL, "");
	}
	assert_int_equal(err, -E2BIG);
	assert_int_equal(nr, 0x10000 - HS_CTF_TOLD_ID_FIRST + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_was_told_is_read_back_by_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_records_are_several_packets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_names_that_are_none_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_kinds_are_bounded, set_up, tear_down),
	};

	return RUN_TESTS("ctf_told", tests);
}
