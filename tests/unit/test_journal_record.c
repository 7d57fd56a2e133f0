// SPDX-License-Identifier: GPL-2.0-only
/* Records of machines' logs as lines of text and of JSON. */
#include "cm.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#include "journal/record.h"

static char *print(const struct hs_journal_record *record, bool json)
{
	static struct hs_journal_buffer buffer;

	buffer.len = 0;
	if (json)
		hs_journal_record_print_json(record, &buffer);
	else
		hs_journal_record_print(record, &buffer);
	hs_journal_buffer_add(&buffer, "", 1);
	assert_int_equal(buffer.err, 0);
	return buffer.bytes;
}

static struct hs_journal_record full(const char *text, size_t len)
{
	struct hs_journal_record record = hs_journal_record_new("l1", HS_JOURNAL_KERNEL);

	record.severity = 4;
	record.tid = 55;
	record.has_seq = true;
	record.seq = record.last_seq = 1234;
	record.boot_ns = 77;
	record.real_ns = 1795272320123456789ull;
	record.error_ns = 11500;
	record.has_machine_ns = true;
	record.machine_ns = 5000;
	record.text = text;
	record.len = len;
	return record;
}

static void test_a_line_has_all_that_is_known_and_a_dash_for_the_rest(void **state)
{
	struct hs_journal_record record = full("eth0: up", 8);

	(void)state;
	assert_string_equal(print(&record, false),
			    "2026-11-21T14:45:20.123456Z +-12us l1 warning kernel 1234 T55: eth0: up\n");
	record.last_seq = 1236;
	record.cpu = 3;
	record.tid = HS_JOURNAL_UNKNOWN;
	record.late_ns = 120000000;
	record.is_fragment = true;
	assert_string_equal(print(&record, false), "2026-11-21T14:45:20.123456Z +-12us l1 warning kernel 1234-1236 "
						   "C3 fragment late=120ms: eth0: up\n");
	record = hs_journal_record_new("client-0", HS_JOURNAL_CONSOLE);
	record.text = "SeaBIOS";
	record.len = 7;
	assert_string_equal(print(&record, false), "- - client-0 - console -: SeaBIOS\n");
}

static void test_dates_are_those_of_the_calendar(void **state)
{
	static const struct {
		uint64_t second;
		const char *date;
	} rows[] = { { 1, "1970-01-01T00:00:01" },
		     { 951782400, "2000-02-29T00:00:00" },
		     { 1709251199, "2024-02-29T23:59:59" },
		     { 1767225599, "2025-12-31T23:59:59" },
		     { 4107542400, "2100-03-01T00:00:00" } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct hs_journal_record record = full("", 0);

		record.real_ns = rows[i].second * 1000000000ull;
		assert_memory_equal(print(&record, false), rows[i].date, strlen(rows[i].date));
	}
}

static void test_a_gap_says_how_many_are_missing_and_which(void **state)
{
	struct hs_journal_record record = full("", 0);

	(void)state;
	record.kind = HS_JOURNAL_GAP;
	record.last_seq = 1300;
	assert_non_null(strstr(print(&record, false), ": logs missing here: 67 records of l1 (seq 1234 to 1300)\n"));
}

static void test_what_a_guest_writes_stays_in_its_line(void **state)
{
	static const struct {
		const char *text, *shown;
	} rows[] = {
		{ "a\nb\tc\r", "a\\x0ab\\x09c\\x0d" },
		{ "\033[2J\007", "\\x1b[2J\\x07" },
		{ "C:\\x0a", "C:\\x5cx0a" },
		{ "Grüße €😀", "Grüße €😀" },
		{ "\xc2\x9b"
		  "31m",
		  "\\xc2\\x9b31m" },		       /* CSI in one character */
		{ "\xff\xc3", "\\xff\\xc3" },	       /* no UTF-8, cut UTF-8 */
		{ "\xc0\xaf", "\\xc0\\xaf" },	       /* too long */
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" }, /* a surrogate */
		{ "\xe2\x80\xae"
		  "x",
		  "\\xe2\\x80\\xaex" }, /* right to left */
		{ "\x7f", "\\x7f" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct hs_journal_record record = full(rows[i].text, strlen(rows[i].text));
		char *line = print(&record, false), *text = strstr(line, ": ") + 2;

		text[strlen(text) - 1] = '\0';
		assert_string_equal(text, rows[i].shown);
	}
}

static void test_json_is_what_the_line_says(void **state)
{
	struct hs_journal_record record = full("say \"hi\"\n\\ \xff €", 16);
	json_object *document = json_tokener_parse(print(&record, true));

	(void)state;
	assert_non_null(document);
	assert_string_equal(json_object_get_string(json_object_object_get(document, "text")),
			    "say \"hi\"\\x0a\\x5c \\xff €");
	assert_string_equal(json_object_get_string(json_object_object_get(document, "severity")), "warning");
	assert_string_equal(json_object_get_string(json_object_object_get(document, "time")),
			    "2026-11-21T14:45:20.123456Z");
	assert_int_equal(json_object_get_int64(json_object_object_get(document, "seq")), 1234);
	assert_null(json_object_object_get(document, "cpu"));
	json_object_put(document);

	record = hs_journal_record_new("x\"y", HS_JOURNAL_QEMU);
	document = json_tokener_parse(print(&record, true));
	assert_non_null(document);
	assert_string_equal(json_object_get_string(json_object_object_get(document, "machine")), "x\"y");
	json_object_put(document);
}

static void test_a_huge_record_is_whole(void **state)
{
	static char text[200000];
	struct hs_journal_record record = full(text, sizeof(text));
	char *line;

	(void)state;
	memset(text, '\1', sizeof(text));
	line = print(&record, true);
	assert_int_equal(strlen(strstr(line, "\\\\x01")), 5 * sizeof(text) + strlen("\"}\n"));
}

static void test_severities_have_names_and_numbers(void **state)
{
	(void)state;
	assert_int_equal(hs_journal_severity_parse("warn"), 4);
	assert_int_equal(hs_journal_severity_parse("7"), 7);
	assert_int_equal(hs_journal_severity_parse("emerg"), 0);
	assert_int_equal(hs_journal_severity_parse("8"), -EINVAL);
	assert_int_equal(hs_journal_severity_parse(""), -EINVAL);
	assert_string_equal(hs_journal_severity_name(3), "err");
	assert_string_equal(hs_journal_severity_name(HS_JOURNAL_UNKNOWN), "-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_line_has_all_that_is_known_and_a_dash_for_the_rest),
		cmocka_unit_test(test_dates_are_those_of_the_calendar),
		cmocka_unit_test(test_a_gap_says_how_many_are_missing_and_which),
		cmocka_unit_test(test_what_a_guest_writes_stays_in_its_line),
		cmocka_unit_test(test_json_is_what_the_line_says),
		cmocka_unit_test(test_a_huge_record_is_whole),
		cmocka_unit_test(test_severities_have_names_and_numbers),
	};

	return RUN_TESTS("journal_record", tests);
}
