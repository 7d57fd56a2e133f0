// SPDX-License-Identifier: GPL-2.0-only
/* A whole journal on a loop: files that grow, levels, orders, and a log that goes on. No root, no /dev/kmsg. */
#include "cm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "journal/control.h"
#include "journal/journal.h"

static char dir[] = "/tmp/hsbpf-journal.XXXXXX";

#define SECOND_NS 1000000000ull

static struct hs_journal *open_journal_of(struct hs_loop *loop, bool json)
{
	scoped(mem) char *path = hs_format("%s/log", dir);
	struct hs_journal_config config = { .dir = path,
					    .json = json,
					    .max_bytes = 1 << 20,
					    .max_files = 4,
					    .window_ns = SECOND_NS / 100,
					    .level = 7 };
	struct hs_journal *journal;

	assert_int_equal(hs_journal_open(loop, &config, &journal), 0);
	return journal;
}

static struct hs_journal *open_journal(struct hs_loop *loop)
{
	return open_journal_of(loop, false);
}

static void append(const char *name, const char *text)
{
	scoped(mem) char *path = hs_format("%s/%s", dir, name);
	scoped(fd) int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);

	assert_int_equal(hs_write_all(fd, text, strlen(text)), 0);
}

static bool log_has(void *text)
{
	scoped(mem) char *path = hs_format("%s/log/hsbpf.log", dir), *all = NULL;

	return !hs_read_file(path, 1 << 20, &all, NULL) && strstr(all, text);
}

static bool wait_for(struct hs_loop *loop, char *text)
{
	return !hs_loop_until(loop, log_has, text, hs_now_ns() + 20 * SECOND_NS);
}

static bool never(void *ctx)
{
	(void)ctx;
	return false;
}

static void follow(struct hs_journal *journal, const char *machine, const char *name)
{
	scoped(mem) char *path = hs_format("%s/%s", dir, name);

	assert_int_equal(hs_journal_follow_file(journal, machine, HS_JOURNAL_CONSOLE, path), 0);
}

static void test_files_are_followed_whether_they_are_there_or_not(void **state)
{
	scoped(hs_loop) struct hs_loop *loop = NULL;
	scoped(hs_journal) struct hs_journal *journal = NULL;

	(void)state;
	assert_int_equal(hs_loop_open(&loop), 0);
	journal = open_journal(loop);
	append("a", "before\n");
	follow(journal, "a", "a");
	follow(journal, "b", "b");
	assert_true(wait_for(loop, " a - console -: before\n"));
	append("b", "came later\n");
	assert_true(wait_for(loop, " b - console -: came later\n"));
	append("a", "more\n");
	assert_true(wait_for(loop, " a - console -: more\n"));
	append("a", "the last, without an end");
	hs_journal_finish(journal);
	assert_true(log_has(" a - console -: the last, without an end\n"));
}

static unsigned lines_of_log(const char *text)
{
	scoped(mem) char *path = hs_format("%s/log/hsbpf.log", dir), *all = NULL;
	unsigned count = 0;

	assert_int_equal(hs_read_file(path, 1 << 20, &all, NULL), 0);
	for (const char *at = all; (at = strstr(at, text)); at++)
		count++;
	return count;
}

/* A process that follows a console and goes; one that is killed does not even say where it was. */
static void follow_once(char *until, bool is_killed)
{
	scoped(hs_loop) struct hs_loop *loop = NULL;
	scoped(hs_journal) struct hs_journal *journal = NULL;
	int status;
	pid_t child = fork();

	if (child) {
		waitpid(child, &status, 0);
		assert_true(is_killed ? WIFSIGNALED(status) : WIFEXITED(status) && !WEXITSTATUS(status));
		return;
	}
	if (hs_loop_open(&loop))
		_exit(1);
	journal = open_journal(loop);
	follow(journal, "a", "a");
	if (!wait_for(loop, until))
		_exit(2);
	if (is_killed)
		raise(SIGKILL);
	hs_journal_free(take(journal));
	_exit(0);
}

static void test_a_log_goes_on_with_a_console_where_it_was(void **state)
{
	(void)state;
	append("a", "line 1\n\nline 2\r\n");
	follow_once("-: line 2\n", false);
	append("a", "line 3\nline 4\n");
	follow_once("-: line 4\n", true);
	append("a", "line 5\nlogin: ");
	follow_once("-: login: \n", true);
	append("a", "\nline 6\n");
	follow_once("-: line 6\n", false);
	for (unsigned i = 1; i <= 6; i++) {
		scoped(mem) char *line = hs_format(" a - console -: line %u\n", i);

		assert_int_equal(lines_of_log(line), 1);
	}
	assert_int_equal(lines_of_log("login"), 1);
	/* Another file of that name is read from its beginning, and so is one that was emptied. */
	{
		scoped(mem) char *path = hs_format("%s/a", dir), *other = hs_format("%s/b", dir);

		append("b", "line 1\nline 7\n");
		assert_int_equal(rename(other, path), 0);
		follow_once("-: line 7\n", false);
		assert_int_equal(lines_of_log("-: line 1\n"), 2);
		assert_int_equal(truncate(path, 0), 0);
		append("a", "line 8\n");
		follow_once("-: line 8\n", true);
		assert_int_equal(truncate(path, 0), 0);
		append("a", "line 9\nline 10\nline 11\n");
		follow_once("-: line 11\n", false);
		assert_int_equal(lines_of_log("-: line 9\n"), 1);
	}
}

