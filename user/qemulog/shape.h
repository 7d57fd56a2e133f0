/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The shapes of the hot lines, 16 bytes at a time with SSE2 (every x86-64 has it): the inner loop of the
 * parser and the strict part of the decoder, included by line.c, qemulog.c and hyper/ingest_line.h. Pure.
 *
 * They are fast because they look for no newline: a line is matched field by field and the newline is where
 * the last field ends, or it is no such line. A line is at most 30 bytes of prefix and 145 of event and each
 * load reads 16 bytes from a position inside it, so SHAPE_SPAN readable bytes are enough.
 *
 * `full` is a constant at every call: false leaves out the fields that counting does not need, though not the
 * check of their shape.
 */
#ifndef HS_QEMULOG_SHAPE_H
#define HS_QEMULOG_SHAPE_H

#include <emmintrin.h>
#include <stdbool.h>
#include <string.h>

#include "qemulog/line.h"

#define SHAPE_SPAN 256
#define HS_QEMULOG_SEC_MAX (UINT64_MAX / 1000000000 - 1) /* the last second that fits 64 bits of nanoseconds */
#define SHAPE_INLINE inline __attribute__((always_inline))

/* memcmp() of a constant length becomes a few wide loads and compares. */
#define SHAPE_SAME(p, text) (memcmp((p), (text), sizeof(text) - 1) == 0)

#define SHAPE_PAGE_HIT "vtd_iotlb_page_hit IOTLB page hit sid 0x"
#define SHAPE_PAGE_UPDATE "vtd_iotlb_page_update IOTLB page update sid 0x"
#define SHAPE_CC_HIT "vtd_iotlb_cc_hit IOTLB context hit bus 0x"
#define SHAPE_CC_UPDATE "vtd_iotlb_cc_update IOTLB context update bus 0x"

static SHAPE_INLINE __m128i in_range(__m128i bytes, char first, char last)
{
	__m128i offset = _mm_sub_epi8(bytes, _mm_set1_epi8(first));

	return _mm_cmpeq_epi8(_mm_min_epu8(offset, _mm_set1_epi8((char)(last - first))), offset);
}

/* How many of the 16 bytes at p, from the first on, are decimal digits. */
static SHAPE_INLINE unsigned int decimal_run(const char *p)
{
	__m128i bytes = _mm_loadu_si128((const __m128i *)p);

	return (unsigned int)__builtin_ctz(~(unsigned int)_mm_movemask_epi8(in_range(bytes, '0', '9')));
}

/* The same for the digits of %x: QEMU writes them in lower case. */
static SHAPE_INLINE unsigned int hex_run(const char *p)
{
	__m128i bytes = _mm_loadu_si128((const __m128i *)p);
	__m128i hex = _mm_or_si128(in_range(bytes, '0', '9'), in_range(bytes, 'a', 'f'));

	return (unsigned int)__builtin_ctz(~(unsigned int)_mm_movemask_epi8(hex));
}

/*
 * The value of the `digits` (1..16) hex digits that end before `end`. Loads the 16 bytes before `end`, which
 * are there because a digit is never within the first 16 bytes of an event.
 */
static SHAPE_INLINE uint64_t hex_value(const char *end, unsigned int digits)
{
	static const uint8_t keep_last[32] = { [16] = 255, 255, 255, 255, 255, 255, 255, 255,
					       255,	   255, 255, 255, 255, 255, 255, 255 };
	__m128i mask = _mm_loadu_si128((const __m128i *)(keep_last + digits));
	__m128i bytes = _mm_loadu_si128((const __m128i *)(end - 16));
	__m128i nine = _mm_and_si128(_mm_cmpgt_epi8(bytes, _mm_set1_epi8('9')), _mm_set1_epi8(9));
	__m128i nibbles = _mm_add_epi8(_mm_and_si128(bytes, _mm_set1_epi8(15)), nine);
	__m128i pairs;

	nibbles = _mm_and_si128(nibbles, mask);
	pairs = _mm_or_si128(_mm_slli_epi16(nibbles, 4), _mm_srli_epi16(nibbles, 8));
	pairs = _mm_and_si128(pairs, _mm_set1_epi16(255));
	return __builtin_bswap64((uint64_t)_mm_cvtsi128_si64(_mm_packus_epi16(pairs, pairs)));
}

