// SPDX-License-Identifier: GPL-2.0-only
/* DMA traces: what is written is what is read, and no damage to a file gets past the reader. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "hyper/dmatrace.h"

#include "trace_fixture.h"

#define TENANTS 3
#define PACKETS 40000 /* more than the writer buffers */

static const struct hs_dmatrace_source source = { .name = "log_0.txt", .lines = 7 };
static const struct hs_dmatrace_tenant tenants[TENANTS] = {
	{ .sid = 0x20, .domain = 5, .epochs = 1, .levels = 3 },
	{ .sid = 0x28, .domain = 6, .epochs = 1, .levels = 4, .copy_of = 1 },
	{ .sid = 0x20, .domain = 5, .epochs = 1, .levels = 3, .flags = HS_DMATRACE_IS_COPY },
};

/* Each packet: two translations of tenant i % 3, and an invalidation behind each tenth. */
static void put_packet(struct hs_dmatrace_writer *writer, uint32_t i)
{
	struct hs_dmatrace_record record =
		hs_dmatrace_make_translation(i % TENANTS, 0x1000ULL * i + 8, 0xf200083, i % 4, true, false);

	hs_dmatrace_writer_put(writer, &record);
	record = hs_dmatrace_make_translation(i % TENANTS, 0x1000ULL * i + 12, 0xf200003, 0, false, true);
	hs_dmatrace_writer_put(writer, &record);
	if (i % 10)
		return;
	record = hs_dmatrace_make_invalidation(i % TENANTS, HS_DMATRACE_INV_PAGES, 0x1000ULL * i, 9);
	hs_dmatrace_writer_put(writer, &record);
}

static void write_trace(const char *path, uint32_t packets)
{
	struct hs_dmatrace_header plan = {
		.source_nr = 1, .tenant_nr = TENANTS, .order = HS_DMATRACE_RAND, .burst = 4, .seed = 99
	};
	scoped(hs_dmatrace_writer) struct hs_dmatrace_writer *writer = NULL;

	assert_int_equal(hs_dmatrace_writer_open(path, &plan, &writer), 0);
	for (uint32_t i = 0; i < packets; i++) {
		if (i == 10)
			hs_dmatrace_writer_mark_end(writer);
		put_packet(writer, i);
	}
	assert_int_not_equal(access(path, F_OK), 0); /* not there before it is whole */
	assert_int_equal(hs_dmatrace_writer_finish(writer, &source, tenants, NULL), 0);
}

static void test_what_was_written_is_read(void **state)
{
	struct fixture *fixture = *state;
	scoped(hs_dmatrace) struct hs_dmatrace *trace = NULL;
	const struct hs_dmatrace_record *record;
	uint64_t sum = 0;

	write_trace(fixture->path, PACKETS);
	assert_int_equal(hs_dmatrace_open(fixture->path, &trace), 0);
	assert_int_equal(trace->header->order, HS_DMATRACE_RAND);
	assert_int_equal(trace->header->burst, 4);
	assert_int_equal(trace->header->seed, 99);
	assert_int_equal(trace->header->packet_nr, PACKETS);
	assert_int_equal(trace->header->translation_nr, 2 * PACKETS);
	assert_int_equal(trace->header->record_nr, 2 * PACKETS + PACKETS / 10);
	assert_int_equal(trace->header->first_end, 21);
	assert_string_equal(trace->sources[0].name, "log_0.txt");
	assert_int_equal(trace->tenants[1].sid, 0x28);
	for (int i = 0; i < TENANTS; i++)
		sum += trace->tenants[i].translations + trace->tenants[i].invalidations;
	assert_int_equal(sum, trace->header->record_nr);

	record = &trace->records[trace->header->first_end + 3]; /* packet 11, its second */
	assert_int_equal(hs_dmatrace_kind(record), HS_DMATRACE_TRANSLATION);
	record = &trace->records[0];
	assert_true(hs_dmatrace_is_first(record));
	assert_int_equal(hs_dmatrace_kind(&trace->records[2]), HS_DMATRACE_INV_PAGES);
	assert_int_equal(hs_dmatrace_inv_order(&trace->records[2]), 9);
	/* The last packet, which no invalidation follows. */
	record = &trace->records[trace->header->record_nr - 2];
	assert_int_equal(hs_dmatrace_iova(record), 0x1000ULL * (PACKETS - 1) + 8);
	assert_int_equal(hs_dmatrace_tenant(record), (PACKETS - 1) % TENANTS);
}

