/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A folder `last`: what machines left when they crashed. LAST/MACHINE (MACHINE.2, ... for later crashes) has the memory
 * as it was (HS_LAST_REGION, with holes) and each record of it as a text, or copies of a host's pstore files.
 * LAST/MACHINE.ramoops is the memory of a machine that runs, or whose lab was killed. Sessions write it, `hsbpf log
 * last` reads; one at a time.
 */
#ifndef HS_JOURNAL_LAST_H
#define HS_JOURNAL_LAST_H

#include "journal/ramoops.h"
#include "journal/record.h"

#define HS_LAST_REGION "ramoops"
#define HS_LAST_REGION_SUFFIX "." HS_LAST_REGION

/*
 * Saves the records of LAST/MACHINE.ramoops, if it has any, and writes zeros over it. A missing file is fine. Says what
 * was saved. How many records; -errno after a message: then it is as it was.
 */
int hs_last_save_region(const char *last_dir, const char *machine, const struct hs_ramoops_layout *layout);

/* The folder of a machine's crash number n (1, 2, ...), malloc'd; NULL without memory. */
char *hs_last_folder(const char *last_dir, const char *machine, unsigned n);
/* How many crashes of the machine are saved. */
unsigned hs_last_count(const char *last_dir, const char *machine);
/* Gives the folder `making`, in the same file system, the name of the machine's next crash. Message on failure. */
int hs_last_name(const char *last_dir, const char *machine, const char *making, char **out);

/* Called for each line, and for notes on what it is and what of it is damaged; record and texts are borrowed. */
typedef void (*hs_last_fn)(void *ctx, const struct hs_journal_record *record, size_t time_len);

/*
 * Reads what the folder has of `machine` (all crashes; NULL: of every machine), by name and crash. In text, the first
 * time_len bytes are the time by the machine's clock. How many records there were; -errno after a message.
 */
int hs_last_read(const char *last_dir, const char *machine, const struct hs_ramoops_layout *layout, hs_last_fn on_line,
		 void *ctx);

#endif
