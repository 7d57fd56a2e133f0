/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a log that goes on has already: of each machine its boot and the next number; of each file that is followed
 * (the machine "l1/console") which file it is and how far it was read. Written into the first line of each file and
 * into notes, read back from the newest file, so that a process that was killed needs no other state than the log
 * itself. One thread.
 */
#ifndef HS_JOURNAL_RESUME_H
#define HS_JOURNAL_RESUME_H

#include "journal/files.h"
#include "journal/record.h"

#define HS_RESUME_MACHINES_MAX 512
#define HS_RESUME_NAME_SIZE 64
#define HS_RESUME_BOOT_SIZE 40
#define HS_RESUME_LAST_SIZE 96

struct hs_resume {
	struct hs_resume_machine {
		char name[HS_RESUME_NAME_SIZE], boot_id[HS_RESUME_BOOT_SIZE];
		uint64_t next;			/* 0: no record of that boot; of a file: an offset */
		uint64_t lines;			/* of a file: so many lines behind that offset are in the log too */
		char last[HS_RESUME_LAST_SIZE]; /* the begin of the last of them, as it is printed */
	} machines[HS_RESUME_MACHINES_MAX];
	unsigned count;
};

/* The machine's entry, made if need be; NULL: there are too many, or it has no name that fits. */
struct hs_resume_machine *hs_resume_find(struct hs_resume *resume, const char *machine);

/* The same of a file, whose name it makes: NULL also when it is not known and `is_new` false. */
struct hs_resume_machine *hs_resume_find_file(struct hs_resume *resume, const char *machine, const char *source,
					      bool is_new);

/* Whether that line, in either form, begins as the last of that file's lines. */
bool hs_resume_is_last(const struct hs_resume_machine *entry, const char *line, size_t len);

/* " host boot=ID next=N, l1/console boot=ID next=OFFSET+LINES, l1 boot=..." */
void hs_resume_print(const struct hs_resume *resume, struct hs_journal_buffer *out);

/* A line of either form, without newline, in the order in which they were written. Anything may be in it. */
void hs_resume_take_line(struct hs_resume *resume, const char *line, size_t len);

/* What the newest file tells. */
void hs_resume_read(struct hs_resume *resume, const struct hs_log_files *files);

#endif
