// SPDX-License-Identifier: GPL-2.0-only
/*
 * Formats. libtraceevent reads the lines of the fields, after each line was found to be a plain one with numbers that
 * can be; it is not shown how to print them, which it would parse as a language of its own. Any thread.
 */
#include "ftrace/format.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <event-parse.h>

#include "base/io.h"
#include "ftrace/print_fmt.h"
#include "trace/ctf_events.h"

#define LINE_BYTES_MAX 512
#define OFFSET_MAX 32768
#define PRINT_FMT "\nprint fmt: "
#define WORD "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
#define LOC_BYTES 4 /* of __data_loc: offset in the low half, bytes in the high one */

/* Bytes that follow each other both in the raw event and in the record. */
struct run {
	uint16_t from, to, bytes;
};

/* A dynamic field: where the raw event says where it is. */
struct dynamic {
	const struct hs_field *field;
	uint16_t loc;
	bool is_relative; /* to behind the loc itself */
	bool is_rest;	  /* no loc: from there to the event's end */
};

struct hs_ftrace_format {
	struct hs_event *event;
	struct run *runs;
	unsigned int run_nr;
	struct dynamic *dynamic; /* in the order of the record */
	unsigned int dynamic_nr;
	unsigned int room;				   /* for fields, runs and dynamic fields */
	size_t raw_bytes;				   /* a shorter event does not fit */
	uint16_t flags_offset, preempt_offset, pid_offset; /* 0: there is none */
};

/* One parse: what is still to come. */
struct parse {
	struct hs_ftrace_format *format;
	const char *print_fmt;
	const char *why;
};

const struct hs_event *hs_ftrace_format_event(const struct hs_ftrace_format *format)
{
	return format->event;
}

void hs_ftrace_format_free(struct hs_ftrace_format *format)
{
	if (!format)
		return;
	hs_ctf_event_free(format->event);
	free(format->runs);
	free(format->dynamic);
	free(format);
}

/* ---- the text ---------------------------------------------------------------------------------- */
/* A name or a number: its length, 0 when it is neither. */
static size_t word_bytes(const char *at)
{
	size_t bytes = strspn(at, WORD), digits = strspn(at, "0123456789");

	return digits && digits != bytes ? 0 : bytes;
}

/* "16", "TASK_COMM_LEN", "(8 * 2)" up to the bracket: behind that; NULL: something else is there. */
static const char *skip_length(const char *at)
{
	int depth = 0;

	while (*at != ']') {
		size_t bytes = word_bytes(at);

		depth += (*at == '(') - (*at == ')');
		if (!bytes && (!*at || !strchr(" ()+-*/", *at)))
			return NULL;
		at += bytes ? bytes : 1;
		if (depth < 0)
			return NULL;
	}
	return depth || at[-1] == '[' || at[-1] == ' ' ? NULL : at + 1;
}

/* Words with blanks and stars between: behind them, and how many words; the last is a word. NULL: there is none. */
static const char *skip_words(const char *at, unsigned int *word_nr)
{
	for (;;) {
		size_t bytes = word_bytes(at), between;

		if (!bytes)
			return NULL;
		(*word_nr)++;
		at += bytes;
		between = strspn(at, " *");
		if (!between)
			return at;
		at += between;
	}
}

/*
 * "unsigned long args[6]", "char buf[]", "const char * name", "__data_loc char[] name". libtraceevent takes more, and
 * loses memory over some of it.
 */
static bool is_declaration(const char *text, const char *end)
{
	bool is_dynamic = !strncmp(text, "__data_loc ", 11) || !strncmp(text, "__rel_loc ", 10);
	unsigned int word_nr = 0;
	const char *at = skip_words(text, &word_nr);

	if (!at || word_nr < (is_dynamic && at == end ? 3u : 2u))
		return false;
	if (is_dynamic && at != end)
		return !strncmp(at, "[] ", 3) && word_bytes(at + 3) && at + 3 + word_bytes(at + 3) == end;
	if (!strncmp(at, "[]", 2))
		at += 2;
	else if (*at == '[')
		at = skip_length(at + 1);
	return at == end;
}

