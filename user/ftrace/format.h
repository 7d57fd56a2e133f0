/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an event of a guest's ftrace looks like: from the text of its `format` file to the description that its trace
 * gets, and from a raw event to a record of the trace. Texts and events are a guest's. Constant once parsed.
 */
#ifndef HS_FTRACE_FORMAT_H
#define HS_FTRACE_FORMAT_H

#include <stddef.h>

#include "base/scoped.h"
#include "trace_events/events.h"

/* The kernel's longest have some 20 KB, most of it is how to print them. */
#define HS_FTRACE_FORMAT_BYTES_MAX (128u << 10)
/* How much longer than the raw event a record can be: header, counts, ends of strings, alignment. */
#define HS_FTRACE_RECORD_BYTES_MAX(raw_bytes) (3 * (raw_bytes) + 64)

struct hs_ftrace_format;

/* -EBADMSG: makes no sense, *why says what (constant text); -ENOMEM. */
int hs_ftrace_format_parse(const char *system, const char *text, size_t bytes, struct hs_ftrace_format **out,
			   const char **why);

/* As it will be in the trace; the format's. */
const struct hs_event *hs_ftrace_format_event(const struct hs_ftrace_format *format);

/* Its id in front of every raw event. */
uint16_t hs_ftrace_raw_id(const void *raw);

/*
 * Writes the record with that time to `record`, which is 8-aligned and has room for HS_FTRACE_RECORD_BYTES_MAX(bytes).
 * Its bytes; 0: the event does not fit its format.
 */
size_t hs_ftrace_format_encode(const struct hs_ftrace_format *format, const void *raw, size_t bytes, uint64_t ts,
			       void *record);

void hs_ftrace_format_free(struct hs_ftrace_format *format);
HS_SCOPED(hs_ftrace_format, struct hs_ftrace_format *, hs_ftrace_format_free)

#endif
