// SPDX-License-Identifier: GPL-2.0-only
/*
 * Foreign events as TSDL and back, and their records. Viewers take one underscore off a field's name: with it no name
 * is a word of TSDL. The text is read line by line, in exactly the form in which it is written here. Any thread.
 */
#include "trace/ctf_events.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "trace/ctf_metadata.h"

#define NAME_BYTES_MAX 127
#define INTEGER "integer { size = %u; align = 8; signed = %s; base = %s; }"
#define STREAM_START "stream {\n\tid = 1;\n"
#define EVENT_HEAD "\tstream_id = 1;\n\tfields := struct {\n"

bool hs_ctf_is_name(const char *text)
{
	size_t length = strlen(text);

	if (!length || length > NAME_BYTES_MAX || isdigit((unsigned char)text[0]))
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!isascii(text[i]) || (!isalnum((unsigned char)text[i]) && text[i] != '_'))
			return false;
	}
	return true;
}

bool hs_ctf_is_label(const char *text)
{
	size_t length = strlen(text);

	if (!length || length > NAME_BYTES_MAX)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\')
			return false;
	}
	return true;
}

/* ---- writing ----------------------------------------------------------------------------------- */
void hs_ctf_events_print_stream(FILE *file)
{
	hs_ctf_metadata_print_stream(
		file, HS_CTF_FTRACE_STREAM, "stamp_t timestamp; uint16_t id;",
		"integer { size = 8; align = 8; signed = false; base = hex; } common_flags; "
		"integer { size = 8; align = 8; signed = false; base = hex; } common_preempt_count; "
		"integer { size = 32; align = 8; signed = false; base = dec; } tid;");
}

static void print_integer(FILE *file, const struct hs_field *field)
{
	fprintf(file, INTEGER, 8u * field->size, field->is_signed ? "true" : "false",
		field->format == HS_FORMAT_HEX ? "hex" : "dec");
}

static void print_number(FILE *file, const struct hs_field *field)
{
	if (field->list)
		fputs("enum : ", file);
	print_integer(file, field);
	for (unsigned int i = 0; field->list && i < field->list->value_nr; i++)
		fprintf(file, "%s \"%s\" = %" PRIu32, i ? "," : " {", field->list->values[i].text,
			field->list->values[i].value);
	fprintf(file, "%s _%s;\n", field->list ? " }" : "", field->name);
}

/* What stands in the fixed part. */
static void print_fixed(FILE *file, const struct hs_field *field)
{
	switch (field->kind) {
	case HS_FIELD_NUMBER:
		fputs("\t\t", file);
		print_number(file, field);
		return;
	case HS_FIELD_TEXT:
		fprintf(file, "\t\tinteger { size = 8; align = 8; signed = false; encoding = UTF8; } _%s[%u];\n",
			field->name, field->count);
		return;
	case HS_FIELD_ARRAY:
		fputs("\t\t", file);
		print_integer(file, field);
		fprintf(file, " _%s[%u];\n", field->name, field->count);
		return;
	case HS_FIELD_SEQUENCE:
		fprintf(file, "\t\tinteger { size = 16; align = 8; signed = false; base = dec; } length_%s;\n",
			field->name);
		return;
	case HS_FIELD_STRING:
		return;
	}
}

void hs_ctf_event_print(FILE *file, const struct hs_event *event)
{
	fprintf(file, "/* %s */\nevent {\n\tname = \"%s\";\n\tid = %u;\n" EVENT_HEAD, event->system, event->name,
		event->id);
	for (unsigned int i = 0; i < event->field_nr; i++)
		print_fixed(file, &event->fields[i]);
	for (unsigned int i = 0; i < event->field_nr; i++) {
		const struct hs_field *field = &event->fields[i];

		if (field->kind == HS_FIELD_STRING)
			fprintf(file, "\t\tstring { encoding = UTF8; } _%s;\n", field->name);
		if (field->kind != HS_FIELD_SEQUENCE)
			continue;
		fputs("\t\t", file);
		print_integer(file, field);
		fprintf(file, " _%s[length_%s];\n", field->name, field->name);
	}
	fputs("\t};\n};\n\n", file);
}

/* ---- reading ----------------------------------------------------------------------------------- */
/* Walks over the text; what is in `event` so far belongs to it. */
struct parser {
	const char *at;
	struct hs_event *event;
	struct hs_field *fields;
	unsigned int room;
	uint32_t offset;
};

static bool skip(struct parser *parser, const char *text)
{
	size_t length = strlen(text);

	if (strncmp(parser->at, text, length) != 0)
		return false;
	parser->at += length;
	return true;
}

