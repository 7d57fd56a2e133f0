// SPDX-License-Identifier: GPL-2.0-only
/*
 * The IOMMU log parser: against a real log whose counts were taken with grep and awk, against regular
 * expressions written from QEMU's trace-events formats, and against every cut, tear and piece of garbage that
 * was thought of.
 */
#include <errno.h>
#include <limits.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/log.h"
#include "qemulog/tail.h"
#include "tests/data/sample.h"

#define PREFIX "11574@1795228323.395068:"
#define HIT "vtd_iotlb_page_hit IOTLB page hit sid 0x20 iova 0x2bff8c0 slpte 0xf200083 domain 0x5"
#define UPDATE "vtd_iotlb_page_update IOTLB page update sid 0x28 iova 0x2b35000 slpte 0xf200083 domain 0x6"
#define CC_HIT "vtd_iotlb_cc_hit IOTLB context hit bus 0x0 devfn 0x28 high 0x601 low 0x3215001 gen 1"
#define CC_UPDATE                                                                                \
	"vtd_iotlb_cc_update IOTLB context update bus 0x0 devfn 0x20 high 0x501 low 0x1 gen 0 -> gen 1"

static const char *const hot_lines[] = { PREFIX HIT, PREFIX UPDATE, PREFIX CC_HIT, PREFIX CC_UPDATE,
					 HIT,	     UPDATE,	    CC_HIT,	   CC_UPDATE };

static const struct hs_qemulog_tenant two_tenants[] = { { .sid = 0x28, .tenant = 1 },
							{ .sid = 0x20, .tenant = 0 } };

static struct hs_qemulog *open_log(void)
{
	struct hs_qemulog_config config = { .tenants = two_tenants, .tenant_nr = 2 };
	struct hs_qemulog *log = NULL;

	assert_int_equal(hs_qemulog_open(&config, &log), 0);
	return log;
}

static void feed_text(struct hs_qemulog *log, const char *text)
{
	hs_qemulog_feed(log, text, strlen(text));
}

/* The line in memory of exactly its size, for the address sanitizer. */
static enum hs_qemulog_verdict decode_bytes(const char *text, size_t len, struct hs_qemulog_line *line)
{
	char *exact = malloc(len ? len : 1);
	enum hs_qemulog_verdict verdict;

	assert_non_null(exact);
	memcpy(exact, text, len);
	verdict = hs_qemulog_decode(exact, len, line);
	if (line->name)
		line->name = text + (line->name - exact);
	free(exact);
	return verdict;
}

static enum hs_qemulog_verdict decode(const char *text, struct hs_qemulog_line *line)
{
	return decode_bytes(text, strlen(text), line);
}

/* Also through the fast loop, which must say the same. */
static enum hs_qemulog_verdict verdict_of(const char *text)
{
	scoped(hs_qemulog) struct hs_qemulog *log = open_log();
	const struct hs_qemulog_counts *counts = hs_qemulog_counts(log);
	struct hs_qemulog_line line;
	enum hs_qemulog_verdict verdict = decode(text, &line);
	char padded[1024];

	memset(padded, '\n', sizeof(padded));
	memcpy(padded, text, strlen(text));
	hs_qemulog_feed(log, padded, sizeof(padded));
	assert_int_equal(counts->decoded, verdict == HS_QEMULOG_DECODED);
	assert_int_equal(counts->torn, verdict == HS_QEMULOG_TORN);
	return verdict;
}

static const struct hs_qemulog_event_count *event_named(const struct hs_qemulog *log, const char *name)
{
	const struct hs_qemulog_counts *counts = hs_qemulog_counts(log);

	for (size_t i = 0; i < counts->event_nr; i++) {
		if (!strcmp(counts->events[i].name, name))
			return &counts->events[i];
	}
	fail_msg("no event %s", name);
	return NULL;
}

static void assert_same_counts(const struct hs_qemulog *left, const struct hs_qemulog *right)
{
	const struct hs_qemulog_counts *a = hs_qemulog_counts(left), *b = hs_qemulog_counts(right);

	assert_int_equal(a->bytes, b->bytes);
	assert_int_equal(a->lines, b->lines);
	assert_int_equal(a->decoded, b->decoded);
	assert_int_equal(a->torn, b->torn);
	assert_int_equal(a->foreign, b->foreign);
	assert_int_equal(a->over_long, b->over_long);
	assert_int_equal(a->first_ns, b->first_ns);
	assert_int_equal(a->last_ns, b->last_ns);
	assert_int_equal(a->event_nr, b->event_nr);
	assert_memory_equal(a->events, b->events, a->event_nr * sizeof(*a->events));
	assert_memory_equal(a->tenants, b->tenants, a->tenant_nr * sizeof(*a->tenants));
	assert_memory_equal(a->unmapped, b->unmapped, sizeof(*a->unmapped));
	assert_memory_equal(a->no_sid, b->no_sid, sizeof(*a->no_sid));
}

/* ---- the real log -------------------------------------------------------------------------------- */

/* `grep -c WORD` */
static uint64_t count_lines_with(const char *text, size_t len, const char *word)
{
	uint64_t count = 0;

	for (size_t at = 0; at < len;) {
		const char *newline = memchr(text + at, '\n', len - at);
		size_t end = newline ? (size_t)(newline - text) : len;

		count += memmem(text + at, end - at, word, strlen(word)) != NULL;
		at = end + 1;
	}
	return count;
}

static void assert_sample(const struct hs_qemulog *log)
{
	static const uint64_t of_tenant[2][HS_QEMULOG_EVENT_NR] = { { 17751, 5, 4, 1, 0 },
								    { 2229, 5, 4, 1, 0 } };
	const struct hs_qemulog_counts *counts = hs_qemulog_counts(log);

	assert_int_equal(counts->bytes, 2184216);
	assert_int_equal(counts->lines, 20000);
	assert_int_equal(counts->decoded, 20000);
	assert_int_equal(counts->torn, 0);
	assert_int_equal(counts->foreign, 0);
	assert_int_equal(counts->event_nr, 4);
	assert_int_equal(event_named(log, "vtd_iotlb_page_hit")->decoded, 19980);
	assert_int_equal(event_named(log, "vtd_iotlb_page_update")->decoded, 10);
	assert_int_equal(event_named(log, "vtd_iotlb_cc_hit")->decoded, 8);
	assert_int_equal(event_named(log, "vtd_iotlb_cc_update")->decoded, 2);
	assert_int_equal(counts->tenant_nr, 2);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(counts->tenants[i].tenant, i);
		assert_memory_equal(counts->tenants[i].decoded, of_tenant[i], sizeof(of_tenant[i]));
	}
	assert_true(counts->has_time);
	assert_int_equal(counts->first_ns, 1795228323394986000);
	assert_int_equal(counts->last_ns, 1795228325774509000);
}

