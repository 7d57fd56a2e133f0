/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads a log file that QEMU is writing into a struct hs_qemulog, as far as it has grown. The collector
 * thread polls it, every 20 ms or so; the object and its log belong to that thread. The file is only read.
 */
#ifndef HS_QEMULOG_TAIL_H
#define HS_QEMULOG_TAIL_H

#include <stdint.h>

#include "qemulog/qemulog.h"

struct hs_qemulog_tail;

/* Borrows `log`, which must live as long as the tail. The file need not exist yet. 0 or -ENOMEM. */
int hs_qemulog_tail_open(const char *path, struct hs_qemulog *log, struct hs_qemulog_tail **out);
void hs_qemulog_tail_free(struct hs_qemulog_tail *tail);
HS_SCOPED(hs_qemulog_tail, struct hs_qemulog_tail *, hs_qemulog_tail_free)

/*
 * Feeds what was appended since the last call, at most budget_bytes. Returns the number of bytes fed, 0 when
 * there is nothing new or no file yet; less than the budget means that the end was reached. An error (said
 * once) is final and returned by every later call: -ESTALE the file shrank, -EINVAL not a regular file, or
 * what open and read say.
 */
int64_t hs_qemulog_tail_poll(struct hs_qemulog_tail *tail, size_t budget_bytes);

#endif
