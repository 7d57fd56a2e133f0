// SPDX-License-Identifier: GPL-2.0-only
/*
 * The loop of a dirtying thread: write what the pacer grants, in batches, look at the clock, and wait for the next
 * tick. Time that went by unasked (a batch or a wake-up that took too long) is written down as lost. Reading pages for
 * verification fills the time between ticks, so that it does not cost the rate.
 */
#include "mm_worker.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "migtools/random.h"

#define LOST_NS 1000000u   /* shorter delays are the scheduler's daily business */
#define SAMPLE_NS 1000000u /* between two pages that are read at random */
#define VERIFY_BATCH 8	   /* pages read between two batches of writes, or two looks at the clock */
#define FAULTS_SAID 16

static uint64_t now_ns(const struct hs_worker *worker)
{
	return hs_monotonic_ns() - worker->engine->start_ns;
}

static bool is_stopping(const struct hs_worker *worker)
{
	return __atomic_load_n(&worker->engine->stop_ns, __ATOMIC_RELAXED) != 0;
}

/* Counters with one writer need no locked instruction. */
static void add_own(uint64_t *counter, uint64_t value)
{
	__atomic_store_n(counter, *counter + value, __ATOMIC_RELAXED);
}

/* ---- accounts ---------------------------------------------------------------------------------- */

static void add_lost(struct hs_engine *engine, uint64_t from_ns, uint64_t to_ns)
{
	for (uint64_t window = from_ns / HS_PACE_WINDOW_NS; from_ns < to_ns && window < HS_DIRTY_WINDOWS_MAX;
	     window++) {
		uint64_t end_ns = (window + 1) * HS_PACE_WINDOW_NS < to_ns ? (window + 1) * HS_PACE_WINDOW_NS : to_ns;

		__atomic_fetch_add(&engine->windows[window].lost_ns, end_ns - from_ns, __ATOMIC_RELAXED);
		from_ns = end_ns;
	}
}

/* Keeps the longest ones. */
static void add_stall(struct hs_worker *worker, uint64_t from_ns, uint64_t length_ns)
{
	size_t slot = 0;

	pthread_mutex_lock(&worker->lock);
	if (worker->stall_nr < HS_DIRTY_STALLS_KEPT)
		slot = worker->stall_nr;
	else
		for (size_t i = 1; i < HS_DIRTY_STALLS_KEPT; i++)
			if (worker->stalls[i].length_ns < worker->stalls[slot].length_ns)
				slot = i;
	worker->stall_nr++;
	if (length_ns > worker->stalls[slot].length_ns)
		worker->stalls[slot] = (struct hs_stall){ from_ns, length_ns, worker->index };
	pthread_mutex_unlock(&worker->lock);
}

/* What should have been over at from_ns was over at to_ns. */
static void note_delay(struct hs_worker *worker, uint64_t from_ns, uint64_t to_ns)
{
	if (to_ns < from_ns + LOST_NS)
		return;
	add_lost(worker->engine, from_ns, to_ns);
	if (to_ns - from_ns >= HS_DIRTY_STALL_NS)
		add_stall(worker, from_ns, to_ns - from_ns);
}

/* The time; what went by since the last look, beyond a wait that was wanted, was work or a delay. */
static uint64_t look(struct hs_worker *worker)
{
	uint64_t now = now_ns(worker);

	note_delay(worker, worker->seen_ns, now);
	worker->seen_ns = now;
	return now;
}

static void close_window(struct hs_worker *worker)
{
	if (worker->pacer.window < HS_DIRTY_WINDOWS_MAX)
		__atomic_fetch_add(&worker->engine->windows[worker->pacer.window].done, worker->pacer.done,
				   __ATOMIC_RELAXED);
}

static void follow_clock(struct hs_worker *worker, uint64_t now)
{
	if (!hs_pacer_is_past(&worker->pacer, now))
		return;
	close_window(worker);
	hs_pacer_enter(&worker->pacer, now);
	__atomic_store_n(&worker->window, worker->pacer.window, __ATOMIC_RELEASE);
}

/* ---- verification ------------------------------------------------------------------------------ */

