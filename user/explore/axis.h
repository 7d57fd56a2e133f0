/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a sweep can vary: the trace, the configuration, every parameter of the model by its own name, and how many of
 * the trace's tenants there are. One row of hs_axes each, in the order in which points are counted. Pure.
 */
#ifndef HS_EXPLORE_AXIS_H
#define HS_EXPLORE_AXIS_H

#include "base/json.h"
#include "hyper/sim_config.h"

enum hs_axis_id {
	HS_AXIS_TRACE,
	HS_AXIS_CONFIG,
#define HS_SIM_PARAMETER(id, ...) HS_AXIS_##id,
#include "hyper/sim_config.def"
#undef HS_SIM_PARAMETER
	HS_AXIS_NR
};

struct hs_axis {
	const char *name;  /* of the option and of the plan's line */
	bool is_text;	   /* its values are names: `1..8` is no range */
	bool is_parameter; /* set by that name in a hs_sim_config */
};

extern const struct hs_axis hs_axes[HS_AXIS_NR];

/* Whether a value can be one of the axis. 0, or -EINVAL after a message. */
int hs_axis_check(enum hs_axis_id axis, const char *word);

/* A number if the word is one, else the word; the caller's. */
json_object *hs_axis_value(const char *word);

#endif
