// SPDX-License-Identifier: GPL-2.0-only
/* Rotation, restarts, full disks, and what a log that goes on knows of itself. */
#include "cm.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/loop.h"
#include "journal/files.h"
#include "journal/resume.h"

static char dir[] = "/tmp/hsbpf-files.XXXXXX";

static int give(char **line, size_t *len, const char *format, uint64_t number)
{
	*line = hs_format(format, (unsigned long long)number);
	*len = *line ? strlen(*line) : 0;
	return *line ? 0 : -ENOMEM;
}

static int make_header(void *ctx, uint64_t number, char **line, size_t *len)
{
	(void)ctx;
	return give(line, len, "- - host - hsbpf -: " HS_LOG_FILES_MARK "%llu begins;\n", number);
}

static int make_loss(void *ctx, uint64_t lines, char **line, size_t *len)
{
	(void)ctx;
	return give(line, len, "lost %llu\n", lines);
}

static struct hs_log_files *open_files(uint64_t max_bytes, uint64_t max_files)
{
	struct hs_log_files_config config = { .dir = dir,
					      .name = "log",
					      .max_bytes = max_bytes,
					      .max_files = max_files,
					      .make_header = make_header,
					      .make_loss = make_loss };
	struct hs_log_files *files;

	assert_int_equal(hs_log_files_open(&config, &files), 0);
	assert_int_equal(hs_log_files_begin(files), 0);
	return files;
}

static void write_numbers(struct hs_log_files *files, unsigned from, unsigned to)
{
	char line[32];

	for (unsigned i = from; i < to; i++) {
		int len = snprintf(line, sizeof(line), "line %u\n", i);

		hs_log_files_write(files, line, (size_t)len);
	}
}

static char *read_all(const char *name)
{
	scoped(mem) char *path = hs_format("%s/%s", dir, name);
	char *text = NULL;

	return hs_read_file(path, 1 << 24, &text, NULL) ? NULL : text;
}

static bool exists(const char *name)
{
	scoped(mem) char *path = hs_format("%s/%s", dir, name);

	return access(path, F_OK) == 0;
}

static void put_file(const char *name, const char *text)
{
	scoped(mem) char *path = hs_format("%s/%s", dir, name);
	scoped(fd) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(hs_write_all(fd, text, strlen(text)), 0);
}

static unsigned files_nr(void)
{
	scoped(dir) DIR *entries = opendir(dir);
	struct dirent *entry;
	unsigned count = 0;

	while ((entry = readdir(entries)))
		count += entry->d_name[0] != '.';
	return count;
}

/* The highest number of an older file; names with more than six digits are others'. */
static uint64_t newest_file(void)
{
	scoped(dir) DIR *entries = opendir(dir);
	uint64_t newest = 0, number;
	struct dirent *entry;

	while ((entry = readdir(entries)))
		if (strlen(entry->d_name) <= strlen("log.123456") && sscanf(entry->d_name, "log.%lu", &number) == 1 &&
		    number > newest)
			newest = number;
	return newest;
}

/* All files' lines "line N" from the oldest to NAME: the first and the last; *in_order. */
static void check_numbers(uint64_t oldest, uint64_t newest, unsigned *first, unsigned *last)
{
	unsigned count = 0, number;
	char name[40];

	for (uint64_t i = oldest; i <= newest + 1; i++) {
		scoped(mem) char *text = NULL;
		char *save;

		snprintf(name, sizeof(name), i > newest ? "log" : "log.%llu", (unsigned long long)i);
		text = read_all(name);
		assert_non_null(text);
		for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
			if (sscanf(line, "line %u", &number) != 1)
				continue;
			if (!count++)
				*first = number;
			else
				assert_int_equal(number, *last + 1);
			*last = number;
		}
	}
}

