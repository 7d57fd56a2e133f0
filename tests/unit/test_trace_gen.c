// SPDX-License-Identifier: GPL-2.0-only
/*
 * From logs to a trace: golden logs of stock and patched QEMU, the orders, the reuse of streams, where a trace is cut,
 * and what is refused. Run in the top directory.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/log.h"
#include "hyper/gen.h"
#include "hyper/gen_hypersio.h"
#include "hyper/gen_spool.h"
#include "hyper/gen_watch.h"
#include "tests/data/sample.h"

#include "cm.h"

#define STOCK "tests/data/hyper_stock"
#define PATCHED "tests/data/hyper_patched"
#define PREFIX "1@1795228323.000001:"

struct fixture {
	char dir[32];
	char *prefix, *output;
	struct hs_gen_config config;
};

static int start(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	strcpy(fixture->dir, "/tmp/test_trace_gen.XXXXXX");
	if (!mkdtemp(fixture->dir))
		return -1;
	fixture->prefix = hs_format("%s/log", fixture->dir);
	fixture->output = hs_format("%s/trace", fixture->dir);
	fixture->config = (struct hs_gen_config){ .prefix = fixture->prefix, .output = fixture->output, .burst = 1 };
	*state = fixture;
	return 0;
}

static int stop(void **state)
{
	struct fixture *fixture = *state;

	hs_remove_tree(fixture->dir);
	free(fixture->prefix);
	free(fixture->output);
	free(fixture);
	return 0;
}

static void write_log(struct fixture *fixture, const char *suffix, const char *text)
{
	scoped(mem) char *path = hs_format("%s_%s", fixture->prefix, suffix);

	assert_int_equal(hs_write_file_atomic(path, text, strlen(text)), 0);
}

static struct hs_dmatrace *generate(struct fixture *fixture)
{
	struct hs_dmatrace *trace = NULL;

	assert_int_equal(hs_gen_write(&fixture->config), 0);
	assert_int_equal(hs_dmatrace_open(fixture->output, &trace), 0);
	return trace;
}

/* Refused with that reason, and nothing is left. */
static void assert_refused(struct fixture *fixture, const char *reason)
{
	assert_int_not_equal(hs_gen_write(&fixture->config), 0);
	if (!strstr(hs_log_last_error(), reason))
		fail_msg("'%s' should say '%s'", hs_log_last_error(), reason);
	assert_int_not_equal(access(fixture->output, F_OK), 0);
}

/* ---- golden logs --------------------------------------------------------------------------------- */

#define FIRST true
#define WRITE true
#define T(tenant, iova, slpte, class, first, write)                                                                    \
	hs_dmatrace_make_translation(tenant, iova, slpte, class, first, write)
#define I(tenant, kind, iova) hs_dmatrace_make_invalidation(tenant, HS_DMATRACE_INV_##kind, iova, 0)

/* What both golden logs are about: see the lines of tests/data/hyper_stock_0.txt. */
static void assert_golden(const struct hs_dmatrace *trace)
{
	const struct hs_dmatrace_record expected[] = {
		T(0, 0x1000, 0xabc003, 0, FIRST, false),
		T(0, 0xffff8040, 0xdef003, 0, false, WRITE),
		T(0, 0x1000, 0xabc003, 0, false, WRITE),
		T(0, 0x100c, 0xabc003, 0, false, WRITE),
		I(0, PAGES, 0xffff8000),
		I(0, CONTEXT, 0),
		T(1, 0x40345000, 0x80000083, 2, FIRST, false),
		T(1, 0x4a000042, 0x80000083, 2, false, false),
		T(1, 0x40345010, 0x80000083, 2, false, false),
		T(1, 0x5b000100, 0x80000083, 2, false, false),
		T(1, 0x4034501c, 0x80000083, 2, false, WRITE),
		I(1, DOMAIN, 0),
		I(1, CONTEXT, 0),
		I(1, GLOBAL, 0),
		T(0, 0x2b35000, 0xf200083, 1, FIRST, false),
		T(0, 0x2bff8c0, 0xf200083, 1, false, WRITE),
		T(0, 0x2b35000, 0xf200083, 1, false, WRITE),
		T(0, 0x2b3500c, 0xf200083, 1, false, WRITE),
		T(0, 0x2b35010, 0xf200083, 1, FIRST, false),
		T(0, 0x2bff8c0, 0xf200083, 1, false, WRITE),
		T(0, 0x2c00000, 0xf400083, 1, false, WRITE),
		T(0, 0x2b35010, 0xf200083, 1, false, WRITE),
		T(0, 0x2b3501c, 0xf200083, 1, false, WRITE),
		I(0, GLOBAL, 0),
	};

	assert_int_equal(trace->header->record_nr, HS_ARRAY_SIZE(expected));
	for (size_t i = 0; i < HS_ARRAY_SIZE(expected); i++) {
		assert_int_equal(trace->records[i].a, expected[i].a);
		assert_int_equal(trace->records[i].b, expected[i].b);
	}
	assert_int_equal(trace->header->tenant_nr, 2);
	assert_int_equal(trace->tenants[0].sid, 0x20);
	assert_int_equal(trace->tenants[0].domain, 5);
	assert_int_equal(trace->tenants[0].epochs, 2);
	assert_int_equal(trace->tenants[0].levels, 3);
	assert_int_equal(trace->tenants[0].context_low, 0x3215001);
	assert_int_equal(trace->tenants[0].flags, 0);
	assert_int_equal(trace->tenants[1].sid, 0x28);
}

