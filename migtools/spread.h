/* SPDX-License-Identifier: GPL-2.0-only */
/* How times are spread, for people and for documents. Pure printing. */
#ifndef HS_MIGTOOLS_SPREAD_H
#define HS_MIGTOOLS_SPREAD_H

#include "base/histogram.h"
#include "base/json.h"

/* A member `key`: {count, min_ns, average_ns, p50_ns, p90_ns, p99_ns, p999_ns, max_ns}; all 0 of none. */
void hs_spread_add_json(json_object *object, const char *key, const struct hs_histogram *times);
/* "NAME  min 31.0 us, p50 ..., p90, p99, p99.9, max" and a newline on stdout; nothing of none. */
void hs_spread_print(const char *name, const struct hs_histogram *times);

#endif