/* "\tKEY:NUMBER;" at *at, which moves behind it. */
static bool skip_number(const char **at, const char *key, unsigned long max)
{
	size_t length = strlen(key);
	unsigned long number;
	char *end;

	if (strncmp(*at, key, length) != 0 || !isdigit((unsigned char)(*at)[length]))
		return false;
	number = strtoul(*at + length, &end, 10);
	*at = end + 1;
	return *end == ';' && number <= max;
}

/* "\tfield:unsigned long args[6];\toffset:16;\tsize:48;\tsigned:0;" */
static bool is_field_line(const char *line)
{
	const char *end = strchr(line, ';');

	if (strncmp(line, "\tfield:", 7) != 0 || !end || !is_declaration(line + 7, end))
		return false;
	end++;
	return skip_number(&end, "\toffset:", OFFSET_MAX) && skip_number(&end, "\tsize:", OFFSET_MAX) &&
	       (!*end || (skip_number(&end, "\tsigned:", 1) && !*end));
}

static bool is_head_line(const char *line, const char *start)
{
	size_t length = strlen(start);

	return !strncmp(line, start, length) && (hs_ctf_is_name(line + length) || isdigit((unsigned char)line[length]));
}

/* Whether the lines up to the print format are what the kernel writes. `text` is changed and put back. */
static bool has_plain_lines(char *text)
{
	unsigned int field_nr = 0;

	for (char *line = text; line && *line;) {
		char *end = strchr(line, '\n');
		bool is_good;

		if (!end || end - line >= LINE_BYTES_MAX)
			return false;
		*end = '\0';
		is_good = line == end || is_head_line(line, "name: ") || is_head_line(line, "ID: ") ||
			  !strcmp(line, "format:") || (is_field_line(line) && field_nr++ < HS_CTF_EVENT_FIELDS_MAX);
		*end = '\n';
		if (!is_good)
			return false;
		line = end + 1;
	}
	return true;
}

/* ---- fields ------------------------------------------------------------------------------------ */
static struct hs_field *add_field(struct parse *parse, const struct tep_format_field *raw)
{
	struct hs_event *event = parse->format->event;
	struct hs_field *field = (struct hs_field *)&event->fields[event->field_nr];

	if (event->field_nr == parse->format->room)
		return NULL;
	*field = (struct hs_field){ .doc = "", .size = 1, .offset = event->size, .name = strdup(raw->name) };
	if (!field->name)
		return NULL;
	event->field_nr++;
	return field;
}

static bool is_number_size(unsigned int bytes)
{
	return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
}

static bool is_characters(const struct tep_format_field *raw)
{
	static const char *const before[] = { "__data_loc ", "__rel_loc ", "const " };
	const char *type = raw->type; /* its flag for strings takes bytes for characters too */

	for (size_t i = 0; i < HS_ARRAY_SIZE(before); i++)
		type += strncmp(type, before[i], strlen(before[i])) ? 0 : strlen(before[i]);
	return !strncmp(type, "char", 4);
}

/* The whole of the kernel's stack follows, however many entries the text has. */
static bool is_rest(const struct hs_event *event, const struct tep_format_field *raw)
{
	return (raw->flags & TEP_FIELD_IS_ARRAY) &&
	       (!raw->size || (!strcmp(event->name, "kernel_stack") && !strcmp(raw->name, "caller")));
}

static void describe_number(struct parse *parse, const struct tep_format_field *raw, struct hs_field *field)
{
	unsigned int bits = 8u * field->size - field->is_signed;

	if (field->kind == HS_FIELD_NUMBER)
		field->list =
			hs_ftrace_find_enum(parse->print_fmt, raw->name, bits < 32 ? (1u << bits) - 1 : UINT32_MAX);
	if (field->list)
		field->format = HS_FORMAT_ENUM;
	else if ((raw->flags & TEP_FIELD_IS_POINTER) || hs_ftrace_is_hex(parse->print_fmt, raw->name))
		field->format = HS_FORMAT_HEX;
}

static void add_run(struct hs_ftrace_format *format, uint16_t from, uint16_t bytes)
{
	struct run *last = format->run_nr ? &format->runs[format->run_nr - 1] : NULL;

	if (last && last->from + last->bytes == from && last->to + last->bytes == format->event->size)
		last->bytes += bytes;
	else
		format->runs[format->run_nr++] = (struct run){ from, format->event->size, bytes };
	format->event->size += bytes;
}

