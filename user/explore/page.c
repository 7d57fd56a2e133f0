// SPDX-License-Identifier: GPL-2.0-only
/* The page's template is page.html, built in. Of each result it gets the measures alone: pages of many points open. */
#include "explore/page.h"

#include <string.h>

#include "base/page.h"
#include "base/scoped.h"
#include "explore/figures.h"

HS_PAGE_EMBED(template, "user/explore/page.html");

static void add_point(json_object *points, json_object *row)
{
	json_object *point = hs_json_append_object(points), *values;

	json_object_object_foreach (row, key, value)
		if (strcmp(key, "result") != 0 && strcmp(key, "id") != 0)
			json_object_object_add(point, key, json_object_get(value));
	values = hs_json_add_object(point, "values");
	for (const struct hs_explore_measure *measure = hs_explore_measures; measure->name; measure++)
		json_object_object_add(values, measure->name, json_object_get(hs_explore_measure_get(row, measure)));
}

int hs_explore_page_write(json_object *document, const char *path)
{
	scoped(json) json_object *shown = json_object_new_object();
	json_object *points, *rows = hs_json_get(document, "points");

	json_object_object_foreach (document, key, value)
		if (strcmp(key, "points") != 0)
			json_object_object_add(shown, key, json_object_get(value));
	points = hs_json_add_array(shown, "points");
	for (size_t i = 0; i < json_object_array_length(rows); i++)
		add_point(points, json_object_array_get_idx(rows, i));
	return hs_page_write(template, shown, path);
}
