// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs started by EXEC frames: pipes to frames and back, the exit status last. An exec lives from its
 * EXEC frame until its EXEC_EXIT was sent: child reaped and both outputs at end of file.
 */
#include "agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/proc.h"

#define MAX_EXECS 64
#define QUEUE_BYTES (1u << 20)
#define INPUT_BYTES_MAX (16u << 20) /* of stdin that a program has not read yet */
#define LISTEN_POLL_NS 10000000u    /* nothing tells when another process starts to listen: look 100 times a second */
#define TCP_LISTEN_STATE 0x0a	    /* st column of /proc/net/tcp */

struct exec {
	struct hs_agent *agent;
	bool used, reaped;
	uint32_t id;
	pid_t pid;
	int wait_status;
	struct hs_watch in, out, err, listen_timer;
	char *input; /* not taken by the program yet */
	size_t input_len;
	bool input_ended;
	uint16_t port;
};

struct hs_agent {
	struct hs_loop *loop;
	struct hs_link *link;
	struct hs_watch child_signal;
	bool closed;
	hs_agent_on_other on_other;
	hs_agent_on_child on_child;
	void *ctx;
	struct exec execs[MAX_EXECS];
};

static void send_exec(struct exec *exec, enum hs_frame_type type, uint32_t value, const void *bytes, size_t len)
{
	struct hs_frame frame = { .type = (uint16_t)type, .id = exec->id, .value = value };

	hs_link_send(exec->agent->link, frame, bytes, len);
}

static void close_input(struct exec *exec)
{
	hs_loop_close(exec->agent->loop, &exec->in);
	free(exec->input);
	exec->input = NULL;
	exec->input_len = 0;
}

static void release_exec(struct exec *exec)
{
	hs_loop_close(exec->agent->loop, &exec->out);
	hs_loop_close(exec->agent->loop, &exec->err);
	hs_loop_close(exec->agent->loop, &exec->listen_timer);
	close_input(exec);
	exec->used = false;
}

static void finish_if_over(struct exec *exec)
{
	if (!exec->reaped || exec->out.fd >= 0 || exec->err.fd >= 0)
		return;
	send_exec(exec, HS_FRAME_EXEC_EXIT, (uint32_t)exec->wait_status, NULL, 0);
	release_exec(exec);
}

static void pump(struct exec *exec, struct hs_watch *watch, enum hs_frame_type type)
{
	char bytes[65536];
	ssize_t got = read(watch->fd, bytes, sizeof(bytes));

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (got > 0) {
		send_exec(exec, type, 0, bytes, (size_t)got);
		hs_link_wait_below(exec->agent->link, QUEUE_BYTES);
		return;
	}
	hs_loop_close(exec->agent->loop, watch);
	finish_if_over(exec);
}

static void on_stdout(void *ctx, uint32_t events)
{
	struct exec *exec = ctx;

	(void)events;
	pump(exec, &exec->out, HS_FRAME_EXEC_OUT);
}

static void on_stderr(void *ctx, uint32_t events)
{
	struct exec *exec = ctx;

	(void)events;
	pump(exec, &exec->err, HS_FRAME_EXEC_ERR);
}

/* Looks in /proc/net/tcp{,6} for a socket in LISTEN state on the port. */
static bool is_listening(uint16_t port)
{
	static const char *const tables[] = { "/proc/net/tcp", "/proc/net/tcp6" };

	for (size_t i = 0; i < HS_ARRAY_SIZE(tables); i++) {
		scoped(mem) char *text = NULL;
		char *save = NULL;

		if (hs_read_file(tables[i], 1 << 20, &text, NULL))
			continue;
		for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
			unsigned local_port, state;

			if (sscanf(line, " %*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x", &local_port, &state) == 2 &&
			    local_port == port && state == TCP_LISTEN_STATE)
				return true;
		}
	}
	return false;
}

static void on_listen_tick(void *ctx, uint32_t events)
{
	struct exec *exec = ctx;

	(void)events;
	if (!is_listening(exec->port))
		return;
	hs_loop_close(exec->agent->loop, &exec->listen_timer);
	send_exec(exec, HS_FRAME_EXEC_READY, 0, NULL, 0);
}

static struct exec *find_exec(struct hs_agent *agent, uint32_t id)
{
	for (int i = 0; i < MAX_EXECS; i++)
		if (agent->execs[i].used && agent->execs[i].id == id)
			return &agent->execs[i];
	return NULL;
}

