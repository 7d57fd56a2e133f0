// SPDX-License-Identifier: GPL-2.0-only
/* Sockets are reached through their folder's descriptor, so that a folder's path may be longer than a socket's. */
#include "journal/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/log.h"

#define ANSWER_MS 5000
#define CLIENTS_MAX 8
#define ORDER_BYTES 256

struct client {
	struct hs_journal_control *control;
	struct hs_watch watch;
};

struct hs_journal_control {
	struct hs_journal *journal;
	int dir_fd;
	struct hs_watch listener;
	struct client clients[CLIENTS_MAX];
};

static struct sockaddr_un address_in(int dir_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/control", dir_fd);
	return address;
}

/* "level MACHINE SEVERITY" */
static void obey(struct hs_journal *journal, const char *order, char *answer, size_t size)
{
	char machine[100], level[20];
	int severity = -EINVAL, end = 0;

	if (sscanf(order, "level %99s %19s%n", machine, level, &end) == 2 && !order[end])
		severity = hs_journal_severity_parse(level);
	if (severity < 0)
		snprintf(answer, size, "the order is not understood");
	else if (hs_journal_set_level(journal, machine, severity))
		snprintf(answer, size, "this log has no machine '%s'", machine);
	else
		snprintf(answer, size, "ok");
}

static void on_order(void *ctx, uint32_t events)
{
	struct client *client = ctx;
	struct hs_journal *journal = client->control->journal;
	char order[ORDER_BYTES], answer[ORDER_BYTES];
	ssize_t got = recv(client->watch.fd, order, sizeof(order) - 1, MSG_DONTWAIT);

	(void)events;
	if (got > 0) {
		order[got] = '\0';
		obey(journal, order, answer, sizeof(answer));
		got = send(client->watch.fd, answer, strlen(answer), MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	if (got <= 0 && !(got < 0 && errno == EAGAIN))
		hs_loop_close(hs_journal_loop(journal), &client->watch);
}

static void on_connect(void *ctx, uint32_t events)
{
	struct hs_journal_control *control = ctx;
	scoped(fd) int fd = accept4(control->listener.fd, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	for (size_t i = 0; fd >= 0 && i < CLIENTS_MAX; i++) {
		struct client *client = &control->clients[i];

		if (client->watch.fd >= 0)
			continue;
		client->control = control;
		if (!hs_loop_add(hs_journal_loop(control->journal), &client->watch, fd, EPOLLIN, on_order, client))
			take_fd(&fd);
		return;
	}
}

int hs_journal_control_open(struct hs_journal *journal, const char *dir, struct hs_journal_control **out)
{
	scoped(hs_journal_control) struct hs_journal_control *control = calloc(1, sizeof(*control));
	scoped(fd) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;
	int err;

	if (!control)
		return -ENOMEM;
	control->journal = journal;
	control->listener = HS_WATCH_NONE;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		control->clients[i].watch = HS_WATCH_NONE;
	control->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (control->dir_fd < 0)
		return hs_fail(-errno, "cannot open %s:", dir);
	address = address_in(control->dir_fd);
	unlinkat(control->dir_fd, "control", 0); /* the folder is locked: who made it is gone */
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, CLIENTS_MAX) < 0)
		return hs_fail(-errno, "cannot listen on %s/control:", dir);
	err = hs_loop_add(hs_journal_loop(journal), &control->listener, fd, EPOLLIN, on_connect, control);
	if (err)
		return err;
	take_fd(&fd);
	*out = take(control);
	return 0;
}

void hs_journal_control_free(struct hs_journal_control *control)
{
	struct hs_loop *loop;

	if (!control)
		return;
	loop = hs_journal_loop(control->journal);
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		hs_loop_close(loop, &control->clients[i].watch);
	if (control->listener.fd >= 0)
		unlinkat(control->dir_fd, "control", 0);
	hs_loop_close(loop, &control->listener);
	if (control->dir_fd >= 0)
		close(control->dir_fd);
	free(control);
}

static int ask(int fd, const char *order, char *answer, size_t size)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	ssize_t got;

	if (send(fd, order, strlen(order), MSG_NOSIGNAL) < 0)
		return -errno;
	if (poll(&ready, 1, ANSWER_MS) == 0)
		return -ETIMEDOUT;
	got = recv(fd, answer, size - 1, MSG_DONTWAIT);
	answer[got > 0 ? got : 0] = '\0';
	return got < 0 ? -errno : got ? 0 : -EPIPE;
}

int hs_journal_ask_level(const char *dir, const char *machine, int severity)
{
	scoped(fd) int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	scoped(fd) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = address_in(dir_fd);
	char order[ORDER_BYTES], answer[ORDER_BYTES];
	int err;

	if (strlen(machine) > 99 || strpbrk(machine, " \t\n"))
		return hs_fail(-EINVAL, "'%s' is no machine's name", machine);
	if (fd < 0 || dir_fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return hs_fail(errno == ECONNREFUSED ? -ENOENT : -errno,
			       "no hsbpf log writes %s; -o DIR names another folder:", dir);
	snprintf(order, sizeof(order), "level %s %s", machine, hs_journal_severity_name(severity));
	err = ask(fd, order, answer, sizeof(answer));
	if (err)
		return hs_fail(err, "the log of %s does not answer:", dir);
	return strcmp(answer, "ok") ? hs_fail(-ENOENT, "%s", answer) : 0;
}