static void assert_golden_ignored(const struct hs_dmatrace *trace, uint64_t lines, uint64_t unused_events)
{
	const struct hs_dmatrace_source *source = &trace->sources[0];

	assert_int_equal(source->lines, lines);
	assert_int_equal(source->translations, 18);
	assert_int_equal(source->packets, 4);
	assert_int_equal(source->ignored[HS_DMATRACE_IGNORED_FOREIGN], 1);
	assert_int_equal(source->ignored[HS_DMATRACE_IGNORED_TORN], 1);
	assert_int_equal(source->ignored[HS_DMATRACE_IGNORED_EVENT], unused_events);
	assert_int_equal(source->ignored[HS_DMATRACE_IGNORED_STRAY], 1);
	assert_int_equal(source->ignored[HS_DMATRACE_IGNORED_OPEN], 1);
	assert_int_equal(source->ignored[HS_DMATRACE_IGNORED_INVALIDATION], 1);
}

static void test_the_golden_log_of_stock_qemu(void **state)
{
	struct fixture *fixture = *state;
	scoped(hs_dmatrace) struct hs_dmatrace *trace = NULL;

	fixture->config.prefix = STOCK;
	trace = generate(fixture);
	assert_golden(trace);
	assert_golden_ignored(trace, 31, 1);
}

static void test_the_patched_form_of_the_same_events_gives_the_same_trace(void **state)
{
	struct fixture *fixture = *state;
	scoped(hs_dmatrace) struct hs_dmatrace *trace = NULL;

	fixture->config.prefix = PATCHED;
	trace = generate(fixture);
	assert_golden(trace);
	assert_golden_ignored(trace, 42, 12);
}

/* The golden log with the prefixes that came with QEMU 10.2 and after it. */
static void assert_golden_with_prefix(struct fixture *fixture, const char *prefix)
{
	scoped(hs_dmatrace) struct hs_dmatrace *trace = NULL;
	scoped(mem) char *text = NULL, *renamed = NULL;
	size_t len;
	char *to;

	assert_int_equal(hs_read_file(STOCK "_0.txt", 1 << 20, &text, &len), 0);
	to = renamed = malloc(3 * len);
	for (char *line = text; *line; line = strchr(line, '\n') + 1) {
		char *event = strchr(line, ':') + 1;
		char *next = strchr(line, '\n') + 1, *from = *line == '1' ? event : line;

		to = stpcpy(to, *line == '1' ? prefix : "");
		to = mempcpy(to, from, (size_t)(next - from));
	}
	*to = '\0';
	write_log(fixture, "0.txt", renamed);
	trace = generate(fixture);
	assert_golden(trace);
	assert_golden_ignored(trace, 31, 1);
}

static void test_the_prefixes_of_newer_qemus_change_nothing(void **state)
{
	assert_golden_with_prefix(*state, "");
	assert_golden_with_prefix(*state, "2026-01-08T17:03:24.123456Z ");
	assert_golden_with_prefix(*state, "2026-01-08T17:03:24Z ");
	assert_golden_with_prefix(*state, "2026-01-08T17:03:24.123456Z qemu-system-x86_64: (1144713:CPU 0/KVM): ");
	assert_golden_with_prefix(*state, "qemu-system-x86_64: (1144713:main): ");
}

