/* SPDX-License-Identifier: GPL-2.0-only */
/* Guests' clocks in the documents of runs: the pings that they were learnt from, and the bound. Pure. */
#ifndef HS_TIMELINE_GUEST_CLOCK_JSON_H
#define HS_TIMELINE_GUEST_CLOCK_JSON_H

#include "base/json.h"
#include "timeline/guest_clock.h"

/*
 * Adds members to `object`: "boot_id", "bound_ns", "wander_ppm", "best_trip_ns", "offset_ns", "drift_ppm", "steps" and
 * "bursts": [{"host_send_ns":1,"guest_recv_ns":2,"guest_send_ns":3,"host_recv_ns":4,"samples":10}]. bound_ns and what
 * follows it up to steps are null without a burst.
 */
void hs_guest_clock_to_json(struct hs_guest_clock *clock, json_object *object);

/* From what the other wrote. `clock` is empty before. -EBADMSG: bursts that cannot be, or are not in order; -ENOMEM. */
int hs_guest_clock_from_json(json_object *object, struct hs_guest_clock *clock);

#endif
