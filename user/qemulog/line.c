// SPDX-License-Identifier: GPL-2.0-only
/*
 * The decoder of one line: prefix and name byte by byte, the hot events by their shapes, all others by name
 * and whatever tells a source id. Called for every line that the parser's fast loop did not take, and by
 * readers of a finished log. Pure; any thread.
 */
#include "qemulog/line.h"

#include "base/scoped.h"
#include "qemulog/shape.h"

static const char *const hot_names[HS_QEMULOG_OTHER] = {
	[HS_QEMULOG_PAGE_HIT] = "vtd_iotlb_page_hit",
	[HS_QEMULOG_PAGE_UPDATE] = "vtd_iotlb_page_update",
	[HS_QEMULOG_CC_HIT] = "vtd_iotlb_cc_hit",
	[HS_QEMULOG_CC_UPDATE] = "vtd_iotlb_cc_update",
};

const char *hs_qemulog_event_name(enum hs_qemulog_event event)
{
	return event < HS_QEMULOG_OTHER ? hot_names[event] : NULL;
}

/* What is left of the line; each read_...() moves `at` behind what it took, or leaves it. */
struct rest {
	const char *at;
	const char *end;
};

static bool read_text(struct rest *rest, const char *text)
{
	size_t len = strlen(text);

	if ((size_t)(rest->end - rest->at) < len || memcmp(rest->at, text, len))
		return false;
	rest->at += len;
	return true;
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

/* All digits that are there: 1..max_digits of them, or it is no number. */
static bool read_number(struct rest *rest, int base, int max_digits, uint64_t *value)
{
	const char *p = rest->at;
	uint64_t sum = 0;

	for (; p < rest->end && digit_value(*p) < base; p++) {
		if (p - rest->at == max_digits)
			return false;
		sum = sum * (uint64_t)base + (uint64_t)digit_value(*p);
	}
	if (p == rest->at)
		return false;
	*value = sum;
	rest->at = p;
	return true;
}

/* tid@sec.usec: of which the part up to '@' was seen. */
static bool read_time(struct rest *rest, uint64_t *time_ns)
{
	const char *usec_at;
	uint64_t sec, usec;

	if (!read_number(rest, 10, 11, &sec) || sec > HS_QEMULOG_SEC_MAX || !read_text(rest, "."))
		return false;
	usec_at = rest->at;
	if (!read_number(rest, 10, 6, &usec) || rest->at - usec_at != 6 || !read_text(rest, ":"))
		return false;
	*time_ns = sec * 1000000000 + usec * 1000;
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The shape reads on behind the time: give it a copy with room. */
static bool read_iso_time(struct rest *rest, uint64_t *time_ns)
{
	size_t len = (size_t)(rest->end - rest->at);
	char copy[64] = { 0 };
	const char *next;

	memcpy(copy, rest->at, len < 32 ? len : 32);
	next = shape_match_iso_time(copy, time_ns);
	if (next)
		rest->at += next - copy;
	return next;
}

/* `PROGRAM: (tid:THREAD): ` */
static void read_thread(struct rest *rest, struct hs_qemulog_line *line)
{
	size_t len = (size_t)(rest->end - rest->at);
	const char *open = memmem(rest->at, len, ": (", 3), *close;
	struct rest inside = { .at = open ? open + 3 : rest->end, .end = rest->end };
	uint64_t tid;

	if (!open || memchr(rest->at, ' ', (size_t)(open - rest->at)) || !read_number(&inside, 10, 10, &tid) ||
	    tid > INT32_MAX || !read_text(&inside, ":"))
		return;
	close = memmem(inside.at, (size_t)(inside.end - inside.at), "): ", 3);
	if (!close)
		return;
	line->tid = (uint32_t)tid;
	rest->at = close + 3;
}

/* DECODED: the prefix was read, or there is none. *is_event: only an event has such a one. */
static enum hs_qemulog_verdict read_prefix(struct rest *rest, struct hs_qemulog_line *line, bool *is_event)
{
	const char *start = rest->at, *p = start;
	uint64_t tid, time_ns;

	while (p < rest->end && is_digit(*p))
		p++;
	if (p > start && p < rest->end && *p == '@') {
		*is_event = true;
		if (!read_number(rest, 10, 10, &tid) || tid > INT32_MAX || !read_text(rest, "@") ||
		    !read_time(rest, &time_ns))
			return HS_QEMULOG_TORN;
		line->tid = (uint32_t)tid;
		line->time_ns = time_ns;
		line->fields |= HS_QEMULOG_HAS_TIME;
		return HS_QEMULOG_DECODED;
	}
	if (read_iso_time(rest, &line->time_ns))
		line->fields |= HS_QEMULOG_HAS_TIME;
	else if (p > start)
		return HS_QEMULOG_FOREIGN;
	read_thread(rest, line);
	return HS_QEMULOG_DECODED;
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || c == '_' || is_digit(c) || (c >= 'A' && c <= 'Z');
}

static enum hs_qemulog_verdict read_name(struct rest *rest, struct hs_qemulog_line *line, bool is_event)
{
	const char *start = rest->at, *p = start;

	while (p < rest->end && is_name_char(*p))
		p++;
	if (!is_event && (p == start || !memchr(start, '_', (size_t)(p - start))))
		return HS_QEMULOG_FOREIGN;
	if (p < rest->end && *p == ' ' && p > start) {
		line->name = start;
		line->name_len = (uint32_t)(p - start);
		rest->at = p + 1;
		return HS_QEMULOG_DECODED;
	}
	return is_event || p == rest->end ? HS_QEMULOG_TORN : HS_QEMULOG_FOREIGN;
}

static enum hs_qemulog_event event_of_name(const char *name, size_t len)
{
	for (int i = 0; i < HS_QEMULOG_OTHER; i++) {
		if (strlen(hot_names[i]) == len && !memcmp(name, hot_names[i], len))
			return i;
	}
	return HS_QEMULOG_OTHER;
}

/* The shapes read 16 bytes at a time and end at a newline: give them a copy that has both. */
static enum hs_qemulog_verdict decode_hot(const char *name, const char *end, struct hs_qemulog_line *line)
{
	size_t len = (size_t)(end - name);
	struct hs_qemulog_line hot = *line;
	char copy[SHAPE_SPAN] = { 0 };

	if (len + 1 > sizeof(copy) - 64)
		return HS_QEMULOG_TORN; /* longer than the longest of them */
	memcpy(copy, name, len);
	copy[len] = '\n';
	if (shape_match_event(copy, &hot, true) != copy + len + 1)
		return HS_QEMULOG_TORN;
	hot.name = name;
	*line = hot;
	return HS_QEMULOG_DECODED;
}

#define ISO_DATE_BYTES 10 /* before its 'T' */

/* A second time inside a line, with its thread or as newer QEMUs write it: the first line lost its end. */
static bool holds_prefix(const char *start, const char *end)
{
	const char *at = start;
	uint64_t time_ns;

	while ((at = memchr(at, 'T', (size_t)(end - at)))) {
		struct rest rest = { .at = at - ISO_DATE_BYTES, .end = end };

		if (at - start >= ISO_DATE_BYTES && read_iso_time(&rest, &time_ns))
			return true;
		at++;
	}
	at = start;

	while ((at = memchr(at, '@', (size_t)(end - at)))) {
		struct rest rest = { .at = at + 1, .end = end };

		if (at > start && is_digit(at[-1]) && read_time(&rest, &time_ns))
			return true;
		at++;
	}
	return false;
}

static bool read_sid(struct rest *rest, uint64_t *sid)
{
	return read_number(rest, 16, 4, sid);
}

/* "bus 0x.. devfn 0x..", or both in decimal (vtd_ce_not_present) */
static bool read_bus_devfn(struct rest *rest, uint64_t *sid)
{
	int base = read_text(rest, "0x") ? 16 : 10;
	uint64_t bus, devfn;

	if (!read_number(rest, base, base == 16 ? 2 : 3, &bus) || !read_text(rest, " devfn ") ||
	    (base == 16 && !read_text(rest, "0x")) || !read_number(rest, base, base == 16 ? 2 : 3, &devfn))
		return false;
	*sid = bus << 8 | devfn;
	return bus <= 255 && devfn <= 255;
}

/* "bb:dd.f" or "bb:dd.ff", hex */
static bool read_bdf(struct rest *rest, uint64_t *sid)
{
	uint64_t bus, slot, function;

	if (!read_number(rest, 16, 2, &bus) || !read_text(rest, ":") || !read_number(rest, 16, 2, &slot) ||
	    !read_text(rest, ".") || !read_number(rest, 16, 2, &function))
		return false;
	*sid = bus << 8 | slot << 3 | function;
	return slot < 32 && function < 8;
}

/* How QEMU's trace-events files name the device whose access it is. */
static const struct {
	const char *words;
	bool (*read)(struct rest *rest, uint64_t *sid);
} sid_forms[] = {
	{ "sid 0x", read_sid }, { "sid=0x", read_sid },	 { "source id 0x", read_sid }, { "bus ", read_bus_devfn },
	{ "dev ", read_bdf },	{ "device ", read_bdf }, { "Device ", read_bdf },
};

static bool read_sid_form(const char *word, const char *end, uint16_t *out)
{
	for (size_t i = 0; i < HS_ARRAY_SIZE(sid_forms); i++) {
		struct rest rest = { .at = word, .end = end };
		uint64_t sid;

		if (!read_text(&rest, sid_forms[i].words) || !sid_forms[i].read(&rest, &sid))
			continue;
		if (rest.at < end && is_name_char(*rest.at))
			continue; /* the number goes on: not what it looked like */
		*out = (uint16_t)sid;
		return true;
	}
	return false;
}

static void find_sid(const char *start, const char *end, struct hs_qemulog_line *line)
{
	const char *word = start, *space;

	while (word < end) {
		bool may_tell = *word == 's' || *word == 'b' || *word == 'd' || *word == 'D';

		if (may_tell && read_sid_form(word, end, &line->sid)) {
			line->fields |= HS_QEMULOG_HAS_SID;
			return;
		}
		space = memchr(word, ' ', (size_t)(end - word));
		if (!space)
			return;
		word = space + 1;
	}
}

enum hs_qemulog_verdict hs_qemulog_decode(const char *text, size_t len, struct hs_qemulog_line *line)
{
	struct rest rest = { .at = text, .end = text + len };
	enum hs_qemulog_verdict verdict;
	bool is_event = false;

	memset(line, 0, sizeof(*line));
	line->event = HS_QEMULOG_OTHER;
	if (len && text[len - 1] == '\r')
		rest.end--;
	verdict = read_prefix(&rest, line, &is_event);
	if (verdict == HS_QEMULOG_DECODED)
		verdict = read_name(&rest, line, is_event);
	if (verdict == HS_QEMULOG_FOREIGN)
		*line = (struct hs_qemulog_line){ .event = HS_QEMULOG_OTHER };
	if (verdict != HS_QEMULOG_DECODED)
		return verdict;

	line->event = event_of_name(line->name, line->name_len);
	if (line->event != HS_QEMULOG_OTHER)
		return decode_hot(line->name, rest.end, line);
	if (memchr(rest.at, 0, (size_t)(rest.end - rest.at)) || holds_prefix(rest.at, rest.end))
		return HS_QEMULOG_TORN;
	find_sid(rest.at, rest.end, line);
	return HS_QEMULOG_DECODED;
}