/* What stood in a file before anybody looked has any time since the file was made. */
static void test_a_console_from_before_has_the_bound_of_its_age(void **state)
{
	scoped(hs_loop) struct hs_loop *loop = NULL;
	scoped(hs_journal) struct hs_journal *journal = NULL;
	scoped(mem) char *path = hs_format("%s/log/hsbpf.jsonl", dir), *all = NULL;
	uint64_t before_ns, made_ns, followed_ns, bound_ns;
	char *at;

	(void)state;
	before_ns = hs_now_ns();
	append("a", "old\n");
	made_ns = hs_now_ns();
	assert_int_equal(hs_loop_open(&loop), 0);
	journal = open_journal_of(loop, true);
	followed_ns = hs_now_ns();
	follow(journal, "a", "a");
	hs_journal_finish(journal);
	assert_int_equal(hs_read_file(path, 1 << 20, &all, NULL), 0);
	at = strstr(all, "\"text\":\"old\"");
	assert_non_null(at);
	while (strncmp(at, "\"error_ns\":", strlen("\"error_ns\":")) && at > all)
		at--;
	assert_int_equal(sscanf(at, "\"error_ns\":%lu", &bound_ns), 1);
	assert_true(bound_ns >= followed_ns - made_ns);
	/* The kernel's time of birth is as old as its last tick. */
	assert_true(bound_ns <= hs_now_ns() - before_ns + SECOND_NS / 10);
}

/* In a user namespace that may have none. */
static int follow_without_inotify(void)
{
	scoped(hs_loop) struct hs_loop *loop = NULL;
	scoped(hs_journal) struct hs_journal *journal = NULL;

	if (unshare(CLONE_NEWUSER) || hs_write_text("/proc/sys/user/max_inotify_instances", "0") ||
	    inotify_init1(IN_CLOEXEC) >= 0)
		return 77;
	if (hs_loop_open(&loop))
		return 1;
	journal = open_journal(loop);
	follow(journal, "a", "a");
	append("a", "one\n");
	if (!wait_for(loop, " a - console -: one\n"))
		return 2;
	append("a", "two\n");
	return wait_for(loop, " a - console -: two\n") ? 0 : 3;
}

