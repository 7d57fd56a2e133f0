// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages and formats of a guest's ftrace: pages made here byte by byte, walked beside libtraceevent's kbuffer; what a
 * hostile guest may send; records read back. (The kernel's own pages: tests/lab/test_ftrace.c.)
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <kbuffer.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/log.h"
#include "cm.h"
#include "ftrace/ctf.h"
#include "ftrace/format.h"
#include "ftrace/page.h"
#include "ftrace/print_fmt.h"
#include "trace/ctf_events.h"
#include "trace/ctf_reader.h"
#include "trace/ctf_writer.h"

#define PAGE 4096
#define DATA 16

/* ---- pages ------------------------------------------------------------------------------------- */
struct page {
	_Alignas(8) uint8_t bytes[PAGE + 8];
	size_t used; /* of data */
};

static void put_u32(struct page *page, uint32_t value)
{
	memcpy(page->bytes + DATA + page->used, &value, sizeof(value));
	page->used += sizeof(value);
}

static void set_commit(struct page *page, uint64_t flags)
{
	uint64_t commit = page->used | flags;

	memcpy(page->bytes + 8, &commit, sizeof(commit));
}

static struct page page_at(uint64_t ts)
{
	struct page page = { 0 };

	memcpy(page.bytes, &ts, sizeof(ts));
	return page;
}

/* An event of `words` 32-bit words, the first of which is its id. */
static void put_event(struct page *page, uint32_t delta, uint32_t words, uint32_t first)
{
	bool is_long = words > 28;

	put_u32(page, delta << 5 | (is_long ? 0 : words));
	if (is_long)
		put_u32(page, 4 * (words + 1));
	for (uint32_t i = 0; i < words; i++)
		put_u32(page, first + i);
	set_commit(page, 0);
}

static void put_time(struct page *page, uint32_t type, uint64_t value)
{
	put_u32(page, (uint32_t)(value & 0x7ffffff) << 5 | type);
	put_u32(page, (uint32_t)(value >> 27));
	set_commit(page, 0);
}

/* An event that was taken back. */
static void put_discarded(struct page *page, uint32_t delta, uint32_t words)
{
	put_u32(page, delta << 5 | 29);
	put_u32(page, 4 * words);
	page->used += 4 * (words - 1);
	set_commit(page, 0);
}

/* Both walks over the page say the same, and there are `count` events. */
static void expect_as_kbuffer(struct page *page, unsigned int count, uint64_t last_ts)
{
	struct kbuffer *kbuffer = kbuffer_alloc(KBUFFER_LSIZE_8, KBUFFER_ENDIAN_LITTLE);
	struct hs_ftrace_page walk;
	struct hs_ftrace_raw raw = { 0 };
	unsigned long long ts = 0;
	const void *data;

	assert_int_equal(kbuffer_load_subbuffer(kbuffer, page->bytes), 0);
	assert_int_equal(hs_ftrace_page_open(&hs_ftrace_layout_x86_64, page->bytes, &walk), 0);
	data = kbuffer_read_event(kbuffer, &ts);
	for (unsigned int i = 0; i < count; i++) {
		assert_int_equal(hs_ftrace_page_next(&walk, &raw), 1);
		assert_ptr_equal(raw.data, data);
		assert_int_equal(raw.ts, ts);
		assert_int_equal(raw.bytes, kbuffer_event_size(kbuffer));
		data = kbuffer_next_event(kbuffer, &ts);
	}
	assert_int_equal(hs_ftrace_page_next(&walk, &raw), 0);
	assert_null(data);
	assert_int_equal(raw.ts, last_ts);
	kbuffer_free(kbuffer);
}

static void test_every_kind_of_ring_entry_is_walked_as_by_kbuffer(void **state)
{
	struct page page = page_at(1000);

	(void)state;
	put_event(&page, 5, 2, 7);
	put_event(&page, 0, 28, 7);
	put_event(&page, 1, 29, 7);
	put_event(&page, 3, 600, 7);
	expect_as_kbuffer(&page, 4, 1009);
	put_time(&page, 30, 1ull << 40); /* a gap of 18 minutes */
	put_event(&page, 2, 1, 7);
	expect_as_kbuffer(&page, 5, 1011 + (1ull << 40));
	put_time(&page, 31, 1ull << 58); /* absolute: 9 years */
	put_event(&page, 2, 1, 7);
	expect_as_kbuffer(&page, 6, 2 + (1ull << 58));
	put_discarded(&page, 10, 4);
	put_event(&page, 2, 3, 7);
	expect_as_kbuffer(&page, 7, 14 + (1ull << 58));
}

static void test_nothing_is_looked_for_behind_the_last_padding(void **state)
{
	struct page page = page_at(1);
	struct hs_ftrace_page walk;
	struct hs_ftrace_raw raw;

	(void)state;
	put_event(&page, 0, 1, 7);
	put_u32(&page, 29);
	put_u32(&page, 0xffffffff);
	page.used += 40;
	set_commit(&page, 0);
	assert_int_equal(hs_ftrace_page_open(&hs_ftrace_layout_x86_64, page.bytes, &walk), 0);
	assert_int_equal(hs_ftrace_page_next(&walk, &raw), 1);
	assert_int_equal(hs_ftrace_page_next(&walk, &raw), 0);
}

static void test_absolute_times_keep_the_top_bits_of_the_pages_time(void **state)
{
	struct page page = page_at(3ull << 59 | 77);

	(void)state;
	put_time(&page, 31, 99);
	put_event(&page, 1, 1, 7);
	expect_as_kbuffer(&page, 1, (3ull << 59) + 100);
}

static void test_an_empty_page_has_no_events(void **state)
{
	struct page page = page_at(1);
	struct hs_ftrace_page walk;
	struct hs_ftrace_raw raw;

	(void)state;
	set_commit(&page, 0);
	assert_int_equal(hs_ftrace_page_open(&hs_ftrace_layout_x86_64, page.bytes, &walk), 0);
	assert_int_equal(hs_ftrace_page_next(&walk, &raw), 0);
}

static void test_losses_are_read_with_and_without_their_number(void **state)
{
	struct page page = page_at(1);
	struct hs_ftrace_page walk;
	uint64_t missed = 12345;

	(void)state;
	put_event(&page, 0, 1, 7);
	set_commit(&page, 0xffffffffull << 32 | 1u << 31); /* as the kernel's int of 1 << 31 becomes a long */
	assert_int_equal(hs_ftrace_page_open(&hs_ftrace_layout_x86_64, page.bytes, &walk), 0);
	assert_true(walk.has_missed);
	assert_int_equal(walk.missed, 0);
	memcpy(page.bytes + DATA + page.used, &missed, sizeof(missed));
	set_commit(&page, 3u << 30);
	assert_int_equal(hs_ftrace_page_open(&hs_ftrace_layout_x86_64, page.bytes, &walk), 0);
	assert_true(walk.has_missed);
	assert_int_equal(walk.missed, 12345);
}

static void test_pages_that_lead_outside_are_refused(void **state)
{
	struct page page = page_at(1);
	struct hs_ftrace_page walk;
	struct hs_ftrace_raw raw;

	(void)state;
	page.used = PAGE - DATA + 1;
	set_commit(&page, 0);
	assert_int_equal(hs_ftrace_page_open(&hs_ftrace_layout_x86_64, page.bytes, &walk), -EBADMSG);
	page.used = PAGE - DATA - 4; /* no room for the number that is said to be there */
	set_commit(&page, 3u << 30);
	assert_int_equal(hs_ftrace_page_open(&hs_ftrace_layout_x86_64, page.bytes, &walk), -EBADMSG);
	page = page_at(1ull << 63);
	assert_int_equal(hs_ftrace_page_open(&hs_ftrace_layout_x86_64, page.bytes, &walk), -EBADMSG);
	for (uint32_t length = 0; length < 4; length++) { /* shorter than the length itself */
		page = page_at(1);
		put_u32(&page, 0);
		put_u32(&page, length);
		set_commit(&page, 0);
		assert_int_equal(hs_ftrace_page_open(&hs_ftrace_layout_x86_64, page.bytes, &walk), 0);
		assert_int_equal(hs_ftrace_page_next(&walk, &raw), -EBADMSG);
	}
	page = page_at(1);
	put_event(&page, 0, 1, 7);
	put_u32(&page, 0);
	put_u32(&page, 0xfffffffe);
	set_commit(&page, 0);
	assert_int_equal(hs_ftrace_page_open(&hs_ftrace_layout_x86_64, page.bytes, &walk), 0);
	assert_int_equal(hs_ftrace_page_next(&walk, &raw), 1);
	assert_int_equal(hs_ftrace_page_next(&walk, &raw), -EBADMSG);
}

static void test_layouts_of_other_page_sizes_and_machines_are_taken(void **state)
{
	static const char text[] = "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
				   "\tfield: local_t commit;\toffset:8;\tsize:%u;\tsigned:1;\n"
				   "\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n"
				   "\tfield: char data;\toffset:%u;\tsize:%u;\tsigned:0;\n";
	static const struct {
		unsigned int commit, data, bytes;
		int err;
	} cases[] = {
		{ 8, 16, 4080, 0 },	   { 8, 16, 65520, 0 },
		{ 4, 12, 4084, 0 },	   { 8, 16, 4081, -EBADMSG },
		{ 2, 16, 4080, -EBADMSG }, { 8, 8, 4088, -EBADMSG },
		{ 8, 16, 0, -EBADMSG },	   { 8, 16, 999999999, -EBADMSG },
	};

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(cases); i++) {
		scoped(mem) char *header = hs_format(text, cases[i].commit, cases[i].data, cases[i].bytes);
		struct hs_ftrace_layout layout;

		assert_int_equal(hs_ftrace_layout_parse(header, strlen(header), &layout), cases[i].err);
		if (!cases[i].err)
			assert_int_equal(layout.page_bytes, cases[i].data + cases[i].bytes);
	}
	assert_int_equal(hs_ftrace_layout_parse("", 0, &(struct hs_ftrace_layout){ 0 }), -EBADMSG);
}

