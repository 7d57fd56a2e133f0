/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A queue of hypersio: in order of time, or first in, first out. What comes at the same time leaves in the order that
 * std::priority_queue of GNU libstdc++ gives it, which is part of what is to be reproduced: a binary heap whose hole
 * goes to the bottom before the last element rises from there.
 */
#ifndef HS_HYPER_SIM_COMPAT_QUEUE_H
#define HS_HYPER_SIM_COMPAT_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#define HS_COMPAT_NO_TIME UINT64_MAX

struct hs_compat_event {
	uint64_t time_ns;
	uint32_t request;
};

struct hs_compat_queue {
	struct hs_compat_event *events;
	uint32_t count, room, head; /* head: of a first-in-first-out queue, which is a ring */
	bool in_order;
};

/* 0 or -ENOMEM. */
int hs_compat_queue_add(struct hs_compat_queue *queue, uint64_t time_ns, uint32_t request);
/* The time of what leaves next, or HS_COMPAT_NO_TIME. */
uint64_t hs_compat_queue_next(const struct hs_compat_queue *queue);
/* Takes it: the queue is not empty. */
uint32_t hs_compat_queue_take(struct hs_compat_queue *queue);
void hs_compat_queue_clear(struct hs_compat_queue *queue);

#endif
