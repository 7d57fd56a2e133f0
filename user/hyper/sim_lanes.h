/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is under way in a simulation, by the time at which it comes. Everything takes one of a few fixed times, so what
 * starts later with the same one also comes later: one first-in-first-out lane for each, and the next event is the
 * earliest of the lanes' heads. Cheaper than a heap, and two that come together keep an order (the lower lane's first).
 */
#ifndef HS_HYPER_SIM_LANES_H
#define HS_HYPER_SIM_LANES_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#define HS_SIM_LANES 64 /* one bit each */
#define HS_SIM_NO_TIME UINT64_MAX

struct hs_sim_event {
	uint64_t time_ps;
	uint32_t request;
};

struct hs_sim_lane {
	struct hs_sim_event *events; /* a ring */
	uint32_t head, count, mask;
};

struct hs_sim_lanes {
	uint64_t busy; /* bit: the lane has events */
	uint64_t head_ps[HS_SIM_LANES];
	struct hs_sim_lane lane[HS_SIM_LANES];
};

static inline int hs_sim_lane_grow(struct hs_sim_lane *lane)
{
	uint32_t size = lane->events ? (lane->mask + 1) * 2 : 64;
	struct hs_sim_event *grown = size ? calloc(size, sizeof(*grown)) : NULL;

	if (!grown)
		return -ENOMEM;
	for (uint32_t i = 0; i < lane->count; i++)
		grown[i] = lane->events[(lane->head + i) & lane->mask];
	free(lane->events);
	*lane = (struct hs_sim_lane){ .events = grown, .count = lane->count, .mask = size - 1 };
	return 0;
}

/* The time is not before that of anything in the lane. 0 or -ENOMEM. */
static inline int hs_sim_lanes_add(struct hs_sim_lanes *lanes, unsigned int number, uint64_t time_ps, uint32_t request)
{
	struct hs_sim_lane *lane = &lanes->lane[number];

	if (!lane->events || lane->count > lane->mask)
		if (hs_sim_lane_grow(lane))
			return -ENOMEM;
	lane->events[(lane->head + lane->count) & lane->mask] = (struct hs_sim_event){ time_ps, request };
	if (!lane->count++) {
		lanes->head_ps[number] = time_ps;
		lanes->busy |= 1ull << number;
	}
	return 0;
}

/* When the next event comes and in which lane, or HS_SIM_NO_TIME. */
static inline uint64_t hs_sim_lanes_next(const struct hs_sim_lanes *lanes, unsigned int *number)
{
	uint64_t next_ps = HS_SIM_NO_TIME;

	for (uint64_t busy = lanes->busy; busy; busy &= busy - 1) {
		unsigned int lane = (unsigned int)__builtin_ctzll(busy);

		if (lanes->head_ps[lane] < next_ps) {
			next_ps = lanes->head_ps[lane];
			*number = lane;
		}
	}
	return next_ps;
}

/* Takes the first event of a lane that has one: its request. */
static inline uint32_t hs_sim_lanes_take(struct hs_sim_lanes *lanes, unsigned int number)
{
	struct hs_sim_lane *lane = &lanes->lane[number];
	uint32_t request = lane->events[lane->head].request;

	lane->head = (lane->head + 1) & lane->mask;
	if (--lane->count)
		lanes->head_ps[number] = lane->events[lane->head].time_ps;
	else
		lanes->busy &= ~(1ull << number);
	return request;
}

static inline void hs_sim_lanes_clear(struct hs_sim_lanes *lanes)
{
	for (unsigned int i = 0; i < HS_SIM_LANES; i++)
		free(lanes->lane[i].events);
	*lanes = (struct hs_sim_lanes){ 0 };
}

#endif