static struct exec *new_exec(struct hs_agent *agent, uint32_t id)
{
	for (int i = 0; i < MAX_EXECS; i++) {
		struct exec *exec = &agent->execs[i];

		if (exec->used)
			continue;
		*exec = (struct exec){ .agent = agent,
				       .used = true,
				       .id = id,
				       .in = HS_WATCH_NONE,
				       .out = HS_WATCH_NONE,
				       .err = HS_WATCH_NONE,
				       .listen_timer = HS_WATCH_NONE };
		return exec;
	}
	return NULL;
}

/* Gives the program what it takes of its stdin; the rest waits for room. */
static void flush_input(struct exec *exec)
{
	while (exec->input_len) {
		ssize_t done = write(exec->in.fd, exec->input, exec->input_len);

		if (done < 0 && errno == EAGAIN) {
			hs_loop_change(exec->agent->loop, &exec->in, EPOLLOUT);
			return;
		}
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0) {
			close_input(exec);
			return;
		}
		exec->input_len -= (size_t)done;
		memmove(exec->input, exec->input + done, exec->input_len);
	}
	if (exec->input_ended)
		close_input(exec);
	else
		hs_loop_change(exec->agent->loop, &exec->in, 0);
}

static void on_stdin_room(void *ctx, uint32_t events)
{
	struct exec *exec = ctx;

	if (events & EPOLLERR)
		close_input(exec); /* nobody reads it any more */
	else
		flush_input(exec);
}

/* Starts the program with three pipes; on success the exec owns our ends. */
static int start_program(struct exec *exec, char *const *argv)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, err[2] = { -1, -1 };
	struct hs_spawn spawn = { .argv = argv, .netns_fd = -1 };
	int result;

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0) {
		result = -errno;
	} else {
		spawn.stdin_fd = in[0], spawn.stdout_fd = out[1], spawn.stderr_fd = err[1];
		result = hs_proc_spawn(&spawn, &exec->pid);
	}
	for (int i = 0; i < 3; i++) {
		int *pair = i == 0 ? in : i == 1 ? out : err;
		int theirs = i == 0 ? 0 : 1;

		if (pair[theirs] >= 0)
			close(pair[theirs]);
		if (result && pair[!theirs] >= 0)
			close(pair[!theirs]);
	}
	if (result)
		return result;
	fcntl(in[1], F_SETFL, O_NONBLOCK);
	if (hs_loop_add(exec->agent->loop, &exec->in, in[1], 0, on_stdin_room, exec))
		close(in[1]);
	if (hs_loop_add(exec->agent->loop, &exec->out, out[0], EPOLLIN, on_stdout, exec))
		close(out[0]);
	if (hs_loop_add(exec->agent->loop, &exec->err, err[0], EPOLLIN, on_stderr, exec))
		close(err[0]);
	return 0;
}

static void refuse_exec(struct hs_agent *agent, uint32_t id, const char *program, const char *reason)
{
	struct hs_frame frame = { .type = HS_FRAME_EXEC_ERR, .id = id };
	char text[512];
	int len = snprintf(text, sizeof(text), "cannot run %s: %s\n", program, reason);

	hs_link_send(agent->link, frame, text, len < (int)sizeof(text) ? (size_t)len : sizeof(text) - 1);
	frame.type = HS_FRAME_EXEC_EXIT;
	frame.value = 127 << 8;
	hs_link_send(agent->link, frame, NULL, 0);
}

static void on_exec(struct hs_agent *agent, const struct hs_frame *frame, const char *payload)
{
	scoped(mem) char **argv = hs_frame_unpack_argv(payload, frame->len);
	struct exec *exec = argv ? new_exec(agent, frame->id) : NULL;
	int err;

	if (!exec) {
		refuse_exec(agent, frame->id, argv ? argv[0] : "?",
			    argv ? "too many programs run at once" : "no command was given");
		return;
	}
	err = start_program(exec, argv);
	if (err) {
		exec->used = false;
		refuse_exec(agent, frame->id, argv[0], strerror(-err));
		return;
	}
	exec->port = (uint16_t)frame->value;
	if (exec->port)
		hs_loop_timer(agent->loop, &exec->listen_timer, LISTEN_POLL_NS, on_listen_tick, exec);
}

static void on_exec_input(struct exec *exec, const char *bytes, size_t len)
{
	char *grown;

	if (exec->in.fd < 0)
		return; /* the program has closed its stdin */
	if (len == 0) {
		exec->input_ended = true;
		flush_input(exec);
		return;
	}
	grown = exec->input_len + len > INPUT_BYTES_MAX ? NULL : realloc(exec->input, exec->input_len + len);
	if (!grown) {
		static const char why[] =
			"hsbpf: the program reads its stdin too slowly, more than 16 MiB wait: ended\n";

		send_exec(exec, HS_FRAME_EXEC_ERR, 0, why, sizeof(why) - 1);
		kill(-exec->pid, SIGKILL);
		close_input(exec);
		return;
	}
	memcpy(grown + exec->input_len, bytes, len);
	exec->input = grown;
	exec->input_len += len;
	flush_input(exec);
}