static void test_no_file_is_larger_than_it_may_and_no_line_is_cut(void **state)
{
	scoped(hs_log_files) struct hs_log_files *files = open_files(1000, 4);
	unsigned first, last;

	(void)state;
	write_numbers(files, 0, 1000);
	hs_log_files_flush(files);
	assert_true(hs_log_files_counts(files)->files > 8);
	for (uint64_t i = hs_log_files_counts(files)->files - 3; i < hs_log_files_counts(files)->files; i++) {
		scoped(mem) char *name = hs_format("log.%llu", (unsigned long long)i), *text = read_all(name);

		assert_non_null(text);
		assert_in_range(strlen(text), 980, 1000);
	}
	check_numbers(hs_log_files_counts(files)->files - 3, hs_log_files_counts(files)->files - 1, &first, &last);
	assert_int_equal(last, 999);
	assert_false(exists("log.1"));
}

/* acrnlog: from the hundredth file on names were cut and each rotation wiped the file before. */
static void test_names_past_a_hundred_thousand_rotations_are_whole(void **state)
{
	scoped(hs_log_files) struct hs_log_files *files = open_files(60, 4);
	unsigned first, last;
	uint64_t newest;

	(void)state;
	write_numbers(files, 0, 100050);
	hs_log_files_flush(files);
	newest = newest_file();
	assert_int_equal(newest, hs_log_files_counts(files)->files - 1);
	assert_true(newest > 100000);
	check_numbers(newest - 2, newest, &first, &last); /* and NAME: four */
	assert_int_equal(first, 100046);
	assert_int_equal(last, 100049);
	assert_int_equal(files_nr(), 4);
}

/* acrnlog: deleted names 0 to count-1 at start, so files of two runs were mixed. */
static void test_a_restart_goes_on_and_removes_only_what_is_its_own(void **state)
{
	struct hs_log_files *files = open_files(200, 3);
	unsigned first, last;

	(void)state;
	write_numbers(files, 0, 100);
	hs_log_files_free(files);
	put_file("log.2", "somebody's own notes\n");
	put_file("log.0", "x");
	put_file("log.07", "x");
	put_file("log.x", "x");
	put_file("log.99999999999999999999", "x");
	put_file("logs", "x");
	files = open_files(200, 3);
	write_numbers(files, 100, 200);
	hs_log_files_free(files);
	assert_true(exists("log.2") && exists("log.0") && exists("log.07") && exists("log.x") && exists("logs"));
	assert_true(exists("log.99999999999999999999"));
	assert_int_equal(files_nr(), 3 + 6);
	check_numbers(newest_file() - 1, newest_file(), &first, &last);
	assert_int_equal(last, 199);
	assert_true(first > 100); /* the first run's are gone */
}

static void test_a_file_that_came_from_elsewhere_is_not_written_over(void **state)
{
	scoped(hs_log_files) struct hs_log_files *files = open_files(60, 4);
	scoped(mem) char *text = NULL;

	(void)state;
	put_file("log.2", "precious\n");
	write_numbers(files, 0, 5);
	hs_log_files_flush(files);
	text = read_all("log.2");
	assert_string_equal(text, "precious\n");
	assert_true(exists("log.1") && exists("log.3"));
}

static void test_two_writers_are_one_too_many(void **state)
{
	scoped(hs_log_files) struct hs_log_files *files = open_files(1000, 4);
	struct hs_log_files_config config = { .dir = dir, .name = "log", .max_bytes = 1000, .max_files = 4 };
	struct hs_log_files *other;

	(void)state;
	assert_int_equal(hs_log_files_open(&config, &other), -EBUSY);
	hs_log_files_free(take(files));
	assert_int_equal(hs_log_files_open(&config, &other), 0); /* and gone with it */
	hs_log_files_free(other);
}