/* ---- formats ----------------------------------------------------------------------------------- */
#define COMMON                                                                                                         \
	"format:\n\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"                                \
	"\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"                                         \
	"\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n"                                 \
	"\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n"
#define FORMAT(name, id, fields, print) "name: " name "\nID: " #id "\n" COMMON fields "\nprint fmt: " print "\n"

/* One of every kind. */
static const char every_kind[] = FORMAT("every_kind", 7,
					"\tfield:u8 small;\toffset:8;\tsize:1;\tsigned:0;\n"
					"\tfield:__data_loc char[] name;\toffset:12;\tsize:4;\tsigned:0;\n"
					"\tfield:s16 level;\toffset:16;\tsize:2;\tsigned:1;\n"
					"\tfield:char comm[8];\toffset:18;\tsize:8;\tsigned:0;\n"
					"\tfield:unsigned long args[2];\toffset:32;\tsize:16;\tsigned:0;\n"
					"\tfield:__rel_loc u32[] ids;\toffset:48;\tsize:4;\tsigned:0;\n"
					"\tfield:void * string;\toffset:56;\tsize:8;\tsigned:0;\n",
					"\"small=%s level=%d args=%lx ids=%s string=0x%p\", "
					"__print_symbolic(REC->small, { 1, \"one\" }, { 0x2, \"t wo\" "
					"}), REC->level, REC->args, 0, REC->string");

