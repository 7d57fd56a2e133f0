// SPDX-License-Identifier: GPL-2.0-only
/*
 * The initramfs builder, read back through libarchive's reader: contents, modes, order, what is refused, and
 * that nothing is left behind by a failure.
 */
#include "tests/unit/kernel_fixture.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "orchestrate/initramfs.h"

struct item {
	char path[256];
	char target[256];
	mode_t mode;
	dev_t rdev;
	int64_t ino;
	int64_t mtime;
	size_t len;
	char head[64]; /* of the contents */
};

struct listing {
	struct item item[64];
	size_t nr;
};

static void read_back(const char *path, struct listing *listing)
{
	struct archive *archive = archive_read_new();
	struct archive_entry *entry;

	memset(listing, 0, sizeof(*listing));
	assert_int_equal(archive_read_support_format_cpio(archive), ARCHIVE_OK);
	assert_int_equal(archive_read_open_filename(archive, path, 65536), ARCHIVE_OK);
	while (archive_read_next_header(archive, &entry) == ARCHIVE_OK) {
		struct item *item = &listing->item[listing->nr++];

		assert_in_range(listing->nr, 1, HS_ARRAY_SIZE(listing->item));
		snprintf(item->path, sizeof(item->path), "%s", archive_entry_pathname(entry));
		snprintf(item->target, sizeof(item->target), "%s", archive_entry_symlink(entry) ?: "");
		item->mode = archive_entry_mode(entry);
		item->rdev = archive_entry_rdev(entry);
		item->ino = archive_entry_ino64(entry);
		item->mtime = archive_entry_mtime(entry);
		item->len = (size_t)archive_entry_size(entry);
		assert_true(archive_read_data(archive, item->head, sizeof(item->head) - 1) >= 0);
	}
	assert_int_equal(archive_format(archive), ARCHIVE_FORMAT_CPIO_SVR4_NOCRC);
	archive_read_free(archive);
}

static const struct item *find(const struct listing *listing, const char *path)
{
	const struct item *found = NULL;

	for (size_t i = 0; i < listing->nr; i++) {
		if (strcmp(listing->item[i].path, path) != 0)
			continue;
		if (found)
			fail_msg("%s is there twice", path);
		found = &listing->item[i];
	}
	if (!found)
		fail_msg("%s is not there", path);
	return found;
}

static int setup(void **state)
{
	if (fixture_setup(state))
		return -1;
	fixture_modules(in_dir("root"));
	return 0;
}