static bool parse_number(struct parser *parser, uint64_t max, uint64_t *out)
{
	char *end;

	if (!isdigit((unsigned char)*parser->at))
		return false;
	errno = 0;
	*out = strtoull(parser->at, &end, 10);
	parser->at = end;
	return !errno && *out <= max;
}

/* The text up to one of `ends`. */
static char *parse_text(struct parser *parser, const char *ends, bool (*is_fit)(const char *))
{
	size_t length = strcspn(parser->at, ends);
	char *text = length <= NAME_BYTES_MAX ? strndup(parser->at, length) : NULL;

	if (!text || !is_fit(text)) {
		free(text);
		return NULL;
	}
	parser->at += length;
	return text;
}

void hs_ctf_enum_free(const struct hs_enum *list)
{
	if (!list)
		return;
	for (unsigned int i = 0; i < list->value_nr; i++)
		free((char *)list->values[i].text);
	free((struct hs_enum_value *)list->values);
	free((struct hs_enum *)list);
}

void hs_ctf_event_free(struct hs_event *event)
{
	if (!event)
		return;
	for (unsigned int i = 0; i < event->field_nr; i++) {
		free((char *)event->fields[i].name);
		hs_ctf_enum_free(event->fields[i].list);
	}
	free((struct hs_field *)event->fields);
	free((char *)event->system);
	free((char *)event->name);
	free(event);
}

/* ` { "a" = 0, "b" = 1 }` behind an enum's integer. */
static struct hs_enum *parse_enum(struct parser *parser)
{
	scoped(hs_ctf_enum) struct hs_enum *list = calloc(1, sizeof(*list));
	struct hs_enum_value *values = calloc(HS_CTF_ENUM_VALUES_MAX, sizeof(*values));

	if (list)
		list->values = values;
	if (!list || !values || !skip(parser, " {")) {
		if (!list)
			free(values);
		return NULL;
	}
	do {
		uint64_t value;

		if (list->value_nr == HS_CTF_ENUM_VALUES_MAX || !skip(parser, " \""))
			return NULL;
		values[list->value_nr].text = parse_text(parser, "\"\n", hs_ctf_is_label);
		if (!values[list->value_nr].text)
			return NULL;
		list->value_nr++;
		if (!skip(parser, "\" = ") || !parse_number(parser, UINT32_MAX, &value))
			return NULL;
		values[list->value_nr - 1].value = (uint32_t)value;
	} while (skip(parser, ","));
	return skip(parser, " }") ? take(list) : NULL;
}

/* `integer { ... }`: size, sign and base, or that it is a character. */
static bool parse_integer(struct parser *parser, struct hs_field *field)
{
	uint64_t bits;

	if (!skip(parser, "integer { size = ") || !parse_number(parser, 64, &bits) ||
	    !skip(parser, "; align = 8; signed = "))
		return false;
	if (bits != 8 && bits != 16 && bits != 32 && bits != 64)
		return false;
	field->size = (uint16_t)(bits / 8);
	field->is_signed = skip(parser, "true");
	if (!field->is_signed && !skip(parser, "false"))
		return false;
	if (skip(parser, "; encoding = UTF8; }")) {
		field->kind = HS_FIELD_TEXT;
		return field->size == 1;
	}
	field->format = skip(parser, "; base = hex; }") ? HS_FORMAT_HEX : HS_FORMAT_DEC;
	return field->format == HS_FORMAT_HEX || skip(parser, "; base = dec; }");
}

static struct hs_field *add_field(struct parser *parser)
{
	if (parser->event->field_nr == parser->room) {
		unsigned int room = parser->room ? 2 * parser->room : 8;
		struct hs_field *fields = reallocarray(parser->fields, room, sizeof(*fields));

		if (!fields || room > 2 * HS_CTF_EVENT_FIELDS_MAX)
			return NULL;
		parser->fields = fields;
		parser->event->fields = fields;
		parser->room = room;
	}
	parser->fields[parser->event->field_nr] = (struct hs_field){ .doc = "" };
	return &parser->fields[parser->event->field_nr++];
}

/* Takes `bytes` of the fixed part for the field. */
static bool place(struct parser *parser, struct hs_field *field, size_t bytes)
{
	field->offset = (uint16_t)parser->offset;
	parser->offset += bytes;
	return parser->offset <= UINT16_MAX;
}

/* `length_name;` */
static bool parse_sequence(struct parser *parser, const struct hs_field *length)
{
	struct hs_field *field = add_field(parser);

	if (!field || length->size != 2 || length->kind != HS_FIELD_NUMBER)
		return false;
	field->kind = HS_FIELD_SEQUENCE;
	field->name = parse_text(parser, ";\n", hs_ctf_is_name);
	return field->name && place(parser, field, sizeof(uint16_t)) && skip(parser, ";\n");
}