/* Says what the page was, and makes it right, so that it is found once. */
static void report_fault(struct hs_worker *worker, const struct hs_page_verdict *verdict)
{
	struct hs_engine *engine = worker->engine;
	uint64_t nr;
	char text[128];

	pthread_mutex_lock(&engine->lock);
	nr = engine->fault_nr;
	__atomic_store_n(&engine->fault_nr, nr + 1, __ATOMIC_RELAXED);
	if (nr < HS_DIRTY_FAULTS_KEPT)
		engine->faults[nr] = *verdict;
	pthread_mutex_unlock(&engine->lock);
	if (nr < FAULTS_SAID)
		hs_err("%s", hs_page_describe(verdict, text, sizeof(text)));
	else if (nr == FAULTS_SAID)
		hs_err("more pages are wrong; they are counted, and no longer named one by one");
	hs_page_make(engine->format, hs_memory_page(engine->memory, verdict->number), verdict->number,
		     (uint32_t)verdict->generation);
}

static void verify_page(struct hs_worker *worker, uint64_t number)
{
	const struct hs_engine *engine = worker->engine;
	struct hs_page_verdict verdict;

	if (!hs_page_check(engine->format, hs_memory_page(engine->memory, number), number, engine->generations[number],
			   &verdict))
		report_fault(worker, &verdict);
	add_own(&worker->verified, 1);
}

