// SPDX-License-Identifier: GPL-2.0-only
/* The list of outages, and how it is shown. */
#include "migtools/outage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/loop.h"

#define NS_PER_S 1000000000u

int hs_outages_add(struct hs_outages *outages, const struct hs_outage *outage)
{
	if (outages->count == outages->room) {
		size_t room = outages->room ? 2 * outages->room : 16;
		struct hs_outage *items = reallocarray(outages->items, room, sizeof(*items));

		if (!items)
			return -ENOMEM;
		outages->items = items;
		outages->room = room;
	}
	outages->items[outages->count++] = *outage;
	return 0;
}

void hs_outages_clear(struct hs_outages *outages)
{
	free(outages->items);
	*outages = (struct hs_outages){ 0 };
}

void hs_outages_add_json(const struct hs_outages *outages, json_object *object)
{
	json_object *array = hs_json_add_array(object, "outages");

	for (size_t i = 0; i < outages->count; i++) {
		const struct hs_outage *outage = &outages->items[i];
		json_object *row = hs_json_append_object(array);

		hs_json_add_u64(row, "start_ns", outage->start_ns);
		hs_json_add_u64(row, "end_ns", outage->end_ns);
		hs_json_add_u64(row, "length_ns", outage->end_ns - outage->start_ns);
		hs_json_add_u64(row, "at_least_ns", outage->at_least_ns);
		hs_json_add_u64(row, "at_most_ns", outage->at_most_ns);
		hs_json_add_u64(row, "probes", outage->probes);
		hs_json_add_bool(row, "open", outage->is_open);
		hs_json_add_string(row, "error", outage->error ? strerror(-outage->error) : NULL);
	}
}

const char *hs_outage_format_time(char *text, size_t size, uint64_t boottime_ns)
{
	struct timespec now;
	int64_t realtime_ns;
	struct tm utc;
	time_t seconds;
	size_t len;

	clock_gettime(CLOCK_REALTIME, &now);
	realtime_ns = (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec - (int64_t)(hs_now_ns() - boottime_ns);
	seconds = (time_t)(realtime_ns / NS_PER_S);
	gmtime_r(&seconds, &utc);
	len = strftime(text, size, "%F %T", &utc);
	snprintf(text + len, size - len, ".%03u", (unsigned int)(realtime_ns % NS_PER_S / 1000000));
	return text;
}

static double to_ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

void hs_outages_print(const struct hs_outages *outages)
{
	char start[40];

	if (outages->count)
		printf("%-23s  %11s  %11s  %11s  %8s\n", "outage from (UTC)", "length ms", "at least", "at most",
		       "probes");
	for (size_t i = 0; i < outages->count; i++) {
		const struct hs_outage *outage = &outages->items[i];

		printf("%-23s  %11.3f  %11.3f  %11.3f  %8" PRIu64 "%s%s%s\n",
		       hs_outage_format_time(start, sizeof(start), outage->start_ns),
		       to_ms(outage->end_ns - outage->start_ns), to_ms(outage->at_least_ns), to_ms(outage->at_most_ns),
		       outage->probes, outage->is_open ? "  still on at the end" : "", outage->error ? "  " : "",
		       outage->error ? strerror(-outage->error) : "");
	}
}