/* `name[length_name];` in the order of the lengths: says what the numbers are. */
static bool finish_sequence(struct parser *parser, const struct hs_field *element, const char *name)
{
	for (unsigned int i = 0; i < parser->event->field_nr; i++) {
		struct hs_field *field = &parser->fields[i];

		if (field->kind != HS_FIELD_SEQUENCE || field->size)
			continue;
		field->size = element->size;
		field->is_signed = element->is_signed;
		field->format = element->format;
		return !strcmp(field->name, name) && skip(parser, name) && skip(parser, "];\n");
	}
	return false;
}

/* `name;`, `name[N];` or `name[length_name];`: takes over the element's enum. */
static bool parse_field_of(struct parser *parser, struct hs_field *element)
{
	scoped(mem) char *name = parse_text(parser, ";[\n", hs_ctf_is_name);
	struct hs_field *field;
	uint64_t count;

	if (!name)
		return false;
	if (skip(parser, "[length_"))
		return element->kind == HS_FIELD_NUMBER && !element->list && finish_sequence(parser, element, name);
	field = add_field(parser);
	if (!field)
		return false;
	*field = *element;
	element->list = NULL;
	field->name = take(name);
	if (skip(parser, ";\n"))
		return field->kind == HS_FIELD_NUMBER && place(parser, field, field->size);
	if (field->list || !skip(parser, "[") || !parse_number(parser, UINT16_MAX, &count) || !skip(parser, "];\n"))
		return false;
	field->kind = field->kind == HS_FIELD_TEXT ? HS_FIELD_TEXT : HS_FIELD_ARRAY;
	field->count = (uint16_t)count;
	return place(parser, field, count * field->size);
}

static bool parse_string(struct parser *parser)
{
	struct hs_field *field = add_field(parser);

	if (!field)
		return false;
	field->kind = HS_FIELD_STRING;
	field->size = 1;
	field->name = parse_text(parser, ";\n", hs_ctf_is_name);
	return field->name && skip(parser, ";\n");
}

/* One line of `fields`. */
static bool parse_field(struct parser *parser)
{
	struct hs_field element = { .doc = "" };
	bool is_enum, is_good;

	if (skip(parser, "\t\tstring { encoding = UTF8; } _"))
		return parse_string(parser);
	if (!skip(parser, "\t\t"))
		return false;
	is_enum = skip(parser, "enum : ");
	if (!parse_integer(parser, &element))
		return false;
	if (skip(parser, " length_"))
		return !is_enum && parse_sequence(parser, &element);
	if (is_enum) {
		element.list = parse_enum(parser);
		element.format = HS_FORMAT_ENUM;
		if (!element.list)
			return false;
	}
	is_good = skip(parser, " _") && parse_field_of(parser, &element);
	hs_ctf_enum_free(element.list);
	return is_good;
}

static bool has_all_sizes(const struct hs_event *event)
{
	for (unsigned int i = 0; i < event->field_nr; i++) {
		if (!event->fields[i].size)
			return false;
	}
	return true;
}

/* An event from behind its first lines on. */
static struct hs_event *parse_event(struct parser *parser)
{
	scoped(hs_ctf_event) struct hs_event *event = calloc(1, sizeof(*event));
	uint64_t id;

	if (!event)
		return NULL;
	parser->event = event;
	parser->fields = NULL;
	parser->room = 0;
	parser->offset = sizeof(struct hs_event_header);
	event->doc = "";
	event->is_foreign = true;
	if (!skip(parser, "/* "))
		return NULL;
	event->system = parse_text(parser, " \n", hs_ctf_is_name);
	if (!event->system || !skip(parser, " */\nevent {\n\tname = \""))
		return NULL;
	event->name = parse_text(parser, "\"\n", hs_ctf_is_name);
	if (!event->name || !skip(parser, "\";\n\tid = ") || !parse_number(parser, UINT16_MAX, &id) ||
	    !skip(parser, ";\n" EVENT_HEAD))
		return NULL;
	event->id = (uint16_t)id;
	while (!skip(parser, "\t};\n};\n")) {
		if (!parse_field(parser))
			return NULL;
	}
	event->size = (uint16_t)parser->offset;
	return has_all_sizes(event) ? take(event) : NULL;
}

