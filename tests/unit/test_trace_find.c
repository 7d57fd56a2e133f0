// SPDX-License-Identifier: GPL-2.0-only
/* Folders that users name: which traces are found in them, and lists of CPUs. */
#include "cm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cpulist.h"
#include "base/io.h"
#include "base/log.h"
#include "trace/find.h"

static char folder[64];

static void put(const char *path)
{
	scoped(mem) char *full = hs_format("%s/%s", folder, path), *dir = strdup(full);

	*strrchr(dir, '/') = '\0';
	assert_int_equal(hs_make_dirs(dir), 0);
	assert_int_equal(hs_write_file_atomic(full, "x", 1), 0);
}

static int set_up(void **state)
{
	(void)state;
	hs_log_set_level(HS_LOG_ERR);
	strcpy(folder, "/tmp/hsbpf-find-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	put("record/record.json");
	put("record/trace/host/metadata");
	put("run/trace/l2-10/metadata");
	put("run/trace/l2-9/metadata");
	put("run/trace/host/metadata");
	put("run/trace/empty/cpu0");
	put("plain/metadata");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return hs_remove_tree(folder);
}

static struct hs_trace_folders *find(const char *path)
{
	scoped(mem) char *full = hs_format("%s/%s", folder, path);
	struct hs_trace_folders *folders = NULL;

	assert_int_equal(hs_trace_find(full, &folders), 0);
	return folders;
}

static void expect_path(const char *got, const char *expected)
{
	scoped(mem) char *full = hs_format("%s/%s", folder, expected);

	assert_string_equal(got, full);
}

static void test_a_recording_its_trace_folder_and_its_trace_are_the_same(void **state)
{
	static const char *const names[] = { "record", "record/trace", "record/trace/host" };

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(names); i++) {
		scoped(hs_trace_folders) struct hs_trace_folders *folders = find(names[i]);

		assert_int_equal(folders->trace_nr, 1);
		expect_path(folders->traces[0], "record/trace/host");
		expect_path(folders->record, "record/record.json");
	}
}

static void test_machines_are_the_host_and_then_the_rest_by_number(void **state)
{
	scoped(hs_trace_folders) struct hs_trace_folders *folders = find("run");

	(void)state;
	assert_int_equal(folders->trace_nr, 3);
	expect_path(folders->traces[0], "run/trace/host");
	expect_path(folders->traces[1], "run/trace/l2-9");
	expect_path(folders->traces[2], "run/trace/l2-10");
	assert_null(folders->record);
}

static void test_a_trace_anywhere_is_found_without_a_document(void **state)
{
	scoped(hs_trace_folders) struct hs_trace_folders *folders = find("plain");

	(void)state;
	assert_int_equal(folders->trace_nr, 1);
	expect_path(folders->traces[0], "plain");
	assert_null(folders->record);
}

static void test_folders_without_a_trace_are_refused(void **state)
{
	struct hs_trace_folders *folders = NULL;

	(void)state;
	assert_int_equal(hs_trace_find("/tmp/hsbpf-nosuch", &folders), -ENOENT);
	assert_non_null(strstr(hs_log_last_error(), "cannot open /tmp/hsbpf-nosuch: No such file"));
	assert_int_equal(hs_trace_find("/dev", &folders), -ENOENT);
	assert_non_null(strstr(hs_log_last_error(), "/dev holds no trace"));
	assert_null(folders);
}

static void test_cpu_lists(void **state)
{
	static const char *const bad[] = { "", ",", "1,", "3-1", "a", "1-", "-1", "1 2", "0x1" };
	struct hs_cpulist list;

	(void)state;
	assert_int_equal(hs_cpulist_parse("7,0-3,64,4095\n", &list), 0);
	for (uint32_t i = 0; i < HS_CPULIST_MAX + 2; i++)
		assert_int_equal(hs_cpulist_has(&list, i), i <= 3 || i == 7 || i == 64 || i == 4095);
	assert_int_equal(hs_cpulist_parse("4096", &list), -ERANGE);
	for (size_t i = 0; i < HS_ARRAY_SIZE(bad); i++)
		assert_int_equal(hs_cpulist_parse(bad[i], &list), -EINVAL);
	assert_true(hs_cpulist_has(&list, 4095));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_recording_its_trace_folder_and_its_trace_are_the_same),
		cmocka_unit_test(test_machines_are_the_host_and_then_the_rest_by_number),
		cmocka_unit_test(test_a_trace_anywhere_is_found_without_a_document),
		cmocka_unit_test(test_folders_without_a_trace_are_refused),
		cmocka_unit_test(test_cpu_lists),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("trace_find", tests, set_up, tear_down);
}