/* A page's size comes from vtd_dmar_translate where it is there: nothing else could tell these two. */
static void test_translate_lines_tell_the_page_size(void **state)
{
	struct fixture *fixture = *state;
	scoped(hs_dmatrace) struct hs_dmatrace *trace = NULL;

	write_log(fixture, "0.txt",
		  PREFIX
		  "vtd_iotlb_page_update IOTLB page update sid 0x20 iova 0x1000 slpte 0x40000083 domain 0x5\n" PREFIX
		  "vtd_dmar_translate dev 00:04.00 iova 0x0 -> gpa 0x40000000 mask 0x3fffffff\n" PREFIX
		  "vtd_iotlb_page_hit IOTLB page hit sid 0x20 iova 0x2008 slpte 0x80000083 domain 0x5\n" PREFIX
		  "vtd_dmar_translate dev 00:04.00 iova 0x0 -> gpa 0x80000000 mask 0x1fffff\n");
	fixture->config.packet_translations = 1;
	trace = generate(fixture);
	assert_int_equal(trace->header->translation_nr, 2);
	assert_int_equal(hs_dmatrace_size_class(&trace->records[0]), 2);
	assert_int_equal(hs_dmatrace_size_class(&trace->records[1]), 1);
	assert_int_equal(hs_dmatrace_iova(&trace->records[1]), 0x2008);
	assert_true(trace->tenants[0].flags & HS_DMATRACE_LEVELS_GUESSED);
	assert_int_equal(trace->tenants[0].levels, 3);
}

static void test_translate_lines_alone_are_translations(void **state)
{
	struct fixture *fixture = *state;
	scoped(hs_dmatrace) struct hs_dmatrace *trace = NULL;

	write_log(
		fixture, "0.txt",
		PREFIX
		"vtd_iotlb_cc_update IOTLB context update bus 0x0 devfn 0x20 high 0x702 low 0x1 gen 0 -> gen 1\n" PREFIX
		"vtd_dmar_translate dev 00:04.00 iova 0x7f0000001000 -> gpa 0x5000 mask 0xfff\n" PREFIX
		"vtd_dmar_translate dev 00:04.00 iova 0x200000 -> gpa 0x80000000 mask 0x1fffff\n");
	assert_refused(fixture, "--packets fixed=N");
	fixture->config.packet_translations = 2;
	trace = generate(fixture);
	assert_int_equal(trace->header->packet_nr, 1);
	assert_int_equal(trace->header->translation_nr, 2);
	assert_int_equal(hs_dmatrace_slpte(&trace->records[0]), 0x5003);
	assert_int_equal(hs_dmatrace_slpte(&trace->records[1]), 0x80000083);
	assert_int_equal(trace->tenants[0].levels, 4);
	assert_int_equal(trace->tenants[0].domain, 7);
}

/* ---- hypersio's files ---------------------------------------------------------------------------- */

static uint64_t field(const char *bytes, size_t len)
{
	uint64_t value = 0;

	memcpy(&value, bytes, len);
	return value;
}

static char *read_bytes(struct fixture *fixture, const char *name, size_t expected_len)
{
	scoped(mem) char *path = hs_format("%s_%s", fixture->prefix, name);
	char *bytes = NULL;
	size_t len;

	assert_int_equal(hs_read_file(path, 1 << 20, &bytes, &len), 0);
	assert_int_equal(len, expected_len);
	return bytes;
}

