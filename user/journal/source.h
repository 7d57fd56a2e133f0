/* SPDX-License-Identifier: GPL-2.0-only */
/* Where records come from: each source is a watch or two on the journal's loop, and puts what it reads. Its thread. */
#ifndef HS_JOURNAL_SOURCE_H
#define HS_JOURNAL_SOURCE_H

#include "journal/journal.h"

struct hs_kmsg_source;
struct hs_file_source;

/* Message on failure. */
int hs_kmsg_source_open(struct hs_journal *journal, struct hs_kmsg_source **out);
/* Takes what there is. */
void hs_kmsg_source_drain(struct hs_kmsg_source *source);
void hs_kmsg_source_free(struct hs_kmsg_source *source);
HS_SCOPED(hs_kmsg_source, struct hs_kmsg_source *, hs_kmsg_source_free)

int hs_file_source_open(struct hs_journal *journal, const char *machine, enum hs_journal_source kind, const char *path,
			struct hs_file_source **out);
void hs_file_source_drain(struct hs_file_source *source);
void hs_file_source_free(struct hs_file_source *source);
HS_SCOPED(hs_file_source, struct hs_file_source *, hs_file_source_free)

#endif
