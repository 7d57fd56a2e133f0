// SPDX-License-Identifier: GPL-2.0-only
/* A range is cut into its numbers and their unit, then counted up. */
#include "explore/range.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define UNIT_MAX 8

struct range {
	uint64_t from, to, step;
	bool is_factor; /* the next value is this one times step, not plus */
	char unit[UNIT_MAX];
};

/* Digits and letters behind them, at most the unit's length; *next is what follows. */
static bool parse_number(const char *text, uint64_t *value, char *unit, const char **next)
{
	size_t len = 0;
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*value = strtoull(text, &end, 10);
	while (isalpha((unsigned char)end[len]))
		len++;
	if (errno || len >= UNIT_MAX)
		return false;
	memcpy(unit, end, len);
	unit[len] = '\0';
	*next = end + len;
	return true;
}

static bool parse_step(const char *text, struct range *range)
{
	char unit[UNIT_MAX];

	if (!*text) {
		range->step = 2;
		range->is_factor = true;
		return true;
	}
	range->is_factor = *text == '*';
	if (*text != '*' && *text != '+')
		return false;
	if (!parse_number(text + 1, &range->step, unit, &text) || *text)
		return false;
	return !*unit || (!range->is_factor && !strcmp(unit, range->unit));
}

static bool parse(const char *word, const char *dots, struct range *range)
{
	char unit[UNIT_MAX];
	const char *next;

	if (!parse_number(word, &range->from, unit, &next) || next != dots)
		return false;
	if (!parse_number(dots + 2, &range->to, range->unit, &next) || !parse_step(next, range))
		return false;
	if (*unit && strcmp(unit, range->unit) != 0)
		return false;
	/* It must grow and arrive. */
	return range->from <= range->to && range->step > (range->is_factor ? 1 : 0) &&
	       (range->from || !range->is_factor);
}

static int count_up(const struct range *range, const char *word, hs_opt_take_word take_word, void *ctx)
{
	uint64_t value = range->from;

	for (unsigned nr = 0;; nr++) {
		char text[32 + UNIT_MAX];
		int err;

		if (nr == HS_RANGE_VALUES_MAX)
			return hs_fail(-E2BIG, "%s is a range of more than %d values", word, HS_RANGE_VALUES_MAX);
		snprintf(text, sizeof(text), "%" PRIu64 "%s", value, range->unit);
		err = take_word(ctx, text);
		if (err)
			return err;
		if (range->is_factor ? __builtin_mul_overflow(value, range->step, &value)
				     : __builtin_add_overflow(value, range->step, &value))
			return 0;
		if (value > range->to)
			return 0;
	}
}

int hs_range_each(const char *word, hs_opt_take_word take_word, void *ctx)
{
	const char *dots = strstr(word, "..");
	struct range range;

	/* "../traces/a.dma" and "a..b" are names. */
	if (!dots || !isdigit((unsigned char)*word) || !isdigit((unsigned char)dots[2]))
		return take_word(ctx, word);
	if (!parse(word, dots, &range))
		return hs_fail(-EINVAL, "%s is no range: 4..1024 (doubling), 1..81*3 and 100G..400G+100G are", word);
	return count_up(&range, word, take_word, ctx);
}
