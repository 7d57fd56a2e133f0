/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The logs of a run's machines and of this host, written beside the run by a thread of its own, from before its first
 * machine until they are gone. Calls are made from one thread.
 */
#ifndef HS_JOURNAL_RECORDER_H
#define HS_JOURNAL_RECORDER_H

#include "base/json.h"
#include "journal/journal.h"

struct hs_journal_recorder;

/* Where a machine's logs are; NULL: it has none of that kind. Files and sockets need not be there yet. */
struct hs_journal_machine {
	const char *name, *agent, *console, *qemu;
};

/* Follows what the machine has. */
int hs_journal_follow_machine(struct hs_journal *journal, const struct hs_journal_machine *machine);

/*
 * Writes DIR/hsbpf.log until it is stopped; `hsbpf log level -o DIR` reaches it. What cannot be followed is warned
 * about, and the rest is. Machines are copied. -errno (said) when there is no log at all.
 */
int hs_journal_recorder_start(const char *dir, const struct hs_journal_machine *machines, unsigned machines_nr,
			      struct hs_journal_recorder **out);
/* Takes what is there, writes it and ends the thread. */
void hs_journal_recorder_stop(struct hs_journal_recorder *recorder);
/* After that: records, missing, late, twice, not_written as object `key` of the document. */
void hs_journal_recorder_add_to(const struct hs_journal_recorder *recorder, json_object *document, const char *key);
void hs_journal_recorder_free(struct hs_journal_recorder *recorder);
HS_SCOPED(hs_journal_recorder, struct hs_journal_recorder *, hs_journal_recorder_free)

#endif
