// SPDX-License-Identifier: GPL-2.0-only
/* Tables of a sweep's document. A parameter is a column of the terminal's table when it varies, of the CSV always. */
#include "explore/figures.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/scoped.h"

#define WIDTH_MAX 28
#define PARAMETERS_MAX 64

const struct hs_explore_measure hs_explore_measures[] = {
	{ "link_use", "link_pct", "link use, %", "link use %", NULL },
	{ "rate_bps", "rate_bps", "bits a second", NULL, NULL },
	{ "latency_p50_ns", "latency_ns.p50", "latency, median, ns", "p50 ns", NULL },
	{ "latency_p99_ns", "latency_ns.p99", "latency, 99 %, ns", "p99 ns", NULL },
	{ "latency_max_ns", "latency_ns.max", "latency, longest, ns", NULL, NULL },
	{ "dtlb_miss", "caches.dtlb.miss_pct", "device TLB misses, %", "dtlb miss %", "caches.dtlb.entries" },
	{ "prefetch_miss", "caches.prefetch.miss_pct", "prefetch buffer misses, %", NULL, "caches.prefetch.entries" },
	{ "context_miss", "caches.context.miss_pct", "context cache misses, %", NULL, "caches.context.entries" },
	{ "l1_miss", "caches.l1.miss_pct", "level 1 misses, %", NULL, "caches.l1.entries" },
	{ "l2_miss", "caches.l2.miss_pct", "level 2 misses, %", NULL, "caches.l2.entries" },
	{ "l3_miss", "caches.l3.miss_pct", "level 3 misses, %", NULL, "caches.l3.entries" },
	{ "l4_miss", "caches.l4.miss_pct", "level 4 misses, %", NULL, "caches.l4.entries" },
	{ "walk_reads", "walk_reads_per_translation", "reads of tables a translation", "walk reads", NULL },
	{ "jain", "fairness.jain", "fairness, Jain", "Jain", NULL },
	{ "slowest_bps", "fairness.min_bps", "slowest tenant, bits a second", NULL, NULL },
	{ "fastest_bps", "fairness.max_bps", "fastest tenant, bits a second", NULL, NULL },
	{ "elapsed_ps", "elapsed_ps", "simulated time, ps", NULL, NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

json_object *hs_explore_measure_get(json_object *row, const struct hs_explore_measure *measure)
{
	json_object *result = hs_json_get(row, "result");

	return measure->of && !hs_json_get_u64(result, measure->of) ? NULL : hs_json_get(result, measure->path);
}

void hs_explore_describe_measures(json_object *array)
{
	for (const struct hs_explore_measure *measure = hs_explore_measures; measure->name; measure++) {
		json_object *object = hs_json_append_object(array);

		hs_json_add_string(object, "name", measure->name);
		hs_json_add_string(object, "path", measure->path);
		hs_json_add_string(object, "text", measure->text);
	}
}

static const char *text_of(json_object *value)
{
	return !value					      ? ""
	       : json_object_is_type(value, json_type_string) ? json_object_get_string(value)
							      : json_object_to_json_string(value);
}

static bool is_ok(json_object *row)
{
	return !strcmp(hs_json_get_string(row, "outcome"), "ok");
}

/* ---- terminal ---------------------------------------------------------------------------------- */

static const char *without_folder(const char *text)
{
	const char *slash = strrchr(text, '/');

	return slash && slash[1] ? slash + 1 : text;
}

static json_object *point_at(json_object *points, size_t i)
{
	return json_object_array_get_idx(points, i);
}

static const char *parameter_of(json_object *points, size_t i, const char *name)
{
	json_object *value = NULL;

	json_object_object_get_ex(hs_json_get(point_at(points, i), "point"), name, &value);
	return without_folder(text_of(value));
}

struct column {
	const char *name;
	int width;
};

/* The parameters that differ between points, as wide as their longest value. */
static size_t find_columns(json_object *points, struct column *columns)
{
	json_object *first = hs_json_get(point_at(points, 0), "point");
	size_t nr = 0, point_nr = json_object_array_length(points);

	if (!first)
		return 0;
	json_object_object_foreach (first, name, value) {
		struct column column = { name, (int)strlen(name) };
		bool varies = false;

		for (size_t i = 0; i < point_nr; i++) {
			const char *text = parameter_of(points, i, name);

			varies |= strcmp(text, without_folder(text_of(value))) != 0;
			if ((int)strlen(text) > column.width)
				column.width = (int)strlen(text);
		}
		if (column.width > WIDTH_MAX)
			column.width = WIDTH_MAX;
		if (varies && nr < PARAMETERS_MAX)
			columns[nr++] = column;
	}
	return nr;
}

static void print_head(FILE *out, const struct column *columns, size_t nr)
{
	for (size_t c = 0; c < nr; c++)
		fprintf(out, "%-*s  ", columns[c].width, columns[c].name);
	for (const struct hs_explore_measure *measure = hs_explore_measures; measure->name; measure++)
		if (measure->head)
			fprintf(out, "%12s", measure->head);
	fputc('\n', out);
}

static void print_measures(FILE *out, json_object *row)
{
	for (const struct hs_explore_measure *measure = hs_explore_measures; measure->name; measure++) {
		json_object *value = hs_explore_measure_get(row, measure);

		if (measure->head && value)
			fprintf(out, "%12.2f", json_object_get_double(value));
		else if (measure->head)
			fprintf(out, "%12s", "-");
	}
}

void hs_explore_print(FILE *out, json_object *document)
{
	json_object *points = hs_json_get(document, "points");
	struct column columns[PARAMETERS_MAX];
	size_t nr = find_columns(points, columns);

	print_head(out, columns, nr);
	for (size_t i = 0; i < json_object_array_length(points); i++) {
		json_object *row = point_at(points, i);

		for (size_t c = 0; c < nr; c++)
			fprintf(out, "%-*.*s  ", columns[c].width, columns[c].width,
				parameter_of(points, i, columns[c].name));
		if (is_ok(row))
			print_measures(out, row);
		else
			fprintf(out, "failed: %s", hs_json_get_string(row, "why"));
		fputc('\n', out);
	}
}

/* ---- CSV --------------------------------------------------------------------------------------- */

/* RFC 4180: quoted when it must be. */
static void put_field(FILE *file, const char *text)
{
	if (!text[strcspn(text, ",\"\r\n")]) {
		fputs(text, file);
		return;
	}
	fputc('"', file);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', file);
		fputc(*text, file);
	}
	fputc('"', file);
}

static void write_row(FILE *file, json_object *row)
{
	json_object_object_foreach (hs_json_get(row, "point"), name, value) {
		(void)name;
		put_field(file, text_of(value));
		fputc(',', file);
	}
	put_field(file, hs_json_get_string(row, "outcome"));
	fputc(',', file);
	put_field(file, hs_json_get_string(row, "why"));
	fprintf(file, ",%s", text_of(hs_json_get(row, "took_s")));
	for (const struct hs_explore_measure *measure = hs_explore_measures; measure->name; measure++)
		fprintf(file, ",%s", text_of(hs_explore_measure_get(row, measure)));
	fputc('\n', file);
}

int hs_explore_write_csv(json_object *document, const char *path)
{
	json_object *points = hs_json_get(document, "points"), *first = hs_json_get(point_at(points, 0), "point");
	scoped(file) FILE *file = fopen(path, "we");

	if (!file)
		return hs_fail(-errno, "cannot write %s:", path);
	if (first) {
		json_object_object_foreach (first, name, value) {
			(void)value;
			fprintf(file, "%s,", name);
		}
	}
	fputs("outcome,why,took_s", file);
	for (const struct hs_explore_measure *measure = hs_explore_measures; measure->name; measure++)
		fprintf(file, ",%s", measure->name);
	fputc('\n', file);
	for (size_t i = 0; i < json_object_array_length(points); i++)
		write_row(file, point_at(points, i));
	return fflush(file) || ferror(file) ? hs_fail(-EIO, "cannot write %s", path) : 0;
}
