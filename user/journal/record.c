// SPDX-License-Identifier: GPL-2.0-only
/*
 * The two forms of a record. Written for speed where each record passes (200 000 a second on one core): no printf, no
 * JSON tree, the day's date is computed by arithmetic.
 */
#include "journal/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const severities[HS_JOURNAL_SEVERITY_NR] = { "emerg",   "alert",  "crit", "err",
								"warning", "notice", "info", "debug" };
static const char *const sources[HS_JOURNAL_SOURCE_NR] = { "kernel", "console", "qemu", "crash", "hsbpf" };

struct hs_journal_record hs_journal_record_new(const char *machine, enum hs_journal_source source)
{
	return (struct hs_journal_record){ .machine = machine,
					   .source = source,
					   .severity = HS_JOURNAL_UNKNOWN,
					   .cpu = HS_JOURNAL_UNKNOWN,
					   .tid = HS_JOURNAL_UNKNOWN,
					   .text = "" };
}

const char *hs_journal_severity_name(int severity)
{
	return severity >= 0 && severity < HS_JOURNAL_SEVERITY_NR ? severities[severity] : "-";
}

int hs_journal_severity_parse(const char *text)
{
	static const struct {
		const char *name;
		int severity;
	} others[] = { { "panic", 0 }, { "error", 3 }, { "warn", 4 } };

	for (int i = 0; i < HS_JOURNAL_SEVERITY_NR; i++)
		if (!strcmp(text, severities[i]) || (text[0] == '0' + i && !text[1]))
			return i;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (!strcmp(text, others[i].name))
			return others[i].severity;
	return -EINVAL;
}

const char *hs_journal_source_name(enum hs_journal_source source)
{
	return sources[source];
}

/* ---- bytes ---- */

/* Room for that many more; NULL without memory. */
static char *room_for(struct hs_journal_buffer *buffer, size_t more)
{
	size_t size = buffer->size ? buffer->size : 4096;
	char *grown;

	if (buffer->err)
		return NULL;
	while (size - buffer->len < more)
		size *= 2;
	if (size != buffer->size) {
		grown = realloc(buffer->bytes, size);
		if (!grown) {
			buffer->err = -ENOMEM;
			return NULL;
		}
		buffer->bytes = grown;
		buffer->size = size;
	}
	return buffer->bytes + buffer->len;
}

void hs_journal_buffer_add(struct hs_journal_buffer *buffer, const char *bytes, size_t len)
{
	char *at = room_for(buffer, len);

	if (!at || !len)
		return;
	memcpy(at, bytes, len);
	buffer->len += len;
}

void hs_journal_buffer_clear(struct hs_journal_buffer *buffer)
{
	free(buffer->bytes);
	*buffer = (struct hs_journal_buffer){ 0 };
}

static void add_text(struct hs_journal_buffer *buffer, const char *text)
{
	hs_journal_buffer_add(buffer, text, strlen(text));
}

static char *put_number(char *end, uint64_t number)
{
	do
		*--end = (char)('0' + number % 10);
	while (number /= 10);
	return end;
}

static void add_number(struct hs_journal_buffer *buffer, uint64_t number)
{
	char digits[20], *end = digits + sizeof(digits), *at = put_number(end, number);

	hs_journal_buffer_add(buffer, at, (size_t)(end - at));
}

static void add_field(struct hs_journal_buffer *buffer, const char *key, uint64_t number)
{
	add_text(buffer, key);
	add_number(buffer, number);
}

/* ---- times ---- */

static void put_digits(char *to, unsigned number, int digits)
{
	while (digits--) {
		to[digits] = (char)('0' + number % 10);
		number /= 10;
	}
}

