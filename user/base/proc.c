// SPDX-License-Identifier: GPL-2.0-only
/*
 * fork and exec with the rules of proc.h. Called from the main thread only: a parent-death signal is
 * tied to the thread that forked.
 */
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io.h"
#include "scoped.h"

/* Makes `fd` (or /dev/null) the child's descriptor `target`. Sources are >= 3, see spawn_child(). */
static int place_fd(int fd, int target)
{
	int source = fd >= 0 ? fd : open("/dev/null", target ? O_WRONLY : O_RDONLY);

	return source < 0 || dup2(source, target) < 0 ? -errno : 0;
}

/* A source below 3 would be overwritten by an earlier dup2: lift it out of the way first. */
static int lift_fd(int fd)
{
	return fd >= 0 && fd < 3 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : fd;
}

static int prepare_child(const struct hs_spawn *spawn, pid_t parent)
{
	int in = lift_fd(spawn->stdin_fd), out = lift_fd(spawn->stdout_fd), error = lift_fd(spawn->stderr_fd);
	sigset_t none;
	int err;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	if (getppid() != parent)
		return -ESRCH; /* the parent died before the signal was armed */
	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (spawn->netns_fd >= 0 && setns(spawn->netns_fd, CLONE_NEWNET) < 0)
		return -errno;
	err = place_fd(in, STDIN_FILENO);
	if (!err)
		err = place_fd(out, STDOUT_FILENO);
	if (!err)
		err = place_fd(error, STDERR_FILENO);
	if (!err && close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		err = -errno;
	return err;
}

static void __attribute__((noreturn)) run_child(const struct hs_spawn *spawn, pid_t parent, int report_fd)
{
	int err = prepare_child(spawn, parent);

	if (!err) {
		execvp(spawn->argv[0], spawn->argv);
		err = -errno;
	}
	if (write(report_fd, &err, sizeof(err)) < 0)
		_exit(126);
	_exit(127);
}

int hs_proc_spawn(const struct hs_spawn *spawn, pid_t *pid)
{
	int report[2], child_err = 0;
	pid_t parent = getpid(), child;
	ssize_t got;

	if (pipe2(report, O_CLOEXEC) < 0)
		return -errno;
	child = fork();
	if (child == 0)
		run_child(spawn, parent, report[1]);
	close(report[1]);
	got = child < 0 ? -1 : read(report[0], &child_err, sizeof(child_err));
	close(report[0]);
	if (child < 0)
		return -errno;
	if (got == sizeof(child_err)) {
		waitpid(child, NULL, 0);
		return child_err;
	}
	*pid = child;
	return 0;
}

int hs_proc_run(char *const *argv)
{
	struct hs_spawn spawn = { .argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1, .netns_fd = -1 };
	int status, err;
	pid_t pid;

	err = hs_proc_spawn(&spawn, &pid);
	if (err)
		return err;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return status;
}

bool hs_proc_finds(const char *program)
{
	scoped(mem) char *path = strdup(getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
	char *save = NULL;

	for (char *dir = path ? strtok_r(path, ":", &save) : NULL; dir; dir = strtok_r(NULL, ":", &save)) {
		scoped(mem) char *candidate = hs_format("%s/%s", dir, program);

		if (candidate && access(candidate, X_OK) == 0)
			return true;
	}
	return false;
}

const char *hs_proc_describe(int wait_status, char *text, size_t size)
{
	if (WIFSIGNALED(wait_status))
		snprintf(text, size, "was killed by signal %d (%s)", WTERMSIG(wait_status),
			 strsignal(WTERMSIG(wait_status)));
	else
		snprintf(text, size, "exited with %d", WEXITSTATUS(wait_status));
	return text;
}

int hs_proc_exit_code(int wait_status)
{
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

uint64_t hs_proc_start_time(pid_t pid)
{
	scoped(mem) char *path = hs_format("/proc/%d/stat", pid);
	scoped(mem) char *stat = NULL;
	unsigned long long start = 0;
	char *after_name, state;

	if (!path || hs_read_file(path, 65536, &stat, NULL))
		return 0;
	after_name = strrchr(stat, ')');
	if (!after_name ||
	    sscanf(after_name + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
		   &state, &start) != 2)
		return 0;
	return state == 'Z' || state == 'X' ? 0 : start;
}