static void test_real_log_counts_are_those_of_grep_and_awk(void **state)
{
	size_t len = 0;
	scoped(mem) char *text = sample_load(SAMPLE_IOMMU, &len);
	static const size_t pieces[] = { 8 << 20, 65536, 4096, 1000, 300, 255, 37, 1 };

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < HS_ARRAY_SIZE(pieces); i++) {
		scoped(hs_qemulog) struct hs_qemulog *log = open_log();

		for (size_t at = 0; at < len; at += pieces[i])
			hs_qemulog_feed(log, text + at, len - at < pieces[i] ? len - at : pieces[i]);
		hs_qemulog_finish(log);
		assert_sample(log);
	}
}

/* Lines overwritten and cut in two in the real log: grep finds what an event's decoded and torn add up to. */
static void test_decoded_and_torn_are_what_grep_counts_in_a_damaged_log(void **state)
{
	size_t len = 0;
	scoped(mem) char *text = sample_load(SAMPLE_IOMMU, &len);
	scoped(hs_qemulog) struct hs_qemulog *log = open_log();
	const struct hs_qemulog_event_count *hit;

	(void)state;
	assert_non_null(text);
	for (size_t line = 0, at = 0; at < len; line++) {
		char *newline = memchr(text + at, '\n', len - at);

		if (line % 30 == 10)
			memset(text + at + 50, 'x', 30);
		if (line % 30 == 20)
			text[at + 80] = '\n';
		at = (size_t)(newline - text) + 1;
	}
	hs_qemulog_feed(log, text, len);
	hs_qemulog_finish(log);
	hit = event_named(log, "vtd_iotlb_page_hit");
	assert_true(hit->torn > 1000);
	assert_int_equal(hit->decoded + hit->torn, count_lines_with(text, len, "vtd_iotlb_page_hit "));
	assert_int_equal(hs_qemulog_counts(log)->lines, 20000 + 666);
}

/* ---- one line ------------------------------------------------------------------------------------ */

static void test_page_line_is_decoded_with_and_without_prefix(void **state)
{
	struct hs_qemulog_line line;

	(void)state;
	assert_int_equal(decode(PREFIX HIT, &line), HS_QEMULOG_DECODED);
	assert_int_equal(line.fields, HS_QEMULOG_HAS_TIME | HS_QEMULOG_HAS_SID | HS_QEMULOG_HAS_PAGE);
	assert_int_equal(line.event, HS_QEMULOG_PAGE_HIT);
	assert_int_equal(line.name_len, strlen("vtd_iotlb_page_hit"));
	assert_memory_equal(line.name, "vtd_iotlb_page_hit", line.name_len);
	assert_int_equal(line.tid, 11574);
	assert_int_equal(line.time_ns, 1795228323395068000);
	assert_int_equal(line.sid, 0x20);
	assert_int_equal(line.iova, 0x2bff8c0);
	assert_int_equal(line.slpte, 0xf200083);
	assert_int_equal(line.domain, 5);

	assert_int_equal(decode(UPDATE, &line), HS_QEMULOG_DECODED);
	assert_int_equal(line.fields, HS_QEMULOG_HAS_SID | HS_QEMULOG_HAS_PAGE);
	assert_int_equal(line.event, HS_QEMULOG_PAGE_UPDATE);
	assert_int_equal(line.sid, 0x28);
	assert_int_equal(line.iova, 0x2b35000);
	assert_int_equal(line.domain, 6);
	assert_int_equal(line.tid, 0);
}

static void test_context_line_is_decoded(void **state)
{
	struct hs_qemulog_line line;

	(void)state;
	assert_int_equal(decode(PREFIX CC_UPDATE, &line), HS_QEMULOG_DECODED);
	assert_int_equal(line.event, HS_QEMULOG_CC_UPDATE);
	assert_int_equal(line.fields, HS_QEMULOG_HAS_TIME | HS_QEMULOG_HAS_SID | HS_QEMULOG_HAS_CONTEXT |
					      HS_QEMULOG_HAS_NEW_GEN);
	assert_int_equal(line.sid, 0x20);
	assert_int_equal(line.high, 0x501);
	assert_int_equal(line.low, 1);
	assert_int_equal(line.gen, 0);
	assert_int_equal(line.new_gen, 1);

	assert_int_equal(decode(CC_HIT, &line), HS_QEMULOG_DECODED);
	assert_int_equal(line.event, HS_QEMULOG_CC_HIT);
	assert_int_equal(line.fields, HS_QEMULOG_HAS_SID | HS_QEMULOG_HAS_CONTEXT);
	assert_int_equal(line.sid, 0x28);
	assert_int_equal(line.gen, 1);
}

static void test_fields_are_decoded_at_their_limits(void **state)
{
	struct hs_qemulog_line line;

	(void)state;
	assert_int_equal(
		decode("1@0.000000:vtd_iotlb_page_hit IOTLB page hit sid 0x0 iova 0x0 slpte 0x0 domain 0x0",
		       &line),
		HS_QEMULOG_DECODED);
	assert_true(line.tid == 1 && line.time_ns == 0 && !line.sid && !line.iova && !line.slpte &&
		    !line.domain);
	assert_true(line.fields & HS_QEMULOG_HAS_TIME);
	assert_int_equal(
		decode("2147483647@18446744072.999999:vtd_iotlb_page_update IOTLB page update sid 0xffff "
		       "iova 0xffffffffffffffff slpte 0xfedcba9876543210 domain 0xffff",
		       &line),
		HS_QEMULOG_DECODED);
	assert_int_equal(line.tid, INT_MAX);
	assert_int_equal(line.time_ns, 18446744072999999000ULL);
	assert_int_equal(line.sid, 0xffff);
	assert_int_equal(line.iova, UINT64_MAX);
	assert_int_equal(line.slpte, 0xfedcba9876543210);
	assert_int_equal(line.domain, 0xffff);
	assert_int_equal(
		decode("vtd_iotlb_cc_update IOTLB context update bus 0xff devfn 0xff high 0xffffffffffffffff "
		       "low 0xffffffffffffffff gen 4294967295 -> gen 4294967295",
		       &line),
		HS_QEMULOG_DECODED);
	assert_int_equal(line.sid, 0xffff);
	assert_true(line.high == UINT64_MAX && line.low == UINT64_MAX);
	assert_true(line.gen == UINT32_MAX && line.new_gen == UINT32_MAX);
}

