/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Streams of records (a machine's kernel log, its console, its QEMU) into one: by time across streams, by sequence
 * number inside one. A record is held for the window after it came, so that one that comes later with an earlier time
 * still finds its place; what comes after that is handed out at once and marked late. Numbers that nobody brought are
 * handed out as a gap, where they are missing; continuation records are joined while what they continue is held.
 * One thread. Time is the caller's: tests need no clock.
 */
#ifndef HS_JOURNAL_MERGE_H
#define HS_JOURNAL_MERGE_H

#include "base/scoped.h"
#include "journal/record.h"

#define HS_MERGE_STREAMS_MAX 256
#define HS_MERGE_WINDOW_NS 500000000ull
#define HS_MERGE_MEMORY_BYTES (32ull << 20)
/* Text of one record, joined: longer ones go on in another, which says that it is a fragment. */
#define HS_MERGE_TEXT_MAX 16384

struct hs_merge;

struct hs_merge_config {
	uint64_t window_ns;
	uint64_t memory_bytes; /* that records which wait may take; then the oldest do not wait */
	/* Gets each record in its turn; it lives during the call. */
	void (*on_record)(void *ctx, const struct hs_journal_record *record);
	void *ctx;
};

struct hs_merge_counts {
	uint64_t records;    /* handed out, without gaps and notes */
	uint64_t below;	     /* not handed out: their machine's threshold */
	uint64_t missing;    /* in gaps that were handed out */
	uint64_t late;	     /* of records; a late one that filled a gap is no longer missing */
	uint64_t duplicates; /* dropped: their number had come */
	uint64_t joined;     /* continuations */
};

int hs_merge_open(const struct hs_merge_config *config, struct hs_merge **out);
void hs_merge_free(struct hs_merge *merge);
HS_SCOPED(hs_merge, struct hs_merge *, hs_merge_free)

/* A new stream of that machine (copied): its index, or -ENOSPC, -ENOMEM. */
int hs_merge_add_stream(struct hs_merge *merge, const char *machine, enum hs_journal_source source);

/* For what is held too. */
void hs_merge_set_window(struct hs_merge *merge, uint64_t window_ns);

/* The next number of that stream: what is below came before, what is missing from it on is a gap. */
void hs_merge_expect(struct hs_merge *merge, unsigned stream, uint64_t seq);
/* Its numbers begin anew (another boot); what is held goes out first. */
void hs_merge_restart(struct hs_merge *merge, unsigned stream);

/* Records of that severity and worse pass, from the next one on; 7 (all) at first. -ENOENT: no such machine. */
int hs_merge_set_level(struct hs_merge *merge, const char *machine, int severity);
/* HS_JOURNAL_UNKNOWN: no such machine. */
int hs_merge_level(const struct hs_merge *merge, const char *machine);

/*
 * Takes a copy of a record that came now. machine and source are the stream's; its time is boot_ns, or 0 for now. 0 or
 * -ENOMEM.
 */
int hs_merge_put(struct hs_merge *merge, unsigned stream, const struct hs_journal_record *record, bool is_continuation,
		 uint64_t now_ns);

/* Hands out whose time has come. Returns when to call again, 0: nothing is held. */
uint64_t hs_merge_advance(struct hs_merge *merge, uint64_t now_ns);
/* Hands out all. */
void hs_merge_flush(struct hs_merge *merge);

const struct hs_merge_counts *hs_merge_counts(const struct hs_merge *merge);

#endif
