/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One epoll loop per process: descriptors, timers, signals and children, each a watch embedded in the
 * object that owns it. Callers write straight-line code with hs_loop_until(); nobody sleeps. One thread.
 */
#ifndef HS_BASE_LOOP_H
#define HS_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "scoped.h"

struct hs_loop;

/* `events` are epoll's. The callback may remove or free its own watch and any other. */
typedef void (*hs_watch_fn)(void *ctx, uint32_t events);

struct hs_watch {
	int fd; /* -1: not registered */
	bool is_timer;
	hs_watch_fn on_event;
	void *ctx;
};

#define HS_WATCH_NONE ((struct hs_watch){ .fd = -1 })

int hs_loop_open(struct hs_loop **out);
void hs_loop_free(struct hs_loop *loop);
HS_SCOPED(hs_loop, struct hs_loop *, hs_loop_free)

/* Watches fd (still the caller's) for `events`; the watch must stay where it is until removed. */
int hs_loop_add(struct hs_loop *loop, struct hs_watch *watch, int fd, uint32_t events, hs_watch_fn on_event, void *ctx);
int hs_loop_change(struct hs_loop *loop, struct hs_watch *watch, uint32_t events);
/* Takes the watch out; a watch that is not registered is fine. Does not close the descriptor. */
void hs_loop_remove(struct hs_loop *loop, struct hs_watch *watch);
/* Takes the watch out and closes its descriptor. */
void hs_loop_close(struct hs_loop *loop, struct hs_watch *watch);

/* A timer every `period_ns` (first after one period). The watch owns the timerfd: hs_loop_close() ends it. */
int hs_loop_timer(struct hs_loop *loop, struct hs_watch *watch, uint64_t period_ns, hs_watch_fn on_tick, void *ctx);
/* The same from first_ns on (BOOTTIME, not 0): ticks are due at first_ns + n * period_ns, however late one is seen. */
int hs_loop_timer_at(struct hs_loop *loop, struct hs_watch *watch, uint64_t first_ns, uint64_t period_ns,
		     hs_watch_fn on_tick, void *ctx);

/* Calls back once when `pid` has ended (not reaped yet). The watch owns the pidfd. */
int hs_loop_child(struct hs_loop *loop, struct hs_watch *watch, pid_t pid, hs_watch_fn on_exit, void *ctx);

/* Waits for events at most timeout_ms (-1: for ever) and dispatches them. Returns 0 or -errno. */
int hs_loop_step(struct hs_loop *loop, int timeout_ms);

typedef bool (*hs_loop_done)(void *ctx);
/* Dispatches until done(ctx) says so (0) or the BOOTTIME deadline passes (-ETIMEDOUT); deadline 0: none. */
int hs_loop_until(struct hs_loop *loop, hs_loop_done done, void *ctx, uint64_t deadline_ns);

/* CLOCK_BOOTTIME in ns. */
uint64_t hs_now_ns(void);

#endif
