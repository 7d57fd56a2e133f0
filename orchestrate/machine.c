// SPDX-License-Identifier: GPL-2.0-only
/*
 * Starts a machine's process, accepts its agent and QMP connections, and notices its end. QEMU connects to
 * sockets that are already listening, so there is no race with its start.
 */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "base/proc.h"

void hs_machine_init(struct hs_machine *machine, struct hs_loop *loop, const char *name, enum hs_machine_kind kind,
		     const struct hs_machine_ops *ops, void *ctx)
{
	*machine = (struct hs_machine){ .kind = kind,
					.loop = loop,
					.ops = ops,
					.ctx = ctx,
					.console_fd = -1,
					.exit_watch = HS_WATCH_NONE,
					.agent_listener = HS_WATCH_NONE,
					.qmp_listener = HS_WATCH_NONE };
	snprintf(machine->name, sizeof(machine->name), "%s", name);
}

static void drop_connections(struct hs_machine *machine)
{
	hs_loop_close(machine->loop, &machine->agent_listener);
	hs_loop_close(machine->loop, &machine->qmp_listener);
	hs_link_free(take(machine->link));
	hs_qmp_free(take(machine->qmp));
}

void hs_machine_clear(struct hs_machine *machine)
{
	if (machine->pid) {
		kill(machine->pid, SIGKILL);
		waitpid(machine->pid, NULL, 0);
	}
	hs_loop_close(machine->loop, &machine->exit_watch);
	drop_connections(machine);
	if (machine->console_fd >= 0)
		close(machine->console_fd);
	free(machine->console_path);
	free(machine->errors_path);
	machine->console_fd = -1;
	machine->console_path = machine->errors_path = NULL;
	machine->pid = 0;
}

void hs_machine_set_state(struct hs_machine *machine, enum hs_state state, const char *text)
{
	machine->state = state;
	if (!machine->state_ns[state])
		machine->state_ns[state] = hs_now_ns();
	snprintf(machine->state_text, sizeof(machine->state_text), "%s", text ? text : "");
	hs_dbg("%s: %s%s%s", machine->name, hs_state_name(state), text && *text ? ", " : "", text ? text : "");
}

static void on_link_frame(void *ctx, const struct hs_frame *frame, const char *payload)
{
	struct hs_machine *machine = ctx;

	machine->ops->on_frame(machine->ctx, machine, frame, payload);
}

static void on_link_close(void *ctx, const char *reason)
{
	struct hs_machine *machine = ctx;

	hs_dbg("%s: agent link: %s", machine->name, reason);
}

/* Accepts one connection and stops listening. */
static int accept_once(struct hs_machine *machine, struct hs_watch *listener)
{
	int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0)
		hs_loop_close(machine->loop, listener);
	return fd;
}

static void on_agent_connect(void *ctx, uint32_t events)
{
	struct hs_machine *machine = ctx;
	int fd = accept_once(machine, &machine->agent_listener);

	(void)events;
	if (fd >= 0 && hs_link_open(machine->loop, fd, on_link_frame, on_link_close, machine, &machine->link))
		close(fd);
}

static void on_qmp_event(void *ctx, const char *name, json_object *data, uint64_t realtime_us)
{
	struct hs_machine *machine = ctx;
	json_object *version = hs_json_get(data, "version.qemu");

	hs_dbg("%s: QMP event %s", machine->name, name);
	if (!strcmp(name, "SHUTDOWN"))
		snprintf(machine->shutdown_reason, sizeof(machine->shutdown_reason), "%s",
			 hs_json_get_string(data, "reason"));
	else if (version)
		snprintf(machine->qemu_version, sizeof(machine->qemu_version), "%u.%u.%u",
			 (unsigned)hs_json_get_u64(version, "major"), (unsigned)hs_json_get_u64(version, "minor"),
			 (unsigned)hs_json_get_u64(version, "micro"));
	if (machine->ops->on_qmp)
		machine->ops->on_qmp(machine->ctx, machine, name, data, realtime_us);
}

static void on_qmp_connect(void *ctx, uint32_t events)
{
	struct hs_machine *machine = ctx;
	int fd = accept_once(machine, &machine->qmp_listener);

	(void)events;
	if (fd >= 0 && hs_qmp_open(machine->loop, fd, on_qmp_event, machine, &machine->qmp))
		close(fd);
}