static SHAPE_INLINE uint64_t decimal_value(const char *p, unsigned int digits)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < digits; i++)
		value = value * 10 + (uint64_t)(p[i] - '0');
	return value;
}

/* Takes 1..max_digits hex digits; returns what follows them, or NULL. Digit 17 is no text that may follow. */
static SHAPE_INLINE const char *match_hex(const char *p, unsigned int max_digits, uint64_t *value, bool want)
{
	unsigned int digits = hex_run(p);

	if (digits - 1 >= max_digits)
		return NULL;
	if (want)
		*value = hex_value(p + digits, digits);
	return p + digits;
}

static SHAPE_INLINE const char *match_u32(const char *p, uint32_t *value)
{
	unsigned int digits = decimal_run(p);
	uint64_t wide;

	if (digits - 1 >= 10)
		return NULL;
	wide = decimal_value(p, digits);
	*value = (uint32_t)wide;
	return wide <= UINT32_MAX ? p + digits : NULL;
}

/* From behind "sid 0x" to behind the newline; NULL when it is not that. */
static SHAPE_INLINE const char *match_page(const char *p, struct hs_qemulog_line *line, bool full)
{
	uint64_t sid, domain = 0;

	p = match_hex(p, 4, &sid, true);
	if (!p || !SHAPE_SAME(p, " iova 0x"))
		return NULL;
	p = match_hex(p + 8, 16, &line->iova, full);
	if (!p || !SHAPE_SAME(p, " slpte 0x"))
		return NULL;
	p = match_hex(p + 9, 16, &line->slpte, full);
	if (!p || !SHAPE_SAME(p, " domain 0x"))
		return NULL;
	p = match_hex(p + 10, 4, &domain, full);
	if (!p || *p != '\n')
		return NULL;
	line->sid = (uint16_t)sid;
	line->domain = (uint16_t)domain;
	line->fields |= HS_QEMULOG_HAS_SID | HS_QEMULOG_HAS_PAGE;
	return p + 1;
}

/* From behind "bus 0x" to behind the newline; NULL when it is not that. */
static SHAPE_INLINE const char *match_context(const char *p, struct hs_qemulog_line *line, bool full, bool update)
{
	uint64_t bus, devfn;

	p = match_hex(p, 2, &bus, true);
	if (!p || !SHAPE_SAME(p, " devfn 0x"))
		return NULL;
	p = match_hex(p + 9, 2, &devfn, true);
	if (!p || !SHAPE_SAME(p, " high 0x"))
		return NULL;
	p = match_hex(p + 8, 16, &line->high, full);
	if (!p || !SHAPE_SAME(p, " low 0x"))
		return NULL;
	p = match_hex(p + 7, 16, &line->low, full);
	if (!p || !SHAPE_SAME(p, " gen "))
		return NULL;
	p = match_u32(p + 5, &line->gen);
	if (p && update)
		p = SHAPE_SAME(p, " -> gen ") ? match_u32(p + 8, &line->new_gen) : NULL;
	if (!p || *p != '\n')
		return NULL;
	line->sid = (uint16_t)(bus << 8 | devfn);
	line->fields |= HS_QEMULOG_HAS_SID | HS_QEMULOG_HAS_CONTEXT | (update ? HS_QEMULOG_HAS_NEW_GEN : 0);
	return p + 1;
}

/*
 * `p` is at the event's name. Returns what follows the newline, or NULL when this is not a complete hot
 * event; then only `fields` of *line is still good.
 */
static SHAPE_INLINE const char *shape_match_event(const char *p, struct hs_qemulog_line *line, bool full)
{
	line->name = p;
	if (SHAPE_SAME(p, SHAPE_PAGE_HIT)) {
		line->event = HS_QEMULOG_PAGE_HIT;
		line->name_len = sizeof("vtd_iotlb_page_hit") - 1;
		return match_page(p + sizeof(SHAPE_PAGE_HIT) - 1, line, full);
	}
	if (SHAPE_SAME(p, SHAPE_CC_HIT)) {
		line->event = HS_QEMULOG_CC_HIT;
		line->name_len = sizeof("vtd_iotlb_cc_hit") - 1;
		return match_context(p + sizeof(SHAPE_CC_HIT) - 1, line, full, false);
	}
	if (SHAPE_SAME(p, SHAPE_PAGE_UPDATE)) {
		line->event = HS_QEMULOG_PAGE_UPDATE;
		line->name_len = sizeof("vtd_iotlb_page_update") - 1;
		return match_page(p + sizeof(SHAPE_PAGE_UPDATE) - 1, line, full);
	}
	if (SHAPE_SAME(p, SHAPE_CC_UPDATE)) {
		line->event = HS_QEMULOG_CC_UPDATE;
		line->name_len = sizeof("vtd_iotlb_cc_update") - 1;
		return match_context(p + sizeof(SHAPE_CC_UPDATE) - 1, line, full, true);
	}
	return NULL;
}

