/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What lab tests share: TAP lines on stdout, a folder that is removed at the end, and babeltrace2 as a second
 * opinion on our traces. One test program is one process and one thread.
 */
#ifndef HS_TESTS_LAB_LAB_H
#define HS_TESTS_LAB_LAB_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "capture/capture.h"
#include "trace_events/events.h"

/* One test: prints "ok N - name" or "not ok N - name"; returns `passed`. */
bool lab_ok(bool passed, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Equal numbers; says both when they are not. */
bool lab_equal(uint64_t got, uint64_t expected, const char *format, ...) __attribute__((format(printf, 3, 4)));
void lab_skip(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints the plan; the exit code for main(). */
int lab_done(void);
/* Ends the program with one skipped test: nothing can be tested here. Also 0 for main(). */
int lab_skip_all(const char *reason);

/* A folder of this test, made on first use, removed by lab_done(). */
const char *lab_folder(void);

/* Says which probes this kernel cannot run. */
void lab_show_missing(const struct hs_capture *capture);

struct lab_trace_counts {
	uint64_t events[HS_EVENT_ID_NR];
	uint64_t other;	     /* lines that are no event of ours */
	uint64_t complaints; /* lines on stderr */
};

/* Counts what babeltrace2 prints of the trace. False when there is no babeltrace2 (skipped: said). */
bool lab_babeltrace(const char *trace, struct lab_trace_counts *counts);

/* The kernel's own tracing, in an instance of this test: nobody else's tracing is touched. */
struct lab_tracer {
	int tracefs_fd, fd; /* fd: the instance */
	char path[64];	    /* of it in tracefs */
};

/* Its clock is boot, its text has fields by name. False: this kernel cannot (Linux 6.4 and later can). */
bool lab_tracer_open(struct lab_tracer *tracer);
bool lab_tracer_write(const struct lab_tracer *tracer, const char *file, const char *value);
/* Also after an open that failed. */
void lab_tracer_close(struct lab_tracer *tracer);

#endif
