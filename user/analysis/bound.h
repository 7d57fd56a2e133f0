/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events of which an analysis needs a few fields only, found by the kernel's names in the event table: such an analysis
 * works with every row that has them, whatever else the row holds. Constant data once found; any thread.
 */
#ifndef HS_ANALYSIS_BOUND_H
#define HS_ANALYSIS_BOUND_H

#include "trace_events/events.h"

#define HS_BOUND_FIELDS 6

/* id 0: the table has no such event, or not all of the fields; no record has that id. */
struct hs_bound {
	uint16_t id;
	const struct hs_field *fields[HS_BOUND_FIELDS];
};

/* `names` ends with NULL, HS_BOUND_FIELDS at most. */
struct hs_bound hs_bound_find(const char *event, const char *const *names);

/* Of a record of that event: the field that was named at this place. */
static inline uint64_t hs_bound_get(const struct hs_bound *bound, const void *record, unsigned int place)
{
	return hs_field_value(bound->fields[place], record);
}

#endif
