/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernels of a lab's machines leave when they die: from their crash memories (orchestrate/crash.h) into the
 * run's folder `last` (journal/last.h). Called by a session whenever a machine has gone and at its end; main thread.
 */
#ifndef HS_RUN_LAB_LAST_H
#define HS_RUN_LAB_LAST_H

#include "journal/ramoops.h"
#include "orchestrate/lab.h"

/* How a lab guest's crash memory is laid out. */
extern const struct hs_ramoops_layout hs_lab_last_layout;

/* Saves what the machine's kernel has left, if anything, and empties the memory; nobody may write to it meanwhile. Says
 * what was saved, and what could not be. */
void hs_lab_last_save(const char *last_dir, const char *machine);

/* The same of all machines; then removes the memories, and the folder if it is empty. Again is fine. */
void hs_lab_last_finish(const char *last_dir, const struct hs_lab *lab);

#endif
