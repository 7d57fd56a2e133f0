/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dirties a memory with threads, each the owner of an equal part of the pages, and keeps account: pages by window of
 * 100 ms, stalls, the time of each write, and what verification found. mm_dirty and its tests drive it from one
 * thread; every function here may be called while the threads work, and none waits for them unless it says so.
 */
#ifndef HS_MIGTOOLS_MM_ENGINE_H
#define HS_MIGTOOLS_MM_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"
#include "base/scoped.h"
#include "migtools/mm_memory.h"
#include "migtools/mm_pace.h"
#include "migtools/mm_page.h"
#include "migtools/ticks.h"

#define HS_DIRTY_WINDOWS_MAX 864000 /* a day; later windows have no account of their own */
#define HS_DIRTY_FAULTS_KEPT 256
#define HS_DIRTY_STALLS_KEPT 64
#define HS_DIRTY_STALL_NS 10000000u /* what is listed as a stall */

enum hs_pattern { HS_PATTERN_SEQUENTIAL, HS_PATTERN_RANDOM, HS_PATTERN_ONCE };

struct hs_dirty_config {
	enum hs_pattern pattern; /* once: the pages are left as they were heated */
	struct hs_pace pace;
	uint32_t hot_pages_pct,
		hot_writes_pct; /* that share of the pages gets that share of the writes; 0: all alike */
	bool latency;		/* times each write */
	bool verify;		/* reads a page at random, whole, every millisecond, and all of them at the end */
};

enum hs_window_verdict {
	HS_WINDOW_HELD,	   /* within 1 % of its pages, or one page */
	HS_WINDOW_STALLED, /* fewer: the threads were stopped, or not given the CPU, or a write took its time */
	HS_WINDOW_LIMITED, /* fewer: the machine is no faster */
	HS_WINDOW_OVER,	   /* more; a defect if it happens */
	HS_WINDOW_VERDICT_NR
};

struct hs_dirty_window {
	uint64_t due, done; /* pages; due is 0 without a rate */
	uint64_t lost_ns;   /* of all threads, in pieces of a millisecond and more */
	enum hs_window_verdict verdict;
};

struct hs_dirty_counts {
	uint64_t pages;	   /* writes so far */
	uint64_t busy_ns;  /* of all threads, writing */
	uint64_t verified; /* pages that were read whole */
	uint64_t faults;   /* pages that were not as they should be */
	uint64_t passes;   /* full verifications that all threads have ended */
};

struct hs_stall {
	uint64_t start_ns, length_ns; /* since the engine's start */
	uint32_t thread;
};

struct hs_engine;

/*
 * Starts the threads on a heated memory (borrowed, as is its format: both stay until hs_engine_free()). `ticks` is
 * calibrated, or not looked at without config.latency. No more threads than pages. Message on failure.
 */
int hs_engine_start(const struct hs_dirty_config *config, const struct hs_memory *memory,
		    const struct hs_page_format *format, const struct hs_ticks *ticks, struct hs_engine **out);
/* Stops the threads and waits for them; NULL is fine. */
void hs_engine_free(struct hs_engine *engine);
HS_SCOPED(hs_engine, struct hs_engine *, hs_engine_free)

/* Has every page read, beside the dirtying; hs_engine_fd() tells when that is done. */
void hs_engine_verify(struct hs_engine *engine);
/* Ends the dirtying; then, with config.verify, every page is read. hs_engine_has_ended() tells when that is done. */
void hs_engine_stop(struct hs_engine *engine);
bool hs_engine_has_ended(const struct hs_engine *engine);
/* An eventfd of the engine: readable when a thread has ended, or ended a pass of verification. */
int hs_engine_fd(const struct hs_engine *engine);

/* Since the threads' start, until now or until hs_engine_stop(); and that start in CLOCK_MONOTONIC. */
uint64_t hs_engine_elapsed_ns(const struct hs_engine *engine);
uint64_t hs_engine_start_ns(const struct hs_engine *engine);

void hs_engine_count(const struct hs_engine *engine, struct hs_dirty_counts *counts);

/* Windows that have ended, and that every thread has left: a stalled one holds this back until it goes on. */
uint64_t hs_engine_window_nr(const struct hs_engine *engine);
void hs_engine_window(const struct hs_engine *engine, uint64_t index, struct hs_dirty_window *window);

/* Adds every thread's write times in ns since the last call to `into`. 0 or -ENOMEM. */
int hs_engine_take_latency(struct hs_engine *engine, struct hs_histogram *into);

/* Copies the longest stalls, longest first, at most `room`; returns how many. *total: how many there were. */
size_t hs_engine_stalls(const struct hs_engine *engine, struct hs_stall *stalls, size_t room, uint64_t *total);

/* The first faults, at most HS_DIRTY_FAULTS_KEPT; of an engine that has ended. */
const struct hs_page_verdict *hs_engine_faults(const struct hs_engine *engine, size_t *count);

#endif