/* kill -9 at any moment of many rotations: the next process finds all lines but the last unwritten ones, in order. */
static void test_killed_in_the_middle_of_rotations_nothing_is_torn_or_mixed(void **state)
{
	unsigned next = 0, first, last = 0;

	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		struct hs_log_files *files;
		uint64_t written;
		char byte;
		int pipes[2];
		pid_t child;

		assert_int_equal(pipe(pipes), 0);
		child = fork();
		if (!child) {
			files = open_files(100, 1000000);
			for (unsigned i = next; i < next + 100000; i++) {
				write_numbers(files, i, i + 1);
				hs_log_files_flush(files);
				if (i == next + 20 + 7 * round && write(pipes[1], "x", 1) < 0)
					_exit(1);
			}
			_exit(0);
		}
		assert_int_equal(read(pipes[0], &byte, 1), 1);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		close(pipes[0]);
		close(pipes[1]);
		files = open_files(100, 1000000);
		written = 0;
		while (1) { /* the number of the newest: what is there without a hole */
			scoped(mem) char *name = hs_format("log.%llu", (unsigned long long)written + 1);

			if (!exists(name))
				break;
			written++;
		}
		check_numbers(1, written, &first, &last);
		assert_int_equal(first, 0);
		assert_true(last >= next + 20);
		next = last + 1;
		hs_log_files_free(files);
	}
}

static void test_a_line_that_was_cut_off_is_ended_before_the_next(void **state)
{
	struct hs_log_files *files = open_files(1000, 4);
	scoped(mem) char *text = NULL;

	(void)state;
	hs_log_files_write(files, "half a li", 9);
	hs_log_files_free(files);
	files = open_files(1000, 4);
	write_numbers(files, 1, 2);
	hs_log_files_free(files);
	text = read_all("log");
	assert_non_null(strstr(text, "\nhalf a li\nline 1\n"));
}

static void test_the_next_file_begins_when_this_one_is_old(void **state)
{
	struct hs_log_files_config config = { .dir = dir,
					      .name = "log",
					      .max_bytes = 100000,
					      .max_files = 4,
					      .max_age_ns = 3600000000000ull,
					      .make_header = make_header,
					      .make_loss = make_loss };
	scoped(hs_log_files) struct hs_log_files *files = NULL;
	uint64_t due_ns;

	(void)state;
	assert_int_equal(hs_log_files_open(&config, &files), 0);
	assert_int_equal(hs_log_files_begin(files), 0);
	write_numbers(files, 0, 1);
	due_ns = hs_log_files_tick(files);
	assert_true(due_ns > hs_now_ns());
	assert_int_equal(hs_log_files_counts(files)->files, 1);
	hs_log_files_free(take(files));

	config.max_age_ns = 1;
	assert_int_equal(hs_log_files_open(&config, &files), 0);
	assert_int_equal(hs_log_files_begin(files), 0);
	write_numbers(files, 1, 2);
	hs_log_files_tick(files);
	assert_true(exists("log.1"));
}

/* Else three empty hours would push out all that was ever logged. */
static void test_a_file_that_has_nothing_does_not_grow_old(void **state)
{
	struct hs_log_files_config config = { .dir = dir,
					      .name = "log",
					      .max_bytes = 100000,
					      .max_files = 2,
					      .max_age_ns = 1,
					      .make_header = make_header,
					      .make_loss = make_loss };
	scoped(hs_log_files) struct hs_log_files *files = NULL;
	scoped(mem) char *text = NULL;

	(void)state;
	assert_int_equal(hs_log_files_open(&config, &files), 0);
	assert_int_equal(hs_log_files_begin(files), 0);
	write_numbers(files, 0, 1);
	for (unsigned i = 0; i < 5; i++)
		hs_log_files_tick(files);
	assert_int_equal(hs_log_files_counts(files)->files, 2);
	text = read_all("log.1");
	assert_non_null(text);
	assert_non_null(strstr(text, "line 0\n"));
	write_numbers(files, 1, 2);
	hs_log_files_tick(files);
	assert_true(exists("log.2"));
}

