// SPDX-License-Identifier: GPL-2.0-only
/* Units, files, command lines, children and the loop. */
#include "cm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/argv.h"
#include "base/io.h"
#include "base/loop.h"
#include "base/proc.h"
#include "base/unit.h"

static void test_units_take_the_whole_text_or_nothing(void **state)
{
	uint64_t value;

	(void)state;
	assert_int_equal(hs_parse_size("64k", &value), 0);
	assert_int_equal(value, 65536);
	assert_int_equal(hs_parse_duration("2", &value), 0);
	assert_int_equal(value, 2000000000);
	assert_int_equal(hs_parse_u64("18446744073709551615", &value), 0);
	assert_true(value == UINT64_MAX);
	assert_int_equal(hs_parse_u64("18446744073709551616", &value), -ERANGE);
	assert_int_equal(hs_parse_u64(" 1", &value), -EINVAL);
	assert_int_equal(hs_parse_u64("+1", &value), -EINVAL);
	assert_int_equal(hs_parse_u64("0x10", &value), -EINVAL);
	assert_int_equal(hs_parse_size("1 M", &value), -EINVAL);
	assert_int_equal(hs_parse_size("", &value), -EINVAL);
	assert_int_equal(hs_parse_size("18014398509481984K", &value), -ERANGE);
}

static void test_numbers_are_printed_with_their_unit(void **state)
{
	char text[32];

	(void)state;
	assert_string_equal(hs_format_bytes(text, sizeof(text), 1023), "1023 B");
	assert_string_equal(hs_format_bytes(text, sizeof(text), 1536), "1.5 KiB");
	assert_string_equal(hs_format_rate(text, sizeof(text), 345.12e6), "345.1 Mbit/s");
	assert_string_equal(hs_format_ns(text, sizeof(text), 528), "528 ns");
	assert_string_equal(hs_format_ns(text, sizeof(text), 1234567890123), "1234.6 s");
}

static void test_a_quoted_command_line_means_the_same_to_a_shell(void **state)
{
	char *words[] = { "printf", "%s|", "plain", "two words", "", "it's", "$HOME", "a\"b\\c", "*", NULL };
	char *command = hs_argv_quote(words), text[256] = "";
	FILE *shell = popen(command, "r");

	(void)state;
	assert_non_null(fgets(text, sizeof(text), shell));
	assert_int_equal(pclose(shell), 0);
	assert_string_equal(text, "plain|two words||it's|$HOME|a\"b\\c|*|");
	free(command);
}

static void test_files_are_private_and_replaced_in_one_step(void **state)
{
	char dir[] = "/tmp/hsbpf-test-XXXXXX", *text = NULL;
	char *path, *deep;
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(dir));
	deep = hs_format("%s/a/b", dir);
	path = hs_format("%s/file", deep);
	assert_int_equal(hs_make_dirs(deep), 0);
	assert_int_equal(hs_make_dirs(deep), 0);
	assert_int_equal(hs_write_file_atomic(path, "one\ntwo\nthree\n", 14), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(hs_read_file(path, 100, &text, NULL), 0);
	assert_string_equal(text, "one\ntwo\nthree\n");
	free(text);
	assert_int_equal(hs_read_file(path, 5, &text, NULL), -EFBIG);
	text = hs_tail_lines(path, 2);
	assert_string_equal(text, "two\nthree");
	free(text);
	assert_int_equal(hs_remove_tree(dir), 0);
	assert_int_equal(access(dir, F_OK), -1);
	free(path);
	free(deep);
}

static void test_remove_tree_does_not_follow_links(void **state)
{
	char dir[] = "/tmp/hsbpf-test-XXXXXX", other[] = "/tmp/hsbpf-test-XXXXXX", *link_path;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_non_null(mkdtemp(other));
	link_path = hs_format("%s/link", dir);
	assert_int_equal(symlink(other, link_path), 0);
	assert_int_equal(hs_remove_tree(dir), 0);
	assert_int_equal(access(other, F_OK), 0);
	assert_int_equal(hs_remove_tree(dir), 0); /* nothing there is fine */
	rmdir(other);
	free(link_path);
}

static void test_a_program_that_cannot_start_is_an_error(void **state)
{
	char *argv[] = { "/no/such/program", NULL };
	struct hs_spawn spawn = { .argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1, .netns_fd = -1 };
	pid_t pid = -7;

	(void)state;
	assert_int_equal(hs_proc_spawn(&spawn, &pid), -ENOENT);
	assert_int_equal(pid, -7);
	assert_int_equal(hs_proc_run((char *[]){ "sh", "-c", "exit 3", NULL }), 3 << 8);
	assert_int_equal(hs_proc_exit_code(3 << 8), 3);
	assert_int_equal(hs_proc_exit_code(SIGKILL), 137);
	assert_true(hs_proc_finds("sh"));
	assert_false(hs_proc_finds("no-such-program-anywhere"));
}

