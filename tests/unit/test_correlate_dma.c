// SPDX-License-Identifier: GPL-2.0-only
/*
 * From translations to DMA: what e1000 and e1000e do for packets, written as the addresses of their log lines, and a
 * real log of two NICs.
 */
#include <stdio.h>
#include <string.h>

#include "base/scoped.h"
#include "correlate/dma.h"

#include "cm.h"

#define R HS_DMA_DESCRIPTOR_READ
#define D HS_DMA_DATA
#define W HS_DMA_WRITE_BACK
#define S HS_DMA_STATUS

static struct hs_dma_parser *parser;
static uint64_t now_ns;

static int start(void **state)
{
	(void)state;
	now_ns = 1000;
	return hs_dma_parser_open(&parser);
}

static int stop(void **state)
{
	(void)state;
	hs_dma_parser_free(parser);
	return 0;
}

static bool feed_event(uint64_t iova, enum hs_qemulog_event event, struct hs_dma *dma)
{
	struct hs_dma_line line = {
		.time_ns = now_ns += 1000, .error_ns = 500, .iova = iova, .tid = 7, .event = event
	};

	return hs_dma_parser_feed(parser, &line, dma);
}

/* All of them but the last say nothing yet, the last ends the DMA. */
static void feed(const uint64_t *iovas, size_t nr, struct hs_dma *dma)
{
	for (size_t i = 0; i < nr; i++)
		assert_int_equal(feed_event(iovas[i], HS_QEMULOG_PAGE_HIT, dma), i + 1 == nr);
}

#define FEED(dma, ...) feed((const uint64_t[]){ __VA_ARGS__ }, sizeof((uint64_t[]){ __VA_ARGS__ }) / 8, dma)

static void assert_kinds(const struct hs_dma *dma, uint32_t read, uint32_t data, uint32_t write, uint32_t status)
{
	assert_int_equal(dma->kinds[R], read);
	assert_int_equal(dma->kinds[D], data);
	assert_int_equal(dma->kinds[W], write);
	assert_int_equal(dma->kinds[S], status);
}

static void test_a_received_packet_of_e1000(void **state)
{
	struct hs_dma dma;

	(void)state;
	FEED(&dma, 0x999a000, 0x98ff8c0, 0x999a000, 0x999a00c);
	assert_true(dma.to_guest);
	assert_kinds(&dma, 1, 1, 1, 1);
	assert_int_equal(dma.begin_ns, 2000);
	assert_int_equal(dma.end_ns, 5000);
	assert_int_equal(dma.error_ns, 500);
	assert_int_equal(dma.tid, 7);
	assert_int_equal(dma.line_nr, 4);
	assert_int_equal(dma.lines[1].iova, 0x98ff8c0);
	assert_int_equal(dma.lines[1].kind, D);
	/* Its data crosses a page. */
	FEED(&dma, 0x999a010, 0x98ffe00, 0x9900000, 0x999a010, 0x999a01c);
	assert_kinds(&dma, 1, 2, 1, 1);
}

static void test_a_received_packet_of_e1000e(void **state)
{
	struct hs_dma dma;

	(void)state;
	FEED(&dma, 0x98da010, 0x63ac840, 0x98da010, 0x98da018);
	assert_true(dma.to_guest);
	assert_kinds(&dma, 1, 1, 1, 1);
}

static void test_a_sent_packet_has_one_or_more_descriptors(void **state)
{
	struct hs_dma dma;

	(void)state;
	FEED(&dma, 0x999c000, 0x63bf002, 0x999c00c);
	assert_false(dma.to_guest);
	assert_kinds(&dma, 1, 1, 0, 1);
	/* Checksum offload: a context without data; data in two places. */
	FEED(&dma, 0x999c010, 0x999c020, 0x63240fe, 0x999c030, 0x9a00000, 0x999c03c);
	assert_false(dma.to_guest);
	assert_kinds(&dma, 3, 2, 0, 1);
	/* e1000e writes each descriptor back. */
	FEED(&dma, 0x999c040, 0x999c04c);
	assert_kinds(&dma, 1, 0, 0, 1);
}

static void test_the_ring_of_sent_packets_begins_again(void **state)
{
	struct hs_dma dma;

	(void)state;
	FEED(&dma, 0x999c000, 0x63bf002, 0x999c00c);
	FEED(&dma, 0x999cff0, 0x999c000, 0x63240fe, 0x999c00c);
	assert_false(dma.to_guest);
	assert_kinds(&dma, 2, 1, 0, 1);
	FEED(&dma, 0x999a000, 0x98ff8c0, 0x999a000, 0x999a00c);
	assert_true(dma.to_guest);
	assert_int_equal(hs_dma_parser_unparsed(parser), 0);
}

static void test_a_driver_that_starts_again_has_another_ring(void **state)
{
	struct hs_dma dma;

	(void)state;
	FEED(&dma, 0x999c000, 0x63bf002, 0x999c00c);
	FEED(&dma, 0x5550000, 0x63bf002, 0x555000c);
	FEED(&dma, 0x5550ff0, 0x5550000, 0x63240fe, 0x555000c);
	assert_kinds(&dma, 2, 1, 0, 1);
	assert_int_equal(hs_dma_parser_unparsed(parser), 0);
}

