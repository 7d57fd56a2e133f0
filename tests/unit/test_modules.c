// SPDX-License-Identifier: GPL-2.0-only
/*
 * hs_modules_closure(): the same set as modprobe says, in an order in which each module can be loaded, and
 * no crash on indexes that are damaged. The tree is made by cc and the real depmod.
 */
#include "tests/unit/kernel_fixture.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <sys/wait.h>

#include "orchestrate/kmod_index.h"
#include "orchestrate/modules.h"

HS_SCOPED(module_files, struct hs_module_files *, hs_module_files_free)

static char root[128];

static int setup(void **state)
{
	if (fixture_setup(state))
		return -1;
	snprintf(root, sizeof(root), "%s/root", fixture_dir);
	fixture_modules(root);
	return 0;
}

static const char *index_path(const char *name)
{
	char below[256];

	snprintf(below, sizeof(below), "root/lib/modules/" FIXTURE_RELEASE "/%s", name);
	return in_dir(below);
}

#define closure(out, ...) \
	hs_modules_closure(root, FIXTURE_RELEASE, (const char *const[]){ __VA_ARGS__, NULL }, out)

static size_t place_of(const struct hs_module_files *files, const char *name)
{
	size_t place = SIZE_MAX;

	for (size_t i = 0; i < files->nr; i++) {
		if (strcmp(files->file[i].name, name) != 0)
			continue;
		if (place != SIZE_MAX)
			fail_msg("%s is listed twice", name);
		place = i;
	}
	if (place == SIZE_MAX)
		fail_msg("%s is not listed", name);
	return place;
}

static void test_each_module_comes_after_what_it_needs(void **state)
{
	scoped(module_files) struct hs_module_files *files = NULL;

	(void)state;
	assert_int_equal(closure(&files, "top"), 0);
	assert_int_equal(files->nr, 5);
	assert_true(place_of(files, "base") < place_of(files, "mid"));
	assert_true(place_of(files, "mid") < place_of(files, "top"));
	assert_true(place_of(files, "base") < place_of(files, "soft_pre"));
	assert_true(place_of(files, "soft_pre") < place_of(files, "top"));
	assert_true(place_of(files, "top") < place_of(files, "soft_after"));
}

static void test_set_is_what_modprobe_would_load(void **state)
{
	static const char *const names[] = { "top", "mid", "packed", "apart_a", "soft-after" };

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(names); i++) {
		scoped(module_files) struct hs_module_files *files = NULL;
		scoped(file) FILE *ours = fopen(in_dir("ours"), "w");

		assert_int_equal(closure(&files, names[i]), 0);
		for (size_t j = 0; j < files->nr; j++)
			fprintf(ours, "%s\n", files->file[j].path);
		fclose(take(ours));
		assert_int_equal(
			shell("PATH=$PATH:/usr/sbin:/sbin modprobe -C /dev/null -d %s -S " FIXTURE_RELEASE
			      " --show-depends %s | sed -n 's/^insmod \\([^ ]*\\).*/\\1/p' | sort -u "
			      ">%s/theirs",
			      root, names[i], fixture_dir),
			0);
		assert_int_equal(shell("test -s %s/theirs && sort -u %s/ours | diff - %s/theirs", fixture_dir,
				       fixture_dir, fixture_dir),
				 0);
	}
}

static void test_shared_dependencies_are_listed_once(void **state)
{
	scoped(module_files) struct hs_module_files *files = NULL;

	(void)state;
	assert_int_equal(closure(&files, "packed", "mid", "top", "mid"), 0);
	assert_int_equal(files->nr, 6);
	place_of(files, "base");
	place_of(files, "packed");
}

static void test_circle_of_soft_dependencies_ends(void **state)
{
	scoped(module_files) struct hs_module_files *files = NULL;

	(void)state;
	assert_int_equal(closure(&files, "apart-a"), 0);
	assert_int_equal(files->nr, 2);
	assert_int_equal(place_of(files, "apart_a"), 1);
}

static void test_alias_is_resolved(void **state)
{
	scoped(module_files) struct hs_module_files *files = NULL;

	(void)state;
	assert_int_equal(closure(&files, "fs-top"), 0);
	place_of(files, "top");
}