struct every_kind {
	uint16_t type;
	uint8_t flags, preempt;
	int32_t pid;
	uint8_t small, unused[3];
	uint32_t name;
	int16_t level;
	char comm[8];
	uint8_t more_unused[6];
	uint64_t args[2];
	uint32_t ids;
	uint32_t still_unused;
	uint64_t string;
	uint8_t content[32];
};

static struct every_kind raw_of_every_kind(void)
{
	struct every_kind raw = {
		.type = 7,
		.flags = 0x11,
		.preempt = 0x22,
		.pid = 4242,
		.small = 2,
		.name = 64 | 6u << 16,
		.level = -3,
		.comm = "full8byt",
		.args = { 1, UINT64_MAX },
		.ids = (72 - 52) | 12u << 16,
		.string = 0xffff888100000000,
	};
	uint32_t ids[] = { 5, 6, UINT32_MAX };

	memcpy(raw.content, "hello", 6);
	memcpy(raw.content + 8, ids, sizeof(ids));
	return raw;
}

static struct hs_ftrace_format *parse(const char *text)
{
	struct hs_ftrace_format *format = NULL;
	const char *why;

	assert_int_equal(hs_ftrace_format_parse("tests", text, strlen(text), &format, &why), 0);
	return format;
}

static const struct hs_field *field_of(const struct hs_event *event, const char *name)
{
	for (unsigned int i = 0; i < event->field_nr; i++)
		if (!strcmp(event->fields[i].name, name))
			return &event->fields[i];
	fail_msg("there is no %s", name);
	return NULL;
}

static void expect_every_kind(const struct hs_event *event, const struct hs_event_header *header)
{
	const struct hs_field *small = field_of(event, "small"), *ids = field_of(event, "ids");
	const struct hs_field *args = field_of(event, "args");
	const void *content;
	size_t count;

	assert_string_equal(event->name, "every_kind");
	assert_string_equal(event->system, "tests");
	assert_true(event->is_foreign);
	assert_int_equal(event->field_nr, 7);
	assert_int_equal(header->id, 7);
	assert_int_equal(header->tid, 4242);
	assert_int_equal(header->lap, 0x2211);
	assert_int_equal(hs_field_value(small, header), 2);
	assert_string_equal(hs_enum_text(small->list, 2), "t wo");
	assert_int_equal(hs_field_value(field_of(event, "level"), header), (uint64_t)-3);
	assert_int_equal(hs_field_value(field_of(event, "string"), header), 0xffff888100000000);
	assert_int_equal(field_of(event, "string")->format, HS_FORMAT_HEX);
	content = hs_ctf_field_content(event, field_of(event, "comm"), header, &count);
	assert_int_equal(count, 8);
	assert_memory_equal(content, "full8byt", 8);
	content = hs_ctf_field_content(event, field_of(event, "name"), header, &count);
	assert_int_equal(count, 5);
	assert_memory_equal(content, "hello", 5);
	content = hs_ctf_field_content(event, args, header, &count);
	assert_int_equal(count, 2);
	assert_int_equal(hs_ctf_field_number(args, content, 1), UINT64_MAX);
	content = hs_ctf_field_content(event, ids, header, &count);
	assert_int_equal(count, 3);
	assert_int_equal(hs_ctf_field_number(ids, content, 1), 6);
	assert_int_equal(hs_ctf_field_number(ids, content, 2), UINT32_MAX);
}

