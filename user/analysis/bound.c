// SPDX-License-Identifier: GPL-2.0-only
/* Events by name. Called when an analysis starts. */
#include "analysis/bound.h"

#include <stddef.h>
#include <string.h>

static const struct hs_field *find_field(const struct hs_event *event, const char *name)
{
	for (unsigned int i = 0; i < event->field_nr; i++)
		if (!strcmp(event->fields[i].name, name))
			return &event->fields[i];
	return NULL;
}

struct hs_bound hs_bound_find(const char *event_name, const char *const *names)
{
	const struct hs_event *event = hs_event_find_name(event_name);
	struct hs_bound bound = { .id = event ? event->id : 0 };

	for (unsigned int i = 0; event && i < HS_BOUND_FIELDS && names[i]; i++) {
		bound.fields[i] = find_field(event, names[i]);
		if (!bound.fields[i])
			return (struct hs_bound){ 0 };
	}
	return bound;
}
