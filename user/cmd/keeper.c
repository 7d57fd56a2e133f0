// SPDX-License-Identifier: GPL-2.0-only
/* fork, a pipe for the exit code, and the steps that make the child independent. */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/opt.h"
#include "base/proc.h"

static volatile sig_atomic_t child_pid;

/* The child has a process group of its own as soon as it detaches; until then it must hear of Ctrl-C through us. */
static void forward(int signal)
{
	if (child_pid > 0)
		kill(child_pid, signal);
}

static int wait_for_report(pid_t child, int fd)
{
	int code, status;
	ssize_t got;

	while ((got = read(fd, &code, sizeof(code))) < 0 && errno == EINTR)
		continue;
	if (got == sizeof(code))
		return code;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	return hs_proc_exit_code(status);
}

bool hs_keeper_fork(struct hs_keeper *keeper, int *exit_code)
{
	int fds[2];
	pid_t child;

	fflush(stdout);
	if (pipe2(fds, O_CLOEXEC) < 0 || (child = fork()) < 0) {
		hs_err("cannot start the process that keeps the lab");
		*exit_code = HS_EXIT_FAILURE;
		return true;
	}
	if (child == 0) {
		close(fds[0]);
		setpgid(0, 0);
		*keeper = (struct hs_keeper){ .report_fd = fds[1] };
		return false;
	}
	close(fds[1]);
	child_pid = child;
	signal(SIGINT, forward);
	signal(SIGTERM, forward);
	signal(SIGHUP, forward);
	*exit_code = wait_for_report(child, fds[0]);
	close(fds[0]);
	return true;
}

void hs_keeper_detach(struct hs_keeper *keeper, int exit_code)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	fflush(stdout);
	setsid();
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
	}
	if (chdir("/") < 0 || hs_write_all(keeper->report_fd, &exit_code, sizeof(exit_code)))
		hs_dbg("nobody waits for this lab to be up");
	close(keeper->report_fd);
	keeper->detached = true;
}

void hs_keeper_end(struct hs_keeper *keeper, int exit_code)
{
	fflush(stdout);
	if (!keeper->detached && hs_write_all(keeper->report_fd, &exit_code, sizeof(exit_code)))
		_exit(HS_EXIT_FAILURE);
	_exit(exit_code < 0 ? HS_EXIT_FAILURE : exit_code);
}