static void test_everything_added_is_read_back(void **state)
{
	scoped(initramfs) struct hs_initramfs *ramfs = NULL;
	struct listing listing;
	struct stat st;

	(void)state;
	file_write(in_dir("source"), "from a file\n", 12);
	assert_int_equal(hs_initramfs_open(in_dir("all.cpio"), &ramfs), 0);
	assert_int_equal(hs_initramfs_add_node(ramfs, "/dev/console", 0600, 5, 1), 0);
	assert_int_equal(hs_initramfs_add_dir(ramfs, "/tmp", 01777), 0);
	assert_int_equal(hs_initramfs_add_file(ramfs, "/etc/deep/er/file", in_dir("source"), 0640), 0);
	assert_int_equal(hs_initramfs_add_bytes(ramfs, "//etc/./bytes", "a\0b", 3, 0755), 0);
	assert_int_equal(hs_initramfs_add_bytes(ramfs, "/etc/empty", NULL, 0, 0644), 0);
	assert_int_equal(hs_initramfs_add_symlink(ramfs, "/init", "etc/bytes"), 0);
	assert_int_equal(hs_initramfs_close(ramfs), 0);

	read_back(in_dir("all.cpio"), &listing);
	assert_int_equal(listing.nr, 10);
	assert_int_equal(find(&listing, "dev/console")->mode, S_IFCHR | 0600);
	assert_int_equal(find(&listing, "dev/console")->rdev, makedev(5, 1));
	assert_int_equal(find(&listing, "tmp")->mode, S_IFDIR | 01777);
	assert_int_equal(find(&listing, "etc/deep")->mode, S_IFDIR | 0755);
	assert_int_equal(find(&listing, "etc/deep/er/file")->mode, S_IFREG | 0640);
	assert_string_equal(find(&listing, "etc/deep/er/file")->head, "from a file\n");
	assert_int_equal(find(&listing, "etc/bytes")->len, 3);
	assert_memory_equal(find(&listing, "etc/bytes")->head, "a\0b", 3);
	assert_int_equal(find(&listing, "etc/empty")->len, 0);
	assert_string_equal(find(&listing, "init")->target, "etc/bytes");
	for (size_t i = 0; i < listing.nr; i++) {
		assert_int_equal(listing.item[i].ino, i + 1);
		assert_int_equal(listing.item[i].mtime, 0);
	}
	assert_int_equal(stat(in_dir("all.cpio"), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
}

static void build(const char *out_path)
{
	scoped(initramfs) struct hs_initramfs *ramfs = NULL;

	assert_int_equal(hs_initramfs_open(out_path, &ramfs), 0);
	assert_int_equal(hs_initramfs_add_program(ramfs, "/bin/sh"), 0);
	assert_int_equal(hs_initramfs_add_modules(ramfs, in_dir("root"), FIXTURE_RELEASE,
						  (const char *const[]){ "top", "packed", NULL }),
			 0);
	assert_int_equal(hs_initramfs_close(ramfs), 0);
}

static void test_same_inputs_give_same_bytes(void **state)
{
	(void)state;
	build(in_dir("one.cpio"));
	assert_int_equal(shell("touch -d 2001-01-01 %s/root/lib/modules/*/kernel/*", fixture_dir), 0);
	build(in_dir("two.cpio"));
	assert_int_equal(shell("cmp %s/one.cpio %s/two.cpio", fixture_dir, fixture_dir), 0);
}

static void test_program_brings_interpreter_and_libraries(void **state)
{
	struct listing listing;

	(void)state;
	build(in_dir("program.cpio"));
	read_back(in_dir("program.cpio"), &listing);
	assert_int_equal(find(&listing, "bin/sh")->mode, S_IFREG | 0755);
	find(&listing, "lib64/ld-linux-x86-64.so.2");
	assert_memory_equal(find(&listing, "lib/x86_64-linux-gnu/libc.so.6")->head, "\177ELF", 4);
}

static void test_module_names_sort_into_load_order(void **state)
{
	static const char *const first[] = { "mid", NULL }, *const second[] = { "packed", "top", "inside",
										NULL };
	static const char *const expected[] = { "000-base.ko",	   "001-mid.ko", "002-packed.ko",
						"003-soft_pre.ko", "004-top.ko", "005-soft_after.ko" };
	scoped(initramfs) struct hs_initramfs *ramfs = NULL;
	struct listing listing;

	(void)state;
	assert_int_equal(hs_initramfs_open(in_dir("modules.cpio"), &ramfs), 0);
	assert_int_equal(hs_initramfs_add_modules(ramfs, in_dir("root"), FIXTURE_RELEASE, first), 0);
	assert_int_equal(hs_initramfs_add_modules(ramfs, in_dir("root"), FIXTURE_RELEASE, second), 0);
	assert_int_equal(hs_initramfs_close(ramfs), 0);
	read_back(in_dir("modules.cpio"), &listing);
	assert_int_equal(listing.nr, 2 + HS_ARRAY_SIZE(expected));
	for (size_t i = 0; i < HS_ARRAY_SIZE(expected); i++) {
		char path[128];

		snprintf(path, sizeof(path), "lib/modules-ordered/%s", expected[i]);
		assert_string_equal(listing.item[2 + i].path, path);
		assert_memory_equal(listing.item[2 + i].head, "\177ELF", 4);
	}
}

static void test_same_thing_twice_is_there_once(void **state)
{
	scoped(initramfs) struct hs_initramfs *ramfs = NULL;
	struct listing listing;

	(void)state;
	file_write(in_dir("source"), "x", 1);
	assert_int_equal(hs_initramfs_open(in_dir("twice.cpio"), &ramfs), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(hs_initramfs_add_file(ramfs, "/a/file", in_dir("source"), 0644), 0);
		assert_int_equal(hs_initramfs_add_bytes(ramfs, "a/bytes", "yz", 2, 0644), 0);
		assert_int_equal(hs_initramfs_add_dir(ramfs, "/a", 0755), 0);
		assert_int_equal(hs_initramfs_add_symlink(ramfs, "/l", "a"), 0);
		assert_int_equal(hs_initramfs_add_node(ramfs, "/n", 0666, 1, 3), 0);
		assert_int_equal(hs_initramfs_add_program(ramfs, "/bin/sh"), 0);
	}
	assert_int_equal(hs_initramfs_close(ramfs), 0);
	read_back(in_dir("twice.cpio"), &listing);
	for (size_t i = 0; i < listing.nr; i++)
		find(&listing, listing.item[i].path);
}

/* Each starts with "/a" as the bytes "one", adds `what`, and must be refused for good. */
static void assert_refused(int (*what)(struct hs_initramfs *), int err)
{
	scoped(initramfs) struct hs_initramfs *ramfs = NULL;

	assert_int_equal(hs_initramfs_open(in_dir("refused.cpio"), &ramfs), 0);
	assert_int_equal(hs_initramfs_add_bytes(ramfs, "/a", "one", 3, 0644), 0);
	assert_int_equal(what(ramfs), err);
	assert_int_equal(hs_initramfs_add_dir(ramfs, "/fine", 0755), err);
	assert_int_equal(hs_initramfs_close(ramfs), err);
	hs_initramfs_free(take(ramfs));
	assert_int_equal(shell("ls %s/refused.cpio* 2>/dev/null", fixture_dir), 2 << 8);
}

static int add_other_bytes(struct hs_initramfs *ramfs)
{
	return hs_initramfs_add_bytes(ramfs, "/a", "two", 3, 0644);
}

static int add_other_mode(struct hs_initramfs *ramfs)
{
	return hs_initramfs_add_bytes(ramfs, "/a", "one", 3, 0600);
}

static int add_below_a_file(struct hs_initramfs *ramfs)
{
	return hs_initramfs_add_dir(ramfs, "/a/b", 0755);
}

static int add_parent_path(struct hs_initramfs *ramfs)
{
	return hs_initramfs_add_dir(ramfs, "/x/../y", 0755);
}

static int add_root(struct hs_initramfs *ramfs)
{
	return hs_initramfs_add_dir(ramfs, "/./", 0755);
}

static int add_absent(struct hs_initramfs *ramfs)
{
	return hs_initramfs_add_file(ramfs, "/b", in_dir("absent"), 0644);
}

static int add_folder_as_file(struct hs_initramfs *ramfs)
{
	return hs_initramfs_add_file(ramfs, "/b", fixture_dir, 0644);
}

static int add_script_as_program(struct hs_initramfs *ramfs)
{
	file_write(in_dir("script"), "#!/bin/sh\n", 10);
	return hs_initramfs_add_program(ramfs, in_dir("script"));
}

static int add_missing_module(struct hs_initramfs *ramfs)
{
	return hs_initramfs_add_modules(ramfs, in_dir("root"), FIXTURE_RELEASE,
					(const char *const[]){ "gone", NULL });
}

static void test_failure_is_final_and_leaves_no_file(void **state)
{
	(void)state;
	assert_refused(add_other_bytes, -EEXIST);
	assert_refused(add_other_mode, -EEXIST);
	assert_refused(add_below_a_file, -EEXIST);
	assert_refused(add_parent_path, -EINVAL);
	assert_refused(add_root, -EINVAL);
	assert_refused(add_absent, -ENOENT);
	assert_refused(add_folder_as_file, -EINVAL);
	assert_refused(add_script_as_program, -ENOEXEC);
	assert_refused(add_missing_module, -ENOENT);
}

static void test_abandoned_archive_leaves_the_old_one(void **state)
{
	struct hs_initramfs *ramfs = NULL;
	unsigned char bytes[8];

	(void)state;
	file_write(in_dir("kept.cpio"), "old", 3);
	assert_int_equal(hs_initramfs_open(in_dir("kept.cpio"), &ramfs), 0);
	assert_int_equal(hs_initramfs_add_dir(ramfs, "/x", 0755), 0);
	hs_initramfs_free(ramfs);
	assert_int_equal(file_read(in_dir("kept.cpio"), bytes, sizeof(bytes)), 3);
	assert_int_equal(shell("ls %s/kept.cpio.* 2>/dev/null", fixture_dir), 2 << 8);
}

static void test_parents_may_be_links(void **state)
{
	scoped(initramfs) struct hs_initramfs *ramfs = NULL;
	struct listing listing;

	(void)state;
	assert_int_equal(hs_initramfs_open(in_dir("link.cpio"), &ramfs), 0);
	assert_int_equal(hs_initramfs_add_dir(ramfs, "/usr/bin", 0755), 0);
	assert_int_equal(hs_initramfs_add_symlink(ramfs, "/bin", "usr/bin"), 0);
	assert_int_equal(hs_initramfs_add_bytes(ramfs, "/bin/x", "x", 1, 0755), 0);
	assert_int_equal(hs_initramfs_close(ramfs), 0);
	read_back(in_dir("link.cpio"), &listing);
	assert_int_equal(listing.nr, 4);
}

/* A limit on file size stands for the full disk: write() fails half-way. */
static void test_full_disk_is_told_and_leaves_nothing(void **state)
{
	struct rlimit old, small;
	struct hs_initramfs *ramfs = NULL;
	int err;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){ 64 << 10, old.rlim_max };
	assert_int_equal(hs_initramfs_open(in_dir("full.cpio"), &ramfs), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	err = hs_initramfs_add_program(ramfs, "/bin/sh");
	if (!err)
		err = hs_initramfs_close(ramfs);
	hs_initramfs_free(ramfs);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(err, -EFBIG);
	assert_non_null(strstr(hs_log_last_error(), "full.cpio: File too large"));
	assert_int_equal(shell("ls %s/full.cpio* 2>/dev/null", fixture_dir), 2 << 8);
}

static void test_folder_that_is_not_there_is_told(void **state)
{
	struct hs_initramfs *ramfs = NULL;

	(void)state;
	assert_int_equal(hs_initramfs_open(in_dir("absent/x.cpio"), &ramfs), -ENOENT);
	assert_null(ramfs);
	assert_non_null(strstr(hs_log_last_error(), "absent/x.cpio"));
	hs_initramfs_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_added_is_read_back),
		cmocka_unit_test(test_same_inputs_give_same_bytes),
		cmocka_unit_test(test_program_brings_interpreter_and_libraries),
		cmocka_unit_test(test_module_names_sort_into_load_order),
		cmocka_unit_test(test_same_thing_twice_is_there_once),
		cmocka_unit_test(test_failure_is_final_and_leaves_no_file),
		cmocka_unit_test(test_abandoned_archive_leaves_the_old_one),
		cmocka_unit_test(test_parents_may_be_links),
		cmocka_unit_test(test_full_disk_is_told_and_leaves_nothing),
		cmocka_unit_test(test_folder_that_is_not_there_is_told),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("initramfs", tests, setup, fixture_teardown);
}
