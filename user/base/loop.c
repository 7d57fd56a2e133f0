// SPDX-License-Identifier: GPL-2.0-only
/*
 * epoll under hs_watch. A callback may remove watches whose events are still in the batch being
 * dispatched: hs_loop_remove() blanks those, so a freed watch is never called.
 */
#include "loop.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>

#include "log.h"

#define BATCH 64

struct hs_loop {
	int epoll_fd;
	int batch_len; /* events of the batch under way */
	struct epoll_event batch[BATCH];
};

uint64_t hs_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int hs_loop_open(struct hs_loop **out)
{
	scoped(mem) struct hs_loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return -ENOMEM;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
		return hs_fail(-errno, "cannot create an epoll descriptor:");
	*out = take(loop);
	return 0;
}

void hs_loop_free(struct hs_loop *loop)
{
	if (!loop)
		return;
	close(loop->epoll_fd);
	free(loop);
}

int hs_loop_add(struct hs_loop *loop, struct hs_watch *watch, int fd, uint32_t events, hs_watch_fn on_event, void *ctx)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return hs_fail(-errno, "cannot watch descriptor %d:", fd);
	*watch = (struct hs_watch){ .fd = fd, .on_event = on_event, .ctx = ctx };
	return 0;
}

int hs_loop_change(struct hs_loop *loop, struct hs_watch *watch, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) < 0 ? -errno : 0;
}

void hs_loop_remove(struct hs_loop *loop, struct hs_watch *watch)
{
	if (watch->fd < 0)
		return;
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	watch->fd = -1;
	for (int i = 0; i < loop->batch_len; i++)
		if (loop->batch[i].data.ptr == watch)
			loop->batch[i].data.ptr = NULL;
}

void hs_loop_close(struct hs_loop *loop, struct hs_watch *watch)
{
	int fd = watch->fd;

	hs_loop_remove(loop, watch);
	if (fd >= 0)
		close(fd);
}

int hs_loop_timer(struct hs_loop *loop, struct hs_watch *watch, uint64_t period_ns, hs_watch_fn on_tick, void *ctx)
{
	return hs_loop_timer_at(loop, watch, hs_now_ns() + period_ns, period_ns, on_tick, ctx);
}

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u) };
}

int hs_loop_timer_at(struct hs_loop *loop, struct hs_watch *watch, uint64_t first_ns, uint64_t period_ns,
		     hs_watch_fn on_tick, void *ctx)
{
	struct itimerspec spec = { .it_interval = to_timespec(period_ns), .it_value = to_timespec(first_ns) };
	scoped(fd) int fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	int err;

	if (fd < 0 || timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL) < 0)
		return hs_fail(-errno, "cannot create a timer:");
	err = hs_loop_add(loop, watch, fd, EPOLLIN, on_tick, ctx);
	if (err)
		return err;
	watch->is_timer = true;
	take_fd(&fd);
	return 0;
}

int hs_loop_child(struct hs_loop *loop, struct hs_watch *watch, pid_t pid, hs_watch_fn on_exit, void *ctx)
{
	scoped(fd) int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	int err;

	if (fd < 0)
		return hs_fail(-errno, "cannot watch process %d:", pid);
	err = hs_loop_add(loop, watch, fd, EPOLLIN, on_exit, ctx);
	if (!err)
		take_fd(&fd);
	return err;
}

/* A timer must be read, or epoll reports it again at once; other descriptors are the callback's. */
static void clear_timer(const struct hs_watch *watch)
{
	uint64_t ticks;

	if (watch->is_timer && read(watch->fd, &ticks, sizeof(ticks)) < 0)
		return; /* EAGAIN: rearmed meanwhile */
}

int hs_loop_step(struct hs_loop *loop, int timeout_ms)
{
	int count = epoll_wait(loop->epoll_fd, loop->batch, BATCH, timeout_ms);

	if (count < 0)
		return errno == EINTR ? 0 : hs_fail(-errno, "cannot wait for events:");
	loop->batch_len = count;
	for (int i = 0; i < count; i++) {
		struct hs_watch *watch = loop->batch[i].data.ptr;

		if (!watch)
			continue;
		clear_timer(watch);
		watch->on_event(watch->ctx, loop->batch[i].events);
	}
	loop->batch_len = 0;
	return 0;
}

static int ms_until(uint64_t deadline_ns)
{
	uint64_t now = hs_now_ns(), left_ms;

	if (!deadline_ns)
		return -1;
	if (now >= deadline_ns)
		return 0;
	left_ms = (deadline_ns - now) / 1000000u + 1;
	return left_ms > 60000 ? 60000 : (int)left_ms;
}

int hs_loop_until(struct hs_loop *loop, hs_loop_done done, void *ctx, uint64_t deadline_ns)
{
	while (!done(ctx)) {
		int err;

		if (deadline_ns && hs_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
		err = hs_loop_step(loop, ms_until(deadline_ns));
		if (err)
			return err;
	}
	return 0;
}
