// SPDX-License-Identifier: GPL-2.0-only
/*
 * The walk over a page. libtraceevent's kbuffer does the same for pages that can be trusted: it takes every length as
 * it stands. Here each is held against the page's end first, and then there is nothing left for it to do (tests
 * compare the two). Times above 2^62 are refused, so that no sum of times can overflow.
 */
#include "ftrace/page.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MISSED_EVENTS (1u << 31)
#define MISSED_STORED (1u << 30)
#define COMMIT_MASK (MISSED_STORED - 1)
#define TYPE_BITS 5
#define DELTA_BITS 27
#define TIME_MAX (1ull << 62)
/* An absolute time stamp has 59 bits; the others are those of the page's time. */
#define STAMP_MASK ((1ull << 59) - 1)
#define HEADER_TEXT_MAX 4096

enum { TYPE_LONG = 0, TYPE_PADDING = 29, TYPE_TIME_EXTEND = 30, TYPE_TIME_STAMP = 31 };

const struct hs_ftrace_layout hs_ftrace_layout_x86_64 = { 4096, 8, 8, 16 };

/* "\tfield: TYPE NAME;\toffset:8;\tsize:8;..." */
static int find_field(const char *text, const char *name, uint32_t *offset, uint32_t *size)
{
	char pattern[32];
	const char *at;

	snprintf(pattern, sizeof(pattern), " %s;", name);
	at = strstr(text, pattern);
	if (!at || sscanf(at + strlen(pattern), " offset:%9u; size:%9u;", offset, size) != 2)
		return -EBADMSG;
	return 0;
}

int hs_ftrace_layout_parse(const char *text, size_t bytes, struct hs_ftrace_layout *out)
{
	char copy[HEADER_TEXT_MAX];
	struct hs_ftrace_layout layout;
	uint32_t ts_offset, ts_bytes, data_bytes;

	if (bytes >= sizeof(copy))
		return -EBADMSG;
	memcpy(copy, text, bytes);
	copy[bytes] = '\0';
	if (find_field(copy, "timestamp", &ts_offset, &ts_bytes) ||
	    find_field(copy, "commit", &layout.commit_offset, &layout.commit_bytes) ||
	    find_field(copy, "data", &layout.data_offset, &data_bytes))
		return -EBADMSG;
	layout.page_bytes = layout.data_offset + data_bytes;
	if (ts_offset || ts_bytes != 8 || layout.commit_offset != 8 ||
	    (layout.commit_bytes != 4 && layout.commit_bytes != 8) || layout.data_offset < 8 + layout.commit_bytes ||
	    layout.data_offset > 64 || layout.data_offset % 4 || data_bytes < 64 ||
	    layout.page_bytes > HS_FTRACE_PAGE_BYTES_MAX || layout.page_bytes % 8)
		return -EBADMSG;
	*out = layout;
	return 0;
}

static uint32_t read_u32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

int hs_ftrace_page_open(const struct hs_ftrace_layout *layout, const void *page_bytes, struct hs_ftrace_page *out)
{
	const uint8_t *bytes = page_bytes, *data = bytes + layout->data_offset;
	struct hs_ftrace_page page = { .at = data };
	uint32_t commit = read_u32(bytes + layout->commit_offset); /* the flags may be extended into the upper half */
	uint32_t used = commit & COMMIT_MASK;

	if (used > layout->page_bytes - layout->data_offset)
		return -EBADMSG;
	memcpy(&page.ts, bytes, sizeof(page.ts));
	if (page.ts > TIME_MAX)
		return -EBADMSG;
	page.end = data + used;
	page.has_missed = commit & MISSED_EVENTS;
	if (page.has_missed && (commit & MISSED_STORED)) {
		if (layout->page_bytes - layout->data_offset - used < layout->commit_bytes)
			return -EBADMSG;
		memcpy(&page.missed, page.end, layout->commit_bytes);
		if (page.missed > TIME_MAX)
			return -EBADMSG;
	}
	*out = page;
	return 0;
}

/* Where the record ends whose length is `bytes` from `at` on; NULL: behind the page's end. */
static const uint8_t *end_of(const struct hs_ftrace_page *page, const uint8_t *at, uint64_t bytes)
{
	bytes = (bytes + 3) & ~3ull;
	return bytes <= (uint64_t)(page->end - at) ? at + bytes : NULL;
}

/* 1: it is an event; 0: it only moves the time; -EBADMSG. */
static int step(struct hs_ftrace_page *page, struct hs_ftrace_raw *out)
{
	uint32_t head = read_u32(page->at), type = head & ((1u << TYPE_BITS) - 1), delta = head >> TYPE_BITS;
	const uint8_t *body = page->at + sizeof(head), *end;
	uint32_t word = 0;

	if (type == TYPE_PADDING && !delta) { /* nothing follows in this page */
		page->at = page->end;
		return 0;
	}
	if (type == TYPE_LONG || type >= TYPE_PADDING) {
		if (page->end - body < 4)
			return -EBADMSG;
		word = read_u32(body);
	}
	switch (type) {
	case TYPE_TIME_EXTEND:
		page->ts += (uint64_t)word << DELTA_BITS | delta;
		end = body + sizeof(word);
		break;
	case TYPE_TIME_STAMP:
		page->ts = (page->ts & ~STAMP_MASK) | ((uint64_t)word << DELTA_BITS | delta);
		end = body + sizeof(word);
		break;
	case TYPE_PADDING: /* an event that was taken back: the next one's time counts from its */
	case TYPE_LONG:
		page->ts += delta;
		end = end_of(page, body, word);
		break;
	default:
		page->ts += delta;
		end = end_of(page, body, 4ull * type);
		break;
	}
	if (!end || page->ts > TIME_MAX || (type == TYPE_LONG && word < sizeof(word)))
		return -EBADMSG;
	page->at = end;
	if (type >= TYPE_PADDING)
		return 0;
	out->data = body + (type == TYPE_LONG ? sizeof(word) : 0);
	out->bytes = (size_t)(end - out->data);
	out->ts = page->ts;
	return 1;
}

int hs_ftrace_page_next(struct hs_ftrace_page *page, struct hs_ftrace_raw *out)
{
	while (page->end - page->at >= 4) {
		int found = step(page, out);

		if (found)
			return found;
	}
	return page->at == page->end ? 0 : -EBADMSG;
}