static void test_every_kind_of_field_comes_through(void **state)
{
	scoped(hs_ftrace_format) struct hs_ftrace_format *format = parse(every_kind);
	struct every_kind raw = raw_of_every_kind();
	_Alignas(8) uint8_t record[HS_FTRACE_RECORD_BYTES_MAX(sizeof(raw))];
	size_t bytes = hs_ftrace_format_encode(format, &raw, sizeof(raw), 99, record);

	(void)state;
	assert_true(bytes > 0);
	expect_every_kind(hs_ftrace_format_event(format), (const void *)record);
	assert_int_equal(hs_ctf_event_record_bytes(hs_ftrace_format_event(format), record, (bytes + 7) & ~7ul),
			 (bytes + 7) & ~7ul);
}

static void test_locations_outside_the_event_are_refused(void **state)
{
	scoped(hs_ftrace_format) struct hs_ftrace_format *format = parse(every_kind);
	struct every_kind raw = raw_of_every_kind();
	_Alignas(8) uint8_t record[HS_FTRACE_RECORD_BYTES_MAX(sizeof(raw))];

	(void)state;
	assert_int_equal(hs_ftrace_format_encode(format, &raw, 60, 1, record), 0);
	raw.name = 90 | 7u << 16;
	assert_int_equal(hs_ftrace_format_encode(format, &raw, sizeof(raw), 1, record), 0);
	raw.name = 0xffffffff;
	assert_int_equal(hs_ftrace_format_encode(format, &raw, sizeof(raw), 1, record), 0);
	raw = raw_of_every_kind();
	raw.ids = 0xfff0 | 4u << 16;
	assert_int_equal(hs_ftrace_format_encode(format, &raw, sizeof(raw), 1, record), 0);
	/* Both show the whole event: together more than there is. */
	raw.ids = 4 | 40u << 16;
	raw.name = 0 | 90u << 16;
	assert_int_equal(hs_ftrace_format_encode(format, &raw, sizeof(raw), 1, record), 0);
}

static void test_what_follows_an_event_to_its_end_is_taken_whole(void **state)
{
	static const char print[] = FORMAT("print", 5,
					   "\tfield:unsigned long ip;\toffset:8;\tsize:8;\tsigned:0;\n"
					   "\tfield:char buf[];\toffset:16;\tsize:0;\tsigned:0;\n",
					   "\"%ps: %s\", (void *)REC->ip, REC->buf");
	static const char stack[] = FORMAT("kernel_stack", 4,
					   "\tfield:int size;\toffset:8;\tsize:4;\tsigned:1;\n"
					   "\tfield:unsigned long caller[8];\toffset:16;\tsize:64;\tsigned:0;\n",
					   "\"\\t=> %ps\", (void *)REC->caller[0]");
	scoped(hs_ftrace_format) struct hs_ftrace_format *print_format = parse(print), *stack_format = parse(stack);
	const struct hs_event *event = hs_ftrace_format_event(print_format);
	_Alignas(8) uint8_t raw[128] = { 0 }, record[HS_FTRACE_RECORD_BYTES_MAX(sizeof(raw))];
	size_t count;

	(void)state;
	memcpy(raw + 16, "a marker\n", 10);
	assert_true(hs_ftrace_format_encode(print_format, raw, 28, 1, record) > 0);
	assert_memory_equal(hs_ctf_field_content(event, field_of(event, "buf"), record, &count), "a marker\n", 9);
	assert_int_equal(count, 9);
	event = hs_ftrace_format_event(stack_format);
	assert_true(hs_ftrace_format_encode(stack_format, raw, 16 + 3 * 8, 1, record) > 0);
	hs_ctf_field_content(event, field_of(event, "caller"), record, &count);
	assert_int_equal(count, 3);
	assert_true(hs_ftrace_format_encode(stack_format, raw, 16 + 14 * 8, 1, record) > 0);
	hs_ctf_field_content(event, field_of(event, "caller"), record, &count);
	assert_int_equal(count, 14);
}