static void tell(const struct hs_engine *engine)
{
	const uint64_t one = 1;

	if (write(engine->event_fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: it is readable */
}

/* A batch of the pass that is under way; begins one that was asked for. */
static void go_on_verifying(struct hs_worker *worker)
{
	uint64_t wanted = __atomic_load_n(&worker->engine->wanted_pass, __ATOMIC_RELAXED);

	if (!worker->verify_left) {
		if (worker->pass == wanted)
			return;
		worker->pass = wanted;
		worker->verify_next = worker->first;
		worker->verify_left = worker->count;
	}
	for (int i = 0; i < VERIFY_BATCH && worker->verify_left; i++, worker->verify_left--)
		verify_page(worker, worker->verify_next++);
	if (worker->verify_left)
		return;
	__atomic_store_n(&worker->passed, worker->pass, __ATOMIC_RELEASE);
	tell(worker->engine);
}

/* Reading that is due now. Returns the time after it. */
static uint64_t verify_some(struct hs_worker *worker, uint64_t now)
{
	bool sample = worker->engine->config.verify && now - worker->sampled_ns >= SAMPLE_NS;

	if (!sample && !worker->verify_left &&
	    worker->pass == __atomic_load_n(&worker->engine->wanted_pass, __ATOMIC_RELAXED))
		return now;
	if (sample) {
		verify_page(worker, worker->first + hs_random_below(&worker->random, worker->count));
		worker->sampled_ns = now;
	}
	go_on_verifying(worker);
	return look(worker);
}

/* ---- dirtying ---------------------------------------------------------------------------------- */

static uint64_t pick_page(struct hs_worker *worker)
{
	const struct hs_dirty_config *config = &worker->engine->config;
	struct hs_walk *walk = &worker->cold;
	uint64_t number;

	if (worker->hot.count) {
		worker->hot_credit += config->hot_writes_pct;
		if (worker->hot_credit >= 100) {
			worker->hot_credit -= 100;
			walk = &worker->hot;
		}
	}
	if (config->pattern == HS_PATTERN_RANDOM)
		return walk->first + hs_random_below(&worker->random, walk->count);
	number = walk->first + walk->next;
	if (++walk->next == walk->count)
		walk->next = 0;
	return number;
}

static void dirty_page(struct hs_worker *worker)
{
	struct hs_engine *engine = worker->engine;
	uint64_t number = pick_page(worker);
	uint32_t *generation = &engine->generations[number];
	void *page = hs_memory_page(engine->memory, number);

	if (__builtin_expect(!hs_page_touch(engine->format, page, number, *generation), 0)) {
		struct hs_page_verdict verdict;

		if (!hs_page_check(engine->format, page, number, *generation, &verdict))
			report_fault(worker, &verdict);
		hs_page_touch(engine->format, page, number, *generation);
	}
	++*generation;
}

/* Times each write; the histogram gets them when the memory is no longer waited for. */
static void dirty_timed(struct hs_worker *worker, uint64_t count)
{
	uint64_t times[HS_WORKER_BATCH], before = hs_ticks_now();

	for (uint64_t i = 0; i < count; i++) {
		uint64_t after;

		dirty_page(worker);
		after = hs_ticks_now();
		times[i] = after - before;
		before = after;
	}
	pthread_mutex_lock(&worker->lock);
	for (uint64_t i = 0; i < count; i++)
		/* Without memory for a new power of two the value is left out. */
		hs_histogram_add(&worker->latency, hs_ticks_to_ns(worker->engine->ticks, times[i]), 1);
	pthread_mutex_unlock(&worker->lock);
}

/* Writes what was granted, or less when the window ends before or the engine stops. Returns the time after it. */
static uint64_t dirty(struct hs_worker *worker, uint64_t grant, uint64_t now)
{
	while (grant && !is_stopping(worker)) {
		uint64_t count = grant < HS_WORKER_BATCH ? grant : HS_WORKER_BATCH, end;

		if (worker->engine->config.latency)
			dirty_timed(worker, count);
		else
			for (uint64_t i = 0; i < count; i++)
				dirty_page(worker);
		end = look(worker);
		add_own(&worker->pages, count);
		add_own(&worker->busy_ns, end - now);
		worker->pacer.done += count;
		grant -= count;
		now = verify_some(worker, end);
		if (!hs_pacer_is_past(&worker->pacer, end))
			continue;
		/* Done later than it was granted: it counts where it was done, and is taken off that window. */
		worker->pacer.done -= count;
		follow_clock(worker, end);
		worker->pacer.done += count;
		break;
	}
	return now;
}

/* Until the next tick, or until somebody wants something. */
static void wait_until(struct hs_worker *worker, uint64_t until_ns)
{
	uint64_t absolute_ns = worker->engine->start_ns + until_ns;
	struct timespec until = { (time_t)(absolute_ns / 1000000000u), (long)(absolute_ns % 1000000000u) };
	uint64_t now;

	if (sem_clockwait(&worker->wake, CLOCK_MONOTONIC, &until) && errno != ETIMEDOUT && errno != EINTR)
		return;
	now = now_ns(worker);
	worker->seen_ns = now < until_ns ? now : until_ns;
}

static void idle(struct hs_worker *worker, uint64_t now)
{
	uint64_t until_ns = hs_pacer_next_ns(now);

	do
		now = verify_some(worker, now);
	while (worker->verify_left && now < until_ns && !is_stopping(worker));
	if (now < until_ns && !is_stopping(worker))
		wait_until(worker, until_ns);
}

static void work(struct hs_worker *worker)
{
	while (!is_stopping(worker)) {
		uint64_t now = look(worker), grant = 0;

		follow_clock(worker, now);
		if (worker->engine->config.pattern != HS_PATTERN_ONCE)
			grant = hs_pacer_grant(&worker->pacer, now);
		if (grant)
			dirty(worker, grant, now);
		else
			idle(worker, now);
	}
	close_window(worker);
}

/* A pass that has begun is ended; with config.verify there is one after the last write. */
static void verify_at_the_end(struct hs_worker *worker)
{
	if (worker->engine->config.verify) {
		worker->pass = __atomic_load_n(&worker->engine->wanted_pass, __ATOMIC_RELAXED);
		worker->verify_next = worker->first;
		worker->verify_left = worker->count;
	}
	do
		go_on_verifying(worker);
	while (worker->verify_left);
}

void *hs_worker_run(void *worker_ptr)
{
	struct hs_worker *worker = worker_ptr;

	while (sem_wait(&worker->wake)) /* until all threads are there */
		;
	work(worker);
	verify_at_the_end(worker);
	__atomic_store_n(&worker->ended, 1, __ATOMIC_RELEASE);
	tell(worker->engine);
	return NULL;
}