static int add_fixed(struct parse *parse, const struct tep_format_field *raw)
{
	struct hs_field *field = add_field(parse, raw);
	unsigned int element = raw->elementsize;

	if (!field)
		return -ENOMEM;
	field->is_signed = raw->flags & TEP_FIELD_IS_SIGNED;
	if (!(raw->flags & TEP_FIELD_IS_ARRAY) && is_number_size((unsigned int)raw->size)) {
		field->size = (uint16_t)raw->size;
	} else if ((raw->flags & TEP_FIELD_IS_ARRAY) && is_characters(raw)) {
		field->kind = HS_FIELD_TEXT;
		field->count = (uint16_t)raw->size;
	} else {
		field->kind = HS_FIELD_ARRAY;
		field->size = is_number_size(element) && (unsigned int)raw->size % element == 0 ? (uint16_t)element : 1;
		field->is_signed &= field->size > 1;
		field->count = (uint16_t)(raw->size / field->size);
	}
	describe_number(parse, raw, field);
	add_run(parse->format, (uint16_t)raw->offset, (uint16_t)raw->size);
	return 0;
}

static int add_dynamic(struct parse *parse, const struct tep_format_field *raw, bool want_string)
{
	struct hs_ftrace_format *format = parse->format;
	bool is_string = is_characters(raw);
	struct hs_field *field;

	if (is_string != want_string)
		return 0;
	field = add_field(parse, raw);
	if (!field)
		return -ENOMEM;
	field->kind = is_string ? HS_FIELD_STRING : HS_FIELD_SEQUENCE;
	field->is_signed = raw->flags & TEP_FIELD_IS_SIGNED;
	if (!is_string && is_number_size(raw->elementsize))
		field->size = (uint16_t)raw->elementsize;
	field->is_signed &= field->size > 1;
	describe_number(parse, raw, field);
	format->dynamic[format->dynamic_nr++] = (struct dynamic){ .field = field,
								  .loc = (uint16_t)raw->offset,
								  .is_relative = raw->flags & TEP_FIELD_IS_RELATIVE,
								  .is_rest = is_rest(format->event, raw) };
	if (is_string)
		field->offset = 0;
	else
		format->event->size += sizeof(uint16_t);
	return 0;
}

static bool is_dynamic(const struct hs_event *event, const struct tep_format_field *raw)
{
	return (raw->flags & TEP_FIELD_IS_DYNAMIC) || is_rest(event, raw);
}

/* What libtraceevent made of a line, against the rest of what we rely on. */
static bool is_sane(const struct hs_ftrace_format *format, const struct tep_format_field *raw)
{
	if (!hs_ctf_is_name(raw->name) || raw->offset < 0 || raw->size < 0 || raw->offset + raw->size > OFFSET_MAX)
		return false;
	if (is_dynamic(format->event, raw))
		return is_rest(format->event, raw) || raw->size == LOC_BYTES;
	return raw->size > 0;
}

/* In the order of the record: the strings are last. Fields that share bytes would make records grow: refused. */
static int add_fields(struct parse *parse, const struct tep_format_field *first)
{
	struct hs_ftrace_format *format = parse->format;
	int err = 0;

	for (const struct tep_format_field *raw = first; raw && !err; raw = raw->next) {
		size_t end = (size_t)raw->offset + (is_rest(format->event, raw) ? 0 : (size_t)raw->size);

		if (!is_sane(format, raw))
			return -EBADMSG;
		format->raw_bytes = end > format->raw_bytes ? end : format->raw_bytes;
		err = is_dynamic(format->event, raw) ? add_dynamic(parse, raw, false) : add_fixed(parse, raw);
		if (!err && format->event->size > OFFSET_MAX + sizeof(struct hs_event_header))
			return -EBADMSG;
	}
	for (const struct tep_format_field *raw = first; raw && !err; raw = raw->next)
		err = is_dynamic(format->event, raw) ? add_dynamic(parse, raw, true) : 0;
	if (!err && format->event->size > format->raw_bytes + sizeof(struct hs_event_header))
		return -EBADMSG;
	return err;
}

