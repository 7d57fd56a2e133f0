// SPDX-License-Identifier: GPL-2.0-only
/* Folders of what crashes left: saved once and whole, read back by machine; a host's pstore; the lines in it. */
#include "cm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "journal/last.h"
#include "journal/pstore.h"
#include "tests/data/sample.h"

#define ZONE 0x20000u

static const struct hs_ramoops_layout layout = { ZONE, ZONE, ZONE, ZONE, 0 };

struct place {
	char dir[64];
};

static int set_up(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	strcpy(place->dir, "/tmp/hsbpf-last.XXXXXX");
	assert_non_null(mkdtemp(place->dir));
	hs_log_set_level(HS_LOG_ERR);
	*state = place;
	return 0;
}

static int tear_down(void **state)
{
	hs_remove_tree(((struct place *)*state)->dir);
	free(*state);
	return 0;
}

static void put(const char *dir, const char *name, const void *bytes, size_t len)
{
	scoped(mem) char *path = hs_format("%s/%s", dir, name);

	assert_int_equal(hs_write_file_atomic(path, bytes, len), 0);
}

/* Writes what a panic left as the memory of that machine. */
static void put_region(const char *dir, const char *name)
{
	size_t len = 0;
	scoped(mem) char *region = sample_load("tests/data/ramoops_panic.xz", &len);

	assert_non_null(region);
	put(dir, name, region, len);
}

static bool is_there(const char *dir, const char *name)
{
	scoped(mem) char *path = hs_format("%s/%s", dir, name);

	return access(path, F_OK) == 0;
}

/* Everything in one text: "MACHINE SEVERITY text" a line, notes with '#'. */
static void add_line(void *ctx, const struct hs_journal_record *record, size_t time_len)
{
	FILE *out = ctx;

	(void)time_len;
	fprintf(out, "%s %s %.*s\n", record->machine,
		record->kind == HS_JOURNAL_NOTE ? "#" : hs_journal_severity_name(record->severity), (int)record->len,
		record->text);
}

static char *read_all(const char *dir, const char *machine, int *count)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	*count = hs_last_read(dir, machine, &layout, add_line, out);
	fclose(out);
	return text;
}

static void test_a_crash_is_saved_once_and_the_memory_is_empty_again(void **state)
{
	const char *dir = ((struct place *)*state)->dir;
	scoped(mem) char *path = hs_format("%s/l1/ramoops", dir), *text = NULL, *all = NULL;
	struct stat st;
	int count;

	put_region(dir, "l1.ramoops");
	assert_int_equal(hs_last_save_region(dir, "l1", &layout), 1);
	assert_true(is_there(dir, "l1/dmesg-0.txt"));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 1 << 20);
	assert_true(st.st_blocks * 512 < 1 << 18);		      /* with holes */
	assert_int_equal(hs_last_save_region(dir, "l1", &layout), 0); /* nothing new */
	assert_false(is_there(dir, "l1.2"));
	put_region(dir, "l1.ramoops");
	assert_int_equal(hs_last_save_region(dir, "l1", &layout), 1);
	assert_true(is_there(dir, "l1.2/dmesg-0.txt"));
	text = read_all(dir, "l1", &count);
	assert_int_equal(count, 2);
	assert_non_null(strstr(text, "l1 # dmesg 0: Panic#1 Part1, 2026-11-21 15:04:29.449392 UTC by its own clock\n"
				     "l1 notice [    0.000000] Linux version"));
	assert_non_null(strstr(text, "l1 emerg [   28.151508] Kernel panic - not syncing: sysrq triggered crash\n"));
	assert_null(strstr(text, "lost"));
	all = read_all(dir, NULL, &count);
	assert_int_equal(count, 2);
	free(take(all));
	all = read_all(dir, "l", &count);
	assert_int_equal(count, 0);
}

static void test_the_memory_of_a_lab_that_was_killed_is_read_where_it_lies(void **state)
{
	const char *dir = ((struct place *)*state)->dir;
	scoped(mem) char *text = NULL;
	int count;

	put_region(dir, "l2-0.ramoops");
	text = read_all(dir, "l2-0", &count);
	assert_int_equal(count, 1);
	assert_non_null(strstr(text, "l2-0 emerg "));
}

static void test_damage_is_told_in_a_note(void **state)
{
	const char *dir = ((struct place *)*state)->dir;
	scoped(mem) char *path = hs_format("%s/l1.ramoops", dir), *text = NULL;
	scoped(fd) int fd = -1;
	char bad[300];
	int count;

	put_region(dir, "l1.ramoops");
	fd = open(path, O_WRONLY);
	memset(bad, 0xee, sizeof(bad));
	assert_int_equal(pwrite(fd, bad, 4, 12 + 128), 4);
	assert_int_equal(pwrite(fd, bad, sizeof(bad), 12 + 128 * 20), sizeof(bad));
	text = read_all(dir, NULL, &count);
	assert_non_null(strstr(text, "; 4 damaged bytes were put right; 3 of 85 blocks are damaged beyond repair; 8256 "
				     "packed bytes are lost\n"));
	assert_non_null(strstr(text, "[the rest, 8256 packed bytes, is damaged]"));
}