static void test_builtin_module_is_left_out(void **state)
{
	scoped(module_files) struct hs_module_files *files = NULL;

	(void)state;
	assert_int_equal(closure(&files, "inside"), 0);
	assert_int_equal(files->nr, 0);
}

static void test_missing_module_is_named_with_its_kernel(void **state)
{
	struct hs_module_files *files = (void *)1;

	(void)state;
	assert_int_equal(closure(&files, "base", "no_such_module"), -ENOENT);
	assert_ptr_equal(files, (void *)1);
	assert_non_null(
		strstr(hs_log_last_error(), "kernel " FIXTURE_RELEASE " has no module no_such_module"));
}

static void test_listed_file_that_is_gone_is_an_error(void **state)
{
	struct hs_module_files *files = NULL;
	int err;

	(void)state;
	assert_int_equal(rename(index_path("kernel/mid.ko"), in_dir("mid.ko")), 0);
	err = closure(&files, "top");
	assert_int_equal(rename(in_dir("mid.ko"), index_path("kernel/mid.ko")), 0);
	assert_int_equal(err, -EBADMSG);
	assert_non_null(strstr(hs_log_last_error(), "mid.ko"));
}

static void test_check_is_silent_and_gives_the_reason(void **state)
{
	char why[HS_MODULES_WHY_BYTES], before[512];

	(void)state;
	snprintf(before, sizeof(before), "%s", hs_log_last_error());
	assert_int_equal(hs_modules_check(root, FIXTURE_RELEASE, (const char *const[]){ "mid", NULL }, why),
			 0);
	assert_int_equal(hs_modules_check(root, FIXTURE_RELEASE, (const char *const[]){ "gone", NULL }, why),
			 -ENOENT);
	assert_non_null(strstr(why, "no module gone"));
	assert_string_equal(hs_log_last_error(), before);
}

static void test_folder_without_depmod_is_an_error(void **state)
{
	struct hs_module_files *files = NULL;

	(void)state;
	assert_int_equal(
		hs_modules_closure(fixture_dir, "1.2.3", (const char *const[]){ "base", NULL }, &files),
		-EBADMSG);
	assert_non_null(strstr(hs_log_last_error(), "run depmod"));
}

/* Asks in a child: a crash inside libkmod must fail the test, not end it. */
static int check_in_child(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		char why[HS_MODULES_WHY_BYTES];

		_exit(-hs_modules_check(root, FIXTURE_RELEASE, (const char *const[]){ "top", "fs-top", NULL },
					why));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status))
		fail_msg("a damaged index ended the process with signal %d", WTERMSIG(status));
	return -WEXITSTATUS(status);
}

static void test_truncated_index_is_damaged_not_fatal(void **state)
{
	static const char *const names[] = { "modules.dep.bin", "modules.alias.bin" };
	unsigned char bytes[16384];

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(names); i++) {
		size_t len = file_read(index_path(names[i]), bytes, sizeof(bytes));

		assert_in_range(len, 20, sizeof(bytes) - 1);
		for (size_t cut = 0; cut < len; cut++) {
			file_write(index_path(names[i]), bytes, cut);
			assert_int_equal(hs_kmod_index_check(index_path(names[i])), -EBADMSG);
		}
		assert_int_equal(check_in_child(), -EBADMSG);
		file_write(index_path(names[i]), bytes, len);
		assert_int_equal(check_in_child(), 0);
	}
}

static void test_garbage_in_an_index_never_crashes(void **state)
{
	unsigned char bytes[16384], damaged[16384];
	size_t len = file_read(index_path("modules.dep.bin"), bytes, sizeof(bytes));

	(void)state;
	srandom(1);
	for (int round = 0; round < 300; round++) {
		memcpy(damaged, bytes, len);
		for (int flips = 0; flips < 1 + round % 4; flips++)
			damaged[12 + (size_t)random() % (len - 12)] = (unsigned char)random();
		file_write(index_path("modules.dep.bin"), damaged, len);
		check_in_child();
	}
	file_write(index_path("modules.dep.bin"), bytes, len);
}

