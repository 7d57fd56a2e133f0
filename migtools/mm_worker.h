/* SPDX-License-Identifier: GPL-2.0-only */
/* One thread of the engine: what it owns, what others may read, and its loop. For mm_engine.c and mm_worker.c only. */
#ifndef HS_MIGTOOLS_MM_WORKER_H
#define HS_MIGTOOLS_MM_WORKER_H

#include <pthread.h>
#include <semaphore.h>

#include "migtools/mm_engine.h"

#define HS_WORKER_BATCH 32 /* writes between two looks at the clock */

/* Where the next write goes, in one set of pages. */
struct hs_walk {
	uint64_t first, count, next;
};

struct hs_worker {
	/* Its own. */
	struct hs_engine *engine;
	uint32_t index;
	uint64_t first, count;	  /* its pages */
	struct hs_walk hot, cold; /* cold alone when there is no hot set */
	uint32_t hot_credit;
	uint64_t random;
	struct hs_pacer pacer;
	uint64_t seen_ns;    /* when it last looked at the clock, or should have after a wait */
	uint64_t sampled_ns; /* when a page was last read at random */
	uint64_t verify_next, verify_left;
	uint64_t pass; /* the newest verification it has begun */
	pthread_t thread;
	sem_t wake;

	/* Written by it alone, read by others: atomic. */
	uint64_t pages, busy_ns, verified, passed, ended;
	uint64_t window; /* the current one: those before are in the account */

	pthread_mutex_t lock; /* for the rest; never held over a write to the memory, which can take for ever */
	struct hs_histogram latency;
	struct hs_stall stalls[HS_DIRTY_STALLS_KEPT];
	uint64_t stall_nr; /* all of them */
} __attribute__((aligned(128)));

/* What the threads add up, atomically. */
struct hs_window_sum {
	uint64_t done, lost_ns;
};

struct hs_engine {
	struct hs_dirty_config config;
	const struct hs_memory *memory;
	const struct hs_page_format *format;
	const struct hs_ticks *ticks;
	uint32_t *generations; /* of each page, as its owner knows it */
	struct hs_window_sum *windows;
	uint64_t start_ns, stop_ns; /* CLOCK_MONOTONIC; stop_ns 0: it runs; atomic */
	uint64_t wanted_pass;	    /* verifications that were asked for; atomic */
	int event_fd;
	struct hs_worker *workers;
	uint32_t started; /* threads */

	pthread_mutex_t lock; /* for the faults */
	struct hs_page_verdict faults[HS_DIRTY_FAULTS_KEPT];
	uint64_t fault_nr;
};

void *hs_worker_run(void *worker_ptr);

#endif