/* Every width of a number, in the decoder and in what the fast loop hands to on_line. */
static void test_numbers_of_every_width_have_their_value(void **state)
{
	(void)state;
	for (unsigned int bits = 0; bits <= 64; bits++) {
		uint64_t value = (bits == 64 ? UINT64_MAX : (1ULL << bits) - 1) & 0x9ad37f5e8c6b1420;
		struct hs_qemulog_line line;
		char text[256];

		snprintf(text, sizeof(text),
			 "%u@%u.%06u:vtd_iotlb_page_hit IOTLB page hit sid 0x%x iova 0x%llx slpte 0x%llx "
			 "domain 0x%x",
			 (uint32_t)value & INT_MAX, (uint32_t)value, (uint32_t)value % 1000000,
			 (uint16_t)value, (unsigned long long)value, (unsigned long long)~value,
			 (uint16_t)~value);
		assert_int_equal(verdict_of(text), HS_QEMULOG_DECODED);
		assert_int_equal(decode(text, &line), HS_QEMULOG_DECODED);
		assert_int_equal(line.tid, value & INT_MAX);
		assert_int_equal(line.time_ns,
				 (uint32_t)value * 1000000000ULL + (uint32_t)value % 1000000 * 1000);
		assert_int_equal(line.sid, (uint16_t)value);
		assert_int_equal(line.iova, value);
		assert_int_equal(line.slpte, ~value);
		assert_int_equal(line.domain, (uint16_t)~value);
	}
}

static void test_a_value_beyond_its_limit_is_torn(void **state)
{
	static const char *const lines[] = {
		"vtd_iotlb_page_hit IOTLB page hit sid 0x10000 iova 0x0 slpte 0x0 domain 0x0",
		"vtd_iotlb_page_hit IOTLB page hit sid 0x0 iova 0x10000000000000000 slpte 0x0 domain 0x0",
		"vtd_iotlb_page_hit IOTLB page hit sid 0x0 iova 0x0 slpte 0x10000000000000000 domain 0x0",
		"vtd_iotlb_page_hit IOTLB page hit sid 0x0 iova 0x0 slpte 0x0 domain 0x10000",
		"vtd_iotlb_cc_hit IOTLB context hit bus 0x100 devfn 0x0 high 0x0 low 0x0 gen 0",
		"vtd_iotlb_cc_hit IOTLB context hit bus 0x0 devfn 0x100 high 0x0 low 0x0 gen 0",
		"vtd_iotlb_cc_hit IOTLB context hit bus 0x0 devfn 0x0 high 0x10000000000000000 low 0x0 gen 0",
		"vtd_iotlb_cc_hit IOTLB context hit bus 0x0 devfn 0x0 high 0x0 low 0x10000000000000000 gen 0",
		"vtd_iotlb_cc_hit IOTLB context hit bus 0x0 devfn 0x0 high 0x0 low 0x0 gen 4294967296",
		"vtd_iotlb_cc_hit IOTLB context hit bus 0x0 devfn 0x0 high 0x0 low 0x0 gen 10000000000",
		"vtd_iotlb_cc_hit IOTLB context hit bus 0x0 devfn 0x0 high 0x0 low 0x0 gen 00000000000",
		"vtd_iotlb_cc_update IOTLB context update bus 0x0 devfn 0x0 high 0x0 low 0x0 gen 0 -> gen "
		"4294967296",
		"2147483648@1.000000:" HIT,
		"10000000000@1.000000:" HIT,
		"1@18446744073.000000:" HIT,
		"1@100000000000.000000:" HIT,
		"1@1.0000000:" HIT,
		"1@1.00000:" HIT,
		"@1.000000:" HIT,
		"1@.000000:" HIT,
	};

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(lines); i++)
		assert_int_equal(verdict_of(lines[i]),
				 lines[i][0] == '@' ? HS_QEMULOG_FOREIGN : HS_QEMULOG_TORN);
}

static void test_other_events_are_known_by_name_and_sid(void **state)
{
	enum { NO_SID = -1 };
	static const struct {
		const char *text;
		int sid;
	} lines[] = {
		{ "vtd_inv_qi_fetch ", NO_SID },
		{ "vtd_inv_desc type iotlb high 0x2b35000 low 0x500a1", NO_SID },
		{ "vtd_inv_desc_cc_devices context invalidate devices sid 0x28 fmask 0x3", 0x28 },
		{ "vtd_inv_desc_cc_device context invalidate device 01:1f.07", 0x1ff },
		{ "vtd_inv_desc_iotlb_pages iotlb invalidate domain 0x5 addr 0x2b35000 mask 0x0", NO_SID },
		{ "vtd_ce_not_present Context entry bus 0 devfn 32 not present", 0x20 },
		{ "vtd_ce_not_present Context entry bus 255 devfn 255 not present", 0xffff },
		{ "vtd_re_not_present Root entry bus 1 not present", NO_SID },
		{ "vtd_replay_ce_valid dmar: replay valid context device 00:04.00 domain 0x5 hi 0x501 lo 0x1",
		  0x20 },
		{ "vtd_switch_address_space Device 00:05.0 switching address space (iommu enabled=1)", 0x28 },
		{ "vtd_as_unmap_whole Device 00:04.0 start 0x0 size 0x8000000000", 0x20 },
		{ "vtd_translate_pt source id 0x20, iova 0x1000", 0x20 },
		{ "vtd_pt_enable_fast_path sid 0x28 1", 0x28 },
		{ "vtd_dmar_translate dev 00:04.00 iova 0x2b35000 -> gpa 0xf335000 mask 0x1fffff", 0x20 },
		{ "vtd_dmar_fault sid 0xffff fault 5 addr 0xffff0000 write 1", 0xffff },
		{ "vtd_warn_ir_vector sid 0x20, index 3 vec 4 (should be: 5)", 0x20 },
		{ "smmuv3_cmdq_cfgi_cd sid=0x20", 0x20 },
		{ "vfio_intx_interrupt  (0000:00:04.0) Pin A", NO_SID },
		{ "vfio_msi_enable  (0000:00:04.0) Enabled 1 MSI vectors", NO_SID },
		/* Almost a sid: */
		{ "vtd_dmar_fault sid 0x10000 fault 5", NO_SID },
		{ "vtd_dmar_fault sid 0x fault 5", NO_SID },
		{ "vtd_dmar_fault sid 0x2z fault 5", NO_SID },
		{ "vtd_dmar_fault outsid 0x20", NO_SID },
		{ "vtd_dmar_fault sid", NO_SID },
		{ "vtd_ce_not_present Context entry bus 256 devfn 0 not present", NO_SID },
		{ "vtd_ce_not_present Context entry bus 0 devfn 256", NO_SID },
		{ "vtd_ce_not_present Context entry bus 0x1 devfn 0x08", 0x108 },
		{ "vtd_dmar_translate dev 00:20.0", NO_SID },
		{ "vtd_dmar_translate dev 00:1f.8", NO_SID },
		{ "vtd_dmar_translate dev 00:04", NO_SID },
	};

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(lines); i++) {
		struct hs_qemulog_line line;

		assert_int_equal(decode(lines[i].text, &line), HS_QEMULOG_DECODED);
		assert_int_equal(line.event, HS_QEMULOG_OTHER);
		assert_int_equal(line.name_len, strcspn(lines[i].text, " "));
		assert_int_equal(line.fields & HS_QEMULOG_HAS_SID,
				 lines[i].sid == NO_SID ? 0 : HS_QEMULOG_HAS_SID);
		if (lines[i].sid != NO_SID)
			assert_int_equal(line.sid, lines[i].sid);
	}
}