static void limit_file_bytes(rlim_t bytes)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* acrnlog: write() unchecked, -1 counted as room gained. A limit of this process stands for the disk's. */
static void test_a_full_disk_is_counted_told_and_gone_on_from(void **state)
{
	struct hs_log_files *files = open_files(1 << 20, 4);
	scoped(mem) char *text = NULL, *later = NULL;
	uint64_t lost, due_ns;

	(void)state;
	write_numbers(files, 0, 10);
	hs_log_files_flush(files);
	signal(SIGXFSZ, SIG_IGN);
	limit_file_bytes(300);
	for (unsigned i = 10; i < 100; i++) {
		write_numbers(files, i, i + 1);
		hs_log_files_flush(files);
	}
	lost = hs_log_files_counts(files)->lost_lines;
	assert_in_range(lost, 50, 89);
	text = read_all("log");
	assert_int_equal(text[strlen(text) - 1], '\n'); /* no torn line */
	assert_true(strlen(text) <= 300);
	limit_file_bytes(RLIM_INFINITY);
	while ((due_ns = hs_log_files_tick(files))) { /* it looks again once a second */
		scoped(hs_loop) struct hs_loop *loop = NULL;

		assert_true(due_ns < hs_now_ns() + 2000000000ull);
		assert_int_equal(hs_loop_open(&loop), 0);
		hs_loop_step(loop, 50);
	}
	write_numbers(files, 100, 101);
	hs_log_files_free(files);
	later = read_all("log");
	text = (free(text), hs_format("\nlost %llu\nline 100\n", (unsigned long long)lost));
	assert_non_null(strstr(later, text));
	assert_int_equal(lost, 100 - 10 - (90 - lost)); /* written and lost are all */
}

static void test_a_file_taken_away_is_made_again_by_reopening(void **state)
{
	scoped(hs_log_files) struct hs_log_files *files = open_files(1000, 4);
	scoped(mem) char *from = hs_format("%s/log", dir), *to = hs_format("%s/taken", dir);
	scoped(mem) char *old = NULL, *new = NULL;

	(void)state;
	write_numbers(files, 0, 1);
	hs_log_files_flush(files);
	assert_int_equal(rename(from, to), 0);
	write_numbers(files, 1, 2);
	hs_log_files_reopen(files);
	write_numbers(files, 2, 3);
	hs_log_files_flush(files);
	old = read_all("taken");
	new = read_all("log");
	assert_non_null(strstr(old, "line 0\nline 1\n"));
	assert_non_null(strstr(new, "line 2\n"));
	assert_null(strstr(new, "line 1\n"));
}

/* ---- resume ---- */

static void take_lines(struct hs_resume *resume, const char *const *lines)
{
	for (; *lines; lines++)
		hs_resume_take_line(resume, *lines, strlen(*lines));
}

#define T "2026-11-21T14:45:20.123456Z +-12us "

static void test_a_log_knows_what_it_has(void **state)
{
	static const char *const lines[] = {
		T "host - hsbpf -: this log's file 7 begins; host boot=04f3-a next=100, l1 boot=99 next=5",
		T "host info kernel 101: text",
		T "l1 err kernel 7-9 T5: l1 boot=forged next=1",
		T "host info kernel 105-110: logs missing here: 6 records of host (seq 105 to 110)",
		T "host info kernel 103 late=3ms: text",
		T "l2-0 - console -: host boot=forged next=3",
		T "l2-0 - console 77: x",
		T "l1 - hsbpf -: the file l1/console boot=12-ab next=70+1",
		T "l1 - console -: half",
		T "l1 - console - fragment: a line",
		T "l1 - qemu -: of no file that is known",
		T "host - hsbpf -: the kernel's log of l2-0 boot=77 next=0",
		T "l2-0 err kernel 3: x",
		T "host info ker",
		"",
		NULL
	};
	scoped(mem) struct hs_resume *resume = calloc(1, sizeof(*resume));
	__attribute__((cleanup(hs_journal_buffer_scoped))) struct hs_journal_buffer text = { 0 };

	(void)state;
	take_lines(resume, lines);
	hs_resume_print(resume, &text);
	hs_journal_buffer_add(&text, "", 1);
	assert_string_equal(text.bytes, " host boot=04f3-a next=111, l1 boot=99 next=10,"
					" l1/console boot=12-ab next=70+2, l2-0 boot=77 next=4");
}

