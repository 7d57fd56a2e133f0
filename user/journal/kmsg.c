// SPDX-License-Identifier: GPL-2.0-only
/* Taking a record of /dev/kmsg apart. Fields behind those that we know are skipped, as the ABI asks. */
#include "journal/kmsg.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "journal/record.h"

struct cursor {
	const char *at, *end;
};

static int read_number(struct cursor *cursor, uint64_t *out)
{
	const char *begin = cursor->at;
	uint64_t number = 0;

	for (; cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9'; cursor->at++)
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*cursor->at - '0'), &number))
			return -EBADMSG;
	*out = number;
	return cursor->at > begin ? 0 : -EBADMSG;
}

static int skip_char(struct cursor *cursor, char c)
{
	if (cursor->at == cursor->end || *cursor->at != c)
		return -EBADMSG;
	cursor->at++;
	return 0;
}

/* "caller=T55" or "caller=C3"; another field tells nothing. */
static void read_field(const char *at, size_t len, struct hs_kmsg *out)
{
	static const char key[] = "caller=";
	struct cursor cursor = { at + sizeof(key), at + len };
	uint64_t number;

	if (len <= sizeof(key) || memcmp(at, key, sizeof(key) - 1) || read_number(&cursor, &number) ||
	    cursor.at != cursor.end || number > INT_MAX)
		return;
	if (at[sizeof(key) - 1] == 'T')
		out->tid = (int)number;
	else if (at[sizeof(key) - 1] == 'C')
		out->cpu = (int)number;
}

static int read_flags(struct cursor *cursor, struct hs_kmsg *out)
{
	if (cursor->at == cursor->end)
		return -EBADMSG;
	out->is_continuation = *cursor->at == 'c' || *cursor->at == '+';
	while (cursor->at < cursor->end && *cursor->at != ',' && *cursor->at != ';')
		cursor->at++;
	while (cursor->at < cursor->end && *cursor->at == ',') {
		const char *field = ++cursor->at;

		while (cursor->at < cursor->end && *cursor->at != ',' && *cursor->at != ';')
			cursor->at++;
		read_field(field, (size_t)(cursor->at - field), out);
	}
	return skip_char(cursor, ';');
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static size_t unescape(const char *at, size_t len, char *to)
{
	char *begin = to;

	for (size_t i = 0; i < len; i++) {
		bool is_escape = at[i] == '\\' && len - i >= 4 && at[i + 1] == 'x' && hex_digit(at[i + 2]) >= 0 &&
				 hex_digit(at[i + 3]) >= 0;

		*to++ = is_escape ? (char)(hex_digit(at[i + 2]) << 4 | hex_digit(at[i + 3])) : at[i];
		i += is_escape ? 3 : 0;
	}
	return (size_t)(to - begin);
}

int hs_kmsg_parse(const char *bytes, size_t len, char *text, struct hs_kmsg *out)
{
	struct cursor cursor = { bytes, bytes + len };
	struct hs_kmsg kmsg = { .tid = HS_JOURNAL_UNKNOWN, .cpu = HS_JOURNAL_UNKNOWN };
	uint64_t prefix;
	const char *end;

	if (read_number(&cursor, &prefix) || skip_char(&cursor, ',') || read_number(&cursor, &kmsg.seq) ||
	    skip_char(&cursor, ',') || read_number(&cursor, &kmsg.time_us) || skip_char(&cursor, ',') ||
	    read_flags(&cursor, &kmsg) || prefix > UINT_MAX || kmsg.time_us > UINT64_MAX / 1000 / 2 ||
	    kmsg.seq > INT64_MAX)
		return -EBADMSG;
	kmsg.severity = (int)(prefix & 7);
	kmsg.facility = (unsigned)(prefix >> 3);
	end = memchr(cursor.at, '\n', (size_t)(cursor.end - cursor.at));
	kmsg.len = unescape(cursor.at, (size_t)((end ? end : cursor.end) - cursor.at), text);
	*out = kmsg;
	return 0;
}