static int listen_on(struct hs_machine *machine, const char *run_dir, const char *suffix, struct hs_watch *watch,
		     hs_watch_fn on_connect)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	scoped(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err;

	if (snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s.%s", run_dir, machine->name, suffix) >=
	    (int)sizeof(address.sun_path))
		return hs_fail(-ENAMETOOLONG, "the path %s/%s.%s is too long for a socket", run_dir, machine->name,
			       suffix);
	unlink(address.sun_path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
		return hs_fail(-errno, "cannot listen on %s:", address.sun_path);
	err = hs_loop_add(machine->loop, watch, fd, EPOLLIN, on_connect, machine);
	if (!err)
		take_fd(&fd);
	return err;
}

static void on_process_exit(void *ctx, uint32_t events)
{
	struct hs_machine *machine = ctx;
	int wait_status = 0;

	(void)events;
	hs_loop_close(machine->loop, &machine->exit_watch);
	waitpid(machine->pid, &wait_status, 0);
	machine->pid = 0;
	drop_connections(machine);
	machine->ops->on_exit(machine->ctx, machine, wait_status);
}

static int open_errors(const struct hs_machine *machine)
{
	int fd = open(machine->errors_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	return fd < 0 ? hs_fail(-errno, "cannot create %s:", machine->errors_path) : fd;
}

int hs_machine_start(struct hs_machine *machine, const char *run_dir, char *const *argv, int netns_fd)
{
	struct hs_spawn spawn = { .argv = argv, .stdin_fd = -1, .stdout_fd = -1, .netns_fd = netns_fd };
	scoped(fd) int errors = open_errors(machine);
	int err;

	if (errors < 0)
		return errors;
	err = listen_on(machine, run_dir, "agent", &machine->agent_listener, on_agent_connect);
	if (!err)
		err = listen_on(machine, run_dir, "qmp", &machine->qmp_listener, on_qmp_connect);
	if (err)
		return err;
	spawn.stderr_fd = errors;
	machine->shutdown_reason[0] = '\0';
	err = hs_proc_spawn(&spawn, &machine->pid);
	if (err)
		return hs_fail(err, "cannot start %s for %s%s:", argv[0], machine->name,
			       err == -ENOENT ? " (install the package qemu-system-x86)" : "");
	hs_machine_set_state(machine, HS_STATE_STARTED, NULL);
	return hs_loop_child(machine->loop, &machine->exit_watch, machine->pid, on_process_exit, machine);
}

static void __attribute__((noreturn)) serve_in_child(pid_t parent, int netns_fd, int agent_fd)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (getppid() != parent || setns(netns_fd, CLONE_NEWNET) < 0 || dup2(agent_fd, 3) < 0)
		_exit(1);
	close_range(4, ~0u, 0);
	hs_log_set_sink(NULL, NULL);
	hs_agent_serve(3);
	_exit(0);
}

int hs_machine_start_process(struct hs_machine *machine, int netns_fd)
{
	int pair[2], err;
	pid_t parent = getpid(), child;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return hs_fail(-errno, "cannot make a socket pair for %s:", machine->name);
	child = fork();
	if (child == 0)
		serve_in_child(parent, netns_fd, pair[1]);
	close(pair[1]);
	err = child < 0 ? -errno : 0;
	if (!err)
		err = hs_link_open(machine->loop, pair[0], on_link_frame, on_link_close, machine, &machine->link);
	if (child > 0)
		machine->pid = child;
	if (err) {
		close(pair[0]);
		return hs_fail(err, "cannot start the process of %s:", machine->name);
	}
	hs_machine_set_state(machine, HS_STATE_STARTED, NULL);
	return hs_loop_child(machine->loop, &machine->exit_watch, machine->pid, on_process_exit, machine);
}

void hs_machine_signal(struct hs_machine *machine, int signal)
{
	if (machine->pid)
		kill(machine->pid, signal);
}

static void append_lines(FILE *out, const char *title, const char *path, int lines)
{
	scoped(mem) char *text = path ? hs_tail_lines(path, lines) : NULL;
	char *save = NULL;

	if (!text || !*text)
		return;
	fprintf(out, "\n  %s:", title);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		fprintf(out, "\n    %s", line);
}

/* A panic's first line says why: it belongs to the sentence, and its registers push it out of the last lines. */
static void append_panic(FILE *out, const char *console)
{
	scoped(mem) char *text = console ? hs_tail_lines(console, HS_MACHINE_LAST_LINES) : NULL;
	char *panic = text ? strstr(text, "Kernel panic") : NULL;

	if (panic)
		fprintf(out, "; its kernel said: %.*s", (int)strcspn(panic, "\n"), panic);
}

char *hs_machine_last_words(const struct hs_machine *machine)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	append_panic(out, machine->console_path);
	append_lines(out, "its QEMU said", machine->errors_path, 4);
	append_lines(out, "last lines of its console", machine->console_path, 6);
	fclose(out);
	return text;
}
