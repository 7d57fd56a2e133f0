/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From the folder that a user names to the CTF traces in it: of a recording (DIR/trace/host), of a run of `collect`,
 * the folder of all machines (DIR/host), or a trace itself. For every verb that reads. Any thread.
 */
#ifndef HS_TRACE_FIND_H
#define HS_TRACE_FIND_H

#include <stddef.h>

#include "base/scoped.h"

struct hs_trace_folders {
	char **traces; /* folders with `metadata`, one a machine: host first, then by name; at least one */
	size_t trace_nr;
	char *record;	/* path of the recording's record.json; NULL when there is none */
	char *document; /* of the run's run.json, the guest's guest.json, record.json, the trial's trial.json; or NULL
			 */
};

/* 0; -ENOENT: there is no trace; -ENOMEM. Said. */
int hs_trace_find(const char *dir, struct hs_trace_folders **out);

void hs_trace_folders_free(struct hs_trace_folders *folders);
HS_SCOPED(hs_trace_folders, struct hs_trace_folders *, hs_trace_folders_free)

#endif
