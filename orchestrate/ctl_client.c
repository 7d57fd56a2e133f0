// SPDX-License-Identifier: GPL-2.0-only
/* The asking side of a lab's control socket: one connection per call, a loop of its own. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/proc.h"
#include "ctl.h"
#include "labdir.h"

#define EXEC_ID 1
#define ANSWER_LIMIT_NS 3000000000ull

struct client {
	struct hs_loop *loop;
	struct hs_link *link;
	struct hs_watch input;
	bool closed, answered;
	int code; /* REPLY's exit code, or EXEC_EXIT's wait status */
	json_object *document;
};

static void on_frame(void *ctx, const struct hs_frame *frame, const char *payload)
{
	struct client *client = ctx;

	if (frame->type == HS_FRAME_REPLY) {
		client->document = json_tokener_parse(payload);
	} else if (frame->type == HS_FRAME_EXEC_OUT || frame->type == HS_FRAME_EXEC_ERR) {
		hs_write_all(frame->type == HS_FRAME_EXEC_ERR ? STDERR_FILENO : STDOUT_FILENO, payload, frame->len);
		return;
	} else if (frame->type != HS_FRAME_EXEC_EXIT) {
		return;
	}
	client->code = (int)frame->value;
	client->answered = true;
}

static void on_close(void *ctx, const char *reason)
{
	(void)reason;
	((struct client *)ctx)->closed = true;
}

static bool is_over(void *ctx)
{
	const struct client *client = ctx;

	return client->answered || client->closed;
}

static int connect_to(const char *lab, struct client *client)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	scoped(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err = hs_lab_name_check(lab);

	if (err)
		return err;
	snprintf(address.sun_path, sizeof(address.sun_path), HS_LAB_ROOT "/%s/ctl", lab);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return errno == ENOENT || errno == ECONNREFUSED
			       ? hs_fail(-ENOENT,
					 "no lab '%s' is up; `hsbpf lab up --lab %s` raises it, `hsbpf lab status` "
					 "lists what runs",
					 lab, lab)
			       : hs_fail(-errno, "cannot connect to %s:", address.sun_path);
	err = hs_loop_open(&client->loop);
	if (!err)
		err = hs_link_open(client->loop, fd, on_frame, on_close, client, &client->link);
	if (!err)
		take_fd(&fd);
	return err;
}

static void close_client(struct client *client)
{
	if (client->loop)
		hs_loop_remove(client->loop, &client->input);
	hs_link_free(client->link);
	hs_loop_free(client->loop);
	json_object_put(client->document);
}

int hs_ctl_ask(const char *lab, enum hs_frame_type what, const char *payload, json_object **document)
{
	struct client client = { .input = HS_WATCH_NONE };
	int err = connect_to(lab, &client);

	if (!err)
		err = hs_link_send(client.link, (struct hs_frame){ .type = (uint16_t)what }, payload,
				   payload ? strlen(payload) : 0);
	if (!err)
		err = hs_loop_until(client.loop, is_over, &client,
				    what == HS_FRAME_STATUS ? hs_now_ns() + ANSWER_LIMIT_NS : 0);
	if (err == -ETIMEDOUT)
		hs_fail(err,
			"the lab '%s' does not answer: its owner is busy (a kernel is fetched, KVM is tried) or "
			"stopped",
			lab);
	if (!err && !client.answered)
		err = hs_fail(-EPIPE, "the lab '%s' went away", lab);
	if (!err) {
		*document = take(client.document);
		err = client.code;
	}
	close_client(&client);
	return err;
}

int hs_ctl_down(const char *lab)
{
	struct client client = { .input = HS_WATCH_NONE };
	int err = connect_to(lab, &client);

	if (!err)
		err = hs_link_send(client.link, (struct hs_frame){ .type = HS_FRAME_DOWN }, NULL, 0);
	if (!err)
		err = hs_loop_until(client.loop, is_over, &client, 0);
	close_client(&client);
	if (!err)
		hs_labdir_wait_gone(lab);
	return err;
}

static void on_stdin(void *ctx, uint32_t events)
{
	struct client *client = ctx;
	struct hs_frame frame = { .type = HS_FRAME_EXEC_IN, .id = EXEC_ID };
	char bytes[65536];
	ssize_t got = read(STDIN_FILENO, bytes, sizeof(bytes));

	(void)events;
	hs_link_send(client->link, frame, bytes, got > 0 ? (size_t)got : 0);
	hs_link_wait_below(client->link, sizeof(bytes));
	if (got <= 0)
		hs_loop_remove(client->loop, &client->input);
}

/* A file cannot be watched by epoll: it is sent whole, at once. */
static void forward_stdin(struct client *client)
{
	struct epoll_event event = { .events = EPOLLIN };
	int probe = epoll_create1(EPOLL_CLOEXEC);
	bool can_watch = epoll_ctl(probe, EPOLL_CTL_ADD, STDIN_FILENO, &event) == 0;

	close(probe);
	if (can_watch) {
		hs_loop_add(client->loop, &client->input, STDIN_FILENO, EPOLLIN, on_stdin, client);
		return;
	}
	do {
		client->input.fd = STDIN_FILENO;
		on_stdin(client, 0);
	} while (client->input.fd >= 0 && !client->closed);
}

static int send_exec(struct client *client, const char *machine, char *const *argv)
{
	char payload[32768];
	char *const head[] = { (char *)machine, NULL };
	int first = hs_frame_pack_argv(payload, sizeof(payload), head);
	int rest = first < 0 ? first : hs_frame_pack_argv(payload + first, sizeof(payload) - (size_t)first, argv);

	if (rest < 0)
		return hs_fail(rest, "the command line is longer than %zu bytes", sizeof(payload));
	return hs_link_send(client->link, (struct hs_frame){ .type = HS_FRAME_EXEC, .id = EXEC_ID }, payload,
			    (size_t)(first + rest));
}

int hs_ctl_exec(const char *lab, const char *machine, char *const *argv)
{
	struct client client = { .input = HS_WATCH_NONE };
	int err = connect_to(lab, &client);

	if (!err)
		err = send_exec(&client, machine, argv);
	if (!err) {
		forward_stdin(&client);
		err = hs_loop_until(client.loop, is_over, &client, 0);
	}
	if (!err && (!client.answered || client.code == -1))
		err = hs_fail(-EPIPE, "%s went away while %s ran", machine, argv[0]);
	if (!err)
		err = hs_proc_exit_code(client.code);
	close_client(&client);
	return err;
}