/* Offsets of the fields as hypersio reads them: reference in user/hyper/gen_hypersio.h. */
static void test_hypersios_files_have_its_records(void **state)
{
	struct fixture *fixture = *state;
	scoped(hs_ingest_walks) struct hs_ingest_walks *walks = NULL;
	scoped(hs_dmatrace) struct hs_dmatrace *trace = NULL;
	scoped(mem) char *translations = NULL, *contexts = NULL, *tables = NULL;
	const char *record;

	assert_int_equal(hs_ingest_walks_open(&walks), 0);
	fixture->config.prefix = PATCHED;
	fixture->config.walks = walks;
	trace = generate(fixture);
	assert_int_equal(hs_gen_hypersio_write(trace, walks, fixture->prefix), 0);

	/* Eighteen translations; the fifth is tenant 1's first, in a page of 1 GiB that is used again one later. */
	translations = read_bytes(fixture, "iotlb_trace.bin", 18 * 48);
	record = translations + 4 * 48;
	assert_int_equal(field(record, 4), 1);
	assert_int_equal(field(record + 4, 2), 1);
	assert_int_equal(field(record + 6, 2), 1);
	assert_int_equal(field(record + 8, 8), 0x40345000);
	assert_int_equal(field(record + 16, 8), 0xffffffffc0000000);
	assert_int_equal(field(record + 24, 8), 3);
	assert_int_equal(field(record + 32, 8), 0x80000083);
	assert_int_equal(field(record + 40, 8), 5);
	/* The page of 4 KiB that the first, third and fourth use. */
	assert_int_equal(field(translations + 40, 8), 2);
	assert_int_equal(field(translations + 2 * 48 + 40, 8), 3);
	assert_int_equal(field(translations + 3 * 48 + 40, 8), UINT64_MAX);
	assert_int_equal(field(translations + 17 * 48 + 40, 8), UINT64_MAX);

	contexts = read_bytes(fixture, "cc_data.bin", 2 * 20);
	assert_int_equal(field(contexts + 20, 2), 1);
	assert_int_equal(field(contexts + 22, 8), 0x601);
	assert_int_equal(field(contexts + 30, 8), 0x4215001);

	/* Of the domains that the devices end with: three entries of tenant 0, one of tenant 1. */
	tables = read_bytes(fixture, "slpt_data.bin", 4 * 42);
	record = tables + 42;
	assert_int_equal(field(record, 2), 0);
	assert_int_equal(field(record + 2, 8), 0x3216000 + 0x15 * 8);
	assert_int_equal(field(record + 10, 8), 2);
	assert_int_equal(field(record + 18, 8), 0xf200083);
	assert_int_equal(field(record + 26, 8), 0x2b35000);
	assert_int_equal(field(record + 34, 8), 0x3216000);
}

/* A page is used next by the same tenant in the same page, whatever is between: told by going through it forwards. */
static void test_the_next_use_of_a_page_is_right_in_a_real_log(void **state)
{
	struct fixture *fixture = *state;
	scoped(hs_ingest_walks) struct hs_ingest_walks *walks = NULL;
	scoped(hs_dmatrace) struct hs_dmatrace *trace = NULL;
	scoped(mem) char *translations = NULL, *bytes = NULL, *path = hs_format("%s_0.txt.xz", fixture->prefix);
	size_t len, nr;

	assert_int_equal(hs_read_file(SAMPLE_IOMMU, 1 << 20, &bytes, &len), 0);
	assert_int_equal(hs_write_file_atomic(path, bytes, len), 0);
	assert_int_equal(hs_ingest_walks_open(&walks), 0);
	trace = generate(fixture);
	assert_int_equal(hs_gen_hypersio_write(trace, walks, fixture->prefix), 0);
	nr = trace->header->translation_nr;
	assert_true(nr > 16384); /* more than a block */
	translations = read_bytes(fixture, "iotlb_trace.bin", nr * 48);
	for (size_t i = 0; i < nr; i++) {
		const char *record = translations + i * 48;
		size_t next = i + 1;

		while (next < nr && (memcmp(record + 6, translations + next * 48 + 6, 2) != 0 ||
				     (field(record + 8, 8) ^ field(translations + next * 48 + 8, 8)) >> 21))
			next++;
		assert_int_equal(field(record + 40, 8), next < nr ? next : UINT64_MAX);
	}
}

/* ---- orders -------------------------------------------------------------------------------------- */

/* Of each of two devices so many packets: packet i writes its data to 0x10000000 + (i << 12). */
static char *make_log(const uint32_t packets[2])
{
	static const char line[] = PREFIX "vtd_iotlb_page_hit IOTLB page hit sid 0x%x iova 0x%x slpte 0x3 domain 0x5\n";
	size_t room = (packets[0] + packets[1]) * 4 * 128 + 1, len = 0;
	char *text = malloc(room);

	text[0] = '\0';
	for (uint32_t i = 0; i < packets[0] || i < packets[1]; i++)
		for (uint32_t device = 0; device < 2; device++) {
			uint32_t sid = 0x20 + 8 * device, ring = 0x1000 + 16 * (i % 100);
			uint32_t iovas[4] = { ring, 0x10000000 + (i << 12), ring, ring + 12 };

			for (int j = 0; i < packets[device] && j < 4; j++)
				len += (size_t)snprintf(text + len, room - len, line, sid, iovas[j]);
		}
	return text;
}

static void write_two(struct fixture *fixture, const char *suffix, uint32_t first, uint32_t second)
{
	scoped(mem) char *text = make_log((const uint32_t[]){ first, second });

	write_log(fixture, suffix, text);
}

static uint32_t number_of(const struct hs_dmatrace_record *data)
{
	return (uint32_t)(hs_dmatrace_iova(data) >> 12) - 0x10000;
}

