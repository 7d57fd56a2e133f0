// SPDX-License-Identifier: GPL-2.0-only
/* Parsing and printing of sizes, times and rates. Pure; used by the option parser and every table. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
	const char *suffix;
	uint64_t factor;
};

static int parse_digits(const char *text, uint64_t *out, const char **rest)
{
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*out = strtoull(text, &end, 10);
	*rest = end;
	return errno ? -ERANGE : 0;
}

static int parse_with_units(const char *text, const struct unit *units, size_t count, uint64_t *out)
{
	const char *suffix;
	uint64_t number;
	int err = parse_digits(text, &number, &suffix);

	if (err)
		return err;
	for (size_t i = 0; i < count; i++)
		if (!strcasecmp(units[i].suffix, suffix))
			return __builtin_mul_overflow(number, units[i].factor, out) ? -ERANGE : 0;
	return -EINVAL;
}

int hs_parse_u64(const char *text, uint64_t *out)
{
	static const struct unit none[] = { { "", 1 } };

	return parse_with_units(text, none, 1, out);
}

int hs_parse_size(const char *text, uint64_t *bytes)
{
	static const struct unit units[] = {
		{ "", 1 },	      { "B", 1 },	    { "K", 1ull << 10 },  { "KB", 1ull << 10 },
		{ "KiB", 1ull << 10 }, { "M", 1ull << 20 },  { "MB", 1ull << 20 }, { "MiB", 1ull << 20 },
		{ "G", 1ull << 30 },  { "GB", 1ull << 30 }, { "GiB", 1ull << 30 }, { "T", 1ull << 40 },
		{ "TiB", 1ull << 40 },
	};

	return parse_with_units(text, units, sizeof(units) / sizeof(units[0]), bytes);
}

int hs_parse_rate(const char *text, uint64_t *bps)
{
	static const char suffixes[] = "KMGT";
	char *end;
	double value = strtod(text, &end), unit = 1;

	if (end == text)
		return -EINVAL;
	for (const char *suffix = suffixes; *end && *suffix; suffix++) {
		unit *= 1000;
		if (*end == *suffix && !end[1]) {
			end++;
			break;
		}
	}
	if (*end || !(value * unit >= 0) || value * unit >= 1e18)
		return -EINVAL;
	*bps = (uint64_t)(value * unit);
	return 0;
}

int hs_parse_duration(const char *text, uint64_t *ns)
{
	static const struct unit units[] = {
		{ "", 1000000000u },  { "ns", 1 },	       { "us", 1000 },		{ "ms", 1000000 },
		{ "s", 1000000000u }, { "m", 60000000000u }, { "h", 3600000000000u },
	};

	return parse_with_units(text, units, sizeof(units) / sizeof(units[0]), ns);
}

static const char *format_scaled(char *text, size_t size, double value, double step, const char *const *names,
				 int count)
{
	int i = 0;

	while (value >= step && i < count - 1) {
		value /= step;
		i++;
	}
	snprintf(text, size, value == (double)(uint64_t)value && value < 1e6 ? "%.0f %s" : "%.1f %s", value, names[i]);
	return text;
}

const char *hs_format_bytes(char *text, size_t size, uint64_t bytes)
{
	static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB" };

	return format_scaled(text, size, (double)bytes, 1024, names, 5);
}

const char *hs_format_rate(char *text, size_t size, double bits_per_second)
{
	static const char *const names[] = { "bit/s", "Kbit/s", "Mbit/s", "Gbit/s" };

	return format_scaled(text, size, bits_per_second, 1000, names, 4);
}

const char *hs_format_ns(char *text, size_t size, uint64_t ns)
{
	static const char *const names[] = { "ns", "us", "ms", "s" };

	return format_scaled(text, size, (double)ns, 1000, names, 4);
}