static void test_formats_that_make_no_sense_are_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"name: x\n",
		"name: x\nID: 1\nformat:\n\nprint fmt: \"\"\n",
		FORMAT("a\"b", 1, "", "\"\""),
		FORMAT("x", 70000, "", "\"\""),
		FORMAT("x", 1, "\tfield:int a;\toffset:8;\tsize:99999;\tsigned:0;\n", "\"\""),
		FORMAT("x", 1, "\tfield:int a;\toffset:99999;\tsize:4;\tsigned:0;\n", "\"\""),
		FORMAT("x", 1, "\tfield:int a;\toffset:8;\tsize:0;\tsigned:0;\n", "\"\""),
		FORMAT("x", 1, "\tfield:int \"a\";\toffset:8;\tsize:4;\tsigned:0;\n", "\"\""),
		FORMAT("x", 1, "\tfield:int a;\toffset:8;\tsize:-4;\tsigned:0;\n", "\"\""),
		FORMAT("x", 1, "\tfield:int a;\toffset:8;\tsize:4;\n\tsigned:0;\n", "\"\""),
		FORMAT("x", 1, "\tfield:;\toffset:8;\tsize:4;\tsigned:0;\n", "\"\""),
		/* Two of one name; two that share bytes. */
		FORMAT("x", 1,
		       "\tfield:int a;\toffset:8;\tsize:4;\tsigned:0;\n\tfield:int "
		       "a;\toffset:12;\tsize:4;\tsigned:0;\n",
		       "\"\""),
		FORMAT("x", 1,
		       "\tfield:u8 a[4096];\toffset:8;\tsize:4096;\tsigned:0;\n"
		       "\tfield:u8 b[4096];\toffset:8;\tsize:4096;\tsigned:0;\n",
		       "\"\""),
		FORMAT("x", 1, "\tfield:__data_loc char[] a;\toffset:8;\tsize:8;\tsigned:0;\n", "\"\""),
		/* No id in front. */
		"name: x\nID: 1\nformat:\n\tfield:int common_pid;\toffset:0;\tsize:4;\tsigned:1;\n\nprint fmt: \"\"\n",
	};

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(texts); i++) {
		struct hs_ftrace_format *format = NULL;
		const char *why = NULL;

		if (hs_ftrace_format_parse("tests", texts[i], strlen(texts[i]), &format, &why) != -EBADMSG || format ||
		    !why)
			fail_msg("taken: %s", texts[i]);
	}
	assert_int_equal(hs_ftrace_format_parse("a b", every_kind, strlen(every_kind),
						&(struct hs_ftrace_format *){ 0 }, &(const char *){ 0 }),
			 -EBADMSG);
}

static void test_names_of_values_are_taken_where_they_are_plain(void **state)
{
	static const char print[] =
		"\"%s %s %s %s\", __print_symbolic(REC->a, { 0, \"HI\" }, { (1), \"no\" }), "
		"__print_symbolic(REC->b & 3, { 0, \"no\" }), "
		"__print_symbolic(REC->c, { 0x10UL, \"SIXTEEN\" }, { 300, \"too much\" }, { 16, \"again\" }), "
		"__print_symbolic(REC->d, { 1, \"quo\\\"te\" }), __print_symbolic(REC->e, { 1, ";
	scoped(hs_ctf_enum) struct hs_enum *list = NULL;

	(void)state;
	assert_null(hs_ftrace_find_enum(print, "a", UINT32_MAX));
	assert_null(hs_ftrace_find_enum(print, "b", UINT32_MAX));
	assert_null(hs_ftrace_find_enum(print, "d", UINT32_MAX));
	assert_null(hs_ftrace_find_enum(print, "e", UINT32_MAX));
	assert_null(hs_ftrace_find_enum(print, "nosuch", UINT32_MAX));
	list = hs_ftrace_find_enum(print, "c", 255);
	assert_non_null(list);
	assert_int_equal(list->value_nr, 1);
	assert_string_equal(hs_enum_text(list, 16), "SIXTEEN");
}

static void test_hexadecimal_conversions_are_matched_with_their_fields(void **state)
{
	static const char print[] = "\"a %s 100%% %-5d, 0x%08lx %pS\" \" %X\", REC->a, f(REC->x, \",\"), "
				    "((unsigned long)(REC->b)), (void *)REC->c, REC->d + 1";

	(void)state;
	assert_false(hs_ftrace_is_hex(print, "a"));
	assert_false(hs_ftrace_is_hex(print, "x"));
	assert_true(hs_ftrace_is_hex(print, "b"));
	assert_true(hs_ftrace_is_hex(print, "c"));
	assert_false(hs_ftrace_is_hex(print, "d"));
	assert_false(hs_ftrace_is_hex("\"%x", "a"));
	assert_false(hs_ftrace_is_hex("", "a"));
}

/* ---- traces ------------------------------------------------------------------------------------ */
struct fixture {
	char dir[64], trace[80];
	struct hs_ftrace *ftrace;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	hs_log_set_level(HS_LOG_ERR);
	strcpy(fixture->dir, "/tmp/hsbpf-ftrace-XXXXXX");
	if (!mkdtemp(fixture->dir))
		return -1;
	snprintf(fixture->trace, sizeof(fixture->trace), "%s/l1", fixture->dir);
	*state = fixture;
	return 0;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *position)
{
	(void)status;
	(void)type;
	(void)position;
	return remove(path);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	hs_ftrace_free(fixture->ftrace);
	nftw(fixture->dir, remove_entry, 4, FTW_DEPTH | FTW_PHYS);
	free(fixture);
	return 0;
}

static int open_with(struct fixture *fixture, const char *machine, const char *clock)
{
	struct hs_ftrace_config config = {
		.dir = fixture->trace, .machine = machine, .clock = clock, .clock_offset_ns = 1000, .start_ns = 5
	};

	return hs_ftrace_open(&config, &fixture->ftrace);
}

#define TWO_WORDS FORMAT("two_words", 9, "\tfield:u32 a;\toffset:8;\tsize:4;\tsigned:0;\n", "\"%u\", REC->a")

