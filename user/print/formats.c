// SPDX-License-Identifier: GPL-2.0-only
/* The parser of formats files, and lines after their templates. Any thread. */
#include "print/formats.h"

#include <errno.h>
#include <stdio.h>

#include "base/io.h"
#include "base/log.h"

#define FILE_BYTES_MAX (1u << 20)
#define WIDTH_MAX 256
#define MESSAGES_MAX 20
#define POSITION_MAX 16

enum key { KEY_TEXT, KEY_CPU, KEY_TSC, KEY_EVENT, KEY_TID, KEY_VCPU, KEY_VM, KEY_MACHINE, KEY_FIELD };

static const char *const key_names[] = { "", "cpu", "tsc", "event", "tid", "vcpu", "vm", "machine" };

/* Literal text, or a key and how to print it. */
struct piece {
	enum key key;
	const char *text; /* of KEY_TEXT, not terminated */
	size_t text_bytes;
	const struct hs_field *field; /* of KEY_FIELD */
	char conversion;	      /* d x X o u c s */
	bool left, zeros, plus, space, prefix;
	unsigned int width;
};

struct rule {
	struct piece *pieces;
	size_t piece_nr;
};

struct hs_formats {
	char *text; /* what the pieces point into */
	struct rule rules[HS_EVENT_ID_NR];
	bool has_rule[HS_EVENT_ID_NR];
};

/* One line being parsed, and how it goes. */
struct parser {
	const char *name;
	unsigned int line, fault_nr, foreign_nr;
	const char *at, *end;
};

static int fault(struct parser *parser, const char *what, const char *text, size_t bytes)
{
	if (parser->fault_nr++ < MESSAGES_MAX)
		hs_err("%s:%u: %s%.*s", parser->name, parser->line, what, bytes > 80 ? 80 : (int)bytes, text);
	return -EINVAL;
}

void hs_formats_free(struct hs_formats *formats)
{
	if (!formats)
		return;
	for (unsigned int i = 0; i < HS_EVENT_ID_NR; i++)
		free(formats->rules[i].pieces);
	free(formats->text);
	free(formats);
}

/* ---- keys -------------------------------------------------------------------------------------- */
static bool is_text(const char *text, size_t bytes, const char *word)
{
	return strlen(word) == bytes && !memcmp(text, word, bytes);
}

/* The number of 1 or 2 digits, or 0. */
static unsigned int position_of(const char *text, size_t bytes)
{
	unsigned int number = 0;

	if (!bytes || bytes > 2)
		return 0;
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] < '0' || text[i] > '9')
			return 0;
		number = 10 * number + (unsigned int)(text[i] - '0');
	}
	return number <= POSITION_MAX ? number : 0;
}

static int find_key(struct piece *piece, const struct hs_event *event, const char *text, size_t bytes)
{
	unsigned int position = position_of(text, bytes);

	for (unsigned int i = KEY_CPU; i <= KEY_MACHINE; i++) {
		if (is_text(text, bytes, key_names[i])) {
			piece->key = (enum key)i;
			return 0;
		}
	}
	piece->key = KEY_FIELD;
	if (position && position <= event->field_nr) {
		piece->field = &event->fields[position - 1];
		return 0;
	}
	for (unsigned int i = 0; i < event->field_nr; i++) {
		if (is_text(text, bytes, event->fields[i].name)) {
			piece->field = &event->fields[i];
			return 0;
		}
	}
	return -ENOENT;
}

/* ---- templates --------------------------------------------------------------------------------- */
static void parse_flags(struct parser *parser, struct piece *piece)
{
	for (; parser->at < parser->end; parser->at++) {
		switch (*parser->at) {
		case '-':
			piece->left = true;
			break;
		case '0':
			piece->zeros = true;
			break;
		case '+':
			piece->plus = true;
			break;
		case ' ':
			piece->space = true;
			break;
		case '#':
			piece->prefix = true;
			break;
		default:
			return;
		}
	}
}

/* From behind the percent sign. */
static int parse_conversion(struct parser *parser, const struct hs_event *event, struct piece *piece)
{
	const char *start = parser->at, *key = start + 1;
	const char *close = start < parser->end ? memchr(start, ')', (size_t)(parser->end - start)) : NULL;

	if (!close || *start != '(')
		return fault(parser, "a percent sign is followed by (key) or another one, not by ", start,
			     (size_t)(parser->end - start));
	if (find_key(piece, event, key, (size_t)(close - key)))
		return fault(parser, "the event has no key ", key, (size_t)(close - key));
	parser->at = close + 1;
	parse_flags(parser, piece);
	for (; parser->at < parser->end && *parser->at >= '0' && *parser->at <= '9'; parser->at++) {
		piece->width = 10 * piece->width + (unsigned int)(*parser->at - '0');
		if (piece->width > WIDTH_MAX)
			return fault(parser, "too wide: ", start, (size_t)(parser->at + 1 - start));
	}
	if (parser->at == parser->end || !*parser->at || !strchr("dxXoucs", *parser->at))
		return fault(parser, "the conversion is none of d x X o u c s: ", start, (size_t)(parser->end - start));
	piece->conversion = *parser->at++;
	if ((piece->key == KEY_VM || piece->key == KEY_MACHINE) && piece->conversion != 's')
		return fault(parser, "a name takes s: ", start, (size_t)(parser->at - start));
	return 0;
}

