/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How far a sweep is, on standard error: one line that is written over on a terminal, else a line now and then. The
 * time left goes by the translations that are still to be simulated. Main thread.
 */
#ifndef HS_EXPLORE_PROGRESS_H
#define HS_EXPLORE_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hs_progress {
	size_t points, ended, failed;
	uint64_t work, done; /* translations */
	uint64_t start_ns, shown_ns;
	bool is_terminal;
};

/* Begins now: so many points with so many translations in all. */
void hs_progress_begin(struct hs_progress *progress, size_t points, uint64_t work);
/* A point with so many translations has ended. */
void hs_progress_add(struct hs_progress *progress, uint64_t work, bool is_failed);
/* Takes the line off the terminal, before words are written. */
void hs_progress_hide(const struct hs_progress *progress);

/* "12 of 64 points, 1 failed, 18 %, about 2m 10s left"; without the last part before the first point. Returns text. */
const char *hs_progress_format(const struct hs_progress *progress, uint64_t now_ns, char *text, size_t size);

#endif
