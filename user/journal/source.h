/* SPDX-License-Identifier: GPL-2.0-only */
/* Where records come from: each source is a watch or two on the journal's loop, and puts what it reads. Its thread. */
#ifndef HS_JOURNAL_SOURCE_H
#define HS_JOURNAL_SOURCE_H

#include "journal/journal.h"

struct hs_host_log;
struct hs_file_log;
struct hs_guest_log;

/* Message on failure. */
int hs_host_log_open(struct hs_journal *journal, struct hs_host_log **out);
/* Takes what there is. */
void hs_host_log_drain(struct hs_host_log *source);
void hs_host_log_free(struct hs_host_log *source);
HS_SCOPED(hs_host_log, struct hs_host_log *, hs_host_log_free)

int hs_file_log_open(struct hs_journal *journal, const char *machine, enum hs_journal_source kind, const char *path,
		     struct hs_file_log **out);
void hs_file_log_drain(struct hs_file_log *source);
void hs_file_log_free(struct hs_file_log *source);
HS_SCOPED(hs_file_log, struct hs_file_log *, hs_file_log_free)

/* The kernel's log of a guest from its agent's port, a unix socket. */
int hs_guest_log_open(struct hs_journal *journal, const char *machine, const char *path, struct hs_guest_log **out);
void hs_guest_log_drain(struct hs_guest_log *source);
void hs_guest_log_free(struct hs_guest_log *source);
HS_SCOPED(hs_guest_log, struct hs_guest_log *, hs_guest_log_free)

#endif
