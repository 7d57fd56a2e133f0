/* SPDX-License-Identifier: GPL-2.0-only */
/* The logs of a lab's machines, written into a run from before the first one starts. Main thread. */
#ifndef HS_RUN_LAB_LOG_H
#define HS_RUN_LAB_LOG_H

#include "journal/recorder.h"
#include "orchestrate/lab.h"

/*
 * This host's kernel, and of every VM its kernel (if it has a trace agent), console and QEMU, into DIR/hsbpf.log. 0 or
 * -errno after a message.
 */
int hs_lab_log_start(const struct hs_lab *lab, const char *dir, struct hs_journal_recorder **out);

#endif