static void test_lines_of_others_are_foreign(void **state)
{
	static const char *const lines[] = {
		"",
		"\r",
		"12",
		"12345678901234567890123",
		"qemu-system-x86_64: warning: host doesn't support requested feature",
		"vtd_find_as: unexpected",
		"Invalid read at addr 0xFEC00000, size 4",
		"  size: 0x1000, offset: 0x0, flags: 0x0",
		"\xff\xfe\xfd",
		"vtd-iotlb x",
		(" " HIT),
		"two words",
	};
	struct hs_qemulog_line line;

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(lines); i++)
		assert_int_equal(decode(lines[i], &line), HS_QEMULOG_FOREIGN);
	assert_int_equal(decode_bytes("\0\0\0", 3, &line), HS_QEMULOG_FOREIGN);
	/* The only event of QEMU without an underscore is known with a prefix. */
	assert_int_equal(decode(PREFIX "ioinst IOINST: x", &line), HS_QEMULOG_DECODED);
}

/* ---- QEMU 10.2 and newer -------------------------------------------------------------------------- */

#define ISO_PREFIX "2026-11-21T02:32:03.395068Z "
#define THREAD_PREFIX "qemu-system-x86_64: (1144713:CPU 0/KVM): "

static void test_the_prefixes_of_newer_qemus_say_the_same(void **state)
{
	static const struct {
		const char *prefix;
		uint32_t tid;
		uint64_t time_ns;
	} forms[] = {
		{ ISO_PREFIX, 0, 1795228323395068000 },
		{ "2026-11-21T02:32:03Z ", 0, 1795228323000000000 },
		{ ISO_PREFIX THREAD_PREFIX, 1144713, 1795228323395068000 },
		{ THREAD_PREFIX, 1144713, 0 },
	};

	(void)state;
	for (size_t form = 0; form < HS_ARRAY_SIZE(forms); form++) {
		for (size_t i = 0; i < HS_QEMULOG_OTHER; i++) {
			const char *event = hot_lines[HS_QEMULOG_OTHER + i];
			scoped(mem) char *text = hs_format("%s%s", forms[form].prefix, event);
			struct hs_qemulog_line line, plain;

			assert_int_equal(verdict_of(text), HS_QEMULOG_DECODED);
			assert_int_equal(decode(event, &plain), HS_QEMULOG_DECODED);
			assert_int_equal(decode(text, &line), HS_QEMULOG_DECODED);
			assert_true(line.tid == forms[form].tid && line.time_ns == forms[form].time_ns);
			assert_int_equal(line.fields, plain.fields | (forms[form].time_ns ? HS_QEMULOG_HAS_TIME : 0));
			assert_int_equal(line.event, plain.event);
			assert_true(line.sid == plain.sid && line.iova == plain.iova && line.high == plain.high &&
				    line.gen == plain.gen && line.new_gen == plain.new_gen);
		}
	}
}

/* Every second day since 1970 for 400 years, and what gmtime() says of it. */
static void test_a_date_is_the_one_of_gmtime(void **state)
{
	(void)state;
	for (time_t sec = 0; sec < 146097 * 86400ll; sec += 2 * 86400 + 3661) {
		struct hs_qemulog_line line;
		char text[128];
		struct tm tm;

		strftime(text, sizeof(text), "%FT%TZ " HIT, gmtime_r(&sec, &tm));
		assert_int_equal(decode(text, &line), HS_QEMULOG_DECODED);
		assert_int_equal(line.time_ns, (uint64_t)sec * 1000000000);
	}
}

static void test_what_only_resembles_the_newer_prefixes_is_foreign_or_torn(void **state)
{
	static const char *const foreign[] = {
		ISO_PREFIX "qemu-system-x86_64: warning: no such feature",
		ISO_PREFIX THREAD_PREFIX "warning: no such feature",
		"2026-13-21T02:32:03Z " HIT,
		"2026-11-32T02:32:03Z " HIT,
		"2026-11-21T24:32:03Z " HIT,
		"2026-11-21T02:60:03Z " HIT,
		"2026-11-21T02:32:61Z " HIT,
		"1969-11-21T02:32:03Z " HIT,
		"9999-11-21T02:32:03Z " HIT,
		"2026-11-21T02:32:03.12345Z " HIT,
		"2026-11-21T02:32:03.1234567Z " HIT,
		"2026-11-21T02:32:03 " HIT,
		"2026-11-21 02:32:03Z " HIT,
		"2026-1-21T02:32:03Z " HIT,
		"qemu-system-x86_64: (main): " HIT,
		"qemu-system-x86_64: (99999999999:main): " HIT,
	};
	struct hs_qemulog_line line;

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(foreign); i++)
		assert_int_equal(verdict_of(foreign[i]), HS_QEMULOG_FOREIGN);
	assert_int_equal(verdict_of(ISO_PREFIX "vtd_inv_qi_tail write ta" ISO_PREFIX "vtd_inv_qi_head x 5"),
			 HS_QEMULOG_TORN);
	for (size_t cut = 1; cut < strlen(ISO_PREFIX HIT); cut++) {
		scoped(mem) char *text = hs_format("%.*s", (int)cut, ISO_PREFIX HIT);

		assert_int_not_equal(verdict_of(text), HS_QEMULOG_DECODED);
	}
	/* No thread: an event's own words. */
	assert_int_equal(decode("vfio_intx x: (12:04): y", &line), HS_QEMULOG_DECODED);
	assert_memory_equal(line.name, "vfio_intx", line.name_len);
}

/* ---- tears --------------------------------------------------------------------------------------- */

