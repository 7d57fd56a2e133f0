// SPDX-License-Identifier: GPL-2.0-only
/* A run's document as others may find it: cut short, counted anew, or not what a run writes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/summary.h"
#include "base/io.h"
#include "base/log.h"
#include "cm.h"
#include "run/document.h"
#include "trace/ctf_writer.h"

static json_object *parse(const char *text)
{
	json_object *value = json_tokener_parse(text);

	assert_non_null(value);
	return value;
}

static void test_a_document_of_another_shape_is_refused(void **state)
{
	static const char *const members[][2] = {
		{ "tenants", "[]" },
		{ "tenants", "5" },
		{ "tenants", "[{},{}]" },
		{ "tenants", "[null,null]" },
		{ "pairs", "3" },
		{ "pairs", "99999999" },
		{ "trace", "5" },
		{ "trace", "{\"l1\":7}" },
		{ "trace", "{\"l1\":{\"events\":[]}}" },
		{ "trace", "{\"../l1\":{}}" },
		{ "iommu_log", "[]" },
		{ "iommu_log", "{\"events\":1}" },
		{ "phases_seconds", "[1]" },
		{ "clock", "\"x\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		scoped(json) json_object *document = hs_document_new(0, 2, "e1000", false);

		assert_int_equal(hs_document_check(document), 0);
		json_object_object_add(document, members[i][0], parse(members[i][1]));
		assert_int_equal(hs_document_check(document), -EBADMSG);
	}
}

static void test_a_guest_without_counts_is_in_the_summary(void **state)
{
	scoped(json) json_object *document = hs_document_new(0, 1, "e1000", false);
	scoped(mem) char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	json_object_object_add(document, "trace", parse("{\"l1\":{\"guest_clock\":{\"bound_ns\":5000}}}"));
	json_object_object_add(document, "iommu_log", parse("{}"));
	assert_int_equal(hs_document_check(document), 0);
	hs_summary_print(out, document);
	fclose(out);
	assert_non_null(strstr(text, "0 events of its kernel"));
}

static void write_trace(const char *dir)
{
	struct hs_ctf_writer_config config = { .dir = dir, .machine = "l1" };
	struct hs_event_kvm_entry entry = { .header = { .ts = 1000, .id = HS_EVENT_kvm_entry, .tid = 1 } };
	scoped(hs_ctf_writer) struct hs_ctf_writer *writer = NULL;

	assert_int_equal(hs_ctf_writer_open(&config, &writer), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(hs_ctf_writer_begin(writer, 0), 0);
		assert_int_equal(hs_ctf_writer_add(writer, &entry, sizeof(entry)), 0);
		assert_int_equal(hs_ctf_writer_end(writer, i == 2 ? 4 : 0), 0);
	}
}

static void test_a_guest_is_counted_anew_from_its_trace(void **state)
{
	char folder[] = "/tmp/hsbpf-document-XXXXXX";
	scoped(json) json_object *part = parse("{\"guest_clock\":{\"bound_ns\":5000}}");
	scoped(mem) char *dir = NULL;

	(void)state;
	assert_non_null(mkdtemp(folder));
	dir = hs_format("%s/l1", folder);
	write_trace(dir);
	assert_int_equal(hs_document_recount_guest(part, dir), 0);
	assert_int_equal(hs_json_get_u64(part, "recorded"), 3);
	assert_int_equal(hs_json_get_u64(part, "events.kvm_entry.recorded"), 3);
	assert_int_equal(hs_json_get_u64(part, "lost"), 4);
	assert_int_equal(hs_json_get_u64(part, "guest_clock.bound_ns"), 5000);
	hs_remove_tree(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_document_of_another_shape_is_refused),
		cmocka_unit_test(test_a_guest_without_counts_is_in_the_summary),
		cmocka_unit_test(test_a_guest_is_counted_anew_from_its_trace),
	};

	hs_log_set_level(HS_LOG_ERR);
	return RUN_TESTS("document", tests);
}
