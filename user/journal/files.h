/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A log as a row of files in a folder: NAME is written, NAME.<N> are older, N counting up for ever. When NAME is full
 * or old it is renamed, so whoever reads it by `tail -F` reads on to its end and then the next one; then the oldest
 * goes, if its first line says that it is ours. A disk that is full stops writing: what is not written is counted and
 * told in the log when there is room again. One thread writes a folder, and holds a lock on it.
 */
#ifndef HS_JOURNAL_FILES_H
#define HS_JOURNAL_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/scoped.h"

struct hs_log_files;

struct hs_log_files_config {
	const char *dir;     /* made if it is not there */
	const char *name;    /* "hsbpf.log" */
	uint64_t max_bytes;  /* of one file; a longer line has a file of its own */
	uint64_t max_files;  /* NAME among them; 1: only it */
	uint64_t max_age_ns; /* of one file that has more than its first line; 0: none */
	/*
	 * Appends to *line (malloc'd by the callee, len in *len) the first line of file `number`, newline included. It
	 * must hold HS_LOG_FILES_MARK and the number.
	 */
	int (*make_header)(void *ctx, uint64_t number, char **line, size_t *len);
	/* The same for what is told when the disk has room again. */
	int (*make_loss)(void *ctx, uint64_t lines, char **line, size_t *len);
	void *ctx;
};

#define HS_LOG_FILES_MARK "this log's file "

struct hs_log_files_counts {
	uint64_t lines, bytes, files; /* written */
	uint64_t lost_lines;	      /* not written for want of room, or because of an error */
};

/* Locks the folder and finds what it has. -EBUSY: another process writes it; -errno. Said. */
int hs_log_files_open(const struct hs_log_files_config *config, struct hs_log_files **out);
/* Goes on behind what there is; a last line that was cut off is ended. -errno, said. Then lines may be written. */
int hs_log_files_begin(struct hs_log_files *files);

/* One line or more, whole; buffered. Never fails: what cannot be written is counted. */
void hs_log_files_write(struct hs_log_files *files, const char *line, size_t len);
/* What is buffered goes to the file. */
void hs_log_files_flush(struct hs_log_files *files);
/* Looks whether NAME is too old, and whether a full disk has room again. Returns when to call again (BOOTTIME), 0:
 * never. */
uint64_t hs_log_files_tick(struct hs_log_files *files);
/* NAME may have been renamed by somebody else (logrotate): opens it again. */
void hs_log_files_reopen(struct hs_log_files *files);

const struct hs_log_files_counts *hs_log_files_counts(const struct hs_log_files *files);
/* Of the folder, borrowed. */
int hs_log_files_dir_fd(const struct hs_log_files *files);
/* Calls back with each file from the newest on until it says stop (true): an open descriptor, borrowed. */
void hs_log_files_each(const struct hs_log_files *files, bool (*on_file)(void *ctx, int fd), void *ctx);

/* Flushes and closes. */
void hs_log_files_free(struct hs_log_files *files);
HS_SCOPED(hs_log_files, struct hs_log_files *, hs_log_files_free)

#endif