static void test_a_line_cut_anywhere_is_never_decoded(void **state)
{
	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(hot_lines); i++) {
		for (size_t len = 0; len < strlen(hot_lines[i]); len++) {
			scoped(hs_qemulog) struct hs_qemulog *log = open_log();
			const struct hs_qemulog_counts *counts = hs_qemulog_counts(log);
			struct hs_qemulog_line line;

			assert_int_not_equal(decode_bytes(hot_lines[i], len, &line), HS_QEMULOG_DECODED);
			hs_qemulog_feed(log, hot_lines[i], len);
			hs_qemulog_finish(log);
			assert_int_equal(counts->decoded, 0);
			assert_int_equal(counts->lines, len > 0);
			assert_int_equal(counts->torn + counts->foreign, len > 0);
		}
	}
}

static void test_a_line_merged_with_the_next_is_torn(void **state)
{
	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(hot_lines); i++) {
		for (size_t cut = strlen(PREFIX); cut < strlen(hot_lines[i]); cut++) {
			char text[512];

			snprintf(text, sizeof(text), "%.*s%s", (int)cut, hot_lines[i], PREFIX HIT);
			assert_int_equal(verdict_of(text), HS_QEMULOG_TORN);
		}
	}
	assert_int_equal(verdict_of(PREFIX "vtd_inv_qi_tail write ta" PREFIX "vtd_inv_qi_head read head 5"),
			 HS_QEMULOG_TORN);
	assert_int_equal(verdict_of(PREFIX "vtd_inv_qi_tail mail@1.host:x"), HS_QEMULOG_DECODED);
}

static void test_a_last_line_without_newline_counts_if_its_shape_is_whole(void **state)
{
	scoped(hs_qemulog) struct hs_qemulog *whole = open_log();
	scoped(hs_qemulog) struct hs_qemulog *other = open_log();

	(void)state;
	feed_text(whole, PREFIX HIT "\n" PREFIX HIT);
	assert_int_equal(hs_qemulog_counts(whole)->decoded, 1);
	hs_qemulog_finish(whole);
	assert_int_equal(hs_qemulog_counts(whole)->decoded, 2);
	hs_qemulog_finish(whole);
	assert_int_equal(hs_qemulog_counts(whole)->lines, 2);

	feed_text(other, PREFIX "vtd_inv_qi_tail write tail 1");
	hs_qemulog_finish(other);
	assert_int_equal(hs_qemulog_counts(other)->torn, 1);
	assert_int_equal(event_named(other, "vtd_inv_qi_tail")->torn, 1);
}

#define MIXED                                                                                    \
	PREFIX HIT "\n"                                                                          \
	PREFIX CC_UPDATE "\n\n"                                                                  \
	PREFIX "vtd_inv_qi_fetch \n"                                                             \
	UPDATE "\r\nqemu: words\n"                                                               \
	PREFIX "vtd_iotlb_page_hit IOTLB page hit sid 0x20 iova 0x2b" PREFIX HIT "\n"            \
	PREFIX "vtd_translate_pt source id 0x30, iova 0x1000\n"                                  \
	CC_HIT "\n12@3.4\n"                                                                      \
	PREFIX HIT "\n"                                                                          \
	PREFIX UPDATE "\n"

static void test_a_feed_cut_anywhere_gives_the_same_counts(void **state)
{
	static const char text[] = MIXED MIXED;
	const size_t len = sizeof(text) - 1;
	scoped(hs_qemulog) struct hs_qemulog *whole = open_log();

	(void)state;
	hs_qemulog_feed(whole, text, len);
	assert_int_equal(hs_qemulog_counts(whole)->lines, 24);
	assert_int_equal(hs_qemulog_counts(whole)->decoded, 16);
	assert_int_equal(hs_qemulog_counts(whole)->torn, 4);
	assert_int_equal(hs_qemulog_counts(whole)->foreign, 4);
	assert_int_equal(hs_qemulog_counts(whole)->unmapped->decoded[HS_QEMULOG_OTHER], 2);
	assert_int_equal(hs_qemulog_counts(whole)->no_sid->decoded[HS_QEMULOG_OTHER], 2);
	for (size_t cut = 0; cut <= len; cut++) {
		scoped(hs_qemulog) struct hs_qemulog *parts = open_log();

		hs_qemulog_feed(parts, text, cut);
		hs_qemulog_feed(parts, text + cut, len - cut);
		assert_same_counts(whole, parts);
	}
	for (size_t piece = 1; piece <= len; piece++) {
		scoped(hs_qemulog) struct hs_qemulog *parts = open_log();

		for (size_t at = 0; at < len; at += piece)
			hs_qemulog_feed(parts, text + at, len - at < piece ? len - at : piece);
		assert_same_counts(whole, parts);
	}
}

static void test_an_over_long_line_is_foreign_and_skipped_to_its_end(void **state)
{
	enum { LONG = 1 << 20 };
	scoped(mem) char *text = malloc(LONG);
	static const size_t pieces[] = { LONG, 100000, 4096, 999 };

	(void)state;
	assert_non_null(text);
	memset(text, 'a', LONG);
	memcpy(text, PREFIX HIT, strlen(PREFIX HIT));
	for (size_t i = 0; i < HS_ARRAY_SIZE(pieces); i++) {
		scoped(hs_qemulog) struct hs_qemulog *log = open_log();
		const struct hs_qemulog_counts *counts = hs_qemulog_counts(log);

		for (size_t at = 0; at < LONG; at += pieces[i])
			hs_qemulog_feed(log, text + at, LONG - at < pieces[i] ? LONG - at : pieces[i]);
		feed_text(log, "\n" PREFIX HIT "\n");
		assert_int_equal(counts->lines, 2);
		assert_int_equal(counts->over_long, 1);
		assert_int_equal(counts->foreign, 1);
		assert_int_equal(counts->decoded, 1);
		hs_qemulog_feed(log, text, 5000);
		hs_qemulog_finish(log);
		assert_int_equal(counts->over_long, 2);
		assert_int_equal(counts->lines, 3);
	}
}

static void test_the_longest_line_is_the_same_whole_and_in_pieces(void **state)
{
	(void)state;
	for (size_t len = HS_QEMULOG_LINE_MAX - 1; len <= HS_QEMULOG_LINE_MAX + 1; len++) {
		for (size_t cut = 0; cut <= len + 1; cut += len / 3) {
			scoped(hs_qemulog) struct hs_qemulog *log = open_log();
			char text[HS_QEMULOG_LINE_MAX + 8];

			memset(text, 'a', sizeof(text));
			memcpy(text, "vtd_x ", 6);
			text[len] = '\n';
			hs_qemulog_feed(log, text, cut);
			hs_qemulog_feed(log, text + cut, len + 1 - cut);
			assert_int_equal(hs_qemulog_counts(log)->lines, 1);
			assert_int_equal(hs_qemulog_counts(log)->decoded, len <= HS_QEMULOG_LINE_MAX);
			assert_int_equal(hs_qemulog_counts(log)->over_long, len > HS_QEMULOG_LINE_MAX);
		}
	}
}

