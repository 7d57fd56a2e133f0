/* SPDX-License-Identifier: GPL-2.0-only */
/* A sweep from its plan to its results: what is there already is taken over, the rest simulated, all of it written. */
#ifndef HS_EXPLORE_SWEEP_H
#define HS_EXPLORE_SWEEP_H

#include "explore/engine.h"
#include "explore/plan.h"

struct hs_sweep_config {
	struct hs_loop *loop;
	const struct hs_explore_plan *plan;
	const struct hs_engine *engine;
	const char *out; /* folder */
	unsigned jobs;	 /* at the same time */
	const bool *is_interrupted;
};

/*
 * Runs it and writes explore.csv, explore.json and explore.html beside explore.jsonl, also when it was interrupted
 * (-EINTR) or failed. *document (hsbpf.explore/1) is set when there are results. Failed points of an earlier sweep are
 * tried again; one that fails is a row, not an error. 0 or -errno after a message.
 */
int hs_sweep_run(const struct hs_sweep_config *config, json_object **document);

#endif
