/* SPDX-License-Identifier: GPL-2.0-only */
/* A choice of events: by name, by pattern, by profile. Plain data, no allocation; any thread. */
#ifndef HS_TRACE_EVENTS_EVENT_SET_H
#define HS_TRACE_EVENTS_EVENT_SET_H

#include "trace_events/events.h"

struct hs_event_set {
	bool has[HS_EVENT_ID_NR];
};

/*
 * Whether the shell pattern matches its name or system:name; whether it belongs to the profile. Also of events that a
 * trace describes itself.
 */
bool hs_event_matches_glob(const struct hs_event *event, const char *pattern);
bool hs_event_is_of_profile(const struct hs_event *event, const char *profile);

/*
 * Adds every event whose name or system:name the shell pattern matches, the system being ours (nested) or the kernel's
 * (kvm); how many matched.
 */
unsigned int hs_event_set_add_glob(struct hs_event_set *set, const char *pattern);

/* Adds a profile: the name of a system (kvm, nested, vhost, net, sched, migration), "tap" for net, or "all". -ENOENT:
 * no such profile. */
int hs_event_set_add_profile(struct hs_event_set *set, const char *profile);

#endif
