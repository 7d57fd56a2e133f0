/* SPDX-License-Identifier: GPL-2.0-only */
/* Clock samples in the documents that we write. Pure. */
#ifndef HS_TIMELINE_CLOCK_JSON_H
#define HS_TIMELINE_CLOCK_JSON_H

#include "base/json.h"
#include "timeline/clock.h"

/* [{"boot_ns":1,"mono_ns":2,"real_ns":3,"tsc":4,"width_ns":5}] as member `key`. */
void hs_clock_list_to_json(const struct hs_clock_list *list, json_object *object, const char *key);

/* What the other wrote; `list` is empty before. -EBADMSG: not an array, or samples that are not in order; -ENOMEM. */
int hs_clock_list_from_json(json_object *samples, struct hs_clock_list *list);

#endif
