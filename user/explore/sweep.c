// SPDX-License-Identifier: GPL-2.0-only
/* Between plan, engine and store. Main thread. */
#include "explore/sweep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "explore/figures.h"
#include "explore/page.h"
#include "explore/point.h"
#include "explore/progress.h"
#include "explore/store.h"

struct sweep {
	const struct hs_sweep_config *config;
	struct hs_store *store;
	struct hs_progress progress;
	char **ids;	 /* by point */
	size_t *missing; /* points that are to be simulated */
	size_t missing_nr;
};

static void clear(struct sweep *sweep)
{
	for (size_t i = 0; sweep->ids && i < sweep->config->plan->point_nr; i++)
		free(sweep->ids[i]);
	free(sweep->ids);
	free(sweep->missing);
	hs_store_free(sweep->store);
}

/* ---- before ------------------------------------------------------------------------------------ */

static bool is_ok(json_object *row)
{
	return !strcmp(hs_json_get_string(row, "outcome"), "ok");
}

static int find_missing(struct sweep *sweep)
{
	const struct hs_explore_plan *plan = sweep->config->plan;

	sweep->ids = calloc(plan->point_nr, sizeof(*sweep->ids));
	sweep->missing = calloc(plan->point_nr, sizeof(*sweep->missing));
	if (!sweep->ids || !sweep->missing)
		return -ENOMEM;
	for (size_t point = 0; point < plan->point_nr; point++) {
		sweep->ids[point] = hs_point_id(plan, point);
		if (!sweep->ids[point])
			return -ENOMEM;
		if (!is_ok(hs_store_find(sweep->store, sweep->ids[point])))
			sweep->missing[sweep->missing_nr++] = point;
	}
	return 0;
}

static void begin_progress(struct sweep *sweep)
{
	const struct hs_explore_plan *plan = sweep->config->plan;
	size_t taken = plan->point_nr - sweep->missing_nr;
	uint64_t work = 0;

	for (size_t i = 0; i < sweep->missing_nr; i++)
		work += hs_point_work(plan, sweep->missing[i]);
	hs_progress_begin(&sweep->progress, sweep->missing_nr, work);
	if (taken)
		hs_info("%zu of %zu points are in %s already", taken, plan->point_nr, sweep->config->out);
	if (sweep->missing_nr)
		hs_info("%zu points are to be simulated, %u at a time", sweep->missing_nr, sweep->config->jobs);
}

/* ---- while it runs ----------------------------------------------------------------------------- */

static json_object *make_row(const struct sweep *sweep, const struct hs_engine_end *end)
{
	json_object *row = json_object_new_object();

	hs_json_add_string(row, "id", sweep->ids[end->point]);
	json_object_object_add(row, "point", hs_point_describe(sweep->config->plan, end->point));
	hs_json_add_string(row, "outcome", end->result ? "ok" : "failed");
	hs_json_add_string(row, "why", end->why);
	hs_json_add_double(row, "took_s", (double)end->took_ns / 1e9, 6);
	json_object_object_add(row, "result", json_object_get(end->result));
	return row;
}

static int on_end(void *ctx, const struct hs_engine_end *end)
{
	struct sweep *sweep = ctx;
	json_object *row = make_row(sweep, end);

	if (!end->result) {
		hs_progress_hide(&sweep->progress);
		hs_warn("a point failed: %s: %s",
			json_object_to_json_string_ext(hs_json_get(row, "point"), JSON_C_TO_STRING_PLAIN), end->why);
	}
	hs_progress_add(&sweep->progress, hs_point_work(sweep->config->plan, end->point), !end->result);
	return hs_store_add(sweep->store, row);
}

static int simulate(struct sweep *sweep)
{
	const struct hs_engine_config engine = { .loop = sweep->config->loop,
						 .plan = sweep->config->plan,
						 .points = sweep->missing,
						 .point_nr = sweep->missing_nr,
						 .jobs = sweep->config->jobs,
						 .on_end = on_end,
						 .ctx = sweep,
						 .is_interrupted = sweep->config->is_interrupted };
	int err;

	if (!sweep->missing_nr)
		return 0;
	err = sweep->config->engine->run(&engine);
	hs_progress_hide(&sweep->progress);
	return err;
}

