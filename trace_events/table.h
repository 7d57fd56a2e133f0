/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The events as data, for code that treats them all alike: writers, readers, JSON, documentation. The one
 * table is built from events.def and enums.def at compile time. Included through events.h.
 */
#ifndef HS_TRACE_EVENTS_TABLE_H
#define HS_TRACE_EVENTS_TABLE_H

enum hs_format { HS_FORMAT_DEC, HS_FORMAT_HEX, HS_FORMAT_IPV4, HS_FORMAT_ENUM };

struct hs_enum_value {
	uint32_t value;
	const char *text;
};

struct hs_enum {
	const char *name;
	const struct hs_enum_value *values;
	unsigned int value_nr;
};

/* What a field holds. All events of events.def are of numbers; the others are of events that a trace describes itself.
 */
enum hs_field_kind {
	HS_FIELD_NUMBER,
	HS_FIELD_TEXT,	   /* `count` characters; those from the first NUL on do not count */
	HS_FIELD_ARRAY,	   /* `count` numbers */
	HS_FIELD_STRING,   /* dynamic: characters up to a NUL */
	HS_FIELD_SEQUENCE, /* dynamic: numbers; at `offset` is a u16: how many */
};

struct hs_field {
	const char *name; /* as the kernel spells it */
	const char *doc;
	enum hs_format format;
	const struct hs_enum *list; /* of HS_FORMAT_ENUM, else NULL */
	const char *unit;	    /* "ns", "bytes", ...; NULL: a number of things, or no number */
	bool is_signed;
	uint16_t offset; /* from the start of the record */
	uint16_t size;	 /* bytes of a number: 1, 2, 4 or 8 */
	enum hs_field_kind kind;
	uint16_t count; /* of TEXT and ARRAY */
};

struct hs_event {
	uint16_t id;
	uint16_t size; /* bytes of a record with its header and without what is dynamic; of our own a multiple of 8 */
	const char *system;
	const char *name;
	const char *doc;
	const struct hs_field *fields;
	unsigned int field_nr;
	bool is_foreign; /* a trace describes it, it is not in hs_events: its id is another kernel's */
};

extern const struct hs_event hs_events[]; /* in the order of their ids */
extern const unsigned int hs_event_nr;

/* NULL when there is no such event. */
const struct hs_event *hs_event_find(uint16_t id);
const struct hs_event *hs_event_find_name(const char *name);

/* The value of a NUMBER, sign-extended when is_signed. `record` starts with struct hs_event_header. */
uint64_t hs_field_value(const struct hs_field *field, const void *record);

/* The name of an enum's value, NULL when it has none. */
const char *hs_enum_text(const struct hs_enum *list, uint64_t value);

/* One JSON object without newline: {"event":"kvm_pio","ts_ns":1,"tid":2,"rw":"out",...}. */
void hs_event_print_json(FILE *file, const struct hs_event *event, const void *record);

/* All events and fields as Markdown. */
void hs_events_print_doc(FILE *file);

#endif
