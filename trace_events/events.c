// SPDX-License-Identifier: GPL-2.0-only
/*
 * The event table and what is printed from it alone. Constant data and pure functions: any thread, any time.
 */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "trace_events/events.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define ENUM(list) static const struct hs_enum_value values_##list[] = {
#define VALUE(number, text) { number, text },
#define END_ENUM(list)                                                                                                 \
	}                                                                                                              \
	;
#include "trace_events/enums.def"

#define ENUM(list) static const struct hs_enum enum_##list = { #list, values_##list, ARRAY_SIZE(values_##list) };
#define VALUE(number, text)
#define END_ENUM(list)
#include "trace_events/enums.def"

#define FORMAT_DEC HS_FORMAT_DEC, NULL, NULL
#define FORMAT_NS HS_FORMAT_DEC, NULL, "ns"
#define FORMAT_BYTES HS_FORMAT_DEC, NULL, "bytes"
#define FORMAT_PAGES HS_FORMAT_DEC, NULL, "pages"
#define FORMAT_CYCLES HS_FORMAT_DEC, NULL, "cycles"
#define FORMAT_HEX HS_FORMAT_HEX, NULL, NULL
#define FORMAT_IPV4 HS_FORMAT_IPV4, NULL, NULL
#define FORMAT_ENUM(list) HS_FORMAT_ENUM, &enum_##list, NULL

/* Where an event stands in hs_events. */
enum {
#define EVENT(id, system, name, doc) ROW_##name,
#define FIELD_AS(type, member, name, format, doc)
#define END_EVENT(name)
#include "trace_events/events.def"
};

/* Not const: rows do not know the struct that they are in, so set_offsets() adds up where each field lies. */
#define EVENT(id, system, name, doc) static struct hs_field fields_##name[] = {
#define FIELD_AS(type, member, name, format, doc)                                                                      \
	{ name, doc, FORMAT_##format, (HS_TYPE_##type) - 1 < (HS_TYPE_##type)1, 0, sizeof(HS_TYPE_##type) },
#define END_EVENT(name)                                                                                                \
	}                                                                                                              \
	;
#include "trace_events/events.def"

const struct hs_event hs_events[] = {
#define EVENT(id, system, name, doc)                                                                                   \
	{ id, sizeof(struct hs_event_##name), #system, #name, doc, fields_##name, ARRAY_SIZE(fields_##name) },
#define FIELD_AS(type, member, name, format, doc)
#define END_EVENT(name)
#include "trace_events/events.def"
};
const unsigned int hs_event_nr = ARRAY_SIZE(hs_events);

static void set_row_offsets(struct hs_field *fields, size_t field_nr)
{
	uint16_t offset = sizeof(struct hs_event_header);

	for (size_t i = 0; i < field_nr; i++) {
		fields[i].offset = offset;
		offset += fields[i].size;
	}
}

/* Sums are offsets because events.h refuses padding. */
__attribute__((constructor)) static void set_offsets(void)
{
#define EVENT(id, system, name, doc) set_row_offsets(fields_##name, ARRAY_SIZE(fields_##name));
#define FIELD_AS(type, member, name, format, doc)
#define END_EVENT(name)
#include "trace_events/events.def"
}

const struct hs_event *hs_event_find(uint16_t id)
{
	static const uint8_t row[HS_EVENT_ID_NR] = {
#define EVENT(id, system, name, doc) [id] = 1 + ROW_##name,
#define FIELD_AS(type, member, name, format, doc)
#define END_EVENT(name)
#include "trace_events/events.def"
	};

	return id < HS_EVENT_ID_NR && row[id] ? &hs_events[row[id] - 1] : NULL;
}

const struct hs_event *hs_event_find_name(const char *name)
{
	for (unsigned int i = 0; i < hs_event_nr; i++) {
		if (!strcmp(hs_events[i].name, name))
			return &hs_events[i];
	}
	return NULL;
}

uint64_t hs_field_value(const struct hs_field *field, const void *record)
{
	uint64_t value = 0;
	unsigned int spare_bits = 64 - 8 * field->size;

	memcpy(&value, (const char *)record + field->offset, field->size);
	return field->is_signed ? (uint64_t)((int64_t)(value << spare_bits) >> spare_bits) : value;
}

const char *hs_enum_text(const struct hs_enum *list, uint64_t value)
{
	for (unsigned int i = 0; i < list->value_nr; i++) {
		if (list->values[i].value == value)
			return list->values[i].text;
	}
	return NULL;
}

/* All words come from our own tables: nothing to escape. */
static void print_value(FILE *file, const struct hs_field *field, uint64_t value)
{
	const char *text = field->list ? hs_enum_text(field->list, value) : NULL;

	if (text)
		fprintf(file, "\"%s\"", text);
	else if (field->format == HS_FORMAT_IPV4)
		fprintf(file, "\"%u.%u.%u.%u\"", (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
			(uint8_t)value);
	else if (field->is_signed)
		fprintf(file, "%" PRId64, (int64_t)value);
	else
		fprintf(file, "%" PRIu64, value);
}

void hs_event_print_json(FILE *file, const struct hs_event *event, const void *record)
{
	const struct hs_event_header *header = record;

	fprintf(file, "{\"event\":\"%s\",\"ts_ns\":%" PRIu64 ",\"tid\":%u", event->name, header->ts, header->tid);
	for (unsigned int i = 0; i < event->field_nr; i++) {
		fprintf(file, ",\"%s\":", event->fields[i].name);
		print_value(file, &event->fields[i], hs_field_value(&event->fields[i], record));
	}
	fputc('}', file);
}

static void print_event_doc(FILE *file, const struct hs_event *event)
{
	fprintf(file, "## %s:%s\n%s. Id %u, %u bytes.\n\n", event->system, event->name, event->doc, event->id,
		event->size);
	fputs("| offset | type | field | unit | meaning |\n|---|---|---|---|---|\n", file);
	for (unsigned int i = 0; i < event->field_nr; i++) {
		const struct hs_field *field = &event->fields[i];

		fprintf(file, "| %u | %c%u | %s | %s | %s |\n", field->offset, field->is_signed ? 's' : 'u',
			8 * field->size, field->name, field->unit ? field->unit : "", field->doc);
	}
	fputc('\n', file);
}

void hs_events_print_doc(FILE *file)
{
	for (unsigned int i = 0; i < hs_event_nr; i++)
		print_event_doc(file, &hs_events[i]);
}