static void test_index_that_runs_in_a_circle_is_damaged(void **state)
{
	/* Magic, version, root: a node at 12 whose one child is itself. */
	static const unsigned char circle[] = { 0xb0, 0x07, 0xf4, 0x57, 0,   2,	   0, 1, 0x20,
						0,    0,    12,	  'a',	'a', 0x20, 0, 0, 12 };

	(void)state;
	file_write(in_dir("circle.bin"), circle, sizeof(circle));
	assert_int_equal(hs_kmod_index_check(in_dir("circle.bin")), -EBADMSG);
}

static int packed_write(const char *path, int (*filter)(struct archive *), const void *bytes, size_t len)
{
	struct archive *archive = archive_write_new();
	struct archive_entry *entry = archive_entry_new();
	int err = filter(archive);

	assert_int_equal(archive_write_set_format_raw(archive), ARCHIVE_OK);
	archive_entry_set_filetype(entry, 0100000);
	archive_entry_set_pathname(entry, "x");
	if (err == ARCHIVE_OK) {
		assert_int_equal(archive_write_open_filename(archive, path), ARCHIVE_OK);
		assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
		assert_int_equal(archive_write_data(archive, bytes, len), len);
		assert_int_equal(archive_write_close(archive), ARCHIVE_OK);
	}
	archive_entry_free(entry);
	archive_write_free(archive);
	return err;
}

static void test_module_is_read_as_plain_elf_however_it_is_packed(void **state)
{
	static int (*const filters[])(struct archive *) = {
		archive_write_add_filter_xz, archive_write_add_filter_gzip, archive_write_add_filter_zstd,
		archive_write_add_filter_lz4, archive_write_add_filter_none
	};
	unsigned char plain[16384];
	size_t len = file_read(index_path("kernel/mid.ko"), plain, sizeof(plain));

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(filters); i++) {
		scoped(bytes) struct hs_bytes module = { 0 };

		assert_int_equal(packed_write(in_dir("packed.ko"), filters[i], plain, len), ARCHIVE_OK);
		assert_int_equal(hs_module_read(in_dir("packed.ko"), &module), 0);
		assert_int_equal(module.len, len);
		assert_memory_equal(module.data, plain, len);
	}
}

static void test_damaged_module_is_refused(void **state)
{
	struct hs_bytes module = { 0 };
	unsigned char packed[16384];
	size_t len = file_read(index_path("kernel/packed.ko.xz"), packed, sizeof(packed));

	(void)state;
	file_write(in_dir("cut.ko.xz"), packed, len / 2);
	assert_int_equal(hs_module_read(in_dir("cut.ko.xz"), &module), -EBADMSG);
	file_write(in_dir("text.ko"), "hello\n", 6);
	assert_int_equal(hs_module_read(in_dir("text.ko"), &module), -EBADMSG);
	file_write(in_dir("empty.ko"), "", 0);
	assert_int_equal(hs_module_read(in_dir("empty.ko"), &module), -EBADMSG);
	assert_int_equal(hs_module_read(in_dir("absent.ko"), &module), -ENOENT);
	assert_null(module.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_module_comes_after_what_it_needs),
		cmocka_unit_test(test_set_is_what_modprobe_would_load),
		cmocka_unit_test(test_shared_dependencies_are_listed_once),
		cmocka_unit_test(test_circle_of_soft_dependencies_ends),
		cmocka_unit_test(test_alias_is_resolved),
		cmocka_unit_test(test_builtin_module_is_left_out),
		cmocka_unit_test(test_missing_module_is_named_with_its_kernel),
		cmocka_unit_test(test_listed_file_that_is_gone_is_an_error),
		cmocka_unit_test(test_check_is_silent_and_gives_the_reason),
		cmocka_unit_test(test_folder_without_depmod_is_an_error),
		cmocka_unit_test(test_truncated_index_is_damaged_not_fatal),
		cmocka_unit_test(test_garbage_in_an_index_never_crashes),
		cmocka_unit_test(test_index_that_runs_in_a_circle_is_damaged),
		cmocka_unit_test(test_module_is_read_as_plain_elf_however_it_is_packed),
		cmocka_unit_test(test_damaged_module_is_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("modules", tests, setup, fixture_teardown);
}