/* The packets in the trace's order: tenant in the upper half, number in its log's stream below. */
static uint32_t list_packets(const struct hs_dmatrace *trace, uint32_t *packets, uint32_t room)
{
	uint32_t nr = 0;

	for (uint64_t i = 0; i < trace->header->record_nr; i++) {
		const struct hs_dmatrace_record *record = &trace->records[i];

		if (hs_dmatrace_kind(record) != HS_DMATRACE_TRANSLATION || !hs_dmatrace_is_first(record))
			continue;
		assert_true(nr < room);
		packets[nr++] = hs_dmatrace_tenant(record) << 16 | number_of(record + 1);
	}
	assert_int_equal(nr, trace->header->packet_nr);
	return nr;
}

#define P(tenant, number) ((tenant) << 16 | (number))
#define ASSERT_PACKETS(trace, ...)                                                                                     \
	do {                                                                                                           \
		const uint32_t want[] = { __VA_ARGS__ };                                                               \
		uint32_t have[64];                                                                                     \
		assert_int_equal(list_packets(trace, have, 64), HS_ARRAY_SIZE(want));                                  \
		assert_memory_equal(have, want, sizeof(want));                                                         \
	} while (0)

static void test_round_robin_uses_every_tenant_to_its_end(void **state)
{
	struct fixture *fixture = *state;
	scoped(hs_dmatrace) struct hs_dmatrace *trace = NULL;

	write_two(fixture, "0.txt", 5, 3);
	fixture->config.burst = 2;
	trace = generate(fixture);
	ASSERT_PACKETS(trace, P(0, 0), P(0, 1), P(1, 0), P(1, 1), P(0, 2), P(0, 3), P(1, 2), P(0, 4));
	assert_int_equal(trace->header->first_end, 4 * 7);
	assert_int_equal(trace->header->flags, 0);
}

static void test_a_cut_is_stated(void **state)
{
	struct fixture *fixture = *state;
	struct hs_dmatrace *trace;

	write_two(fixture, "0.txt", 5, 3);
	fixture->config.cut_first = true;
	trace = generate(fixture);
	ASSERT_PACKETS(trace, P(0, 0), P(1, 0), P(0, 1), P(1, 1), P(0, 2), P(1, 2));
	assert_int_equal(trace->header->flags, HS_DMATRACE_CUT);
	hs_dmatrace_free(trace);

	fixture->config.cut_first = false;
	fixture->config.cut_packets = 2;
	trace = generate(fixture);
	ASSERT_PACKETS(trace, P(0, 0), P(1, 0), P(0, 1), P(1, 1));
	assert_int_equal(trace->header->flags, HS_DMATRACE_CUT);
	assert_int_equal(trace->header->cut_packets, 2);
	hs_dmatrace_free(trace);
}

static void test_more_tenants_than_devices_use_streams_again_from_elsewhere(void **state)
{
	struct fixture *fixture = *state;
	scoped(hs_dmatrace) struct hs_dmatrace *trace = NULL;

	write_two(fixture, "0.txt", 4, 2);
	fixture->config.tenants = 5;
	trace = generate(fixture);
	ASSERT_PACKETS(trace, P(0, 0), P(1, 0), P(2, 1), P(3, 1), P(4, 2), P(0, 1), P(1, 1), P(2, 2), P(3, 0), P(4, 3),
		       P(0, 2), P(2, 3), P(4, 0), P(0, 3), P(2, 0), P(4, 1));
	assert_int_equal(trace->tenants[1].flags & HS_DMATRACE_IS_COPY, 0);
	assert_int_equal(trace->tenants[4].flags & HS_DMATRACE_IS_COPY, HS_DMATRACE_IS_COPY);
	assert_int_equal(trace->tenants[4].copy_of, 0);
	assert_int_equal(trace->tenants[4].phase_packets, 2);
	assert_int_equal(trace->tenants[3].copy_of, 1);
}

static void test_fewer_tenants_than_devices_leave_some_out_and_count_them(void **state)
{
	struct fixture *fixture = *state;
	scoped(hs_dmatrace) struct hs_dmatrace *trace = NULL;

	write_two(fixture, "0.txt", 2, 2);
	write_two(fixture, "1.txt", 3, 3);
	fixture->config.tenants = 3;
	trace = generate(fixture);
	assert_int_equal(trace->header->tenant_nr, 3);
	assert_int_equal(trace->header->packet_nr, 2 + 2 + 3);
	assert_int_equal(trace->tenants[2].source, 1);
	assert_int_equal(trace->tenants[2].sid, 0x20);
	assert_int_equal(trace->sources[0].ignored[HS_DMATRACE_IGNORED_TENANT], 0);
	assert_int_equal(trace->sources[1].ignored[HS_DMATRACE_IGNORED_TENANT], 12);
	assert_int_equal(trace->header->flags, HS_DMATRACE_CUT);
}

