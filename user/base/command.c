// SPDX-License-Identifier: GPL-2.0-only
/* A user's command as a child with a process group of its own, so that its end takes its children too. */
#include "command.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "proc.h"

#define GRACE_NS 5000000000ull

static void on_child_end(void *ctx, uint32_t events)
{
	struct hs_command *command = ctx;
	int status;

	(void)events;
	hs_loop_close(command->loop, &command->child);
	if (waitpid(command->pid, &status, 0) == command->pid)
		command->exit_code = hs_proc_exit_code(status);
	command->pid = 0;
	command->on_end(command->ctx);
}

int hs_command_start(struct hs_command *command, struct hs_loop *loop, char *const *argv, int stdout_fd,
		     void (*on_end)(void *ctx), void *ctx)
{
	struct hs_spawn spawn = { .argv = argv,
				  .stdin_fd = isatty(STDIN_FILENO) ? -1 : STDIN_FILENO,
				  .stdout_fd = stdout_fd,
				  .stderr_fd = STDERR_FILENO,
				  .netns_fd = -1 };
	int err;

	command->loop = loop;
	command->on_end = on_end;
	command->ctx = ctx;
	err = hs_proc_spawn(&spawn, &command->pid);
	if (err)
		return hs_fail(err, "cannot run %s:", argv[0]);
	return hs_loop_child(loop, &command->child, command->pid, on_child_end, command);
}

static bool has_ended(void *ctx)
{
	const struct hs_command *command = ctx;

	return !command->pid;
}

void hs_command_end(struct hs_command *command)
{
	if (!command->pid)
		return;
	kill(-command->pid, SIGTERM);
	if (hs_loop_until(command->loop, has_ended, command, hs_now_ns() + GRACE_NS) != -ETIMEDOUT)
		return;
	kill(-command->pid, SIGKILL);
	hs_loop_until(command->loop, has_ended, command, 0);
}

void hs_command_close(struct hs_command *command)
{
	if (command->loop)
		hs_loop_close(command->loop, &command->child);
}
