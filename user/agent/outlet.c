// SPDX-License-Identifier: GPL-2.0-only
/*
 * Non-blocking writes of frames. Epoll watches the port by edges: a virtio port whose host side is closed says "hung
 * up" for as long as that lasts, and would keep a level-triggered wait from ever waiting.
 */
#include "agent/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/scoped.h"

#define PIPE_BYTES_DEFAULT 65536

static void count(uint64_t *counter, uint64_t more)
{
	__atomic_store_n(counter, *counter + more, __ATOMIC_RELAXED);
}

int hs_outlet_open(struct hs_outlet *outlet, uint32_t cpu, size_t pipe_bytes, int epoll_fd, uint32_t epoll_tag)
{
	*outlet = (struct hs_outlet){
		.fd = -1,
		.epoll_fd = epoll_fd,
		.epoll_tag = epoll_tag,
		.cpu = (uint16_t)cpu,
		.pipe = { -1, -1 },
		.pipe_bytes = pipe_bytes,
		.page_bytes = 4096,
	};
	if (pipe2(outlet->pipe, O_CLOEXEC | O_NONBLOCK))
		return hs_fail(-errno, "cannot make a pipe:");
	if (fcntl(outlet->pipe[1], F_SETPIPE_SZ, (int)pipe_bytes) < 0) {
		hs_warn("a pipe of %zu bytes is refused (%s): /proc/sys/fs/pipe-max-size", pipe_bytes, strerror(errno));
		outlet->pipe_bytes = PIPE_BYTES_DEFAULT;
	}
	return 0;
}

/* Others look, to tell the host. */
static void set_blocked(struct hs_outlet *outlet, bool is_blocked)
{
	__atomic_store_n(&outlet->is_blocked, is_blocked, __ATOMIC_RELAXED);
}

static void close_port(struct hs_outlet *outlet)
{
	hs_outlet_drop(outlet);
	if (outlet->fd >= 0)
		close(outlet->fd);
	outlet->fd = -1;
	set_blocked(outlet, false);
}

void hs_outlet_close(struct hs_outlet *outlet)
{
	close_port(outlet);
	for (int i = 0; i < 2; i++)
		if (outlet->pipe[i] >= 0)
			close(outlet->pipe[i]);
	outlet->pipe[0] = outlet->pipe[1] = -1;
}

void hs_outlet_set_port(struct hs_outlet *outlet, int fd)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u32 = outlet->epoll_tag };
	struct stat status;

	close_port(outlet);
	outlet->fd = fd;
	outlet->err = 0;
	outlet->is_socket = !fstat(fd, &status) && S_ISSOCK(status.st_mode);
	if (epoll_ctl(outlet->epoll_fd, EPOLL_CTL_ADD, fd, &event) && errno != EPERM) { /* files never block */
		hs_fail(-errno, "cannot watch a port:");
		close_port(outlet);
	}
}

void hs_outlet_reset(struct hs_outlet *outlet, bool framed, uint32_t session, uint32_t page_bytes)
{
	hs_outlet_drop(outlet);
	outlet->framed = framed;
	outlet->session = session;
	outlet->seq = 0;
	outlet->page_bytes = page_bytes;
	outlet->counts = (struct hs_wire_cpu_status){ 0 };
}

