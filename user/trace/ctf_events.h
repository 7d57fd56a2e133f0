/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events that a trace describes itself, ftrace's of a guest and what programs told: their part of the metadata is
 * written and read here, as the same structs that our own events have. Stream class 1 of a trace. Pure functions but
 * for the list's memory.
 *
 * A record is struct hs_event_header, the fixed fields without padding (of a SEQUENCE its count), the contents of the
 * SEQUENCEs, the STRINGs, and up to 7 unused bytes. An event's STRINGs stand behind its other fields.
 */
#ifndef HS_TRACE_CTF_EVENTS_H
#define HS_TRACE_CTF_EVENTS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/scoped.h"
#include "trace_events/events.h"

#define HS_CTF_FTRACE_STREAM 1
/* Ids from here on are of no kernel: what programs told (ctf_told.h), in files with that prefix. */
#define HS_CTF_TOLD_ID_FIRST 0xff00u
#define HS_CTF_TOLD_PREFIX "told_"
#define HS_CTF_EVENT_FIELDS_MAX 256
#define HS_CTF_ENUM_VALUES_MAX 256
/* Of metadata: every event of a kernel has some 2 MB. */
#define HS_CTF_METADATA_BYTES_MAX (16u << 20)

/* The declaration of the stream class, and of one event. Names and texts must be fit for it, see below. */
void hs_ctf_events_print_stream(FILE *file);
void hs_ctf_event_print(FILE *file, const struct hs_event *event);

/* An identifier of at most 127 bytes; a text for a value: printable, no quote or backslash, at most 127 bytes. */
bool hs_ctf_is_name(const char *text);
bool hs_ctf_is_label(const char *text);

/* Of events and enums made piece by piece: the struct, its fields, values, names are malloc'd. */
void hs_ctf_enum_free(const struct hs_enum *list);
HS_SCOPED(hs_ctf_enum, struct hs_enum *, hs_ctf_enum_free)
void hs_ctf_event_free(struct hs_event *event);
HS_SCOPED(hs_ctf_event, struct hs_event *, hs_ctf_event_free)

struct hs_ctf_events {
	struct hs_event **events; /* in the order of the text */
	size_t event_nr;
	uint32_t id_nr;	       /* one more than the highest id */
	uint32_t *index_of_id; /* 1 + index into events; 0: no such event */
};

/*
 * Reads the events of stream class 1 from a metadata text; a trace without any has none. -EBADMSG: *line is one that
 * hsbpf does not write; -ENOMEM.
 */
int hs_ctf_events_parse(const char *text, struct hs_ctf_events **out, unsigned int *line);

/* Whether the text declares stream class 1. */
bool hs_ctf_events_has_stream(const char *text);

static inline const struct hs_event *hs_ctf_events_find(const struct hs_ctf_events *events, uint16_t id)
{
	uint32_t at = id < events->id_nr ? events->index_of_id[id] : 0;

	return at ? events->events[at - 1] : NULL;
}

/* Bytes of the record at `record` with what is unused at its end; 0: it is longer than `bytes`. */
size_t hs_ctf_event_record_bytes(const struct hs_event *event, const void *record, size_t bytes);

/* Where TEXT, ARRAY, STRING, SEQUENCE have their characters or numbers, and how many. `record` is a whole one. */
const void *hs_ctf_field_content(const struct hs_event *event, const struct hs_field *field, const void *record,
				 size_t *count);
/* Number `index` of such an ARRAY or SEQUENCE, sign-extended when is_signed. */
uint64_t hs_ctf_field_number(const struct hs_field *field, const void *content, size_t index);

void hs_ctf_events_free(struct hs_ctf_events *events);
HS_SCOPED(hs_ctf_events, struct hs_ctf_events *, hs_ctf_events_free)

#endif