/* Days since 1970 to year, month and day: Howard Hinnant's civil_from_days. */
static void put_date(char *to, uint64_t days)
{
	uint64_t shifted = days + 719468, era = shifted / 146097;
	unsigned doe = (unsigned)(shifted % 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	unsigned month = mp < 10 ? mp + 3 : mp - 9;

	put_digits(to, (unsigned)(yoe + era * 400 + (month <= 2)), 4);
	put_digits(to + 5, month, 2);
	put_digits(to + 8, doy - (153 * mp + 2) / 5 + 1, 2);
}

static void add_time(struct hs_journal_buffer *buffer, uint64_t real_ns)
{
	char text[] = "0000-00-00T00:00:00.000000Z";
	uint64_t us = real_ns / 1000, second = us / 1000000;
	unsigned of_day = (unsigned)(second % 86400);

	put_date(text, second / 86400);
	put_digits(text + 11, of_day / 3600, 2);
	put_digits(text + 14, of_day / 60 % 60, 2);
	put_digits(text + 17, of_day % 60, 2);
	put_digits(text + 20, (unsigned)(us % 1000000), 6);
	hs_journal_buffer_add(buffer, text, sizeof(text) - 1);
}

/* Rounded up: a bound stays one. */
static void add_span(struct hs_journal_buffer *buffer, uint64_t ns)
{
	static const struct {
		uint64_t ns;
		const char *unit;
	} units[] = { { 1000000000, "s" }, { 1000000, "ms" }, { 1000, "us" } };

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (ns < 10 * units[i].ns)
			continue;
		add_number(buffer, ns / units[i].ns + (ns % units[i].ns != 0));
		add_text(buffer, units[i].unit);
		return;
	}
	add_number(buffer, ns);
	add_text(buffer, "ns");
}

/* ---- text ---- */

/* Bytes of the character of UTF-8 that begins here and may be shown as it is; 0: it must be escaped. */
static size_t shown(const unsigned char *at, size_t left)
{
	size_t len = at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : at[0] < 0xf5 ? 4 : 0;

	if (at[0] < 0x80)
		return at[0] >= ' ' && at[0] != 0x7f;
	if (!len || len > left)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] >= 0xa0) || (at[0] == 0xf0 && at[1] < 0x90) ||
	    (at[0] == 0xf4 && at[1] >= 0x90))
		return 0; /* too long, a surrogate, beyond Unicode */
	if (at[0] == 0xc2 && at[1] < 0xa0)
		return 0; /* C1 control characters: some terminals obey them */
	if (at[0] == 0xe2 &&
	    ((at[1] == 0x80 && (at[2] >= 0xa8 && at[2] <= 0xae)) || (at[1] == 0x81 && at[2] >= 0xa6 && at[2] <= 0xa9)))
		return 0; /* line separators, and what turns the direction of writing */
	return len;
}

/* Each byte takes 5 at most: \xNN with its backslash doubled. */
static void add_escaped(struct hs_journal_buffer *buffer, const char *text, size_t len, bool json)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *at = (const unsigned char *)text;
	char *to = room_for(buffer, 5 * len), *begin = to;
	size_t taken;

	for (size_t i = 0; to && i < len; i += taken) {
		taken = shown(at + i, len - i);
		if (json && at[i] == '"') {
			*to++ = '\\';
			*to++ = '"';
		} else if (taken && at[i] != '\\') {
			for (size_t k = 0; k < taken; k++)
				*to++ = text[i + k];
		} else {
			*to++ = '\\';
			if (json)
				*to++ = '\\';
			*to++ = 'x';
			*to++ = hex[at[i] >> 4];
			*to++ = hex[at[i] & 15];
			taken = 1;
		}
	}
	if (to)
		buffer->len += (size_t)(to - begin);
}

static void add_gap(struct hs_journal_buffer *out, const struct hs_journal_record *record, bool json)
{
	add_field(out, "logs missing here: ", record->last_seq - record->seq + 1);
	add_text(out, " records of ");
	add_escaped(out, record->machine, strlen(record->machine), json);
	add_field(out, " (seq ", record->seq);
	add_field(out, " to ", record->last_seq);
	add_text(out, ")");
}