static void test_the_original_order_is_the_logs(void **state)
{
	struct fixture *fixture = *state;
	scoped(hs_dmatrace) struct hs_dmatrace *trace = NULL;

	write_two(fixture, "0.txt", 3, 1);
	write_two(fixture, "1.txt", 1, 2);
	fixture->config.order = HS_DMATRACE_ORIG;
	trace = generate(fixture);
	ASSERT_PACKETS(trace, P(0, 0), P(1, 0), P(0, 1), P(0, 2), P(2, 0), P(3, 0), P(3, 1));
	fixture->config.tenants = 5;
	assert_int_equal(hs_gen_write(&fixture->config), -EINVAL);
}

static int compare_u32(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return a < b ? -1 : a > b;
}

static void test_random_order_is_its_seeds_and_loses_nothing(void **state)
{
	enum { PACKETS = 300 };
	struct fixture *fixture = *state;
	uint32_t lists[3][PACKETS];
	bool keeps_order = true;

	write_two(fixture, "0.txt", 200, 100);
	fixture->config.order = HS_DMATRACE_RAND;
	for (int i = 0; i < 3; i++) {
		scoped(hs_dmatrace) struct hs_dmatrace *trace = NULL;
		uint32_t next[2] = { 0 };

		fixture->config.seed = i < 2 ? 7 : 8;
		trace = generate(fixture);
		assert_int_equal(list_packets(trace, lists[i], PACKETS), PACKETS);
		for (int j = 0; j < PACKETS; j++)
			keeps_order &= next[lists[i][j] >> 16]++ == (lists[i][j] & 0xffff);
	}
	assert_true(keeps_order);
	assert_memory_equal(lists[0], lists[1], sizeof(lists[0]));
	assert_memory_not_equal(lists[0], lists[2], sizeof(lists[0]));
	qsort(lists[0], PACKETS, sizeof(uint32_t), compare_u32);
	qsort(lists[2], PACKETS, sizeof(uint32_t), compare_u32);
	assert_memory_equal(lists[0], lists[2], sizeof(lists[0]));
}

/* Streams of several chunks, whose copies begin in the middle of one, are whole. */
static void test_long_streams_are_whole_wherever_they_begin(void **state)
{
	enum { PACKETS = 4000, TENANTS = 7 };
	struct fixture *fixture = *state;
	scoped(hs_dmatrace) struct hs_dmatrace *trace = NULL;
	uint8_t *seen = calloc(TENANTS, PACKETS), once[PACKETS];

	assert_true(4 * PACKETS > 3 * HS_GEN_CHUNK_RECORDS);
	write_two(fixture, "0.txt", PACKETS, 0);
	fixture->config.tenants = TENANTS;
	trace = generate(fixture);
	assert_int_equal(trace->header->packet_nr, TENANTS * PACKETS);
	for (uint64_t i = 0; i < trace->header->record_nr; i += 4) {
		uint32_t tenant = hs_dmatrace_tenant(&trace->records[i]);
		uint32_t packet = number_of(&trace->records[i + 1]);

		assert_true(hs_dmatrace_is_first(&trace->records[i]));
		assert_true(packet < PACKETS);
		seen[tenant * PACKETS + packet]++;
	}
	memset(once, 1, sizeof(once));
	for (uint32_t tenant = 0; tenant < TENANTS; tenant++) {
		assert_memory_equal(seen + tenant * PACKETS, once, PACKETS);
		assert_int_equal(trace->tenants[tenant].phase_packets, (uint64_t)PACKETS * tenant / TENANTS);
	}
	free(seen);
}

/* ---- real and packed ----------------------------------------------------------------------------- */

