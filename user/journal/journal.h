/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The logs of several machines as one: sources put records in, a merge orders them, files (or standard output) take
 * them. Used by `hsbpf log` on its own loop, and by runs through a thread (recorder.h). One thread: the loop's.
 */
#ifndef HS_JOURNAL_JOURNAL_H
#define HS_JOURNAL_JOURNAL_H

#include "base/loop.h"
#include "journal/files.h"
#include "journal/merge.h"

struct hs_journal;

struct hs_journal_config {
	const char *dir; /* NULL: standard output */
	bool json;	 /* NAME is hsbpf.jsonl, else hsbpf.log */
	uint64_t max_bytes, max_files, max_age_ns;
	uint64_t window_ns;	    /* that records wait for others */
	uint64_t settled_window_ns; /* and once every guest has told what it had; 0: the same */
	int level;		    /* of every machine at first */
	bool only_new; /* of this host: nothing that was logged before, unless this log goes on from there */
};

struct hs_journal_counts {
	struct hs_merge_counts merge;
	struct hs_log_files_counts files; /* zeros on standard output */
};

/* Opens where it is written. Message on failure. */
int hs_journal_open(struct hs_loop *loop, const struct hs_journal_config *config, struct hs_journal **out);

/* ---- what is followed ---- */

/* This host's /dev/kmsg. Message on failure. */
int hs_journal_follow_host(struct hs_journal *journal);
/* What appears in a file, line by line, whether it is there yet or not. */
int hs_journal_follow_file(struct hs_journal *journal, const char *machine, enum hs_journal_source source,
			   const char *path);
/* The kernel's log of a guest through its agent, at that unix socket, whether it is there yet or not. */
int hs_journal_follow_guest(struct hs_journal *journal, const char *machine, const char *path);

/* ---- while it runs ---- */

/* `machine` NULL or "all": every machine. A note in the log says it. -ENOENT: it has no such machine. No message. */
int hs_journal_set_level(struct hs_journal *journal, const char *machine, int severity);
void hs_journal_reopen(struct hs_journal *journal);
/* Standard output is closed: nobody reads any more. */
bool hs_journal_is_over(void *journal);
/* If that is because it took no more: why, -errno, said. */
int hs_journal_error(const struct hs_journal *journal);

/* Takes what the sources have now, hands all out and flushes; what comes later is not taken. */
void hs_journal_finish(struct hs_journal *journal);
void hs_journal_counts(const struct hs_journal *journal, struct hs_journal_counts *counts);
void hs_journal_free(struct hs_journal *journal);
HS_SCOPED(hs_journal, struct hs_journal *, hs_journal_free)

/* ---- for sources ---- */

struct hs_loop *hs_journal_loop(struct hs_journal *journal);
const struct hs_journal_config *hs_journal_config(const struct hs_journal *journal);
/* A stream for records of that machine: its number or -errno. */
int hs_journal_add_stream(struct hs_journal *journal, const char *machine, enum hs_journal_source source);
/*
 * The stream tells numbers of that boot. *next is the first that this log does not have yet, from what an earlier
 * process wrote: 0 when it knows nothing of that boot. A note in the log says which boot it is.
 */
int hs_journal_begin_boot(struct hs_journal *journal, unsigned stream, const char *boot_id, uint64_t *next);
/*
 * The stream is a file's, which `id` tells from others of that name, and `bytes` long (0: begun anew). *offset and
 * *lines: from where on it is to be read, and how many lines from there are in this log already. A note in the log says
 * which file it is.
 */
void hs_journal_begin_file(struct hs_journal *journal, unsigned stream, const char *id, uint64_t bytes,
			   uint64_t *offset, uint64_t *lines);
/* Whether this is the last of those lines; if not, it is not that file any more. */
bool hs_journal_has_last(struct hs_journal *journal, unsigned stream, const struct hs_journal_record *record);
/* A guest has told for the first time what its kernel logged before. */
void hs_journal_hear(struct hs_journal *journal);
/* A record that came now; its boot_ns may be 0, real_ns is filled in. */
void hs_journal_put(struct hs_journal *journal, unsigned stream, const struct hs_journal_record *record,
		    bool is_continuation);
/* What hsbpf has to say of a machine, among its records by time. */
void hs_journal_note(struct hs_journal *journal, const char *machine, int severity, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
