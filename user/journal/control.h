/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Orders to a log that is being written, over the socket `control` in its folder: `hsbpf log level`. Short texts, one
 * a packet, each answered by "ok" or by what is wrong.
 */
#ifndef HS_JOURNAL_CONTROL_H
#define HS_JOURNAL_CONTROL_H

#include "journal/journal.h"

struct hs_journal_control;

/* The writer's side; the loop's thread. Message on failure. */
int hs_journal_control_open(struct hs_journal *journal, const char *dir, struct hs_journal_control **out);
/* Removes the socket. */
void hs_journal_control_free(struct hs_journal_control *control);
HS_SCOPED(hs_journal_control, struct hs_journal_control *, hs_journal_control_free)

/* The asking side: blocks for the answer. 0, or -errno after a message: -ENOENT when nobody writes a log there. */
int hs_journal_ask_level(const char *dir, const char *machine, int severity);

#endif