static void test_a_real_log_packed_or_plain_gives_the_same_records(void **state)
{
	struct fixture *fixture = *state;
	scoped(hs_dmatrace) struct hs_dmatrace *plain = NULL, *packed = NULL;
	size_t text_len = 0, packed_len = 0;
	scoped(mem) char *text = sample_load(SAMPLE_IOMMU, &text_len), *bytes = NULL, *path = NULL;

	assert_non_null(text);
	assert_int_equal(hs_read_file(SAMPLE_IOMMU, 1 << 20, &bytes, &packed_len), 0);
	path = hs_format("%s_0.txt", fixture->prefix);
	assert_int_equal(hs_write_file_atomic(path, text, text_len), 0);
	plain = generate(fixture);
	unlink(path);
	free(path);
	path = hs_format("%s_0.txt.xz", fixture->prefix);
	assert_int_equal(hs_write_file_atomic(path, bytes, packed_len), 0);
	packed = generate(fixture);
	assert_int_equal(plain->sources[0].text_bytes, text_len);
	assert_int_equal(packed->sources[0].text_bytes, text_len);
	assert_int_equal(packed->sources[0].file_bytes, packed_len);
	/* Counted by hand in the log: 19990 translations, of which the last two are of a packet that is cut off. */
	assert_int_equal(plain->header->translation_nr, 19988);
	assert_int_equal(plain->header->packet_nr, 4995);
	assert_int_equal(plain->sources[0].ignored[HS_DMATRACE_IGNORED_OPEN], 2);
	assert_int_equal(plain->header->record_nr, packed->header->record_nr);
	assert_memory_equal(plain->records, packed->records, plain->header->record_nr * sizeof(plain->records[0]));

	/* A packed file whose end is missing. */
	assert_int_equal(hs_write_file_atomic(path, bytes, packed_len / 2), 0);
	unlink(fixture->output);
	assert_refused(fixture, "truncated or damaged");
}

/* One file, packed by zstd. */
static void pack(const char *path, const char *text, size_t len)
{
	struct archive *writer = archive_write_new();
	struct archive_entry *entry = archive_entry_new();

	assert_int_equal(archive_write_add_filter_zstd(writer), ARCHIVE_OK);
	assert_int_equal(archive_write_set_format_raw(writer), ARCHIVE_OK);
	assert_int_equal(archive_write_open_filename(writer, path), ARCHIVE_OK);
	archive_entry_set_pathname(entry, "log");
	archive_entry_set_filetype(entry, AE_IFREG);
	assert_int_equal(archive_write_header(writer, entry), ARCHIVE_OK);
	assert_int_equal(archive_write_data(writer, text, len), len);
	archive_entry_free(entry);
	assert_int_equal(archive_write_free(writer), ARCHIVE_OK);
}

static void test_a_log_packed_by_zstd_beside_a_plain_one(void **state)
{
	struct fixture *fixture = *state;
	scoped(hs_dmatrace) struct hs_dmatrace *trace = NULL;
	scoped(mem) char *path = hs_format("%s_1.txt.zst", fixture->prefix),
			 *text = make_log((const uint32_t[]){ 2, 1 });

	write_two(fixture, "0.txt", 1, 1);
	pack(path, text, strlen(text));
	trace = generate(fixture);
	ASSERT_PACKETS(trace, P(0, 0), P(1, 0), P(2, 0), P(3, 0), P(2, 1));
	assert_string_equal(trace->sources[1].name, "log_1.txt.zst");
	assert_int_equal(trace->sources[1].text_bytes, strlen(text));
}

static void test_a_run_folder_gives_its_log(void **state)
{
	struct fixture *fixture = *state;
	scoped(hs_dmatrace) struct hs_dmatrace *trace = NULL;
	scoped(mem) char *folder = hs_format("%s_7", fixture->prefix), *document = hs_format("%s/run.json", folder);

	write_two(fixture, "7.txt", 2, 0);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(hs_write_file_atomic(document, "{}", 2), 0);
	fixture->config.prefix = folder;
	trace = generate(fixture);
	ASSERT_PACKETS(trace, P(0, 0), P(0, 1));
	assert_string_equal(trace->sources[0].name, "log_7.txt");
}

/* ---- what is refused ----------------------------------------------------------------------------- */

