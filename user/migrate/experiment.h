/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The matrix: every mode, dirty rate and bandwidth, so many trials each; their documents in one, schema
 * "hsbpf.migrate/1", with each kind's figures over its valid trials. Main thread.
 */
#ifndef HS_MIGRATE_EXPERIMENT_H
#define HS_MIGRATE_EXPERIMENT_H

#include "migrate/plan.h"

struct hs_experiment_config {
	struct hs_loop *loop;
	const struct hs_plan *plan;
	const char *lab, *out; /* out: a folder that holds no experiment yet; absolute */
	const char *kernel;    /* NULL: found or fetched */
	int accel;	       /* enum hs_accel */
	const bool *is_interrupted;
};

/*
 * Checks that this machine and its QEMU can do all of it (-EOPNOTSUPP after a message that names what cannot be), then
 * runs it. *document is given also when it ended early, with what there is; OUT/migrate.json has it after each trial,
 * OUT/migrate.csv and OUT/migrate.html at the end. 0, -EINTR, or -errno after a message.
 */
int hs_experiment_run(const struct hs_experiment_config *config, json_object **document);

/* Prints each mode and whether this QEMU has it. 0 or -errno after a message. */
int hs_experiment_list_modes(struct hs_loop *loop, const char *lab);

/* How many thresholds were exceeded, or could not be told of a trial, each said. Pure but for that. */
unsigned hs_experiment_check(json_object *document, const struct hs_plan_options *options);
/* How many migrations failed that nothing was to break. */
unsigned hs_experiment_failures(json_object *document);

#endif
