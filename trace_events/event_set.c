// SPDX-License-Identifier: GPL-2.0-only
/* Choosing events of the table by what users type. Pure functions. */
#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "trace_events/event_set.h"

/* What the kernel calls the system: our profiles divide its kvm further. */
static const char *kernel_system(const struct hs_event *event)
{
	return strncmp(event->name, "kvm_", 4) == 0 ? "kvm" : event->system;
}

bool hs_event_matches_glob(const struct hs_event *event, const char *pattern)
{
	char full_name[300], kernel_name[300];

	snprintf(full_name, sizeof(full_name), "%s:%s", event->system, event->name);
	snprintf(kernel_name, sizeof(kernel_name), "%s:%s", kernel_system(event), event->name);
	return !fnmatch(pattern, event->name, 0) || !fnmatch(pattern, full_name, 0) ||
	       !fnmatch(pattern, kernel_name, 0);
}

bool hs_event_is_of_profile(const struct hs_event *event, const char *profile)
{
	if (!strcmp(profile, "tap")) /* packets on taps are the kernel's net events */
		profile = "net";
	return !strcmp(profile, "all") || !strcmp(profile, event->system);
}

unsigned int hs_event_set_add_glob(struct hs_event_set *set, const char *pattern)
{
	unsigned int matched_nr = 0;

	for (unsigned int i = 0; i < hs_event_nr; i++) {
		if (!hs_event_matches_glob(&hs_events[i], pattern))
			continue;
		set->has[hs_events[i].id] = true;
		matched_nr++;
	}
	return matched_nr;
}

int hs_event_set_add_profile(struct hs_event_set *set, const char *profile)
{
	int err = -ENOENT;

	for (unsigned int i = 0; i < hs_event_nr; i++) {
		if (!hs_event_is_of_profile(&hs_events[i], profile))
			continue;
		set->has[hs_events[i].id] = true;
		err = 0;
	}
	return err;
}