/* ---- afterwards -------------------------------------------------------------------------------- */

static void add_axes(const struct hs_explore_plan *plan, json_object *axes)
{
	for (size_t id = 0; id < HS_AXIS_NR; id++) {
		json_object *values;

		if (!plan->axes[id].nr)
			continue;
		values = hs_json_add_array(axes, hs_axes[id].name);
		for (size_t i = 0; i < plan->axes[id].nr; i++)
			json_object_array_add(values, hs_axis_value(plan->axes[id].words[i]));
	}
}

/* Rows of this plan in its order. What a row says of its point is this plan's: another one may have named it else. */
static void add_points(struct sweep *sweep, json_object *document)
{
	json_object *points = hs_json_add_array(document, "points"), *counts = hs_json_add_object(document, "counts");
	size_t nr[3] = { 0 }; /* ok, failed, missing */

	for (size_t i = 0; i < sweep->config->plan->point_nr; i++) {
		json_object *row = hs_store_find(sweep->store, sweep->ids[i]), *copy;

		nr[!row ? 2 : is_ok(row) ? 0 : 1]++;
		if (!row)
			continue;
		copy = hs_json_append_object(points);
		json_object_object_add(copy, "point", hs_point_describe(sweep->config->plan, i));
		json_object_object_foreach (row, key, value)
			if (strcmp(key, "point") != 0)
				json_object_object_add(copy, key, json_object_get(value));
	}
	hs_json_add_u64(counts, "points", sweep->config->plan->point_nr);
	hs_json_add_u64(counts, "ok", nr[0]);
	hs_json_add_u64(counts, "failed", nr[1]);
	hs_json_add_u64(counts, "missing", nr[2]);
	hs_json_add_u64(counts, "simulated_now", sweep->progress.ended);
}

static json_object *make_document(struct sweep *sweep, int err)
{
	json_object *document = json_object_new_object();

	hs_json_add_string(document, "schema", "hsbpf.explore/1");
	hs_json_add_string(document, "plan", sweep->config->plan->name);
	hs_json_add_command_line(document, "command");
	hs_json_add_string(document, "engine", sweep->config->engine->name);
	hs_json_add_string(document, "outcome", err == -EINTR ? "interrupted" : err ? "failed" : "ok");
	hs_point_describe_traces(sweep->config->plan, hs_json_add_array(document, "traces"));
	hs_explore_describe_measures(hs_json_add_array(document, "measures"));
	add_axes(sweep->config->plan, hs_json_add_object(document, "axes"));
	add_points(sweep, document);
	return document;
}

static int write_file(const char *dir, const char *name, json_object *document,
		      int (*write_it)(json_object *document, const char *path))
{
	scoped(mem) char *path = hs_format("%s/%s", dir, name);

	return path ? write_it(document, path) : -ENOMEM;
}

static int write_json(json_object *document, const char *path)
{
	return hs_json_write_file(path, document);
}

static int write_all(const char *dir, json_object *document)
{
	int err = write_file(dir, "explore.json", document, write_json);

	if (!err)
		err = write_file(dir, "explore.csv", document, hs_explore_write_csv);
	if (!err)
		err = write_file(dir, "explore.html", document, hs_explore_page_write);
	return err;
}

int hs_sweep_run(const struct hs_sweep_config *config, json_object **document)
{
	struct sweep sweep = { .config = config };
	int err = hs_store_open(config->out, &sweep.store), written;

	if (!err)
		err = find_missing(&sweep);
	if (err) {
		clear(&sweep);
		return err;
	}
	begin_progress(&sweep);
	err = simulate(&sweep);
	*document = make_document(&sweep, err);
	written = write_all(config->out, *document);
	clear(&sweep);
	return err ? err : written;
}