static void test_a_record_keeps_all_its_fields(void **state)
{
	struct hs_dmatrace_record record = hs_dmatrace_make_translation(
		HS_DMATRACE_TENANTS_MAX - 1, HS_DMATRACE_IOVA_MASK, UINT64_MAX, 3, true, true);

	(void)state;
	assert_int_equal(hs_dmatrace_tenant(&record), HS_DMATRACE_TENANTS_MAX - 1);
	assert_int_equal(hs_dmatrace_iova(&record), HS_DMATRACE_IOVA_MASK);
	assert_int_equal(hs_dmatrace_kind(&record), HS_DMATRACE_TRANSLATION);
	assert_int_equal(hs_dmatrace_page_shift(&record), 39);
	assert_int_equal(hs_dmatrace_slpte(&record), HS_DMATRACE_FRAME_MASK | 0x883);

	record = hs_dmatrace_make_translation(5, 0x2b3500c, 0xf200083, 1, false, false);
	assert_int_equal(hs_dmatrace_tenant(&record), 5);
	assert_int_equal(hs_dmatrace_iova(&record), 0x2b3500c);
	assert_int_equal(hs_dmatrace_slpte(&record), 0xf200083);
	assert_int_equal(hs_dmatrace_page_shift(&record), 21);
	assert_false(hs_dmatrace_is_first(&record));
	assert_false(hs_dmatrace_is_write(&record));

	record = hs_dmatrace_make_invalidation(7, HS_DMATRACE_INV_CONTEXT, 0, 0);
	assert_int_equal(hs_dmatrace_kind(&record), HS_DMATRACE_INV_CONTEXT);
	assert_int_equal(hs_dmatrace_tenant(&record), 7);
}

static void test_a_file_that_is_not_finished_does_not_appear(void **state)
{
	struct fixture *fixture = *state;
	struct hs_dmatrace_header plan = { .source_nr = 1, .tenant_nr = TENANTS };
	struct hs_dmatrace_writer *writer = NULL;

	assert_int_equal(hs_dmatrace_writer_open(fixture->path, &plan, &writer), 0);
	put_packet(writer, 0);
	hs_dmatrace_writer_free(writer);
	assert_int_equal(rmdir(fixture->dir), 0); /* nothing is left */
	assert_int_equal(mkdir(fixture->dir, 0700), 0);
}

/* Every byte of header and tables, set to each of two values: either refused, or within bounds. */
static void test_damage_is_found_or_harmless(void **state)
{
	struct fixture *fixture = *state;
	scoped(mem) char *bytes = NULL;
	struct hs_dmatrace trace;
	size_t len, refused = 0;

	write_trace(fixture->path, 20);
	assert_int_equal(hs_read_file(fixture->path, 1 << 20, &bytes, &len), 0);
	assert_null(hs_dmatrace_parse(bytes, len, &trace));
	for (size_t at = 0; at < len; at++) {
		char was = bytes[at];

		bytes[at] = (char)~was;
		if (hs_dmatrace_parse(bytes, len, &trace)) {
			refused++;
		} else {
			for (uint64_t i = 0; i < trace.header->record_nr; i++)
				assert_true(hs_dmatrace_tenant(&trace.records[i]) < trace.header->tenant_nr);
		}
		bytes[at] = was;
	}
	/* At least magic, version, lengths, counts, offsets; and of each record tenant, kind or first. */
	assert_true(refused > 60);
	for (size_t cut = 0; cut < len; cut++)
		assert_non_null(hs_dmatrace_parse(bytes, cut, &trace));
	assert_null(hs_dmatrace_parse(bytes, len, &trace));
}

static void test_what_is_no_trace_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct hs_dmatrace *trace = NULL;

	assert_int_equal(hs_dmatrace_open(fixture->path, &trace), -ENOENT);
	assert_int_equal(hs_write_file_atomic(fixture->path, "", 0), 0);
	assert_int_equal(hs_dmatrace_open(fixture->path, &trace), -EINVAL);
	assert_int_equal(hs_dmatrace_open(fixture->dir, &trace), -EINVAL);
	assert_null(trace);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_was_written_is_read, start, stop),
		cmocka_unit_test(test_a_record_keeps_all_its_fields),
		cmocka_unit_test_setup_teardown(test_a_file_that_is_not_finished_does_not_appear, start, stop),
		cmocka_unit_test_setup_teardown(test_damage_is_found_or_harmless, start, stop),
		cmocka_unit_test_setup_teardown(test_what_is_no_trace_is_refused, start, stop),
	};

	return RUN_TESTS("dmatrace", tests);
}
