/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the points of a sweep are simulated: one row of hs_engines for each way. An engine sees jobs and gives back
 * documents; plans, results on disk and pages know nothing of it, and it nothing of them.
 */
#ifndef HS_EXPLORE_ENGINE_H
#define HS_EXPLORE_ENGINE_H

#include "base/json.h"
#include "base/loop.h"

struct hs_explore_plan;

/* One end of a job: `result` (borrowed) is what the simulation says, or NULL and `why`. */
struct hs_engine_end {
	size_t point;
	json_object *result;
	const char *why;
	uint64_t took_ns; /* wall time of the simulation */
};

struct hs_engine_config {
	struct hs_loop *loop;
	const struct hs_explore_plan *plan;
	const size_t *points; /* of the plan, those to simulate, in the order in which they should begin */
	size_t point_nr;
	unsigned jobs; /* at the same time */
	/* On the main thread, in any order, once for each point that came to an end; not 0: stop and return it. */
	int (*on_end)(void *ctx, const struct hs_engine_end *end);
	void *ctx;
	const bool *is_interrupted; /* points under way are given up then */
};

struct hs_engine {
	const char *name; /* as in hs_engine_names */
	/* Dispatches the loop until all points have ended. 0, -EINTR, what on_end said, or -errno after a message. */
	int (*run)(const struct hs_engine_config *config);
};

/* By their names; NULL at the end of these. */
extern const struct hs_engine hs_engines[];
extern const char *const hs_engine_names[];

/* In processes of this machine, which share the mapped traces of the plan. */
int hs_engine_local_run(const struct hs_engine_config *config);

#endif
