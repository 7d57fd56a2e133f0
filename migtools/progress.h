/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one line that says how it goes, rewritten in place on a terminal (10 times a second at most); elsewhere a line
 * of its own, once a second at most. On stdout, or on stderr when stdout belongs to a document. One thread.
 */
#ifndef HS_MIGTOOLS_PROGRESS_H
#define HS_MIGTOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct hs_progress {
	FILE *out;
	bool is_terminal, is_open; /* open: a line that can be rewritten */
	uint64_t next_ns;
};

void hs_progress_start(struct hs_progress *progress, bool stdout_is_taken);

/* Whether a line would be printed now (BOOTTIME): what is costly to make is made only then. */
bool hs_progress_due(const struct hs_progress *progress, uint64_t now_ns);
/* Prints "[ms] TEXT" if it is due; the time is mig_mon's, CLOCK_MONOTONIC in ms. */
void hs_progress_line(struct hs_progress *progress, uint64_t now_ns, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Prints a line that stays. */
void hs_progress_note(struct hs_progress *progress, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Ends the line, if there is one: what follows starts on a new one. */
void hs_progress_end(struct hs_progress *progress);

#endif
