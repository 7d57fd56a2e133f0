// SPDX-License-Identifier: GPL-2.0-only
/*
 * Links: a descriptor on the loop with an input buffer that is cut into frames and an output queue.
 * Used by hsbpf and by the guests' agents; single-threaded.
 */
#include "frame.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/log.h"
#include "base/scoped.h"

#define MAX_QUEUED (64u << 20)
#define INPUT_BYTES (sizeof(struct hs_frame) + HS_FRAME_MAX_PAYLOAD + 1)

struct hs_link {
	struct hs_loop *loop;
	struct hs_watch watch;
	int fd;
	bool closed, *freed; /* *freed is set when a callback frees the link under its caller */
	hs_link_on_frame on_frame;
	hs_link_on_close on_close;
	void *ctx;
	char *in;
	size_t in_len;
	char *out;
	size_t out_start, out_len, out_size;
};

const char *hs_state_name(enum hs_state state)
{
	static const char *const names[HS_STATE_NR] = {
		[HS_STATE_OFF] = "off",		  [HS_STATE_STARTED] = "started", [HS_STATE_BOOTED] = "booted",
		[HS_STATE_NET_UP] = "network up", [HS_STATE_READY] = "ready",	  [HS_STATE_RESTARTED] = "restarted",
		[HS_STATE_FAILED] = "failed",
	};

	return state < HS_STATE_NR ? names[state] : "?";
}

static void close_link(struct hs_link *link, const char *reason)
{
	if (link->closed)
		return;
	link->closed = true;
	hs_loop_remove(link->loop, &link->watch);
	link->on_close(link->ctx, reason);
}

static void want_output(struct hs_link *link)
{
	hs_loop_change(link->loop, &link->watch, EPOLLIN | (link->out_len ? EPOLLOUT : 0u));
}

/* 0, or -errno when the link is dead. */
static int flush_output(struct hs_link *link)
{
	while (link->out_len) {
		ssize_t done = write(link->fd, link->out + link->out_start, link->out_len);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return errno == EAGAIN ? 0 : -errno;
		link->out_start += (size_t)done;
		link->out_len -= (size_t)done;
	}
	link->out_start = 0;
	return 0;
}

/* Cuts whole frames off the input; false when the callback freed or closed the link, or sent nonsense. */
static bool take_frames(struct hs_link *link)
{
	size_t start = 0;
	bool freed = false;

	link->freed = &freed;
	while (link->in_len - start >= sizeof(struct hs_frame)) {
		struct hs_frame frame;
		char *payload = link->in + start + sizeof(frame), saved;

		memcpy(&frame, link->in + start, sizeof(frame));
		if (frame.magic != HS_FRAME_MAGIC || frame.len > HS_FRAME_MAX_PAYLOAD || frame.type == 0 ||
		    frame.type >= HS_FRAME_TYPE_NR) {
			close_link(link, "the other end sent a malformed frame");
			return false;
		}
		if (link->in_len - start < sizeof(frame) + frame.len)
			break;
		saved = payload[frame.len];
		payload[frame.len] = '\0';
		link->on_frame(link->ctx, &frame, payload);
		if (freed)
			return false;
		payload[frame.len] = saved;
		if (link->closed)
			return false;
		start += sizeof(frame) + frame.len;
	}
	link->freed = NULL;
	memmove(link->in, link->in + start, link->in_len - start);
	link->in_len -= start;
	return true;
}

static void on_input(struct hs_link *link)
{
	ssize_t got = read(link->fd, link->in + link->in_len, INPUT_BYTES - 1 - link->in_len);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		close_link(link, got < 0 ? strerror(errno) : "the other end has closed");
		return;
	}
	link->in_len += (size_t)got;
	take_frames(link);
}

