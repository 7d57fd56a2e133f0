/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a sweep goes through: traces, configurations and, beyond them, values for any of the axes; every combination is
 * a point. Options and a plan file of `option = value` lines are one thing, in this order of weight, through the same
 * rows. Main thread; read-only once it is made.
 */
#ifndef HS_EXPLORE_PLAN_H
#define HS_EXPLORE_PLAN_H

#include "base/opt.h"
#include "base/scoped.h"
#include "explore/axis.h"

#define HS_EXPLORE_POINTS_MAX 100000

/* As given, one list for each axis; an axis of which nothing is said stays as the configuration has it. */
struct hs_explore_options {
	struct hs_opt_list axes[HS_AXIS_NR];
};

struct hs_explore_axis {
	char **words; /* owned; NULL when nothing is said */
	size_t nr;
};

struct hs_explore_plan {
	struct hs_explore_axis axes[HS_AXIS_NR];
	size_t point_nr;
	struct hs_point_inputs *inputs; /* the traces and configurations, opened */
	char *name;			/* the plan file's, without folder and ending */
	char *text;			/* of the file; lists of options point into it */
};

/*
 * Reads the plan `file` (a path, or the name of one that is shipped) into what `config` (the verb's, with `rows`)
 * leaves open; *options is the member of config. Opens every trace and configuration and tries every value. 0, or an
 * exit code after a message.
 */
int hs_explore_plan_make(const struct hs_opt *rows, void *config, struct hs_explore_options *options, const char *file,
			 struct hs_explore_plan **out);
void hs_explore_plan_free(struct hs_explore_plan *plan);
HS_SCOPED(hs_explore_plan, struct hs_explore_plan *, hs_explore_plan_free)

/* Which value of the axis a point has, as an index into its words; the last axis changes fastest. */
size_t hs_explore_plan_index(const struct hs_explore_plan *plan, size_t point, enum hs_axis_id axis);
/* The word; NULL when nothing is said of the axis. */
const char *hs_explore_plan_word(const struct hs_explore_plan *plan, size_t point, enum hs_axis_id axis);

#endif