static void test_crlf_lines_are_whole(void **state)
{
	struct hs_qemulog_line line;

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(hot_lines); i++) {
		char text[256];

		snprintf(text, sizeof(text), "%s\r", hot_lines[i]);
		assert_int_equal(verdict_of(text), HS_QEMULOG_DECODED);
		snprintf(text, sizeof(text), "%s\r\r", hot_lines[i]);
		assert_int_equal(verdict_of(text), HS_QEMULOG_TORN);
	}
	assert_int_equal(decode("vtd_inv_qi_fetch \r", &line), HS_QEMULOG_DECODED);
}

static void test_nul_bytes_tear_a_line(void **state)
{
	static const char hole[] = PREFIX "vtd_inv_qi_tail write \0\0\0";
	struct hs_qemulog_line line;

	(void)state;
	assert_int_equal(decode_bytes(hole, sizeof(hole) - 1, &line), HS_QEMULOG_TORN);
	for (size_t i = 0; i < HS_ARRAY_SIZE(hot_lines); i++) {
		for (size_t at = 0; at < strlen(hot_lines[i]); at++) {
			char text[256] = { 0 };

			memcpy(text, hot_lines[i], strlen(hot_lines[i]));
			text[at] = '\0';
			assert_int_not_equal(decode_bytes(text, strlen(hot_lines[i]), &line),
					     HS_QEMULOG_DECODED);
		}
	}
}

/* ---- against another implementation -------------------------------------------------------------- */

#define RE_PREFIX "^([0-9]{1,10}@(0?[0-9]{1,10}|1[0-7][0-9]{9})[.][0-9]{6}:)?" /* what mutate() can reach */
#define RE_64 "0x[0-9a-f]{1,16}"
#define RE_16 "0x[0-9a-f]{1,4}"
#define RE_8 "0x[0-9a-f]{1,2}"
#define RE_PAGE " sid " RE_16 " iova " RE_64 " slpte " RE_64 " domain " RE_16 "$"
#define RE_CONTEXT " bus " RE_8 " devfn " RE_8 " high " RE_64 " low " RE_64 " gen [0-9]{1,10}"

static const char *const hot_patterns[HS_QEMULOG_OTHER] = {
	[HS_QEMULOG_PAGE_HIT] = RE_PREFIX "vtd_iotlb_page_hit IOTLB page hit" RE_PAGE,
	[HS_QEMULOG_PAGE_UPDATE] = RE_PREFIX "vtd_iotlb_page_update IOTLB page update" RE_PAGE,
	[HS_QEMULOG_CC_HIT] = RE_PREFIX "vtd_iotlb_cc_hit IOTLB context hit" RE_CONTEXT "$",
	[HS_QEMULOG_CC_UPDATE] =
		RE_PREFIX "vtd_iotlb_cc_update IOTLB context update" RE_CONTEXT " -> gen [0-9]{1,10}$",
};

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	return *state ^= *state << 5;
}

/* One or two small edits with characters that the formats are made of. */
static void mutate(char *text, uint32_t *seed)
{
	static const char alphabet[] = "0123456789abcdefxg @.:->_\tA";

	for (uint32_t edits = 1 + next_random(seed) % 2; edits; edits--) {
		size_t len = strlen(text), at = next_random(seed) % len;
		char byte = alphabet[next_random(seed) % (sizeof(alphabet) - 1)];

		switch (next_random(seed) % 3) {
		case 0:
			text[at] = byte;
			break;
		case 1:
			memmove(text + at, text + at + 1, len - at);
			break;
		default:
			memmove(text + at + 1, text + at, len - at + 1);
			text[at] = byte;
		}
	}
}

static void test_mutated_hot_lines_are_judged_as_regular_expressions_do(void **state)
{
	enum { ROUNDS = 30000 };
	regex_t patterns[HS_QEMULOG_OTHER];
	uint32_t seed = 20240607, whole = 0;

	(void)state;
	for (int i = 0; i < HS_QEMULOG_OTHER; i++)
		assert_int_equal(regcomp(&patterns[i], hot_patterns[i], REG_EXTENDED | REG_NOSUB), 0);
	for (int round = 0; round < ROUNDS; round++) {
		enum hs_qemulog_event expected = HS_QEMULOG_OTHER;
		struct hs_qemulog_line line;
		enum hs_qemulog_verdict verdict;
		char text[256];

		snprintf(text, sizeof(text), "%s", hot_lines[next_random(&seed) % HS_ARRAY_SIZE(hot_lines)]);
		mutate(text, &seed);
		for (int i = 0; i < HS_QEMULOG_OTHER; i++) {
			if (!regexec(&patterns[i], text, 0, NULL, 0))
				expected = i;
		}
		verdict = decode(text, &line);
		if ((expected != HS_QEMULOG_OTHER) !=
			    (verdict == HS_QEMULOG_DECODED && line.event != HS_QEMULOG_OTHER) ||
		    (expected != HS_QEMULOG_OTHER && line.event != expected))
			fail_msg("verdict %d, event %d, expected %d: %s", verdict, line.event, expected,
				 text);
		if (round % 8 == 0)
			verdict_of(text);
		whole += expected != HS_QEMULOG_OTHER;
	}
	assert_in_range(whole, ROUNDS / 20, ROUNDS - ROUNDS / 20); /* both sides were tried */
	for (int i = 0; i < HS_QEMULOG_OTHER; i++)
		regfree(&patterns[i]);
}

static void sum_line(void *ctx, const struct hs_qemulog_line *line)
{
	struct hs_qemulog_line again;
	uint64_t *sums = ctx;

	/* The name is in the line, whose rest follows it: decode that once more. */
	assert_int_equal(hs_qemulog_decode(line->name, strcspn(line->name, "\n"), &again),
			 HS_QEMULOG_DECODED);
	assert_int_equal(again.event, line->event);
	assert_int_equal(again.fields, line->fields & ~HS_QEMULOG_HAS_TIME);
	assert_int_equal(again.sid, line->sid);
	sums[0]++;
	if (line->fields & HS_QEMULOG_HAS_PAGE) {
		assert_int_equal(again.iova, line->iova);
		assert_int_equal(again.slpte, line->slpte);
		assert_int_equal(again.domain, line->domain);
		sums[1] += line->iova;
	} else {
		assert_int_equal(again.high, line->high);
		assert_int_equal(again.low, line->low);
		assert_int_equal(again.gen, line->gen);
	}
}