static struct piece *add_piece(struct rule *rule)
{
	struct piece *pieces = reallocarray(rule->pieces, rule->piece_nr + 1, sizeof(*pieces));

	if (!pieces)
		return NULL;
	rule->pieces = pieces;
	pieces[rule->piece_nr] = (struct piece){ .key = KEY_TEXT };
	return &pieces[rule->piece_nr++];
}

static int parse_template(struct parser *parser, const struct hs_event *event, struct rule *rule)
{
	int err = 0;

	while (parser->at < parser->end && !err) {
		const char *start = parser->at;
		const char *percent = memchr(start, '%', (size_t)(parser->end - start));
		struct piece *piece = add_piece(rule);

		if (!piece)
			return -ENOMEM;
		if (percent != start || (start + 1 < parser->end && start[1] == '%')) {
			parser->at = percent == start ? start + 2 : percent ? percent : parser->end;
			piece->text = start;
			piece->text_bytes = percent == start ? 1 : (size_t)(parser->at - start);
			continue;
		}
		parser->at++;
		err = parse_conversion(parser, event, piece);
	}
	return err;
}

/* ---- lines ------------------------------------------------------------------------------------- */
/* -EINVAL: neither a number nor the name of an event; *event is NULL for a number that no event of ours has. */
static int parse_event(const char *text, size_t bytes, const struct hs_event **event)
{
	char word[64];
	char *end;
	unsigned long long number;

	*event = NULL;
	if (!bytes || bytes >= sizeof(word))
		return -EINVAL;
	memcpy(word, text, bytes);
	word[bytes] = '\0';
	if (word[0] < '0' || word[0] > '9') {
		*event = hs_event_find_name(word);
		return *event ? 0 : -EINVAL;
	}
	errno = 0;
	number = strtoull(word, &end, word[1] == 'x' || word[1] == 'X' ? 16 : 10);
	if (errno || *end)
		return -EINVAL;
	*event = number <= UINT16_MAX ? hs_event_find((uint16_t)number) : NULL;
	return 0;
}

static int parse_line(struct parser *parser, struct hs_formats *formats)
{
	const char *start = parser->at, *end = parser->end;
	const struct hs_event *event;
	struct rule *rule;

	while (start < end && (*start == ' ' || *start == '\t'))
		start++;
	if (start == end || *start == '#')
		return 0;
	if (memchr(start, 0, (size_t)(end - start)))
		return fault(parser, "a NUL byte", "", 0);
	for (parser->at = start; parser->at < end && *parser->at != ' ' && *parser->at != '\t';)
		parser->at++;
	if (parse_event(start, (size_t)(parser->at - start), &event))
		return fault(parser, "a line starts with the name or the id of an event, not with ", start,
			     (size_t)(parser->at - start));
	while (parser->at < end && (*parser->at == ' ' || *parser->at == '\t'))
		parser->at++;
	if (parser->at == end)
		return fault(parser, "no template behind ", start, (size_t)(end - start));
	if (!event) {
		parser->foreign_nr++;
		return 0;
	}
	rule = &formats->rules[event->id];
	rule->piece_nr = 0;
	formats->has_rule[event->id] = true;
	return parse_template(parser, event, rule);
}

int hs_formats_parse(const char *name, const char *text, size_t bytes, struct hs_formats **out)
{
	scoped(hs_formats) struct hs_formats *formats = calloc(1, sizeof(*formats));
	struct parser parser = { .name = name };

	if (formats)
		formats->text = malloc(bytes + 1);
	if (!formats || !formats->text)
		return -ENOMEM;
	memcpy(formats->text, text, bytes);
	formats->text[bytes] = '\0';
	for (const char *at = formats->text, *end = at + bytes; at < end;) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));

		parser.line++;
		parser.at = at;
		parser.end = newline ? newline : end;
		at = newline ? newline + 1 : end;
		if (parser.end > parser.at && parser.end[-1] == '\r')
			parser.end--;
		if (parse_line(&parser, formats) == -ENOMEM)
			return -ENOMEM;
	}
	if (parser.fault_nr > MESSAGES_MAX)
		hs_err("%s has %u faults more", name, parser.fault_nr - MESSAGES_MAX);
	if (parser.fault_nr)
		return -EINVAL;
	if (parser.foreign_nr)
		hs_warn("%s: %u lines are for events that hsbpf does not have", name, parser.foreign_nr);
	*out = take(formats);
	return 0;
}