static bool has_name_twice(const struct hs_event *event)
{
	for (unsigned int i = 0; i < event->field_nr; i++) {
		for (unsigned int other = 0; other < i; other++) {
			if (!strcmp(event->fields[i].name, event->fields[other].name))
				return true;
		}
	}
	return false;
}

/* Every event begins with them; the kernel's own id of the event has been the first of them ever since. */
static int add_common(struct hs_ftrace_format *format, const struct tep_format_field *first)
{
	bool has_id = false;

	for (const struct tep_format_field *raw = first; raw; raw = raw->next) {
		size_t end = (size_t)raw->offset + (size_t)raw->size;

		if (raw->offset < 0 || raw->size < 0 || end > OFFSET_MAX)
			return -EBADMSG;
		format->raw_bytes = end > format->raw_bytes ? end : format->raw_bytes;
		if (!strcmp(raw->name, "common_type"))
			has_id = raw->offset == 0 && raw->size == 2;
		else if (!strcmp(raw->name, "common_flags") && raw->size == 1)
			format->flags_offset = (uint16_t)raw->offset;
		else if (!strcmp(raw->name, "common_preempt_count") && raw->size == 1)
			format->preempt_offset = (uint16_t)raw->offset;
		else if (!strcmp(raw->name, "common_pid") && raw->size == 4)
			format->pid_offset = (uint16_t)raw->offset;
	}
	return has_id ? 0 : -EBADMSG;
}

/* ---- parsing ----------------------------------------------------------------------------------- */
static void tep_handle_scoped(struct tep_handle **handle)
{
	if (*handle)
		tep_free(*handle);
}

static int start_event(struct parse *parse, const char *system, const struct tep_event *raw)
{
	struct hs_event *event = calloc(1, sizeof(*event));
	struct hs_ftrace_format *format = parse->format;

	if (!event)
		return -ENOMEM;
	format->event = event;
	format->room = (unsigned int)raw->format.nr_fields;
	format->runs = calloc(format->room + 1, sizeof(*format->runs));
	format->dynamic = calloc(format->room + 1, sizeof(*format->dynamic));
	event->fields = calloc(format->room + 1, sizeof(*event->fields));
	event->name = strdup(raw->name);
	event->system = strdup(system);
	event->doc = "";
	event->size = sizeof(struct hs_event_header);
	event->is_foreign = true;
	if (raw->id < 0 || raw->id > UINT16_MAX || !hs_ctf_is_name(raw->name)) {
		parse->why = "its name or its number cannot be";
		return -EBADMSG;
	}
	event->id = (uint16_t)raw->id;
	return format->runs && format->dynamic && event->fields && event->name && event->system ? 0 : -ENOMEM;
}

static int take_over(struct parse *parse, const char *system, const struct tep_event *raw)
{
	int err = start_event(parse, system, raw);

	if (err)
		return err;
	err = add_common(parse->format, raw->format.common_fields);
	parse->why = "it does not begin with common_type";
	if (!err) {
		err = add_fields(parse, raw->format.fields);
		parse->why = "its fields cannot lie where it says";
	}
	if (!err && has_name_twice(parse->format->event)) {
		parse->why = "two of its fields have one name";
		err = -EBADMSG;
	}
	return err;
}

/* `fields`: the text up to the print format, and one that prints nothing. */
static int parse_fields(struct parse *parse, const char *system, const char *fields)
{
	__attribute__((cleanup(tep_handle_scoped))) struct tep_handle *handle = tep_alloc();
	const struct tep_event *event;

	if (!handle)
		return -ENOMEM;
	tep_set_loglevel(TEP_LOG_NONE);
	tep_set_long_size(handle, 8);
	if (!tep_parse_event(handle, fields, strlen(fields), system))
		event = tep_get_first_event(handle);
	else
		event = NULL;
	if (!event || !event->name) {
		parse->why = "libtraceevent cannot read it";
		return -EBADMSG;
	}
	return take_over(parse, system, event);
}

