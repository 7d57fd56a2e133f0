// SPDX-License-Identifier: GPL-2.0-only
/* Parsing of lists of CPU numbers. Pure; for options and for files of /sys. */
#include "cpulist.h"

#include <errno.h>
#include <stdlib.h>

static int parse_number(const char **text, uint32_t *number)
{
	char *end;
	unsigned long value;

	if (**text < '0' || **text > '9')
		return -EINVAL;
	value = strtoul(*text, &end, 10);
	if (value >= HS_CPULIST_MAX)
		return -ERANGE;
	*number = (uint32_t)value;
	*text = end;
	return 0;
}

static int parse_range(const char **text, struct hs_cpulist *list)
{
	uint32_t first, last;
	int err = parse_number(text, &first);

	if (err)
		return err;
	last = first;
	if (**text == '-') {
		++*text;
		err = parse_number(text, &last);
	}
	if (err || last < first)
		return err ? err : -EINVAL;
	for (uint32_t number = first; number <= last; number++)
		list->bits[number / 64] |= 1ull << number % 64;
	return 0;
}

int hs_cpulist_parse(const char *text, struct hs_cpulist *out)
{
	struct hs_cpulist list = { 0 };

	for (;;) {
		int err = parse_range(&text, &list);

		if (err)
			return err;
		if (*text != ',')
			break;
		text++;
	}
	text += *text == '\n';
	if (*text)
		return -EINVAL;
	*out = list;
	return 0;
}
