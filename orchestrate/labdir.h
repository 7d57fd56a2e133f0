/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * /run/hsbpf/NAME: what a running lab has outside its own memory. Its owner holds a lock on it for as long
 * as it lives, so a folder that can be locked belongs to a dead lab and is swept: its processes, its
 * namespaces, the folder.
 */
#ifndef HS_ORCHESTRATE_LABDIR_H
#define HS_ORCHESTRATE_LABDIR_H

#include <sys/types.h>

#include "base/scoped.h"

#define HS_LAB_ROOT "/run/hsbpf"

struct hs_labdir;

/* Letters, digits, '_' and '.', at most 24 of them: it becomes part of paths and namespace names. Message. */
int hs_lab_name_check(const char *name);

/* Sweeps every dead lab. Called at the start of every verb; says what it removed, never fails. */
void hs_labs_sweep(void);

/* Takes the name: -EBUSY after a message when a live lab has it. */
int hs_labdir_open(const char *name, struct hs_labdir **out);
/* Removes the folder and gives the name back. NULL is fine. */
void hs_labdir_free(struct hs_labdir *labdir);
HS_SCOPED(hs_labdir, struct hs_labdir *, hs_labdir_free)

const char *hs_labdir_path(const struct hs_labdir *labdir);
/* Writes down a process that must not outlive the lab. */
void hs_labdir_record(struct hs_labdir *labdir, pid_t pid);

/* Writes down the folder of its crash memories: when it is swept, what they hold is found there (crash.h). */
void hs_labdir_note_crash_dir(struct hs_labdir *labdir, const char *dir);

/* Waits until the lab of that name has gone, with everything it had. */
void hs_labdir_wait_gone(const char *name);

/* Calls back for each live lab: its name and its owner's pid (0 if unknown). 0, or -errno after a message. */
int hs_labs_each(void (*on_lab)(void *ctx, const char *name, pid_t owner), void *ctx);

#endif