static void test_logs_that_cannot_be_used_are_refused_with_the_reason(void **state)
{
	static const char stock[] =
		PREFIX "vtd_iotlb_page_hit IOTLB page hit sid 0x20 iova 0x1000 slpte 0x3 domain 0x5\n";
	static const char patched[] = PREFIX "vtd_iotlb_page_hit IOTLB page hit sid 0x20 iova 0x1000 "
					     "pmask 0xfffffffffffff000 slpte 0x3 domain 0x5\n";
	struct fixture *fixture = *state;
	scoped(mem) char *mixed = hs_format("%s%s", stock, patched);

	fixture->config.packet_translations = 1;
	assert_refused(fixture, "there is no log");
	write_log(fixture, "0.txt", "");
	assert_refused(fixture, "has no translation in 0 lines");
	write_log(fixture, "0.txt", "some words\n" PREFIX "vtd_inv_qi_tail write tail 7\n");
	assert_refused(fixture, "has no translation in 2 lines (1 of other events, 0 torn, 1 foreign)");
	write_log(fixture, "0.txt", mixed);
	assert_refused(fixture, "has mixed formats: stock QEMU's lines and, at line 2, the lines of hypersio's QEMU");
	write_log(fixture, "0.txt", stock);
	write_log(fixture, "1.txt", patched);
	assert_refused(fixture, "the logs have mixed formats");
	write_log(fixture, "3.txt", stock);
	assert_refused(fixture, "_2.txt is missing");
	write_log(fixture, "0.txt.xz", stock);
	assert_refused(fixture, "log 0 is there twice");
	fixture->config.prefix = fixture->dir;
	assert_refused(fixture, "is not a run");
}

static void test_a_truncated_log_is_refused_or_used_without_its_last_line(void **state)
{
	struct fixture *fixture = *state;
	scoped(hs_dmatrace) struct hs_dmatrace *trace = NULL;

	write_log(fixture, "0.txt",
		  PREFIX "vtd_iotlb_page_hit IOTLB page hit sid 0x20 iova 0x1000 slpte 0x3 domain 0x5\n" PREFIX
			 "vtd_iotlb_page_hit IOTLB page hit sid 0x20 iova 0x2000 slpte 0x3 domain 0x5");
	fixture->config.packet_translations = 1;
	assert_refused(fixture, "is truncated");
	fixture->config.accepts_truncated = true;
	trace = generate(fixture);
	assert_int_equal(trace->header->translation_nr, 1);
	assert_int_equal(trace->sources[0].ignored[HS_DMATRACE_IGNORED_TORN], 1);
}

static void test_a_log_without_packets_says_what_to_do(void **state)
{
	struct fixture *fixture = *state;

	write_log(fixture, "0.txt",
		  PREFIX "vtd_iotlb_page_hit IOTLB page hit sid 0x20 iova 0x1001 slpte 0x3 domain 0x5\n");
	assert_refused(fixture, "1 translations and no packet that an e1000 or e1000e would make of them");
	fixture->config.packet_translations = 2;
	assert_refused(fixture, "1 translations and no device with the 2 of a packet");
}

static void test_a_long_run_tells_how_far_it_is_and_what_is_left(void **state)
{
	struct hs_gen_watch watch = { .what = "logs read", .whole = 4000, .start_ns = 1 };
	char text[128];

	(void)state;
	assert_string_equal(hs_gen_watch_format(&watch, 1, text, sizeof(text)), "logs read: 0 %");
	watch.done = 1000;
	assert_string_equal(hs_gen_watch_format(&watch, 20000000001, text, sizeof(text)),
			    "logs read: 25 %, about 60 s left");
	watch.done = 5000; /* a file that has grown */
	assert_string_equal(hs_gen_watch_format(&watch, 20000000001, text, sizeof(text)), "logs read: 100 %");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(test_a_long_run_tells_how_far_it_is_and_what_is_left),
		TEST(test_the_golden_log_of_stock_qemu),
		TEST(test_the_patched_form_of_the_same_events_gives_the_same_trace),
		TEST(test_the_prefixes_of_newer_qemus_change_nothing),
		TEST(test_translate_lines_tell_the_page_size),
		TEST(test_translate_lines_alone_are_translations),
		TEST(test_hypersios_files_have_its_records),
		TEST(test_the_next_use_of_a_page_is_right_in_a_real_log),
		TEST(test_round_robin_uses_every_tenant_to_its_end),
		TEST(test_a_cut_is_stated),
		TEST(test_more_tenants_than_devices_use_streams_again_from_elsewhere),
		TEST(test_fewer_tenants_than_devices_leave_some_out_and_count_them),
		TEST(test_the_original_order_is_the_logs),
		TEST(test_random_order_is_its_seeds_and_loses_nothing),
		TEST(test_long_streams_are_whole_wherever_they_begin),
		TEST(test_a_real_log_packed_or_plain_gives_the_same_records),
		TEST(test_a_log_packed_by_zstd_beside_a_plain_one),
		TEST(test_a_run_folder_gives_its_log),
		TEST(test_logs_that_cannot_be_used_are_refused_with_the_reason),
		TEST(test_a_truncated_log_is_refused_or_used_without_its_last_line),
		TEST(test_a_log_without_packets_says_what_to_do),
	};

	return RUN_TESTS("trace_gen", tests);
}