static void test_a_log_of_json_knows_it_too(void **state)
{
	scoped(mem) struct hs_resume *resume = calloc(1, sizeof(*resume));
	struct hs_journal_record record = hs_journal_record_new("l1", HS_JOURNAL_KERNEL);
	struct hs_journal_record note = hs_journal_record_new("host", HS_JOURNAL_HSBPF);
	__attribute__((cleanup(hs_journal_buffer_scoped))) struct hs_journal_buffer line = { 0 };

	(void)state;
	note.kind = HS_JOURNAL_NOTE;
	note.text = "the kernel's log of l1 boot=abc next=0";
	note.len = strlen(note.text);
	hs_journal_record_print_json(&note, &line);
	hs_resume_take_line(resume, line.bytes, line.len);
	line.len = 0;
	record.has_seq = true;
	record.seq = 41;
	record.last_seq = 43;
	record.text = "\"last_seq\":99,\"text\":\" l1 boot=forged next=9";
	record.len = strlen(record.text);
	hs_journal_record_print_json(&record, &line);
	hs_resume_take_line(resume, line.bytes, line.len);
	assert_int_equal(resume->count, 1);
	assert_string_equal(resume->machines[0].boot_id, "abc");
	assert_int_equal(resume->machines[0].next, 44);
}

static void test_it_reads_the_newest_file_that_has_lines(void **state)
{
	scoped(mem) struct hs_resume *resume = calloc(1, sizeof(*resume));
	struct hs_log_files_config config = { .dir = dir, .name = "log", .max_bytes = 1000, .max_files = 4 };
	scoped(hs_log_files) struct hs_log_files *files = NULL;

	(void)state;
	/* As a process leaves them that was killed between renaming and creating, or before its first line. */
	put_file("log.8",
		 T "host - hsbpf -: " HS_LOG_FILES_MARK "8 begins; host boot=a next=1\n" T "host err kernel 5: x\n");
	put_file("log.9", T "host - hsbpf -: " HS_LOG_FILES_MARK "9 begins; host boot=a next=6\n" T
			    "host err kernel 6: x\n" T "host err kernel 7");
	put_file("log", "");
	assert_int_equal(hs_log_files_open(&config, &files), 0);
	hs_resume_read(resume, files);
	assert_int_equal(resume->count, 1);
	assert_int_equal(resume->machines[0].next, 7); /* the line that was cut off is written again */
}

static int begin(void **state)
{
	(void)state;
	hs_log_set_level(HS_LOG_ERR);
	return mkdir(dir, 0700);
}

static int end(void **state)
{
	(void)state;
	return hs_remove_tree(dir);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(test_no_file_is_larger_than_it_may_and_no_line_is_cut),
		IN_FOLDER(test_names_past_a_hundred_thousand_rotations_are_whole),
		IN_FOLDER(test_a_restart_goes_on_and_removes_only_what_is_its_own),
		IN_FOLDER(test_a_file_that_came_from_elsewhere_is_not_written_over),
		IN_FOLDER(test_two_writers_are_one_too_many),
		IN_FOLDER(test_killed_in_the_middle_of_rotations_nothing_is_torn_or_mixed),
		IN_FOLDER(test_a_line_that_was_cut_off_is_ended_before_the_next),
		IN_FOLDER(test_the_next_file_begins_when_this_one_is_old),
		IN_FOLDER(test_a_file_that_has_nothing_does_not_grow_old),
		IN_FOLDER(test_a_full_disk_is_counted_told_and_gone_on_from),
		IN_FOLDER(test_a_file_taken_away_is_made_again_by_reopening),
		cmocka_unit_test(test_a_log_knows_what_it_has),
		cmocka_unit_test(test_a_log_of_json_knows_it_too),
		IN_FOLDER(test_it_reads_the_newest_file_that_has_lines),
	};

	if (!mkdtemp(dir))
		return 1;
	rmdir(dir);
	return RUN_TESTS("journal_files", tests);
}