/* Days since 1970-01-01 of a date of the Gregorian calendar after it; years begin in March, so leap days end them. */
static inline uint64_t shape_days_of(uint64_t year, uint64_t month, uint64_t day)
{
	uint64_t march_year = month > 2 ? year : year - 1, march_month = (month + 9) % 12;

	return march_year * 365 + march_year / 4 - march_year / 100 + march_year / 400 + (march_month * 153 + 2) / 5 +
	       day - 1 - 719468;
}

/*
 * "2026-01-08T17:03:24.123456Z ", without the fraction when that is 0: what QEMU 10.2 and newer put before an event.
 * Returns what follows, or NULL. 64 bytes at p must be readable.
 */
static SHAPE_INLINE const char *shape_match_iso_time(const char *p, uint64_t *time_ns)
{
	static const char ends[] = "--T::";
	uint64_t part[5], usec = 0, sec;
	const char *at = p + 5;

	if (decimal_run(p) != 4 || p[4] != '-')
		return NULL;
	for (unsigned int i = 0; i < 5; i++, at += 3) {
		if (decimal_run(at) != 2 || (i < 4 && at[2] != ends[i + 1]))
			return NULL;
		part[i] = decimal_value(at, 2);
	}
	at--;
	if (*at == '.') {
		if (decimal_run(at + 1) != 6)
			return NULL;
		usec = decimal_value(at + 1, 6);
		at += 7;
	}
	if (at[0] != 'Z' || at[1] != ' ' || decimal_value(p, 4) < 1970 || part[0] - 1 > 11 || part[1] - 1 > 30 ||
	    part[2] > 23 || part[3] > 59 || part[4] > 60)
		return NULL;
	sec = ((shape_days_of(decimal_value(p, 4), part[0], part[1]) * 24 + part[2]) * 60 + part[3]) * 60 + part[4];
	if (sec > HS_QEMULOG_SEC_MAX)
		return NULL;
	*time_ns = sec * 1000000000 + usec * 1000;
	return at + 2;
}

/*
 * "tid@sec.usec:" of the widths seen until the year 2286, or the time of newer QEMUs; larger numbers are left to the
 * decoder, which checks their limits. Returns the name's place, p itself when the line has no prefix, NULL when it is
 * something else.
 */
static SHAPE_INLINE const char *shape_match_prefix(const char *p, struct hs_qemulog_line *line)
{
	unsigned int tid_len = decimal_run(p), sec_len;
	const char *sec = p + tid_len + 1, *usec;

	if (!tid_len)
		return p;
	if (p[tid_len] == '-') {
		line->tid = 0;
		line->fields |= HS_QEMULOG_HAS_TIME;
		return shape_match_iso_time(p, &line->time_ns);
	}
	if (tid_len > 9 || p[tid_len] != '@')
		return NULL;
	sec_len = decimal_run(sec);
	usec = sec + sec_len + 1;
	if (sec_len - 1 >= 10 || sec[sec_len] != '.' || decimal_run(usec) != 6 || usec[6] != ':')
		return NULL;
	line->tid = (uint32_t)decimal_value(p, tid_len);
	line->time_ns = decimal_value(sec, sec_len) * 1000000000 + decimal_value(usec, 6) * 1000;
	line->fields |= HS_QEMULOG_HAS_TIME;
	return usec + 7;
}

/* A whole hot line at p, newline included: as shape_match_event(). SHAPE_SPAN bytes at p must be readable. */
static SHAPE_INLINE const char *shape_match_line(const char *p, struct hs_qemulog_line *line, bool full)
{
	line->fields = 0;
	p = shape_match_prefix(p, line);
	return p ? shape_match_event(p, line, full) : NULL;
}

#endif