static void test_on_line_is_given_every_decoded_line(void **state)
{
	size_t len = 0;
	scoped(mem) char *text = sample_load(SAMPLE_IOMMU, &len);
	scoped(hs_qemulog) struct hs_qemulog *log = NULL;
	uint64_t sums[2] = { 0 }, iova_sum = 0;
	struct hs_qemulog_config config = {
		.tenants = two_tenants, .tenant_nr = 2, .on_line = sum_line, .ctx = sums
	};

	(void)state;
	assert_non_null(text);
	assert_int_equal(hs_qemulog_open(&config, &log), 0);
	hs_qemulog_feed(log, text, len);
	assert_sample(log);
	assert_int_equal(sums[0], 20000);
	for (char *p = memmem(text, len, " iova 0x", 8); p;
	     p = memmem(p, len - (size_t)(p - text), " iova 0x", 8)) {
		p += 6;
		iova_sum += strtoull(p, NULL, 16);
	}
	assert_int_equal(sums[1], iova_sum);
}

/* ---- tables -------------------------------------------------------------------------------------- */

static void test_more_names_than_the_table_holds_are_counted_together(void **state)
{
	scoped(hs_qemulog) struct hs_qemulog *log = open_log();
	const struct hs_qemulog_counts *counts = hs_qemulog_counts(log);
	enum { EXTRA = 100, FREE = HS_QEMULOG_NAMES_MAX - HS_QEMULOG_OTHER };

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < FREE + EXTRA; i++) {
			char text[64];

			snprintf(text, sizeof(text), "event_%d sid 0x20\n", i);
			feed_text(log, text);
		}
	}
	assert_int_equal(counts->event_nr, HS_QEMULOG_NAMES_MAX);
	assert_int_equal(counts->overflow, 2 * EXTRA);
	assert_int_equal(counts->decoded, 2 * (FREE + EXTRA));
	assert_int_equal(counts->tenants[0].decoded[HS_QEMULOG_OTHER], 2 * (FREE + EXTRA));
	assert_int_equal(event_named(log, "event_0")->decoded, 2);
	assert_string_equal(counts->events[HS_QEMULOG_NAMES_MAX - 1].name, "event_1019");
}

static void test_a_name_too_long_for_the_table_is_counted_as_overflow(void **state)
{
	scoped(hs_qemulog) struct hs_qemulog *log = open_log();
	char text[HS_QEMULOG_NAME_BYTES + 4];

	(void)state;
	memset(text, '_', sizeof(text));
	hs_qemulog_feed(log, text, HS_QEMULOG_NAME_BYTES);
	feed_text(log, " x\n");
	assert_int_equal(hs_qemulog_counts(log)->overflow, 1);
	hs_qemulog_feed(log, text, HS_QEMULOG_NAME_BYTES - 1);
	feed_text(log, " x\n");
	assert_int_equal(hs_qemulog_counts(log)->overflow, 1);
	assert_int_equal(hs_qemulog_counts(log)->event_nr, HS_QEMULOG_OTHER + 1);
}

static void test_sids_are_mapped_to_their_tenants(void **state)
{
	static const struct hs_qemulog_tenant map[] = {
		{ .sid = 0xffff, .tenant = 7 },
		{ .sid = 0x20, .tenant = 3 },
		{ .sid = 0, .tenant = 7 },
		{ .sid = 0x20, .tenant = 3 }, /* said twice is no conflict */
	};
	struct hs_qemulog_config config = { .tenants = map, .tenant_nr = 4 };
	scoped(hs_qemulog) struct hs_qemulog *log = NULL;
	const struct hs_qemulog_counts *counts;

	(void)state;
	assert_int_equal(hs_qemulog_open(&config, &log), 0);
	feed_text(log,
		  HIT "\nvtd_dmar_fault sid 0xffff fault 1\nvtd_dmar_fault sid 0x0 fault 1\n" UPDATE "\n");
	counts = hs_qemulog_counts(log);
	assert_int_equal(counts->tenant_nr, 2);
	assert_int_equal(counts->tenants[0].tenant, 3);
	assert_int_equal(counts->tenants[0].decoded[HS_QEMULOG_PAGE_HIT], 1);
	assert_int_equal(counts->tenants[1].tenant, 7);
	assert_int_equal(counts->tenants[1].decoded[HS_QEMULOG_OTHER], 2);
	assert_int_equal(counts->unmapped->decoded[HS_QEMULOG_PAGE_UPDATE], 1);
	assert_false(counts->has_time);
}

static void test_a_sid_of_two_tenants_is_refused(void **state)
{
	static const struct hs_qemulog_tenant map[] = { { .sid = 0x20, .tenant = 1 },
							{ .sid = 0x20, .tenant = 2 } };
	struct hs_qemulog_config config = { .tenants = map, .tenant_nr = 2 };
	struct hs_qemulog *log = NULL;

	(void)state;
	assert_int_equal(hs_qemulog_open(&config, &log), -EINVAL);
	assert_null(log);
	assert_string_equal(hs_log_last_error(),
			    "sid 0x20 belongs to tenants 1 and 2: give each device to one tenant");
}

/* ---- the tailer ---------------------------------------------------------------------------------- */

struct place {
	char dir[32];
	char path[64];
};

static int make_place(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	strcpy(place->dir, "/tmp/test_qemulog.XXXXXX");
	if (!mkdtemp(place->dir))
		return -1;
	snprintf(place->path, sizeof(place->path), "%s/log.txt", place->dir);
	*state = place;
	return 0;
}

static int remove_place(void **state)
{
	struct place *place = *state;

	unlink(place->path);
	rmdir(place->dir);
	free(place);
	return 0;
}

static void append(const char *path, const char *text, size_t len)
{
	scoped(file) FILE *file = fopen(path, "a");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
}

static void test_tail_counts_a_growing_file(void **state)
{
	struct place *place = *state;
	size_t len = 0, step = 0;
	scoped(mem) char *text = sample_load(SAMPLE_IOMMU, &len);
	scoped(hs_qemulog) struct hs_qemulog *log = open_log();
	scoped(hs_qemulog_tail) struct hs_qemulog_tail *tail = NULL;

	assert_non_null(text);
	assert_int_equal(hs_qemulog_tail_open(place->path, log, &tail), 0);
	assert_int_equal(hs_qemulog_tail_poll(tail, SIZE_MAX), 0); /* no file yet */
	for (size_t at = 0; at < len; at += step) {
		step = len - at < 77777 ? len - at : 77777;
		append(place->path, text + at, step);
		assert_int_equal(hs_qemulog_tail_poll(tail, SIZE_MAX), step);
		assert_int_equal(hs_qemulog_tail_poll(tail, SIZE_MAX), 0);
	}
	hs_qemulog_finish(log);
	assert_sample(log);
}