static void start(struct fixture *fixture)
{
	assert_int_equal(open_with(fixture, "l1", "boot"), 0);
	assert_int_equal(hs_ftrace_add_format(fixture->ftrace, "tests", TWO_WORDS, strlen(TWO_WORDS)), 0);
}

/* An event of id 9 with common fields and one more word. */
static void put_two_words(struct page *page, uint32_t delta, uint32_t value)
{
	put_event(page, delta, 3, 9);
	memcpy(page->bytes + DATA + page->used - 4, &value, 4);
}

static void give(struct fixture *fixture, uint32_t cpu, const struct page *page)
{
	assert_int_equal(hs_ftrace_add_pages(fixture->ftrace, cpu, page->bytes, PAGE), 0);
}

struct read_back {
	uint64_t events, ours, last_ts, losses, lost;
	struct hs_ctf_loss loss;
};

static void on_loss(void *ctx, const struct hs_ctf_loss *loss)
{
	struct read_back *back = ctx;

	back->losses++;
	back->lost += loss->events;
	back->loss = *loss;
}

static struct read_back read_back(const struct fixture *fixture)
{
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = NULL;
	struct read_back back = { 0 };
	struct hs_ctf_record record;

	assert_int_equal(hs_ctf_reader_open_all(fixture->trace, &reader), 0);
	hs_ctf_reader_on_loss(reader, on_loss, &back);
	while (hs_ctf_reader_next(reader, &record) > 0) {
		assert_true(record.header->ts >= back.last_ts);
		assert_ptr_equal(hs_ctf_reader_event(reader, record.index), record.event);
		back.last_ts = record.header->ts;
		back.events += record.event->is_foreign;
		back.ours += !record.event->is_foreign;
	}
	assert_int_equal(hs_ctf_reader_counts(reader)->damaged_packets + hs_ctf_reader_counts(reader)->torn_packets, 0);
	return back;
}

static void test_a_trace_holds_our_records_and_ftrace_in_one_folder(void **state)
{
	struct fixture *fixture = *state;
	struct hs_ctf_writer_config config = { .dir = fixture->trace, .machine = "l1", .clock_offset_ns = 77 };
	scoped(hs_ctf_writer) struct hs_ctf_writer *writer = NULL;
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = NULL;
	struct hs_event_kvm_pio pio = { .header = { .ts = 150, .id = HS_EVENT_kvm_pio, .tid = 3 } };
	struct page page = page_at(100);
	struct read_back back;

	assert_int_equal(hs_ctf_writer_open(&config, &writer), 0);
	start(fixture);
	put_two_words(&page, 0, 1);
	put_two_words(&page, 100, 2);
	give(fixture, 0, &page);
	assert_int_equal(hs_ctf_writer_begin(writer, 0), 0);
	assert_int_equal(hs_ctf_writer_add(writer, &pio, sizeof(pio)), 0);
	assert_int_equal(hs_ctf_writer_end(writer, 0), 0);
	back = read_back(fixture);
	assert_int_equal(back.events, 2);
	assert_int_equal(back.ours, 1);
	assert_int_equal(back.last_ts, 200);
	assert_int_equal(hs_ctf_reader_open(fixture->trace, &reader), 0); /* who wants ours only gets ours only */
	assert_int_equal(hs_ctf_reader_info(reader)->clock_offset_ns, 77);
	assert_int_equal(hs_ctf_reader_next(reader, &(struct hs_ctf_record){ 0 }), 1);
	assert_int_equal(hs_ctf_reader_next(reader, &(struct hs_ctf_record){ 0 }), 0);
}

static void test_fields_survive_metadata_and_packets(void **state)
{
	struct fixture *fixture = *state;
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = NULL;
	struct every_kind raw = raw_of_every_kind();
	struct hs_ctf_record record;
	struct page page = page_at(100);

	assert_int_equal(open_with(fixture, "l1", "boot"), 0);
	assert_int_equal(hs_ftrace_add_format(fixture->ftrace, "tests", every_kind, strlen(every_kind)), 0);
	for (int i = 0; i < 3; i++) {
		put_event(&page, 1, sizeof(raw) / 4, 7);
		memcpy(page.bytes + DATA + page.used - sizeof(raw), &raw, sizeof(raw));
	}
	give(fixture, 3, &page);
	assert_int_equal(hs_ctf_reader_open_all(fixture->trace, &reader), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(hs_ctf_reader_next(reader, &record), 1);
		assert_int_equal(record.cpu, 3);
		assert_int_equal(record.header->ts, 101 + i);
		expect_every_kind(record.event, record.header);
	}
	assert_int_equal(hs_ctf_reader_next(reader, &record), 0);
}

