// SPDX-License-Identifier: GPL-2.0-only
/*
 * L1's part in its L2s' traces: a process that passes bytes between the ports that the host gave L1 for each of
 * them ("l2-0.agent-ctl-path") and the socket of the same name that the L2's QEMU listens on. It is transparent:
 * when the host hangs up, the L2 sees it; when the L2's QEMU comes back, it finds the host again. Nothing is
 * kept here but one buffer per direction; who does not read makes the other wait.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"
#include "guest.h"
#include "orchestrate/ports.h"

#define MAX_RELAYS 256
#define BUFFER_BYTES (64u << 10)
#define L2_PREFIX "l2-"
#define RETRY_NS 20000000u /* nothing tells when QEMU, which has made its socket, begins to listen on it */
/* Edges, not levels: a port without a host is "hung up" for as long as that lasts. */
#define EDGES (EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLRDHUP | EPOLLET)

struct buffer {
	size_t begin, end;
	char bytes[BUFFER_BYTES];
};

struct relay {
	char name[64];
	struct hs_watch port, sock;
	struct buffer *to_host, *to_l2;
};

static struct {
	struct hs_loop *loop;
	struct hs_watch arrivals, retry;
	unsigned relays_nr;
	struct relay relays[MAX_RELAYS];
} all;

static void hang_up(struct relay *relay)
{
	hs_loop_close(all.loop, &relay->sock);
	relay->to_l2->begin = relay->to_l2->end = 0;
}

/* Empties and fills one buffer once. 1: moved something; 0: must wait; -1: `from` has ended; -2: `to` has. */
static int move(struct buffer *buffer, int from, int to)
{
	int moved = 0;
	ssize_t done;

	if (buffer->begin == buffer->end) {
		done = read(from, buffer->bytes, sizeof(buffer->bytes));
		if (done == 0 || (done < 0 && errno != EAGAIN && errno != EINTR))
			return -1;
		buffer->begin = 0;
		buffer->end = done > 0 ? (size_t)done : 0;
		moved = done > 0;
	}
	if (buffer->begin == buffer->end)
		return moved;
	done = write(to, buffer->bytes + buffer->begin, buffer->end - buffer->begin);
	if (done < 0 && errno != EAGAIN && errno != EINTR)
		return -2;
	if (done > 0)
		buffer->begin += (size_t)done;
	return moved || done > 0;
}

static void on_event(void *ctx, uint32_t events);
static void on_retry(void *ctx, uint32_t events);

static bool has_host(const struct relay *relay)
{
	struct pollfd port = { .fd = relay->port.fd, .events = POLLIN };

	return poll(&port, 1, 0) >= 0 && !(port.revents & POLLHUP);
}

static bool connect_l2(struct relay *relay)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	scoped(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "/run/%s", relay->name);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno == ECONNREFUSED && all.retry.fd < 0)
			hs_loop_timer(all.loop, &all.retry, RETRY_NS, on_retry, NULL);
		return false;
	}
	if (hs_loop_add(all.loop, &relay->sock, fd, EDGES, on_event, relay))
		return false;
	take_fd(&fd);
	return true;
}

static void pump(struct relay *relay)
{
	bool moving = true;

	if (!has_host(relay)) {
		relay->to_host->begin = relay->to_host->end = 0;
		hang_up(relay);
		return;
	}
	if (relay->sock.fd < 0 && !connect_l2(relay))
		return; /* its QEMU does not run: its socket's arrival is an event */
	while (moving) {
		int down = move(relay->to_l2, relay->port.fd, relay->sock.fd);
		int up = down < 0 ? down : move(relay->to_host, relay->sock.fd, relay->port.fd);

		moving = down > 0 || up > 0;
		if (down < 0 || up < 0)
			hang_up(relay); /* whichever it was: the other end learns it */
		if (relay->sock.fd < 0)
			return;
	}
}

static void on_event(void *ctx, uint32_t events)
{
	(void)events;
	pump(ctx);
}

static void add_relay(const char *name)
{
	struct relay *relay = &all.relays[all.relays_nr];
	scoped(mem) char *path = hs_format(HS_GUEST_PORTS_DIR "/%s", name);
	scoped(fd) int fd = path ? open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC) : -1;

	if (all.relays_nr == MAX_RELAYS || strlen(name) >= sizeof(relay->name) || fd < 0) {
		guest_say("cannot pass on port %s: %s", name, strerror(fd < 0 ? errno : ENOSPC));
		return;
	}
	*relay = (struct relay){ .port = HS_WATCH_NONE, .sock = HS_WATCH_NONE };
	memcpy(relay->name, name, strlen(name) + 1);
	relay->to_host = calloc(1, sizeof(*relay->to_host));
	relay->to_l2 = calloc(1, sizeof(*relay->to_l2));
	if (!relay->to_host || !relay->to_l2 || hs_loop_add(all.loop, &relay->port, fd, EDGES, on_event, relay))
		return;
	take_fd(&fd);
	all.relays_nr++;
}

static bool is_known(const char *name)
{
	for (unsigned i = 0; i < all.relays_nr; i++)
		if (!strcmp(all.relays[i].name, name))
			return true;
	return false;
}

static void find_ports(void)
{
	scoped(dir) DIR *dir = opendir(HS_GUEST_PORTS_DIR);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, L2_PREFIX, strlen(L2_PREFIX)) && !is_known(entry->d_name))
			add_relay(entry->d_name);
}

static void pump_unconnected(void)
{
	for (unsigned i = 0; i < all.relays_nr; i++)
		if (all.relays[i].sock.fd < 0)
			pump(&all.relays[i]);
}

static void on_retry(void *ctx, uint32_t events)
{
	(void)ctx, (void)events;
	hs_loop_close(all.loop, &all.retry);
	pump_unconnected();
}

/* A port has got its name, or an L2's QEMU its socket. */
static void on_arrival(void *ctx, uint32_t events)
{
	char text[4096];

	(void)ctx, (void)events;
	while (read(all.arrivals.fd, text, sizeof(text)) > 0)
		continue;
	find_ports();
	pump_unconnected();
}

static int relay(void)
{
	scoped(fd) int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	int err = hs_loop_open(&all.loop);

	if (err)
		return err;
	all.retry = HS_WATCH_NONE;
	if (fd < 0 || inotify_add_watch(fd, HS_GUEST_PORTS_DIR, IN_CREATE) < 0 ||
	    inotify_add_watch(fd, "/run", IN_CREATE | IN_MOVED_TO) < 0)
		return -errno;
	err = hs_loop_add(all.loop, &all.arrivals, fd, EPOLLIN, on_arrival, NULL);
	if (err)
		return err;
	take_fd(&fd);
	on_arrival(NULL, 0);
	while (!err)
		err = hs_loop_step(all.loop, -1);
	return err;
}

int guest_relay_start(void)
{
	pid_t child = fork();

	if (child < 0)
		return -errno;
	if (child > 0)
		return 0;
	prctl(PR_SET_NAME, "hsbpf-relay");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close_range(3, ~0u, 0);
	guest_say("the relay of the L2s' ports ended: %s", strerror(-relay()));
	_exit(1);
}
