// SPDX-License-Identifier: GPL-2.0-only
/* Reads plans, expands the ranges of each axis, and counts the points through the axes like an odometer. */
#include "explore/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/opt_lines.h"
#include "explore/point.h"
#include "explore/range.h"

struct expansion {
	struct hs_explore_axis *axis;
	const char *name;
};

/* A value that two ranges have in common is one value. */
static int add_word(void *ctx, const char *word)
{
	const struct expansion *expansion = ctx;
	struct hs_explore_axis *axis = expansion->axis;
	char **words;

	for (size_t i = 0; i < axis->nr; i++)
		if (!strcmp(axis->words[i], word))
			return 0;
	if (axis->nr == HS_RANGE_VALUES_MAX)
		return hs_fail(-E2BIG, "--%s: %d values at most", expansion->name, HS_RANGE_VALUES_MAX);
	words = realloc(axis->words, (axis->nr + 1) * sizeof(*words));
	if (!words)
		return -ENOMEM;
	axis->words = words;
	words[axis->nr] = strdup(word);
	if (!words[axis->nr])
		return -ENOMEM;
	axis->nr++;
	return 0;
}

static int add_range(void *ctx, const char *word)
{
	return hs_range_each(word, add_word, ctx);
}

static int expand(struct hs_explore_plan *plan, const struct hs_explore_options *options)
{
	for (size_t id = 0; id < HS_AXIS_NR; id++) {
		struct expansion expansion = { &plan->axes[id], hs_axes[id].name };
		int err = hs_opt_list_each(&options->axes[id], hs_axes[id].is_text ? add_word : add_range, &expansion);

		if (err)
			return err;
		if (options->axes[id].count && !plan->axes[id].nr)
			return hs_fail(-EINVAL, "--%s needs a value", hs_axes[id].name);
	}
	if (!plan->axes[HS_AXIS_TRACE].nr)
		return hs_fail(-EINVAL, "the plan names no trace: give --trace FILE, or a line `trace = FILE`; "
					"`hsbpf trace-gen` makes one");
	return 0;
}

static size_t radix(const struct hs_explore_plan *plan, size_t id)
{
	return plan->axes[id].nr ? plan->axes[id].nr : 1;
}

static int count_points(struct hs_explore_plan *plan)
{
	size_t nr = 1;

	for (size_t id = 0; id < HS_AXIS_NR; id++)
		if (__builtin_mul_overflow(nr, radix(plan, id), &nr) || nr > HS_EXPLORE_POINTS_MAX)
			return hs_fail(-E2BIG, "the plan has more than %d points", HS_EXPLORE_POINTS_MAX);
	plan->point_nr = nr;
	return 0;
}

static int check_values(const struct hs_explore_plan *plan)
{
	for (size_t id = 0; id < HS_AXIS_NR; id++)
		for (size_t i = 0; i < plan->axes[id].nr; i++)
			if (hs_axis_check(id, plan->axes[id].words[i]))
				return -EINVAL;
	return 0;
}

static int read_plan(struct hs_explore_plan *plan, const struct hs_opt *rows, void *config,
		     const struct hs_explore_options *options, const char *file)
{
	const struct hs_opt_lines lines = { .verb = "explore",
					    .rows = rows,
					    .config = config,
					    .from = (size_t)((const char *)options - (const char *)config),
					    .size = sizeof(*options) };
	scoped(mem) char *path = NULL;
	int err = hs_opt_lines_read(file, &path, &plan->name, &plan->text);

	return err ? err : hs_opt_lines_take(&lines, path, plan->text);
}

int hs_explore_plan_make(const struct hs_opt *rows, void *config, struct hs_explore_options *options, const char *file,
			 struct hs_explore_plan **out)
{
	scoped(hs_explore_plan) struct hs_explore_plan *plan = calloc(1, sizeof(*plan));
	int err = plan ? read_plan(plan, rows, config, options, file) : -ENOMEM;

	if (!err)
		err = expand(plan, options);
	if (!err)
		err = count_points(plan);
	if (!err)
		err = check_values(plan);
	if (err)
		return err == -EINVAL || err == -ENOENT || err == -E2BIG ? HS_EXIT_USAGE : HS_EXIT_FAILURE;
	err = hs_point_inputs_open(plan, &plan->inputs);
	if (err)
		return HS_EXIT_FAILURE;
	*out = take(plan);
	return 0;
}

void hs_explore_plan_free(struct hs_explore_plan *plan)
{
	if (!plan)
		return;
	hs_point_inputs_free(plan->inputs);
	for (size_t id = 0; id < HS_AXIS_NR; id++) {
		for (size_t i = 0; i < plan->axes[id].nr; i++)
			free(plan->axes[id].words[i]);
		free(plan->axes[id].words);
	}
	free(plan->name);
	free(plan->text);
	free(plan);
}

size_t hs_explore_plan_index(const struct hs_explore_plan *plan, size_t point, enum hs_axis_id axis)
{
	for (size_t id = HS_AXIS_NR - 1; id > axis; id--)
		point /= radix(plan, id);
	return point % radix(plan, axis);
}

const char *hs_explore_plan_word(const struct hs_explore_plan *plan, size_t point, enum hs_axis_id axis)
{
	return plan->axes[axis].nr ? plan->axes[axis].words[hs_explore_plan_index(plan, point, axis)] : NULL;
}