static void test_misses_read_a_context_entry(void **state)
{
	struct hs_dma dma;

	(void)state;
	assert_false(feed_event(0, HS_QEMULOG_CC_UPDATE, &dma));
	assert_false(feed_event(0x999c000, HS_QEMULOG_PAGE_UPDATE, &dma));
	assert_false(feed_event(0, HS_QEMULOG_CC_HIT, &dma));
	assert_false(feed_event(0x63bf002, HS_QEMULOG_PAGE_UPDATE, &dma));
	assert_true(feed_event(0x999c00c, HS_QEMULOG_PAGE_HIT, &dma));
	assert_kinds(&dma, 1, 1, 0, 1);
	assert_int_equal(dma.kinds[HS_DMA_CONTEXT], 2);
	assert_int_equal(dma.events[HS_QEMULOG_PAGE_UPDATE], 2);
	assert_int_equal(dma.events[HS_QEMULOG_CC_UPDATE], 1);
	assert_int_equal(dma.begin_ns, 2000);
}

static void test_it_goes_on_where_lines_are_missing(void **state)
{
	struct hs_dma dma;

	(void)state;
	/* The first line of a received packet is missing, then the last, then that of a sent one. */
	assert_false(feed_event(0x98ff8c1, HS_QEMULOG_PAGE_HIT, &dma));
	assert_false(feed_event(0x999a000, HS_QEMULOG_PAGE_HIT, &dma));
	assert_true(feed_event(0x999a00c, HS_QEMULOG_PAGE_HIT, &dma));
	assert_false(dma.to_guest); /* nothing tells it from a sent one */
	FEED(&dma, 0x999a010, 0x98ff140, 0x999a010, 0x999a020, 0x98fe9c0, 0x999a020, 0x999a02c);
	assert_true(dma.to_guest);
	assert_kinds(&dma, 1, 1, 1, 1);
	FEED(&dma, 0x999c000, 0x63bf002, 0x999a030, 0x98fe240, 0x999a030, 0x999a03c);
	assert_true(dma.to_guest);
	assert_kinds(&dma, 1, 1, 1, 1);
	FEED(&dma, 0x999a040, 0x98fe240, 0x999a040, 0x999a04c);
	assert_kinds(&dma, 1, 1, 1, 1);
	assert_int_equal(hs_dma_parser_unparsed(parser), 1 + 3 + 2);
}

static void test_lines_without_sense_are_counted(void **state)
{
	struct hs_dma dma;
	uint64_t nr = 100000, line_nr = 0;

	(void)state;
	for (uint64_t i = 0; i < nr; i++)
		if (feed_event(i * 0x123450 & 0xffffff0, HS_QEMULOG_PAGE_HIT, &dma))
			for (int j = 0; j < HS_DMA_KIND_NR; j++)
				line_nr += dma.kinds[j];
	assert_true(hs_dma_parser_unparsed(parser) + line_nr <= nr);
	assert_true(hs_dma_parser_unparsed(parser) + line_nr > nr - HS_DMA_OPEN_MAX);
}

static void test_parts_of_one_packet_add_up(void **state)
{
	struct hs_dma dma, more;

	(void)state;
	FEED(&dma, 0x999c000, 0x999c00c);
	FEED(&more, 0x999c010, 0x63240fe, 0x999c01c);
	hs_dma_prepend(&more, &dma);
	assert_kinds(&more, 2, 1, 0, 2);
	assert_int_equal(more.begin_ns, 2000);
	assert_int_equal(more.end_ns, 6000);
	assert_int_equal(more.line_nr, 5);
	assert_int_equal(more.lines[2].iova, 0x999c010);
}

/* Of a real run: only what its begin and end cut off is not explained. */
static void test_every_line_of_a_real_log_is_explained(void **state)
{
	struct hs_dma_parser *parsers[2] = { 0 };
	char text[4096];
	uint64_t line_nr = 0, explained = 0, to_guest = 0;
	FILE *log = popen("xz -dc tests/data/qemu_iommu_2vm_20k.txt.xz", "r");

	(void)state;
	assert_non_null(log);
	for (int i = 0; i < 2; i++)
		assert_int_equal(hs_dma_parser_open(&parsers[i]), 0);
	while (fgets(text, sizeof(text), log)) {
		struct hs_qemulog_line line;
		struct hs_dma_line input;
		struct hs_dma dma;

		if (hs_qemulog_decode(text, strcspn(text, "\n"), &line) != HS_QEMULOG_DECODED ||
		    line.event == HS_QEMULOG_OTHER)
			continue;
		input = (struct hs_dma_line){ .iova = line.iova, .event = line.event };
		line_nr++;
		if (!hs_dma_parser_feed(parsers[line.sid == 0x28], &input, &dma))
			continue;
		to_guest += dma.to_guest;
		for (int i = 0; i < HS_DMA_KIND_NR; i++)
			explained += dma.kinds[i];
	}
	assert_int_equal(pclose(log), 0);
	assert_int_equal(line_nr, 20000);
	assert_true(explained >= line_nr - 8);
	assert_int_equal(to_guest, 4828);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(hs_dma_parser_unparsed(parsers[i]), 0);
		hs_dma_parser_free(parsers[i]);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(test_a_received_packet_of_e1000),
		TEST(test_a_received_packet_of_e1000e),
		TEST(test_a_sent_packet_has_one_or_more_descriptors),
		TEST(test_the_ring_of_sent_packets_begins_again),
		TEST(test_a_driver_that_starts_again_has_another_ring),
		TEST(test_misses_read_a_context_entry),
		TEST(test_it_goes_on_where_lines_are_missing),
		TEST(test_lines_without_sense_are_counted),
		TEST(test_parts_of_one_packet_add_up),
		cmocka_unit_test(test_every_line_of_a_real_log_is_explained),
	};

	return RUN_TESTS("correlate_dma", tests);
}