int hs_ftrace_format_parse(const char *system, const char *text, size_t bytes, struct hs_ftrace_format **out,
			   const char **why)
{
	scoped(hs_ftrace_format) struct hs_ftrace_format *format = NULL;
	scoped(mem) char *copy = NULL, *fields = NULL;
	struct parse parse = { .why = "its lines are not those of a format" };
	char *print_fmt;
	int err;

	*why = parse.why;
	if (!bytes || bytes > HS_FTRACE_FORMAT_BYTES_MAX || memchr(text, 0, bytes) || !hs_ctf_is_name(system))
		return -EBADMSG;
	copy = strndup(text, bytes);
	format = calloc(1, sizeof(*format));
	if (!copy || !format)
		return -ENOMEM;
	print_fmt = strstr(copy, PRINT_FMT);
	if (!print_fmt)
		return -EBADMSG;
	print_fmt[1] = '\0';
	if (!has_plain_lines(copy))
		return -EBADMSG;
	fields = hs_format("%sprint fmt: \"\"\n", copy);
	if (!fields)
		return -ENOMEM;
	parse.format = format;
	parse.print_fmt = print_fmt + strlen(PRINT_FMT);
	err = parse_fields(&parse, system, fields);
	if (!err)
		*out = take(format);
	*why = parse.why;
	return err;
}

/* ---- events ------------------------------------------------------------------------------------ */
uint16_t hs_ftrace_raw_id(const void *raw)
{
	uint16_t id;

	memcpy(&id, raw, sizeof(id));
	return id;
}

/* Where a dynamic field lies in the raw event. False: not inside it. */
static bool locate(const struct dynamic *dynamic, const uint8_t *raw, size_t raw_bytes, size_t *start, size_t *bytes)
{
	uint32_t loc;

	if (dynamic->is_rest) {
		*start = dynamic->loc;
		*bytes = raw_bytes - dynamic->loc;
		return true;
	}
	memcpy(&loc, raw + dynamic->loc, sizeof(loc));
	*start = (loc & 0xffff) + (dynamic->is_relative ? dynamic->loc + (size_t)LOC_BYTES : 0);
	*bytes = loc >> 16;
	return *start <= raw_bytes && *bytes <= raw_bytes - *start;
}

/* Appends the contents at `used`; what the fields share must not make the record grow. 0: it does not fit. */
static size_t put_dynamic(const struct hs_ftrace_format *format, const uint8_t *raw, size_t raw_bytes, uint8_t *record,
			  size_t used)
{
	size_t left = raw_bytes;

	for (unsigned int i = 0; i < format->dynamic_nr; i++) {
		const struct dynamic *dynamic = &format->dynamic[i];
		const struct hs_field *field = dynamic->field;
		size_t start, bytes;
		uint16_t count;

		if (!locate(dynamic, raw, raw_bytes, &start, &bytes) || bytes > left)
			return 0;
		left -= bytes;
		if (field->kind == HS_FIELD_STRING) {
			bytes = strnlen((const char *)raw + start, bytes);
			memcpy(record + used, raw + start, bytes);
			record[used + bytes] = '\0';
			used += bytes + 1;
			continue;
		}
		if (bytes / field->size > UINT16_MAX)
			return 0;
		count = (uint16_t)(bytes / field->size);
		memcpy(record + field->offset, &count, sizeof(count));
		memcpy(record + used, raw + start, (size_t)count * field->size);
		used += (size_t)count * field->size;
	}
	return used;
}

static void put_header(const struct hs_ftrace_format *format, const uint8_t *raw, uint64_t ts, void *record)
{
	struct hs_event_header header = { .ts = ts, .id = format->event->id };

	if (format->pid_offset)
		memcpy(&header.tid, raw + format->pid_offset, sizeof(header.tid));
	if (format->flags_offset)
		header.lap = raw[format->flags_offset];
	if (format->preempt_offset)
		header.lap |= (uint16_t)(raw[format->preempt_offset] << 8);
	memcpy(record, &header, sizeof(header));
}

size_t hs_ftrace_format_encode(const struct hs_ftrace_format *format, const void *raw_event, size_t bytes, uint64_t ts,
			       void *record_start)
{
	const uint8_t *raw = raw_event;
	uint8_t *record = record_start;
	size_t used = format->event->size;

	if (bytes < format->raw_bytes)
		return 0;
	put_header(format, raw, ts, record);
	for (unsigned int i = 0; i < format->run_nr; i++)
		memcpy(record + format->runs[i].to, raw + format->runs[i].from, format->runs[i].bytes);
	if (format->dynamic_nr)
		used = put_dynamic(format, raw, bytes, record, used);
	return used;
}
