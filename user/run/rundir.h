/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a run lies on disk: OUT/PREFIX_<X>.txt is its IOMMU log, OUT/PREFIX_<X>/ the rest. The only place where
 * these names are spelled.
 */
#ifndef HS_RUN_RUNDIR_H
#define HS_RUN_RUNDIR_H

#include "base/scoped.h"

struct hs_rundir {
	char *out;
	char *log;	/* OUT/PREFIX_X.txt */
	char *dir;	/* OUT/PREFIX_X */
	char *console;	/* DIR/console */
	char *workload; /* DIR/workload */
	char *trace;	/* DIR/trace */
	char *last;	/* DIR/last: what a crash left (journal/last.h) */
	char *journal;	/* DIR/log: of all machines */
	char *document; /* DIR/run.json */
};

/* Absolute paths, nothing created. Message on failure. */
int hs_rundir_name(const char *out, const char *prefix, unsigned number, struct hs_rundir **out_rundir);
/* The paths of a run that lies there: PATH is its folder, its run.json or its log. Message on failure. */
int hs_rundir_find(const char *path, struct hs_rundir **out_rundir);
/* -EEXIST after a message when OUT holds that run already. */
int hs_rundir_check_free(const struct hs_rundir *rundir);
/* Creates the folders (0700) and the empty log (0600), and checks that there is room. Message on failure. */
int hs_rundir_create(const struct hs_rundir *rundir);
void hs_rundir_free(struct hs_rundir *rundir);
HS_SCOPED(hs_rundir, struct hs_rundir *, hs_rundir_free)

#endif