/* Takes over the event. -EBADMSG: its id is taken. */
static int add_event(struct hs_ctf_events *events, struct hs_event *new_event)
{
	scoped(hs_ctf_event) struct hs_event *event = new_event;
	struct hs_event **all;

	if (event->id >= events->id_nr) {
		uint32_t *index = reallocarray(events->index_of_id, event->id + 1u, sizeof(*index));

		if (!index)
			return -ENOMEM;
		memset(index + events->id_nr, 0, (event->id + 1u - events->id_nr) * sizeof(*index));
		events->index_of_id = index;
		events->id_nr = event->id + 1u;
	}
	if (events->index_of_id[event->id])
		return -EBADMSG;
	all = reallocarray(events->events, events->event_nr + 1, sizeof(struct hs_event *));
	if (!all)
		return -ENOMEM;
	events->events = all;
	events->index_of_id[event->id] = (uint32_t)(events->event_nr + 1);
	all[events->event_nr++] = take(event);
	return 0;
}

static unsigned int line_of(const char *text, const char *at)
{
	unsigned int line = 1;

	for (; text < at; text++)
		line += *text == '\n';
	return line;
}

bool hs_ctf_events_has_stream(const char *text)
{
	return strstr(text, "\n" STREAM_START) != NULL;
}

int hs_ctf_events_parse(const char *text, struct hs_ctf_events **out, unsigned int *line)
{
	scoped(hs_ctf_events) struct hs_ctf_events *events = calloc(1, sizeof(*events));
	const char *start = strstr(text, "\n" STREAM_START);
	struct parser parser = { .at = start ? start + 1 : "" };

	if (!events)
		return -ENOMEM;
	if (start) {
		parser.at = strstr(parser.at, "\n};\n\n");
		parser.at = parser.at ? parser.at + strlen("\n};\n\n") : "?";
	}
	while (*parser.at) {
		struct hs_event *event = parse_event(&parser);
		int err = event ? add_event(events, event) : -EBADMSG;

		if (err) {
			*line = line_of(text, parser.at);
			return err;
		}
		skip(&parser, "\n");
	}
	*out = take(events);
	return 0;
}

void hs_ctf_events_free(struct hs_ctf_events *events)
{
	if (!events)
		return;
	for (size_t i = 0; i < events->event_nr; i++)
		hs_ctf_event_free(events->events[i]);
	free(events->events);
	free(events->index_of_id);
	free(events);
}

/* ---- records ----------------------------------------------------------------------------------- */
static uint16_t count_at(const struct hs_field *field, const void *record)
{
	uint16_t count;

	memcpy(&count, (const char *)record + field->offset, sizeof(count));
	return count;
}

size_t hs_ctf_event_record_bytes(const struct hs_event *event, const void *record, size_t bytes)
{
	size_t used = event->size;

	if (used > bytes)
		return 0;
	for (unsigned int i = 0; i < event->field_nr && used <= bytes; i++) {
		const struct hs_field *field = &event->fields[i];
		const char *end;

		if (field->kind == HS_FIELD_SEQUENCE) {
			used += (size_t)count_at(field, record) * field->size;
		} else if (field->kind == HS_FIELD_STRING) {
			end = memchr((const char *)record + used, 0, bytes - used);
			if (!end)
				return 0;
			used = (size_t)(end + 1 - (const char *)record);
		}
	}
	used = (used + 7) & ~(size_t)7;
	return used <= bytes ? used : 0;
}

/* Of a dynamic field: what the dynamic ones before it take is in front of it. */
static const char *dynamic_content(const struct hs_event *event, const struct hs_field *field, const void *record)
{
	const char *at = (const char *)record + event->size;

	for (const struct hs_field *before = event->fields; before < field; before++) {
		if (before->kind == HS_FIELD_SEQUENCE)
			at += (size_t)count_at(before, record) * before->size;
		else if (before->kind == HS_FIELD_STRING)
			at += strlen(at) + 1;
	}
	return at;
}

const void *hs_ctf_field_content(const struct hs_event *event, const struct hs_field *field, const void *record,
				 size_t *count)
{
	const char *content = (const char *)record + field->offset;

	switch (field->kind) {
	case HS_FIELD_TEXT:
		*count = strnlen(content, field->count);
		return content;
	case HS_FIELD_STRING:
		content = dynamic_content(event, field, record);
		*count = strlen(content);
		return content;
	case HS_FIELD_SEQUENCE:
		*count = count_at(field, record);
		return dynamic_content(event, field, record);
	default:
		*count = field->kind == HS_FIELD_ARRAY ? field->count : 1;
		return content;
	}
}

uint64_t hs_ctf_field_number(const struct hs_field *field, const void *content, size_t index)
{
	struct hs_field at = { .offset = 0, .size = field->size, .is_signed = field->is_signed };

	return hs_field_value(&at, (const char *)content + index * field->size);
}
