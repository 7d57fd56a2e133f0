// SPDX-License-Identifier: GPL-2.0-only
/* Making, reading and judging pages. The random bytes are a counter run through a mixer: any page can be made alone. */
#include "mm_page.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMPRESSIBLE "compressible="
#define WORD_BYTES sizeof(uint64_t)

static const char *const state_names[HS_PAGE_STATE_NR] = {
	[HS_PAGE_GOOD] = "good",   [HS_PAGE_LOST] = "lost",   [HS_PAGE_SWAPPED] = "swapped",
	[HS_PAGE_STALE] = "stale", [HS_PAGE_AHEAD] = "ahead", [HS_PAGE_DAMAGED] = "damaged",
};

/* Bytes that are zeros in a page of "compressible=50%"; -EINVAL. */
static int parse_compressible(const char *text, size_t page_bytes, size_t *zero_bytes)
{
	char *end;
	unsigned long percent;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	percent = strtoul(text, &end, 10);
	if (percent > 100 || (strcmp(end, "%") != 0 && *end))
		return -EINVAL;
	*zero_bytes = page_bytes * percent / 100;
	return 0;
}

int hs_page_format_parse(const char *fill, size_t page_bytes, uint64_t seed, struct hs_page_format *out)
{
	struct hs_page_format format = { .seed = seed, .page_bytes = page_bytes, .stamped = true };
	size_t zero_bytes = page_bytes;

	if (!strcmp(fill, "zero"))
		format.stamped = false;
	else if (!strcmp(fill, "random"))
		zero_bytes = 0;
	else if (!strncmp(fill, COMPRESSIBLE, strlen(COMPRESSIBLE))) {
		if (parse_compressible(fill + strlen(COMPRESSIBLE), page_bytes, &zero_bytes))
			return -EINVAL;
	} else if (strcmp(fill, "stamp") != 0)
		return -EINVAL;
	format.random_bytes = (page_bytes - zero_bytes) / WORD_BYTES * WORD_BYTES;
	if (format.stamped && format.random_bytes < sizeof(struct hs_page_stamp))
		format.random_bytes = sizeof(struct hs_page_stamp);
	*out = format;
	return 0;
}

static uint64_t random_word(const struct hs_page_format *format, uint64_t number, size_t index)
{
	return hs_page_mix(format->seed ^ (number * (format->page_bytes / WORD_BYTES) + index));
}

static size_t first_random_word(void)
{
	return sizeof(struct hs_page_stamp) / WORD_BYTES;
}

void hs_page_make(const struct hs_page_format *format, void *page, uint64_t number, uint32_t generation)
{
	size_t words = format->random_bytes / WORD_BYTES;
	uint64_t *word = page;

	if (format->stamped)
		*(struct hs_page_stamp *)page = (struct hs_page_stamp){ HS_PAGE_MAGIC, number, generation,
									hs_page_sum(format, number, generation) };
	for (size_t i = first_random_word(); i < words; i++)
		word[i] = random_word(format, number, i);
	memset((char *)page + format->random_bytes, 0, format->page_bytes - format->random_bytes);
}

/* The first byte at or after word `from` that is not as hs_page_make() wrote it; page_bytes: all are. */
static size_t find_damage(const struct hs_page_format *format, const uint64_t *word, uint64_t number, size_t from)
{
	size_t words = format->page_bytes / WORD_BYTES, random_words = format->random_bytes / WORD_BYTES;

	for (size_t i = from; i < words; i++) {
		uint64_t expected = i < random_words ? random_word(format, number, i) : 0;
		const uint8_t *found = (const uint8_t *)&word[i], *made = (const uint8_t *)&expected;

		for (size_t byte = 0; word[i] != expected; byte++)
			if (found[byte] != made[byte])
				return i * WORD_BYTES + byte;
	}
	return format->page_bytes;
}

static bool is_all_zeros(const struct hs_page_format *format, const uint64_t *word)
{
	uint64_t any = 0;

	for (size_t i = 0; i < format->page_bytes / WORD_BYTES; i++)
		any |= word[i];
	return !any;
}

/* A whole stamp of this run. */
static bool is_ours(const struct hs_page_format *format, const struct hs_page_stamp *stamp)
{
	return stamp->magic == HS_PAGE_MAGIC && stamp->sum == hs_page_sum(format, stamp->number, stamp->generation);
}

static enum hs_page_state judge_stamp(const struct hs_page_format *format, const struct hs_page_stamp *stamp,
				      const struct hs_page_verdict *expected)
{
	if (is_all_zeros(format, (const uint64_t *)stamp))
		return HS_PAGE_LOST;
	if (!is_ours(format, stamp))
		return HS_PAGE_DAMAGED;
	if (stamp->number != expected->number)
		return HS_PAGE_SWAPPED;
	if (stamp->generation == expected->generation)
		return HS_PAGE_GOOD;
	return (int32_t)(stamp->generation - expected->generation) < 0 ? HS_PAGE_STALE : HS_PAGE_AHEAD;
}

bool hs_page_check(const struct hs_page_format *format, const void *page, uint64_t number, uint32_t generation,
		   struct hs_page_verdict *verdict)
{
	const struct hs_page_stamp *stamp = page;

	*verdict = (struct hs_page_verdict){ .state = HS_PAGE_GOOD, .number = number, .generation = generation };
	if (format->stamped) {
		verdict->found_number = stamp->number;
		verdict->found_generation = stamp->generation;
		verdict->state = judge_stamp(format, stamp, verdict);
	}
	if (verdict->state == HS_PAGE_GOOD) {
		verdict->offset = find_damage(format, page, number, format->stamped ? first_random_word() : 0);
		if (verdict->offset < format->page_bytes)
			verdict->state = HS_PAGE_DAMAGED;
	}
	return verdict->state == HS_PAGE_GOOD;
}

const char *hs_page_state_name(enum hs_page_state state)
{
	return state_names[state];
}

const char *hs_page_describe(const struct hs_page_verdict *verdict, char *text, size_t size)
{
	int len = snprintf(text, size, "page %" PRIu64 " is %s", verdict->number, state_names[verdict->state]);
	char *rest = text + len;
	size_t left = size - (size_t)len;

	if ((size_t)len >= size)
		return text;
	switch (verdict->state) {
	case HS_PAGE_LOST:
		snprintf(rest, left, ": zeros where generation %" PRIu64 " was written", verdict->generation);
		break;
	case HS_PAGE_SWAPPED:
		snprintf(rest, left, ": it holds page %" PRIu64 " of generation %" PRIu64, verdict->found_number,
			 verdict->found_generation);
		break;
	case HS_PAGE_STALE:
	case HS_PAGE_AHEAD:
		snprintf(rest, left, ": generation %" PRIu64 " where %" PRIu64 " was written",
			 verdict->found_generation, verdict->generation);
		break;
	case HS_PAGE_DAMAGED:
		snprintf(rest, left, " from byte %zu on", verdict->offset);
		break;
	default:
		break;
	}
	return text;
}
