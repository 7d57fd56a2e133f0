// SPDX-License-Identifier: GPL-2.0-only
/* The axes' names come from the rows of the model's parameters. */
#include "explore/axis.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/unit.h"

const struct hs_axis hs_axes[HS_AXIS_NR] = {
	[HS_AXIS_TRACE] = { .name = "trace", .is_text = true },
	[HS_AXIS_CONFIG] = { .name = "config", .is_text = true },
#define HS_SIM_PARAMETER(id, axis_name, ...) [HS_AXIS_##id] = { .name = axis_name, .is_parameter = true },
#include "hyper/sim_config.def"
#undef HS_SIM_PARAMETER
};

int hs_axis_check(enum hs_axis_id axis, const char *word)
{
	struct hs_sim_config scratch = { 0 };

	if (axis == HS_AXIS_CONFIG && hs_sim_config_load(word, &scratch))
		return -EINVAL;
	if (hs_axes[axis].is_parameter && hs_sim_config_set(&scratch, hs_axes[axis].name, word))
		return hs_fail(-EINVAL, "--%s: '%s' is no value of it", hs_axes[axis].name, word);
	return 0;
}

json_object *hs_axis_value(const char *word)
{
	uint64_t number;

	return hs_parse_u64(word, &number) ? json_object_new_string(word) : json_object_new_uint64(number);
}