static void add_seq(struct hs_journal_buffer *out, const struct hs_journal_record *record)
{
	if (!record->has_seq) {
		add_text(out, " -");
		return;
	}
	add_field(out, " ", record->seq);
	if (record->last_seq > record->seq)
		add_field(out, "-", record->last_seq);
}

void hs_journal_record_print(const struct hs_journal_record *record, struct hs_journal_buffer *out)
{
	if (record->real_ns) {
		add_time(out, record->real_ns);
		add_text(out, " +-");
		add_span(out, record->error_ns);
	} else {
		add_text(out, "- -");
	}
	add_text(out, " ");
	add_escaped(out, record->machine, strlen(record->machine), false);
	add_text(out, " ");
	add_text(out, hs_journal_severity_name(record->severity));
	add_text(out, " ");
	add_text(out, sources[record->source]);
	add_seq(out, record);
	if (record->tid >= 0)
		add_field(out, " T", (uint64_t)record->tid);
	if (record->cpu >= 0)
		add_field(out, " C", (uint64_t)record->cpu);
	if (record->is_fragment)
		add_text(out, " fragment");
	if (record->late_ns) {
		add_text(out, " late=");
		add_span(out, record->late_ns);
	}
	add_text(out, ": ");
	if (record->kind == HS_JOURNAL_GAP)
		add_gap(out, record, false);
	else
		add_escaped(out, record->text, record->len, false);
	add_text(out, "\n");
}

static void add_known(struct hs_journal_buffer *out, const char *key, bool is_known, uint64_t number)
{
	add_text(out, key);
	if (is_known)
		add_number(out, number);
	else
		add_text(out, "null");
}

static void add_times_json(const struct hs_journal_record *record, struct hs_journal_buffer *out)
{
	add_text(out, ",\"time\":");
	if (record->real_ns) {
		add_text(out, "\"");
		add_time(out, record->real_ns);
		add_text(out, "\"");
	} else {
		add_text(out, "null");
	}
	add_known(out, ",\"boot_ns\":", record->boot_ns, record->boot_ns);
	add_known(out, ",\"error_ns\":", record->boot_ns || record->real_ns, record->error_ns);
	add_known(out, ",\"machine_ns\":", record->has_machine_ns, record->machine_ns);
}

void hs_journal_record_print_json(const struct hs_journal_record *record, struct hs_journal_buffer *out)
{
	static const char *const kinds[HS_JOURNAL_KIND_NR] = { "message", "gap", "note" };

	add_text(out, "{\"schema\":\"" HS_JOURNAL_SCHEMA "\",\"kind\":\"");
	add_text(out, kinds[record->kind]);
	add_text(out, "\",\"machine\":\"");
	add_escaped(out, record->machine, strlen(record->machine), true);
	add_text(out, "\",\"source\":\"");
	add_text(out, sources[record->source]);
	add_text(out, "\"");
	add_times_json(record, out);
	add_text(out, ",\"severity\":");
	if (record->severity >= 0) {
		add_text(out, "\"");
		add_text(out, hs_journal_severity_name(record->severity));
		add_text(out, "\"");
	} else {
		add_text(out, "null");
	}
	add_known(out, ",\"seq\":", record->has_seq, record->seq);
	add_known(out, ",\"last_seq\":", record->has_seq,
		  record->last_seq > record->seq ? record->last_seq : record->seq);
	add_known(out, ",\"tid\":", record->tid >= 0, (uint64_t)record->tid);
	add_known(out, ",\"cpu\":", record->cpu >= 0, (uint64_t)record->cpu);
	add_field(out, ",\"late_ns\":", record->late_ns);
	add_text(out, record->is_fragment ? ",\"fragment\":true" : ",\"fragment\":false");
	add_text(out, ",\"text\":\"");
	if (record->kind == HS_JOURNAL_GAP)
		add_gap(out, record, true);
	else
		add_escaped(out, record->text, record->len, true);
	add_text(out, "\"}\n");
}
