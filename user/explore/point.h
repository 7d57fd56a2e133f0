/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One point of a plan: what is simulated, how it is known, and the simulation itself. All but opening and freeing only
 * reads the plan, so that any number of processes can do it at the same time.
 */
#ifndef HS_EXPLORE_POINT_H
#define HS_EXPLORE_POINT_H

#include "base/json.h"
#include "explore/plan.h"

/* The traces of a plan, mapped and checked, and its configurations, read. */
struct hs_point_inputs;

/* Of the words of the plan's axes. 0 or -errno after a message. */
int hs_point_inputs_open(const struct hs_explore_plan *plan, struct hs_point_inputs **out);
void hs_point_inputs_free(struct hs_point_inputs *inputs);

/*
 * Text that is the same for two points exactly if the same would be simulated: trace (by its head and size, not its
 * name), whole configuration (not its name) and version of hsbpf; malloc'd, NULL without memory.
 */
char *hs_point_id(const struct hs_explore_plan *plan, size_t point);

/* Its value on each axis of which the plan says something, by the axis' name; numbers are numbers. */
json_object *hs_point_describe(const struct hs_explore_plan *plan, size_t point);

/* How many translations it simulates. */
uint64_t hs_point_work(const struct hs_explore_plan *plan, size_t point);

/* Simulates it. *result is the caller's: what the model says. 0, -ENOMEM, or -errno after a message. */
int hs_point_simulate(const struct hs_explore_plan *plan, size_t point, json_object **result);

/* Adds what the traces say of themselves, in the plan's order, to the array. */
void hs_point_describe_traces(const struct hs_explore_plan *plan, json_object *array);

#endif
