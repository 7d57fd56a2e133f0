/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The time stamp counter of a guest beside its pings: where KVM tells how it runs against the host's, a burst of pings
 * is narrowed by it, and checked against it. A guest inside a guest, or under TCG, has another counter than KVM tells
 * of: all of a burst must agree, or nothing is changed. Belongs to whoever adds the bursts.
 */
#ifndef HS_GUEST_COUNTER_H
#define HS_GUEST_COUNTER_H

#include "base/json.h"
#include "timeline/guest_tsc.h"

/* = {} knows nothing. */
struct hs_guest_counter {
	pid_t vmm;		      /* process that holds the other end of the control port; 0: not known */
	struct hs_clock_list samples; /* of the host's clocks, one a burst */
	uint64_t agreed, disagreed;   /* bursts */
};

/* The port was opened: whose is it? A FIFO does not tell. */
void hs_guest_counter_open(struct hs_guest_counter *counter, int fd);

/* A burst and the guest's counter at each of its pings, 0 where there is none. */
void hs_guest_counter_refine(struct hs_guest_counter *counter, struct hs_guest_sample *pings, const uint64_t *tscs,
			     size_t ping_nr);

/* {"agreed":1,"disagreed":0} as member `key`; nothing where KVM told nothing. */
void hs_guest_counter_to_json(const struct hs_guest_counter *counter, json_object *object, const char *key);

void hs_guest_counter_clear(struct hs_guest_counter *counter);

#endif