static void test_losses_stand_where_they_happened(void **state)
{
	struct fixture *fixture = *state;
	struct page first = page_at(100), second = page_at(300);
	uint64_t missed = 41;
	struct read_back back;

	start(fixture);
	put_two_words(&first, 10, 1);
	give(fixture, 0, &first);
	put_two_words(&second, 10, 2);
	memcpy(second.bytes + DATA + second.used, &missed, sizeof(missed));
	set_commit(&second, 3u << 30);
	give(fixture, 0, &second);
	back = read_back(fixture);
	assert_int_equal(back.losses, 1);
	assert_int_equal(back.loss.begin_ns, 110);
	assert_int_equal(back.loss.end_ns, 310);
	assert_int_equal(back.loss.events, 41);
	assert_int_equal(hs_ftrace_counts(fixture->ftrace)->lost, 41);
}

static void test_the_rings_own_count_corrects_what_is_known_of_losses(void **state)
{
	struct fixture *fixture = *state;
	struct page page = page_at(100);
	const struct hs_ftrace_counts *counts;

	start(fixture);
	counts = hs_ftrace_counts(fixture->ftrace);
	put_two_words(&page, 10, 1);
	set_commit(&page, 1u << 31);
	give(fixture, 0, &page);
	assert_int_equal(counts->lost, 1);
	assert_int_equal(counts->unknown_losses, 1);
	assert_int_equal(hs_ftrace_set_produced(fixture->ftrace, 0, 1000), 0);
	assert_int_equal(counts->lost, 999);
	assert_int_equal(hs_ftrace_set_produced(fixture->ftrace, 0, 1000), 0);
	assert_int_equal(hs_ftrace_set_produced(fixture->ftrace, 1, 5), 0); /* a CPU of which nothing came */
	assert_int_equal(counts->recorded + counts->lost, 1005);
	assert_int_equal(read_back(fixture).lost, 1004);
}

static void test_events_without_a_format_or_not_fitting_it_count_as_lost(void **state)
{
	struct fixture *fixture = *state;
	struct page page = page_at(100);
	const struct hs_ftrace_counts *counts;

	start(fixture);
	counts = hs_ftrace_counts(fixture->ftrace);
	put_two_words(&page, 1, 1);
	put_event(&page, 1, 3, 12); /* nobody knows it */
	put_event(&page, 1, 2, 9);  /* too short */
	put_two_words(&page, 1, 2);
	put_u32(&page, 0); /* and from here on it makes no sense */
	put_u32(&page, 0xffffff);
	set_commit(&page, 0);
	give(fixture, 0, &page);
	assert_int_equal(counts->recorded, 2);
	assert_int_equal(counts->no_format, 1);
	assert_int_equal(counts->damaged_events, 1);
	assert_int_equal(counts->damaged_pages, 1);
	assert_int_equal(counts->lost, 3);
	assert_int_equal(hs_ftrace_set_produced(fixture->ftrace, 0, 10), 0);
	assert_int_equal(read_back(fixture).lost, 8);
}

static void test_time_never_goes_back_in_a_stream(void **state)
{
	struct fixture *fixture = *state;
	struct page late = page_at(1000), early = page_at(50);

	start(fixture);
	put_two_words(&late, 0, 1);
	put_two_words(&early, 0, 2);
	give(fixture, 0, &late);
	give(fixture, 0, &early);
	assert_int_equal(hs_ftrace_counts(fixture->ftrace)->clamped, 1);
	assert_int_equal(read_back(fixture).last_ts, 1000);
}

static void test_formats_may_come_again_but_not_change(void **state)
{
	static const char other[] = FORMAT("other", 9, "", "\"\"");
	struct fixture *fixture = *state;

	start(fixture);
	assert_int_equal(hs_ftrace_add_format(fixture->ftrace, "tests", TWO_WORDS, strlen(TWO_WORDS)), 0);
	assert_int_equal(hs_ftrace_add_format(fixture->ftrace, "tests", other, strlen(other)), -EEXIST);
	assert_non_null(strstr(hs_log_last_error(), "l1 has two events with the number 9: other is not recorded"));
	assert_int_equal(hs_ftrace_add_format(fixture->ftrace, "tests", "x", 1), -EBADMSG);
	assert_int_equal(read_back(fixture).events, 0);
}

static void test_what_cannot_be_joined_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct hs_ctf_writer_config config = { .dir = fixture->trace, .machine = "l1" };
	scoped(hs_ctf_writer) struct hs_ctf_writer *writer = NULL;
	struct page page = page_at(1);

	assert_int_equal(open_with(fixture, "l1", "x86-tsc"), -EOPNOTSUPP);
	assert_int_equal(open_with(fixture, "a\"b", "boot"), -EINVAL);
	assert_int_equal(hs_ctf_writer_open(&config, &writer), 0);
	assert_int_equal(open_with(fixture, "l2-0", "boot"), -EINVAL);
	assert_int_equal(open_with(fixture, "l1", "local"), -EINVAL);
	start(fixture);
	assert_int_equal(hs_ftrace_add_pages(fixture->ftrace, 0, page.bytes, 100), -EINVAL);
	assert_int_equal(hs_ftrace_add_pages(fixture->ftrace, 4096, page.bytes, PAGE), -EINVAL);
	hs_ftrace_free(take(fixture->ftrace));
	assert_int_equal(open_with(fixture, "l1", "boot"), -EINVAL);
	assert_non_null(strstr(hs_log_last_error(), "has a trace with ftrace already"));
}

