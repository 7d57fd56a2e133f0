// SPDX-License-Identifier: GPL-2.0-only
/* Quantiles of a histogram, in the same order everywhere. Called once, for the summary. */
#include "migtools/spread.h"

#include <stdio.h>

#include "base/scoped.h"
#include "base/unit.h"

static const struct {
	const char *key, *name;
	double quantile;
} points[] = {
	{ "p50_ns", "p50", 0.5 },
	{ "p90_ns", "p90", 0.9 },
	{ "p99_ns", "p99", 0.99 },
	{ "p999_ns", "p99.9", 0.999 },
};

void hs_spread_add_json(json_object *object, const char *key, const struct hs_histogram *times)
{
	json_object *spread = hs_json_add_object(object, key);

	hs_json_add_u64(spread, "count", times->count);
	hs_json_add_u64(spread, "min_ns", times->count ? times->min : 0);
	hs_json_add_u64(spread, "average_ns", hs_histogram_average(times));
	for (size_t i = 0; i < HS_ARRAY_SIZE(points); i++)
		hs_json_add_u64(spread, points[i].key, hs_histogram_quantile(times, points[i].quantile));
	hs_json_add_u64(spread, "max_ns", times->count ? times->max : 0);
}

void hs_spread_print(const char *name, const struct hs_histogram *times)
{
	char text[32];

	if (!times->count)
		return;
	printf("%s  min %s", name, hs_format_ns(text, sizeof(text), times->min));
	for (size_t i = 0; i < HS_ARRAY_SIZE(points); i++)
		printf(", %s %s", points[i].name,
		       hs_format_ns(text, sizeof(text), hs_histogram_quantile(times, points[i].quantile)));
	printf(", max %s\n", hs_format_ns(text, sizeof(text), times->max));
}