static void on_event(void *ctx, uint32_t events)
{
	struct hs_link *link = ctx;

	if (events & EPOLLOUT) {
		int err = flush_output(link);

		if (err) {
			close_link(link, strerror(-err));
			return;
		}
		want_output(link);
	}
	if (events & EPOLLIN)
		on_input(link);
	else if (events & (EPOLLHUP | EPOLLERR))
		close_link(link, "the other end has closed");
}

int hs_link_open(struct hs_loop *loop, int fd, hs_link_on_frame on_frame, hs_link_on_close on_close, void *ctx,
		 struct hs_link **out)
{
	scoped(mem) struct hs_link *link = calloc(1, sizeof(*link));
	scoped(mem) char *in = malloc(INPUT_BYTES);
	int err;

	if (!link || !in)
		return -ENOMEM;
	link->loop = loop;
	link->fd = fd;
	link->on_frame = on_frame;
	link->on_close = on_close;
	link->ctx = ctx;
	link->watch = HS_WATCH_NONE;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	err = hs_loop_add(loop, &link->watch, fd, EPOLLIN, on_event, link);
	if (err)
		return err;
	link->in = take(in);
	*out = take(link);
	return 0;
}

void hs_link_free(struct hs_link *link)
{
	if (!link)
		return;
	if (link->freed)
		*link->freed = true;
	hs_loop_remove(link->loop, &link->watch);
	close(link->fd);
	free(link->in);
	free(link->out);
	free(link);
}

static int reserve_output(struct hs_link *link, size_t len)
{
	char *grown;
	size_t size;

	if (link->out_start) {
		memmove(link->out, link->out + link->out_start, link->out_len);
		link->out_start = 0;
	}
	if (link->out_len + len <= link->out_size)
		return 0;
	if (link->out_len + len > MAX_QUEUED)
		return -ENOBUFS;
	size = (link->out_len + len) * 2;
	grown = realloc(link->out, size);
	if (!grown)
		return -ENOMEM;
	link->out = grown;
	link->out_size = size;
	return 0;
}

int hs_link_send(struct hs_link *link, struct hs_frame frame, const void *payload, size_t len)
{
	int err;

	if (!link || link->closed)
		return -EPIPE;
	if (len > HS_FRAME_MAX_PAYLOAD)
		return -EMSGSIZE;
	frame.magic = HS_FRAME_MAGIC;
	frame.len = (uint32_t)len;
	frame.reserved = 0;
	err = reserve_output(link, sizeof(frame) + len);
	if (err)
		return err;
	memcpy(link->out + link->out_len, &frame, sizeof(frame));
	if (len)
		memcpy(link->out + link->out_len + sizeof(frame), payload, len);
	link->out_len += sizeof(frame) + len;
	err = flush_output(link);
	want_output(link);
	return err;
}

void hs_link_wait_below(struct hs_link *link, size_t bytes)
{
	while (!link->closed && link->out_len > bytes) {
		struct pollfd wait = { .fd = link->fd, .events = POLLOUT };

		if (poll(&wait, 1, -1) < 0 && errno != EINTR)
			return;
		if (flush_output(link) < 0)
			return; /* on_event sees the error and closes */
	}
}

int hs_frame_pack_argv(char *buf, size_t size, char *const *argv)
{
	size_t used = 0;

	for (; argv && *argv; argv++) {
		size_t len = strlen(*argv) + 1;

		if (len > size - used)
			return -E2BIG;
		memcpy(buf + used, *argv, len);
		used += len;
	}
	return (int)used;
}

char **hs_frame_unpack_argv(const char *payload, size_t len)
{
	size_t count = 0;
	char **argv;

	if (len == 0 || payload[len - 1] != '\0')
		return NULL;
	for (size_t i = 0; i < len; i++)
		count += payload[i] == '\0';
	argv = calloc(count + 1, sizeof(*argv));
	for (size_t i = 0, at = 0; argv && i < count; i++) {
		argv[i] = (char *)payload + at;
		at += strlen(payload + at) + 1;
	}
	return argv;
}