static void test_files_are_followed_where_there_is_no_inotify_left(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	if (!child)
		_exit(follow_without_inotify());
	waitpid(child, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("# no user namespace can be made here\n");
		skip();
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_a_folder_is_no_console(void **state)
{
	scoped(hs_loop) struct hs_loop *loop = NULL;
	scoped(hs_journal) struct hs_journal *journal = NULL;
	struct hs_journal_counts counts;

	(void)state;
	assert_int_equal(hs_loop_open(&loop), 0);
	journal = open_journal(loop);
	follow(journal, "a", "log");
	hs_journal_finish(journal);
	hs_journal_counts(journal, &counts);
	assert_int_equal(counts.merge.records, 0);
}

/* Of two kernels of one name each would lose what the other has the numbers of. */
static void test_a_name_is_one_kernels(void **state)
{
	scoped(hs_loop) struct hs_loop *loop = NULL;
	scoped(hs_journal) struct hs_journal *journal = NULL;

	(void)state;
	assert_int_equal(hs_loop_open(&loop), 0);
	journal = open_journal(loop);
	assert_true(hs_journal_add_stream(journal, "l1", HS_JOURNAL_CONSOLE) >= 0);
	assert_true(hs_journal_add_stream(journal, "l1", HS_JOURNAL_KERNEL) >= 0);
	assert_true(hs_journal_add_stream(journal, "l2-0", HS_JOURNAL_KERNEL) >= 0);
	assert_int_equal(hs_journal_add_stream(journal, "l1", HS_JOURNAL_KERNEL), -EEXIST);
	assert_true(hs_journal_add_stream(journal, "l1", HS_JOURNAL_QEMU) >= 0);
}

static struct hs_journal_record numbered(uint64_t seq)
{
	struct hs_journal_record record = hs_journal_record_new(NULL, HS_JOURNAL_KERNEL);

	record.has_seq = true;
	record.seq = record.last_seq = seq;
	record.severity = 6;
	record.text = "text";
	record.len = 4;
	return record;
}

/* What a process has of a machine's boot, the next one does not write again; what is missing between is told. */
static void test_a_log_goes_on_with_each_machines_own_number(void **state)
{
	uint64_t next;

	(void)state;
	for (unsigned run = 0; run < 3; run++) {
		scoped(hs_loop) struct hs_loop *loop = NULL;
		scoped(hs_journal) struct hs_journal *journal = NULL;
		struct hs_journal_counts counts;
		int stream;

		assert_int_equal(hs_loop_open(&loop), 0);
		journal = open_journal(loop);
		stream = hs_journal_add_stream(journal, "l1", HS_JOURNAL_KERNEL);
		assert_int_equal(hs_journal_begin_boot(journal, (unsigned)stream, run < 2 ? "boot-1" : "boot-2", &next),
				 0);
		assert_int_equal(next, run == 1 ? 103 : 0);
		for (uint64_t seq = run ? 110 : 100; seq < (run ? 112u : 103u); seq++) {
			struct hs_journal_record record = numbered(seq);

			hs_journal_put(journal, (unsigned)stream, &record, false);
		}
		hs_journal_finish(journal);
		hs_journal_counts(journal, &counts);
		assert_int_equal(counts.merge.missing, run == 0 ? 100 : run == 1 ? 7 : 110);
	}
	assert_true(log_has("logs missing here: 100 records of l1 (seq 0 to 99)\n"));
	assert_true(log_has("logs missing here: 7 records of l1 (seq 103 to 109)\n"));
	assert_true(log_has("logs missing here: 110 records of l1 (seq 0 to 109)\n"));
}

/* Records wait long for guests that boot, and not when there are none. */
static void test_records_wait_for_guests_that_have_not_been_heard(void **state)
{
	scoped(mem) char *path = hs_format("%s/log", dir), *socket = hs_format("%s/nobody", dir);

	(void)state;
	for (unsigned guests = 0; guests < 2; guests++) {
		struct hs_journal_config config = { .dir = path,
						    .max_bytes = 1 << 20,
						    .max_files = 4,
						    .window_ns = 3600 * SECOND_NS,
						    .settled_window_ns = SECOND_NS / 100,
						    .level = 7 };
		struct hs_journal_record record = numbered(1);
		scoped(hs_loop) struct hs_loop *loop = NULL;
		scoped(hs_journal) struct hs_journal *journal = NULL;
		struct hs_journal_counts counts;
		int stream;

		assert_int_equal(hs_loop_open(&loop), 0);
		assert_int_equal(hs_journal_open(loop, &config, &journal), 0);
		if (guests)
			assert_int_equal(hs_journal_follow_guest(journal, "l2-0", socket), 0);
		stream = hs_journal_add_stream(journal, "l1", HS_JOURNAL_KERNEL);
		hs_journal_put(journal, (unsigned)stream, &record, false);
		if (guests)
			hs_loop_until(loop, never, NULL, hs_now_ns() + SECOND_NS / 10);
		else
			assert_true(wait_for(loop, " l1 info kernel 1: text\n"));
		hs_journal_counts(journal, &counts);
		assert_int_equal(counts.merge.records, guests ? 0 : 1);
	}
}

static void test_orders_change_the_level_of_a_running_log(void **state)
{
	scoped(mem) char *path = hs_format("%s/log", dir);
	scoped(hs_loop) struct hs_loop *loop = NULL;
	scoped(hs_journal) struct hs_journal *journal = NULL;
	scoped(hs_journal_control) struct hs_journal_control *control = NULL;
	struct hs_journal_record record = numbered(1);
	struct hs_journal_counts counts;
	int stream, status;
	pid_t child;

	(void)state;
	assert_int_equal(hs_loop_open(&loop), 0);
	journal = open_journal(loop);
	assert_int_equal(hs_journal_control_open(journal, path, &control), 0);
	stream = hs_journal_add_stream(journal, "l1", HS_JOURNAL_KERNEL);
	child = fork();
	if (!child)
		_exit(hs_journal_ask_level(path, "l1", 3) == 0 && hs_journal_ask_level(path, "l2", 3) == -ENOENT ? 0
														 : 1);
	while (waitpid(child, &status, WNOHANG) == 0)
		hs_loop_step(loop, 50);
	assert_int_equal(status, 0);
	hs_journal_put(journal, (unsigned)stream, &record, false);
	hs_journal_finish(journal);
	hs_journal_counts(journal, &counts);
	assert_int_equal(counts.merge.below, 1);
	assert_true(log_has("from here on records of l1: err and worse\n"));
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
		IN_FOLDER(test_files_are_followed_whether_they_are_there_or_not),
		IN_FOLDER(test_files_are_followed_where_there_is_no_inotify_left),
		IN_FOLDER(test_a_folder_is_no_console),
		IN_FOLDER(test_a_log_goes_on_with_a_console_where_it_was),
		IN_FOLDER(test_a_console_from_before_has_the_bound_of_its_age),
		IN_FOLDER(test_a_name_is_one_kernels),
		IN_FOLDER(test_a_log_goes_on_with_each_machines_own_number),
		IN_FOLDER(test_records_wait_for_guests_that_have_not_been_heard),
		IN_FOLDER(test_orders_change_the_level_of_a_running_log),
	};

	if (!mkdtemp(dir))
		return 1;
	rmdir(dir);
	return RUN_TESTS("journal", tests);
}
