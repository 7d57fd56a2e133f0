// SPDX-License-Identifier: GPL-2.0-only
/*
 * A handler, not a signalfd, so that a second Ctrl-C also ends a process that is not in its loop just then.
 * Children get the default actions back by exec; they have process groups of their own and see no Ctrl-C.
 */
#include "interrupt.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "log.h"

static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

static struct {
	volatile sig_atomic_t signal;
	int fd;
	struct hs_watch watch;
	void (*on_interrupt)(void *ctx);
	void *ctx;
} interrupt = { .fd = -1, .watch = { .fd = -1 } };

static void on_signal(int signal)
{
	const uint64_t one = 1;
	int saved = errno;

	if (interrupt.signal)
		_exit(128 + signal); /* what runs dies with us, the next hsbpf sweeps the rest */
	interrupt.signal = signal;
	if (write(interrupt.fd, &one, sizeof(one)) < 0)
		_exit(128 + signal);
	errno = saved;
}

static void on_readable(void *ctx, uint32_t events)
{
	uint64_t count;

	(void)ctx, (void)events;
	if (read(interrupt.fd, &count, sizeof(count)) < 0)
		return;
	hs_info("interrupted: ending well; once more ends at once");
	interrupt.on_interrupt(interrupt.ctx);
}

int hs_interrupt_open(struct hs_loop *loop, void (*on_interrupt)(void *ctx), void *ctx)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	hs_interrupt_close(loop);
	interrupt.on_interrupt = on_interrupt;
	interrupt.ctx = ctx;
	interrupt.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (interrupt.fd < 0)
		return hs_fail(-errno, "cannot create an eventfd:");
	for (size_t i = 0; i < HS_ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	return hs_loop_add(loop, &interrupt.watch, interrupt.fd, EPOLLIN, on_readable, NULL);
}

void hs_interrupt_close(struct hs_loop *loop)
{
	if (interrupt.fd < 0)
		return;
	for (size_t i = 0; i < HS_ARRAY_SIZE(signals); i++)
		signal(signals[i], SIG_DFL);
	hs_loop_close(loop, &interrupt.watch);
	interrupt.fd = -1;
}

int hs_interrupt_signal(void)
{
	return interrupt.signal;
}