static void on_frame(void *ctx, const struct hs_frame *frame, const char *payload)
{
	struct hs_agent *agent = ctx;
	struct exec *exec = find_exec(agent, frame->id);

	if (frame->machine == 0 && frame->type == HS_FRAME_EXEC) {
		on_exec(agent, frame, payload);
	} else if (frame->machine == 0 && frame->type == HS_FRAME_EXEC_IN) {
		if (exec)
			on_exec_input(exec, payload, frame->len);
	} else if (frame->machine == 0 && frame->type == HS_FRAME_EXEC_KILL) {
		if (exec && !exec->reaped)
			kill(-exec->pid, (int)frame->value); /* its process group */
	} else if (agent->on_other) {
		agent->on_other(agent->ctx, frame, payload);
	}
}

static void on_close(void *ctx, const char *reason)
{
	struct hs_agent *agent = ctx;

	(void)reason;
	agent->closed = true;
}

static void on_child_signal(void *ctx, uint32_t events)
{
	struct hs_agent *agent = ctx;
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	(void)events;
	if (read(agent->child_signal.fd, &info, sizeof(info)) < 0)
		return;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct exec *exec = NULL;

		for (int i = 0; i < MAX_EXECS && !exec; i++)
			if (agent->execs[i].used && !agent->execs[i].reaped && agent->execs[i].pid == pid)
				exec = &agent->execs[i];
		if (exec) {
			exec->reaped = true;
			exec->wait_status = status;
			finish_if_over(exec);
		} else if (agent->on_child) {
			agent->on_child(agent->ctx, pid, status);
		}
	}
}

int hs_agent_open(struct hs_loop *loop, int fd, hs_agent_on_other on_other, hs_agent_on_child on_child, void *ctx,
		  struct hs_agent **out)
{
	scoped(mem) struct hs_agent *agent = calloc(1, sizeof(*agent));
	int signal_fd, err;
	sigset_t child;

	if (!agent)
		return -ENOMEM;
	agent->loop = loop;
	agent->on_other = on_other;
	agent->on_child = on_child;
	agent->ctx = ctx;
	agent->child_signal = HS_WATCH_NONE;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	signal_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signal_fd < 0)
		return hs_fail(-errno, "cannot wait for children:");
	err = hs_loop_add(loop, &agent->child_signal, signal_fd, EPOLLIN, on_child_signal, agent);
	if (!err)
		err = hs_link_open(loop, fd, on_frame, on_close, agent, &agent->link);
	if (err) {
		hs_loop_close(loop, &agent->child_signal);
		return err;
	}
	*out = take(agent);
	return 0;
}

void hs_agent_free(struct hs_agent *agent)
{
	if (!agent)
		return;
	for (int i = 0; i < MAX_EXECS; i++) {
		struct exec *exec = &agent->execs[i];

		if (!exec->used)
			continue;
		if (!exec->reaped)
			kill(-exec->pid, SIGKILL);
		release_exec(exec);
	}
	hs_loop_close(agent->loop, &agent->child_signal);
	hs_link_free(agent->link);
	free(agent);
}

bool hs_agent_is_closed(const struct hs_agent *agent)
{
	return agent->closed;
}

struct hs_link *hs_agent_link(struct hs_agent *agent)
{
	return agent->link;
}

int hs_agent_tell(struct hs_agent *agent, uint16_t machine, enum hs_state state, const char *text)
{
	struct hs_frame frame = { .type = HS_FRAME_STATE, .machine = machine, .value = state };

	return hs_link_send(agent->link, frame, text, text ? strlen(text) : 0);
}

static bool is_closed(void *ctx)
{
	return hs_agent_is_closed(ctx);
}

void hs_agent_serve(int fd)
{
	scoped(hs_loop) struct hs_loop *loop = NULL;
	struct hs_agent *agent = NULL;
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (hs_loop_open(&loop) || hs_agent_open(loop, fd, NULL, NULL, NULL, &agent))
		return;
	hs_agent_tell(agent, 0, HS_STATE_READY, NULL);
	hs_loop_until(loop, is_closed, agent, 0);
	hs_agent_free(agent);
}