static void test_clocks_of_ftrace_other_than_ours_are_named_in_the_trace(void **state)
{
	struct fixture *fixture = *state;
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = NULL;

	assert_int_equal(open_with(fixture, "l1", "local"), 0);
	assert_int_equal(hs_ctf_reader_open_all(fixture->trace, &reader), 0);
	assert_string_equal(hs_ctf_reader_info(reader)->clock, "local");
}

static void test_metadata_that_we_do_not_write_is_refused_with_its_line(void **state)
{
#define EVENT_OF(id, fields)                                                                                           \
	("/* s */\nevent {\n\tname = \"n\";\n\tid = " #id ";\n\tstream_id = 1;\n\tfields := struct {\n" fields         \
	 "\t};\n};\n")
	static const char *const lines[] = {
		EVENT_OF(1, "\t\tfloat x;\n"),
		EVENT_OF(99999, ""),
		"struct x { };\n",
	};
	struct fixture *fixture = *state;
	scoped(mem) char *path = NULL, *text = NULL;

	start(fixture);
	path = hs_format("%s/metadata", fixture->trace);
	assert_int_equal(hs_read_file(path, 65536, &text, NULL), 0);
	for (size_t i = 0; i < HS_ARRAY_SIZE(lines); i++) {
		scoped(mem) char *bad = hs_format("%s%s", text, lines[i]);
		struct hs_ctf_reader *reader = NULL;

		assert_int_equal(hs_write_file_atomic(path, bad, strlen(bad)), 0);
		assert_int_equal(hs_ctf_reader_open_all(fixture->trace, &reader), -EBADMSG);
		assert_non_null(strstr(hs_log_last_error(), "nothing that hsbpf writes"));
	}
}

static void test_a_deleted_stream_is_a_loss_of_all_that_was_in_it(void **state)
{
	struct fixture *fixture = *state;
	scoped(mem) char *path = hs_format("%s/ftrace_cpu0", fixture->trace);
	struct hs_ftrace_event_count count;
	struct page page = page_at(100);

	start(fixture);
	put_two_words(&page, 0, 1);
	give(fixture, 0, &page);
	assert_int_equal(hs_ftrace_event_count(fixture->ftrace, 0, &count), 0);
	assert_int_equal(count.recorded, 1);
	assert_string_equal(count.name, "two_words");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(hs_ftrace_add_pages(fixture->ftrace, 0, page.bytes, PAGE), -ENOENT);
	assert_int_equal(hs_ftrace_counts(fixture->ftrace)->recorded, 0);
	assert_int_equal(hs_ftrace_counts(fixture->ftrace)->disk_lost, 2);
	assert_int_equal(hs_ftrace_event_count(fixture->ftrace, 0, &count), 0);
	assert_int_equal(count.recorded, 0);
	assert_int_equal(hs_ftrace_event_count(fixture->ftrace, 1, &count), -ENOENT);
}

#define TEST(function) cmocka_unit_test(function)
#define TRACE_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_kind_of_ring_entry_is_walked_as_by_kbuffer),
		TEST(test_nothing_is_looked_for_behind_the_last_padding),
		TEST(test_absolute_times_keep_the_top_bits_of_the_pages_time),
		TEST(test_an_empty_page_has_no_events),
		TEST(test_losses_are_read_with_and_without_their_number),
		TEST(test_pages_that_lead_outside_are_refused),
		TEST(test_layouts_of_other_page_sizes_and_machines_are_taken),
		TEST(test_every_kind_of_field_comes_through),
		TEST(test_locations_outside_the_event_are_refused),
		TEST(test_what_follows_an_event_to_its_end_is_taken_whole),
		TEST(test_formats_that_make_no_sense_are_refused),
		TEST(test_names_of_values_are_taken_where_they_are_plain),
		TEST(test_hexadecimal_conversions_are_matched_with_their_fields),
		TRACE_TEST(test_a_trace_holds_our_records_and_ftrace_in_one_folder),
		TRACE_TEST(test_fields_survive_metadata_and_packets),
		TRACE_TEST(test_losses_stand_where_they_happened),
		TRACE_TEST(test_the_rings_own_count_corrects_what_is_known_of_losses),
		TRACE_TEST(test_events_without_a_format_or_not_fitting_it_count_as_lost),
		TRACE_TEST(test_time_never_goes_back_in_a_stream),
		TRACE_TEST(test_formats_may_come_again_but_not_change),
		TRACE_TEST(test_what_cannot_be_joined_is_refused),
		TRACE_TEST(test_clocks_of_ftrace_other_than_ours_are_named_in_the_trace),
		TRACE_TEST(test_metadata_that_we_do_not_write_is_refused_with_its_line),
		TRACE_TEST(test_a_deleted_stream_is_a_loss_of_all_that_was_in_it),
	};

	return RUN_TESTS("ftrace", tests);
}