/* A process that spawns `cat` waiting on a pipe, tells its pid and is killed: the pipe's other end must close. */
static void test_children_die_with_their_parent(void **state)
{
	int hold[2], tell[2], status;
	pid_t parent;
	char byte;

	(void)state;
	assert_int_equal(pipe(hold), 0);
	assert_int_equal(pipe(tell), 0);
	parent = fork();
	if (parent == 0) {
		char *argv[] = { "sh", "-c", "echo; read -r never", NULL };
		int never[2];
		struct hs_spawn spawn = { .argv = argv, .stdin_fd = -1, .stdout_fd = tell[1], .stderr_fd = hold[1],
					  .netns_fd = -1 };
		pid_t pid;

		if (pipe(never) < 0)
			_exit(1);
		spawn.stdin_fd = never[0];
		_exit(hs_proc_spawn(&spawn, &pid) ? 1 : pause());
	}
	close(hold[1]);
	assert_int_equal(read(tell[0], &byte, 1), 1); /* the grandchild runs */
	kill(parent, SIGKILL);
	assert_int_equal(waitpid(parent, &status, 0), parent);
	assert_int_equal(read(hold[0], &byte, 1), 0); /* end of file: it is gone, too */
	close(hold[0]);
	close(tell[0]);
	close(tell[1]);
}

struct pair {
	struct hs_loop *loop;
	struct hs_watch first, second;
	unsigned called;
};

static void on_either(void *ctx, uint32_t events)
{
	struct pair *pair = ctx;

	(void)events;
	pair->called++;
	hs_loop_remove(pair->loop, &pair->first);
	hs_loop_remove(pair->loop, &pair->second);
}

static void test_a_watch_removed_in_the_same_batch_is_not_called(void **state)
{
	struct pair pair = { .first = HS_WATCH_NONE, .second = HS_WATCH_NONE };
	int a[2], b[2];

	(void)state;
	assert_int_equal(pipe(a), 0);
	assert_int_equal(pipe(b), 0);
	assert_int_equal(hs_loop_open(&pair.loop), 0);
	assert_int_equal(hs_loop_add(pair.loop, &pair.first, a[0], EPOLLIN, on_either, &pair), 0);
	assert_int_equal(hs_loop_add(pair.loop, &pair.second, b[0], EPOLLIN, on_either, &pair), 0);
	assert_int_equal(write(a[1], "x", 1) + write(b[1], "x", 1), 2);
	assert_int_equal(hs_loop_step(pair.loop, 1000), 0);
	assert_int_equal(pair.called, 1);
	hs_loop_free(pair.loop);
	for (int i = 0; i < 2; i++) {
		close(a[i]);
		close(b[i]);
	}
}

static void count_tick(void *ctx, uint32_t events)
{
	(void)events;
	++*(unsigned *)ctx;
}

static bool has_three(void *ctx)
{
	return *(unsigned *)ctx >= 3;
}

static bool never(void *ctx)
{
	(void)ctx;
	return false;
}

static void test_timers_tick_and_deadlines_hold(void **state)
{
	struct hs_watch timer = HS_WATCH_NONE;
	struct hs_loop *loop;
	unsigned ticks = 0;

	(void)state;
	assert_int_equal(hs_loop_open(&loop), 0);
	assert_int_equal(hs_loop_timer(loop, &timer, 1000000, count_tick, &ticks), 0);
	assert_int_equal(hs_loop_until(loop, has_three, &ticks, hs_now_ns() + 10000000000ull), 0);
	assert_int_equal(hs_loop_until(loop, never, NULL, hs_now_ns() + 5000000), -ETIMEDOUT);
	hs_loop_close(loop, &timer);
	hs_loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_units_take_the_whole_text_or_nothing),
		cmocka_unit_test(test_numbers_are_printed_with_their_unit),
		cmocka_unit_test(test_a_quoted_command_line_means_the_same_to_a_shell),
		cmocka_unit_test(test_files_are_private_and_replaced_in_one_step),
		cmocka_unit_test(test_remove_tree_does_not_follow_links),
		cmocka_unit_test(test_a_program_that_cannot_start_is_an_error),
		cmocka_unit_test(test_children_die_with_their_parent),
		cmocka_unit_test(test_a_watch_removed_in_the_same_batch_is_not_called),
		cmocka_unit_test(test_timers_tick_and_deadlines_hold),
	};

	return RUN_TESTS("base", tests);
}
