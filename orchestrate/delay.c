// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames come with the kernel's offload header and go with it: segments of up to 64 KiB in one piece, as on a veth.
 * What waits is bounded; beyond that frames are dropped, as on any link. The thread owns the frames, nothing is shared.
 */
#include "delay.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/loop.h"

#define FRAME_BYTES_MAX (65536 + 64)
#define WAITING_BYTES_MAX (256u << 20)
#define READS_MAX 64 /* of one way before the other gets its turn */

struct frame {
	struct frame *next;
	uint64_t due_ns;
	size_t bytes;
	uint8_t data[];
};

struct way {
	int from, to; /* borrowed */
	struct frame *first, **end;
	size_t waiting_bytes;
};

struct hs_delay {
	uint64_t delay_ns;
	int fds[2], stop_fd;
	struct way ways[2];
	pthread_t thread;
	bool runs;
	uint8_t buffer[FRAME_BYTES_MAX];
};

/* 1: a frame was taken; 0: there is none. One that finds no memory is lost. */
static int take_frame(struct hs_delay *delay, struct way *way)
{
	ssize_t got = read(way->from, delay->buffer, sizeof(delay->buffer));
	struct frame *frame;

	if (got <= 0)
		return 0;
	frame = way->waiting_bytes + (size_t)got > WAITING_BYTES_MAX ? NULL : malloc(sizeof(*frame) + (size_t)got);
	if (!frame)
		return 1;
	frame->next = NULL;
	frame->due_ns = hs_now_ns() + delay->delay_ns;
	frame->bytes = (size_t)got;
	memcpy(frame->data, delay->buffer, (size_t)got);
	*way->end = frame;
	way->end = &frame->next;
	way->waiting_bytes += frame->bytes;
	return 1;
}

static void drop_first(struct way *way)
{
	struct frame *frame = way->first;

	way->first = frame->next;
	if (!way->first)
		way->end = &way->first;
	way->waiting_bytes -= frame->bytes;
	free(frame);
}

/* What the other side does not take (it is down) is lost, as on any link. */
static void deliver(struct way *way, uint64_t now_ns)
{
	while (way->first && way->first->due_ns <= now_ns) {
		if (write(way->to, way->first->data, way->first->bytes) < 0 && errno == EINTR)
			continue;
		drop_first(way);
	}
}

/* Until the next frame is due; false: none waits. */
static bool time_left(const struct hs_delay *delay, struct timespec *left)
{
	uint64_t due_ns = UINT64_MAX, now_ns = hs_now_ns();

	for (int i = 0; i < 2; i++)
		if (delay->ways[i].first && delay->ways[i].first->due_ns < due_ns)
			due_ns = delay->ways[i].first->due_ns;
	if (due_ns == UINT64_MAX)
		return false;
	due_ns = due_ns > now_ns ? due_ns - now_ns : 0;
	*left = (struct timespec){ .tv_sec = (time_t)(due_ns / 1000000000), .tv_nsec = (long)(due_ns % 1000000000) };
	return true;
}

static void *carry(void *ctx)
{
	struct hs_delay *delay = ctx;
	struct pollfd polls[] = { { .fd = delay->fds[0], .events = POLLIN },
				  { .fd = delay->fds[1], .events = POLLIN },
				  { .fd = delay->stop_fd, .events = POLLIN } };

	prctl(PR_SET_TIMERSLACK, 1);
	for (;;) {
		struct timespec left;
		int ready = ppoll(polls, HS_ARRAY_SIZE(polls), time_left(delay, &left) ? &left : NULL, NULL);

		if (polls[2].revents || (ready < 0 && errno != EINTR))
			return NULL;
		for (int i = 0; i < 2; i++) {
			struct way *way = &delay->ways[i];

			for (int n = 0; n < READS_MAX && take_frame(delay, way); n++)
				continue;
			deliver(way, hs_now_ns());
		}
	}
}

int hs_delay_open(struct hs_netns *one, struct hs_netns *other, const char *name, uint64_t delay_ns,
		  struct hs_delay **out)
{
	scoped(hs_delay) struct hs_delay *delay = calloc(1, sizeof(*delay));
	int err;

	if (!delay)
		return -ENOMEM;
	delay->delay_ns = delay_ns;
	delay->fds[0] = delay->fds[1] = -1;
	delay->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (delay->stop_fd < 0)
		return hs_fail(-errno, "cannot set up the delayed link %s:", name);
	err = hs_netns_open_tap(one, name, &delay->fds[0]);
	if (!err)
		err = hs_netns_open_tap(other, name, &delay->fds[1]);
	if (err)
		return err;
	for (int i = 0; i < 2; i++)
		delay->ways[i] =
			(struct way){ .from = delay->fds[i], .to = delay->fds[1 - i], .end = &delay->ways[i].first };
	err = -pthread_create(&delay->thread, NULL, carry, delay);
	if (err)
		return hs_fail(err, "cannot start the thread of the delayed link %s:", name);
	delay->runs = true;
	*out = take(delay);
	return 0;
}

void hs_delay_free(struct hs_delay *delay)
{
	uint64_t one = 1;

	if (!delay)
		return;
	if (delay->runs && write(delay->stop_fd, &one, sizeof(one)) == sizeof(one))
		pthread_join(delay->thread, NULL);
	for (int i = 0; i < 2; i++) {
		while (delay->ways[i].first)
			drop_first(&delay->ways[i]);
		if (delay->fds[i] >= 0)
			close(delay->fds[i]);
	}
	if (delay->stop_fd >= 0)
		close(delay->stop_fd);
	free(delay);
}