static void test_tail_reads_no_more_than_its_budget(void **state)
{
	struct place *place = *state;
	size_t len = 0;
	scoped(mem) char *text = sample_load(SAMPLE_IOMMU, &len);
	scoped(hs_qemulog) struct hs_qemulog *log = open_log();
	scoped(hs_qemulog_tail) struct hs_qemulog_tail *tail = NULL;

	assert_non_null(text);
	append(place->path, text, len);
	assert_int_equal(hs_qemulog_tail_open(place->path, log, &tail), 0);
	assert_int_equal(hs_qemulog_tail_poll(tail, 0), 0);
	assert_int_equal(hs_qemulog_tail_poll(tail, 1), 1);
	assert_int_equal(hs_qemulog_tail_poll(tail, 1000000), 1000000);
	assert_int_equal(hs_qemulog_counts(log)->bytes, 1000001);
	assert_int_equal(hs_qemulog_tail_poll(tail, len), len - 1000001);
	assert_sample(log);
}

static unsigned int messages;

static void count_message(void *ctx, enum hs_log_level level, const char *text)
{
	(void)ctx;
	(void)text;
	messages += level == HS_LOG_ERR;
}

static void test_tail_of_a_shrinking_file_fails_once_and_clearly(void **state)
{
	struct place *place = *state;
	scoped(hs_qemulog) struct hs_qemulog *log = open_log();
	scoped(hs_qemulog_tail) struct hs_qemulog_tail *tail = NULL;
	char expected[256];

	append(place->path, HIT "\n", strlen(HIT) + 1);
	assert_int_equal(hs_qemulog_tail_open(place->path, log, &tail), 0);
	assert_int_equal(hs_qemulog_tail_poll(tail, SIZE_MAX), strlen(HIT) + 1);
	assert_int_equal(truncate(place->path, 10), 0);
	messages = 0;
	hs_log_set_sink(count_message, NULL);
	assert_int_equal(hs_qemulog_tail_poll(tail, SIZE_MAX), -ESTALE);
	append(place->path, PREFIX HIT PREFIX HIT, strlen(PREFIX HIT PREFIX HIT));
	assert_int_equal(hs_qemulog_tail_poll(tail, SIZE_MAX), -ESTALE);
	hs_log_set_sink(NULL, NULL);
	assert_int_equal(messages, 1);
	snprintf(expected, sizeof(expected),
		 "the IOMMU log %s shrank from %zu to 10 bytes while it was read: its counts are void; "
		 "make sure that one QEMU alone writes it",
		 place->path, strlen(HIT) + 1);
	assert_string_equal(hs_log_last_error(), expected);
	assert_int_equal(hs_qemulog_counts(log)->decoded, 1);
}

static void test_tail_refuses_what_is_not_a_regular_file(void **state)
{
	struct place *place = *state;
	scoped(hs_qemulog) struct hs_qemulog *log = open_log();
	scoped(hs_qemulog_tail) struct hs_qemulog_tail *dir = NULL;
	scoped(hs_qemulog_tail) struct hs_qemulog_tail *fifo = NULL;

	assert_int_equal(hs_qemulog_tail_open(place->dir, log, &dir), 0);
	assert_int_equal(hs_qemulog_tail_poll(dir, SIZE_MAX), -EINVAL);
	assert_int_equal(mkfifo(place->path, 0600), 0);
	assert_int_equal(hs_qemulog_tail_open(place->path, log, &fifo), 0);
	assert_int_equal(hs_qemulog_tail_poll(fifo, SIZE_MAX), -EINVAL);
}

static void test_free_takes_null(void **state)
{
	(void)state;
	hs_qemulog_free(NULL);
	hs_qemulog_tail_free(NULL);
}

#define tail_test(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real_log_counts_are_those_of_grep_and_awk),
		cmocka_unit_test(test_decoded_and_torn_are_what_grep_counts_in_a_damaged_log),
		cmocka_unit_test(test_page_line_is_decoded_with_and_without_prefix),
		cmocka_unit_test(test_context_line_is_decoded),
		cmocka_unit_test(test_fields_are_decoded_at_their_limits),
		cmocka_unit_test(test_numbers_of_every_width_have_their_value),
		cmocka_unit_test(test_a_value_beyond_its_limit_is_torn),
		cmocka_unit_test(test_other_events_are_known_by_name_and_sid),
		cmocka_unit_test(test_lines_of_others_are_foreign),
		cmocka_unit_test(test_the_prefixes_of_newer_qemus_say_the_same),
		cmocka_unit_test(test_a_date_is_the_one_of_gmtime),
		cmocka_unit_test(test_what_only_resembles_the_newer_prefixes_is_foreign_or_torn),
		cmocka_unit_test(test_a_line_cut_anywhere_is_never_decoded),
		cmocka_unit_test(test_a_line_merged_with_the_next_is_torn),
		cmocka_unit_test(test_a_last_line_without_newline_counts_if_its_shape_is_whole),
		cmocka_unit_test(test_a_feed_cut_anywhere_gives_the_same_counts),
		cmocka_unit_test(test_an_over_long_line_is_foreign_and_skipped_to_its_end),
		cmocka_unit_test(test_the_longest_line_is_the_same_whole_and_in_pieces),
		cmocka_unit_test(test_crlf_lines_are_whole),
		cmocka_unit_test(test_nul_bytes_tear_a_line),
		cmocka_unit_test(test_mutated_hot_lines_are_judged_as_regular_expressions_do),
		cmocka_unit_test(test_on_line_is_given_every_decoded_line),
		cmocka_unit_test(test_more_names_than_the_table_holds_are_counted_together),
		cmocka_unit_test(test_a_name_too_long_for_the_table_is_counted_as_overflow),
		cmocka_unit_test(test_sids_are_mapped_to_their_tenants),
		cmocka_unit_test(test_a_sid_of_two_tenants_is_refused),
		tail_test(test_tail_counts_a_growing_file),
		tail_test(test_tail_reads_no_more_than_its_budget),
		tail_test(test_tail_of_a_shrinking_file_fails_once_and_clearly),
		tail_test(test_tail_refuses_what_is_not_a_regular_file),
		cmocka_unit_test(test_free_takes_null),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("qemulog", tests, NULL, NULL);
}