ssize_t hs_outlet_splice_in(struct hs_outlet *outlet, int ring_fd)
{
	ssize_t got =
		splice(ring_fd, NULL, outlet->pipe[1], NULL, outlet->pipe_bytes, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

	return got < 0 ? -errno : got;
}

static void begin(struct hs_outlet *outlet, uint16_t type, const void *bytes, size_t len)
{
	outlet->type = type;
	outlet->bytes = bytes;
	outlet->len = outlet->left = len;
	if (!outlet->framed)
		return;
	outlet->header = (struct hs_wire_frame){
		.type = type, .cpu = outlet->cpu, .seq = outlet->seq++, .session = outlet->session
	};
	hs_wire_seal(&outlet->header, type == HS_WIRE_PAGES ? NULL : bytes, len);
	outlet->header_left = sizeof(outlet->header);
}

void hs_outlet_begin_pages(struct hs_outlet *outlet, size_t len)
{
	begin(outlet, HS_WIRE_PAGES, NULL, len);
}

void hs_outlet_begin_bytes(struct hs_outlet *outlet, enum hs_wire_type type, const void *bytes, size_t len, void *owned)
{
	begin(outlet, (uint16_t)type, bytes, len);
	outlet->owned = owned;
}

static void take_turn(struct hs_outlet *outlet)
{
	if (!outlet->turns || outlet->has_turn)
		return;
	pthread_mutex_lock(outlet->turns);
	outlet->has_turn = true;
}

/* The frame is over, one way or the other. */
static void end_frame(struct hs_outlet *outlet)
{
	free(outlet->owned);
	outlet->owned = NULL;
	outlet->bytes = NULL;
	outlet->header_left = outlet->left = 0;
	if (outlet->has_turn)
		pthread_mutex_unlock(outlet->turns);
	outlet->has_turn = false;
}

static void count_sent(struct hs_outlet *outlet)
{
	if (outlet->type == HS_WIRE_PAGES)
		count(&outlet->counts.sent_pages, outlet->len / outlet->page_bytes);
	else if (outlet->type == HS_WIRE_PACKET)
		count(&outlet->counts.sent_packets, 1);
}

void hs_outlet_count_dropped(struct hs_outlet *outlet, enum hs_wire_type type, size_t len)
{
	if (type == HS_WIRE_PAGES) {
		count(&outlet->counts.dropped_pages, len / outlet->page_bytes);
		count(&outlet->counts.dropped_bytes, len);
	} else if (type == HS_WIRE_PACKET) {
		count(&outlet->counts.dropped_packets, 1);
		count(&outlet->counts.dropped_bytes, len);
	}
}

static void empty_pipe(struct hs_outlet *outlet)
{
	scoped(fd) int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	while (splice(outlet->pipe[0], NULL, null_fd, NULL, outlet->pipe_bytes, SPLICE_F_NONBLOCK) > 0)
		;
}

void hs_outlet_drop(struct hs_outlet *outlet)
{
	if (!hs_outlet_is_busy(outlet))
		return;
	if (!outlet->bytes)
		empty_pipe(outlet);
	hs_outlet_count_dropped(outlet, outlet->type, outlet->len);
	end_frame(outlet);
}

/* For ports that cannot splice, such as a file that is only appended to. */
static bool copy_out_of_pipe(struct hs_outlet *outlet)
{
	scoped(mem) uint8_t *copy = malloc(outlet->len);
	size_t at = outlet->len - outlet->left;

	while (copy && at < outlet->len) {
		ssize_t got = read(outlet->pipe[0], copy + at, outlet->len - at);

		if (got <= 0)
			break;
		at += (size_t)got;
	}
	if (!copy || at < outlet->len) {
		hs_outlet_drop(outlet);
		return true;
	}
	outlet->bytes = outlet->owned = take(copy);
	return true;
}

/* A write that wrote nothing: 0 or -errno. */
static bool not_written(struct hs_outlet *outlet, int err)
{
	if (err == -EINTR)
		return true;
	if (err == -EAGAIN) {
		set_blocked(outlet, true);
		return false;
	}
	if (err == -EINVAL && !outlet->header_left && !outlet->bytes)
		return copy_out_of_pipe(outlet);
	if (err) {
		hs_dbg("CPU %u: the port is gone: %s", outlet->cpu, strerror(-err));
		outlet->err = err;
		close_port(outlet);
	} else { /* a virtio port that had no room for a list of pages: they are gone */
		hs_outlet_drop(outlet);
	}
	return true;
}

static ssize_t write_some(struct hs_outlet *outlet)
{
	size_t done = outlet->len - outlet->left;
	ssize_t wrote;

	if (outlet->header_left) {
		const uint8_t *end = (const uint8_t *)(&outlet->header + 1);

		wrote = write(outlet->fd, end - outlet->header_left, outlet->header_left);
	} else if (outlet->bytes) {
		wrote = write(outlet->fd, outlet->bytes + done, outlet->left);
	} else {
		wrote = splice(outlet->pipe[0], NULL, outlet->fd, NULL, outlet->left,
			       SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	}
	return wrote < 0 ? -errno : wrote;
}

bool hs_outlet_push(struct hs_outlet *outlet)
{
	ssize_t wrote;

	take_turn(outlet);
	wrote = write_some(outlet);
	if (wrote <= 0)
		return not_written(outlet, (int)wrote);
	count(&outlet->counts.sent_bytes, (uint64_t)wrote);
	if (outlet->header_left)
		outlet->header_left -= (size_t)wrote;
	else
		outlet->left -= (size_t)wrote;
	if (hs_outlet_is_busy(outlet))
		return true;
	count_sent(outlet);
	end_frame(outlet);
	return true;
}

void hs_outlet_on_event(struct hs_outlet *outlet, uint32_t events)
{
	set_blocked(outlet, false); /* or the next write says so again */
	if (outlet->is_socket && events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))
		close_port(outlet);
}

static uint64_t read_count(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void hs_outlet_counts(const struct hs_outlet *outlet, struct hs_wire_cpu_status *status)
{
	status->sent_pages = read_count(&outlet->counts.sent_pages);
	status->sent_packets = read_count(&outlet->counts.sent_packets);
	status->sent_bytes = read_count(&outlet->counts.sent_bytes);
	status->dropped_pages = read_count(&outlet->counts.dropped_pages);
	status->dropped_bytes = read_count(&outlet->counts.dropped_bytes);
	status->dropped_packets = read_count(&outlet->counts.dropped_packets);
}