/* Of a file that was cut off what is there is told; of one that is nonsense, that nothing is left. */
static void test_what_is_left_of_a_memory_is_told(void **state)
{
	static const struct hs_ramoops_layout whole = { ZONE, ZONE, ZONE, ZONE, 8 * ZONE };
	const char *dir = ((struct place *)*state)->dir;
	size_t len = 0;
	scoped(mem) char *region = sample_load("tests/data/ramoops_panic.xz", &len), *text = NULL, *nothing = NULL;
	FILE *out = open_memstream(&text, &len);
	int count;

	put(dir, "l1.ramoops", region, ZONE + ZONE / 2);
	assert_true(hs_last_read(dir, "l1", &whole, add_line, out) > 0);
	fclose(out);
	assert_non_null(strstr(text, "Kernel panic - not syncing: sysrq triggered crash"));
	memset(region, 0xff, 8 * ZONE);
	put(dir, "l1.ramoops", region, 8 * ZONE);
	nothing = read_all(dir, "l1", &count);
	assert_non_null(strstr(nothing, "8 records are damaged so much that nothing of them is left"));
	assert_int_equal(count, 8);
}

static void test_a_missing_memory_is_no_crash_and_a_missing_folder_no_error(void **state)
{
	const char *dir = ((struct place *)*state)->dir;
	scoped(mem) char *text = NULL;
	int count;

	assert_int_equal(hs_last_save_region(dir, "l1", &layout), 0);
	text = read_all("/no/such/folder", NULL, &count);
	assert_int_equal(count, 0);
}

static void test_the_hosts_pstore_is_copied_once_and_left_as_it_is(void **state)
{
	const char *dir = ((struct place *)*state)->dir;
	scoped(mem) char *source = hs_format("%s/.pstore", dir), *text = NULL;
	scoped(fd) int fd = -1;
	int count;

	assert_int_equal(hs_make_dirs(source), 0);
	fd = open(source, O_DIRECTORY | O_RDONLY);
	assert_int_equal(hs_pstore_save_from(dir, fd, 0), 0);
	assert_false(is_there(dir, "host"));
	put(source, "dmesg-efi-1", "Oops#1 Part1\n<4>[   99.000001] gone\n", 36);
	assert_int_equal(hs_pstore_save_from(dir, fd, 0), 1);
	assert_int_equal(hs_pstore_save_from(dir, fd, 0), 0);
	put(source, "dmesg-efi-2", "<4>again\n", 9);
	assert_int_equal(hs_pstore_save_from(dir, fd, 0), 1);
	assert_true(is_there(source, "dmesg-efi-1"));
	assert_false(is_there(dir, "host.2/dmesg-efi-1"));
	assert_int_equal(hs_pstore_save_from(dir, fd, UINT64_MAX), 0);
	text = read_all(dir, "host", &count);
	assert_int_equal(count, 2);
	assert_string_equal(text, "host # dmesg-efi-1\nhost - Oops#1 Part1\nhost warning [   99.000001] gone\n"
				  "host # dmesg-efi-2\nhost warning again\n");
}

static void test_of_an_archive_only_what_came_since_is_copied(void **state)
{
	const char *dir = ((struct place *)*state)->dir;
	scoped(mem) char *source = hs_format("%s/.archive", dir), *path = hs_format("%s/.archive/dmesg-efi-1", dir);
	scoped(fd) int fd = -1;
	struct stat st;

	assert_int_equal(hs_make_dirs(source), 0);
	put(source, "dmesg-efi-1", "<4>gone\n", 8);
	fd = open(source, O_DIRECTORY | O_RDONLY);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(hs_pstore_save_from(dir, fd, (uint64_t)(st.st_ctim.tv_sec + 1) * 1000000000), 0);
	assert_int_equal(hs_pstore_save_from(dir, fd, (uint64_t)st.st_ctim.tv_sec * 1000000000), 1);
}

static void test_lines_of_a_kernels_log_are_taken_apart(void **state)
{
	static const struct {
		const char *line;
		int severity;
		int64_t ns; /* -1: none */
		size_t time_len;
	} lines[] = {
		{ "<6>[   12.345678] text", 6, 12345678000, 15 },
		{ "<30>[    0.000001] x", 6, 1000, 15 },
		{ "[99999.000000] no severity", -1, 99999000000000, 15 },
		{ "<3>no time", 3, -1, 0 },
		{ "<>[", -1, -1, 0 },
		{ "", -1, -1, 0 },
		{ "<9999>[ 1.000000] x", -1, -1, 0 },
		{ "<6>[ 1.00000] x", 6, -1, 0 },
		{ "<6>[1.000000]", 6, 1000000000, 10 },
		{ "plain", -1, -1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(lines); i++) {
		scoped(mem) char *text = hs_format("%s\n", lines[i].line);
		const char *at = text;
		struct hs_pstore_line line;

		assert_true(hs_pstore_line_next(&at, text + strlen(text), &line));
		assert_int_equal(line.severity, lines[i].severity);
		assert_int_equal(line.has_machine_ns, lines[i].ns >= 0);
		assert_int_equal(line.machine_ns, lines[i].ns >= 0 ? (uint64_t)lines[i].ns : 0);
		assert_int_equal(line.time_len, lines[i].time_len);
		assert_false(hs_pstore_line_next(&at, text + strlen(text), &line));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_crash_is_saved_once_and_the_memory_is_empty_again, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_the_memory_of_a_lab_that_was_killed_is_read_where_it_lies, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_damage_is_told_in_a_note, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_left_of_a_memory_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_missing_memory_is_no_crash_and_a_missing_folder_no_error, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_the_hosts_pstore_is_copied_once_and_left_as_it_is, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_of_an_archive_only_what_came_since_is_copied, set_up, tear_down),
		cmocka_unit_test(test_lines_of_a_kernels_log_are_taken_apart),
	};

	return RUN_TESTS("last", tests);
}
