// SPDX-License-Identifier: GPL-2.0-only
/* Looks for the few forms of print formats that are of use. Any thread. */
#include "ftrace/print_fmt.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/scoped.h"
#include "trace/ctf_events.h"

#define RECORD "REC->"

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* ---- hexadecimal ------------------------------------------------------------------------------- */
/* From a quote to behind the closing one. */
static const char *skip_string(const char *at)
{
	for (at++; *at && *at != '"'; at++)
		at += *at == '\\' && at[1];
	return *at ? at + 1 : at;
}

/* Where the argument that starts at `at` ends: at a comma outside all parentheses, or at the text's end. */
static const char *argument_end(const char *at)
{
	int depth = 0;

	while (*at && !(*at == ',' && !depth)) {
		if (*at == '"') {
			at = skip_string(at);
			continue;
		}
		depth += (*at == '(' || *at == '{') - (*at == ')' || *at == '}');
		at++;
	}
	return at;
}

/* Whether it is the field, but for parentheses and casts. */
static bool is_just(const char *at, const char *end, const char *field)
{
	const char *record = memmem(at, (size_t)(end - at), RECORD, strlen(RECORD));
	const char *name = record ? record + strlen(RECORD) : end;
	size_t length = strlen(field);

	if ((size_t)(end - name) < length || strncmp(name, field, length) != 0)
		return false;
	for (const char *rest = name + length; rest < end; rest++) {
		if (*rest != ')' && *rest != ' ')
			return false;
	}
	for (; at < record; at++) {
		if (!is_word(*at) && !strchr("() *", *at))
			return false;
	}
	return true;
}

/* The next conversion of the format string, which ends at `end`: its letter, 0 behind the last. */
static char next_conversion(const char **at, const char *end)
{
	while (*at < end) {
		char c = *(*at)++;

		if (c != '%')
			continue;
		if (*at < end && **at == '%') {
			(*at)++;
			continue;
		}
		while (*at < end && strchr("-+ #0123456789.*hlLzjtq", **at))
			(*at)++;
		return *at < end ? *(*at)++ : 0;
	}
	return 0;
}

bool hs_ftrace_is_hex(const char *print_fmt, const char *field)
{
	const char *end = argument_end(print_fmt), *at = print_fmt, *argument = end;
	char conversion;

	while (*argument == ',' && (conversion = next_conversion(&at, end))) {
		const char *start = argument + 1;

		argument = argument_end(start);
		if ((conversion == 'x' || conversion == 'X' || conversion == 'p') && is_just(start, argument, field))
			return true;
	}
	return false;
}

/* ---- names of values --------------------------------------------------------------------------- */
static bool has_value(const struct hs_enum *list, uint32_t value)
{
	return hs_enum_text(list, value) != NULL;
}

/* "{ NUMBER, "TEXT" }": behind it, or NULL. A number that is no plain one ends the search for all. */
static const char *parse_pair(const char *at, uint32_t max, struct hs_enum *list)
{
	struct hs_enum_value *values = (struct hs_enum_value *)list->values;
	unsigned long long value;
	const char *close;
	char *end, *text;

	at += strspn(at, " ");
	if (*at++ != '{')
		return NULL;
	at += strspn(at, " ");
	if (!isdigit((unsigned char)*at))
		return NULL;
	errno = 0;
	value = strtoull(at, &end, 0);
	at = end + strspn(end, "uUlL");
	at += strspn(at, " ");
	if (errno || *at++ != ',')
		return NULL;
	at += strspn(at, " ");
	close = *at == '"' ? strchr(at + 1, '"') : NULL;
	if (!close)
		return NULL;
	if (value <= max && !has_value(list, (uint32_t)value)) {
		text = strndup(at + 1, (size_t)(close - at - 1));
		if (!text || !hs_ctf_is_label(text) || list->value_nr == HS_CTF_ENUM_VALUES_MAX) {
			free(text);
			return NULL;
		}
		values[list->value_nr++] = (struct hs_enum_value){ (uint32_t)value, text };
	}
	at = close + 1;
	at += strspn(at, " ");
	return *at == '}' ? at + 1 : NULL;
}

static const char *find_symbolic(const char *print_fmt, const char *field)
{
	static const char start[] = "__print_symbolic(" RECORD;
	size_t length = strlen(field);

	for (const char *at = print_fmt; (at = strstr(at, start));) {
		at += strlen(start);
		if (!strncmp(at, field, length) && at[length] == ',')
			return at + length;
	}
	return NULL;
}

struct hs_enum *hs_ftrace_find_enum(const char *print_fmt, const char *field, uint32_t max)
{
	const char *at = find_symbolic(print_fmt, field);
	scoped(hs_ctf_enum) struct hs_enum *list = at ? calloc(1, sizeof(*list)) : NULL;

	if (!list)
		return NULL;
	list->values = calloc(HS_CTF_ENUM_VALUES_MAX, sizeof(*list->values));
	while (list->values && at && *at == ',') {
		at = parse_pair(at + 1, max, list);
		at = at ? at + strspn(at, " ") : NULL;
	}
	return at && *at == ')' && list->value_nr ? take(list) : NULL;
}