int hs_formats_read(const char *path, struct hs_formats **out)
{
	scoped(mem) char *text = NULL;
	size_t bytes;
	int err = hs_read_file(path, FILE_BYTES_MAX, &text, &bytes);

	if (err)
		return err == -EINVAL ? -EIO : hs_fail(err, "cannot read %s:", path);
	return hs_formats_parse(path, text, bytes, out);
}

/* ---- printing ---------------------------------------------------------------------------------- */
struct value {
	uint64_t bits;
	unsigned int bytes; /* size of the field */
	bool is_negative;
	const char *text; /* its name, or NULL */
};

static struct value value_of(const struct piece *piece, const struct hs_print_row *row)
{
	struct value value = { .bytes = 8 };

	switch (piece->key) {
	case KEY_CPU:
		value.bits = row->cpu;
		break;
	case KEY_TSC:
		value.bits = row->time_ns;
		break;
	case KEY_EVENT:
		value.bits = row->event->id;
		value.text = row->event->name;
		break;
	case KEY_TID:
		value.bits = row->header->tid;
		break;
	case KEY_VCPU:
		value.bits = (uint64_t)row->vcpu;
		value.is_negative = row->vcpu < 0;
		break;
	case KEY_VM:
		value.text = row->vm ? row->vm : "-";
		break;
	case KEY_MACHINE:
		value.text = row->machine;
		break;
	case KEY_FIELD:
		value.bits = hs_field_value(piece->field, row->header);
		value.bytes = piece->field->size;
		value.is_negative = piece->field->is_signed && (int64_t)value.bits < 0;
		value.text = hs_print_value_text(row->event, piece->field, row->header, value.bits);
		break;
	case KEY_TEXT:
		break;
	}
	return value;
}

/* The digits of a value, and what stands in front of them. */
static int digits_of(const struct piece *piece, const struct value *value, char *digits, size_t digits_bytes,
		     const char **sign)
{
	uint64_t bits = value->bytes < 8 ? value->bits & ((1ull << 8 * value->bytes) - 1) : value->bits;
	bool is_decimal = piece->conversion == 'd' || piece->conversion == 's';

	*sign = "";
	if (is_decimal && value->is_negative) {
		*sign = "-";
		bits = -value->bits;
	} else if (is_decimal) {
		*sign = piece->plus ? "+" : piece->space ? " " : "";
	}
	switch (piece->conversion) {
	case 'x':
		*sign = piece->prefix ? "0x" : "";
		return snprintf(digits, digits_bytes, "%llx", (unsigned long long)bits);
	case 'X':
		*sign = piece->prefix ? "0X" : "";
		return snprintf(digits, digits_bytes, "%llX", (unsigned long long)bits);
	case 'o':
		*sign = piece->prefix ? "0o" : "";
		return snprintf(digits, digits_bytes, "%llo", (unsigned long long)bits);
	default:
		return snprintf(digits, digits_bytes, "%llu", (unsigned long long)bits);
	}
}

static void put_number(struct hs_out *out, const struct piece *piece, const struct value *value)
{
	char digits[32];
	const char *sign;
	size_t digit_nr = (size_t)digits_of(piece, value, digits, sizeof(digits), &sign);
	size_t used = digit_nr + strlen(sign), fill = piece->width > used ? piece->width - used : 0;

	if (!piece->left && !piece->zeros)
		hs_out_fill(out, ' ', fill);
	hs_out_text(out, sign);
	if (!piece->left && piece->zeros)
		hs_out_fill(out, '0', fill);
	hs_out_bytes(out, digits, digit_nr);
	if (piece->left)
		hs_out_fill(out, ' ', fill);
}

/* A byte (text is NULL) or a name. */
static void put_words(struct hs_out *out, const struct piece *piece, uint8_t byte, const char *text)
{
	size_t used = text ? strlen(text) : 1, fill = piece->width > used ? piece->width - used : 0;

	if (!piece->left)
		hs_out_fill(out, ' ', fill);
	if (text)
		hs_out_safe(out, text);
	else
		hs_out_byte(out, byte);
	if (piece->left)
		hs_out_fill(out, ' ', fill);
}

static void put_piece(struct hs_out *out, const struct piece *piece, const struct hs_print_row *row)
{
	struct value value;

	if (piece->key == KEY_TEXT) {
		hs_out_bytes(out, piece->text, piece->text_bytes);
		return;
	}
	value = value_of(piece, row);
	if (piece->conversion == 'c')
		put_words(out, piece, (uint8_t)value.bits, NULL);
	else if (piece->conversion == 's' && value.text)
		put_words(out, piece, 0, value.text);
	else
		put_number(out, piece, &value);
}

bool hs_formats_print(const struct hs_formats *formats, struct hs_out *out, const struct hs_print_row *row)
{
	const struct rule *rule = &formats->rules[row->event->id];

	if (row->event->is_foreign || !formats->has_rule[row->event->id])
		return false;
	for (size_t i = 0; i < rule->piece_nr; i++)
		put_piece(out, &rule->pieces[i], row);
	hs_out_char(out, '\n');
	return true;
}
