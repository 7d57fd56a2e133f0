// SPDX-License-Identifier: GPL-2.0-only
/* Starting and ending the threads, and reading what they wrote down. What they do is in mm_worker.c. */
#include "mm_engine.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/log.h"
#include "migtools/mm_worker.h"

static void give_pages(struct hs_engine *engine, struct hs_worker *worker)
{
	uint64_t pages = engine->memory->pages, threads = engine->config.pace.threads;
	uint64_t end = (uint64_t)((unsigned __int128)pages * (worker->index + 1) / threads), hot;

	worker->first = (uint64_t)((unsigned __int128)pages * worker->index / threads);
	worker->count = end - worker->first;
	hot = worker->count * engine->config.hot_pages_pct / 100;
	if (engine->config.hot_pages_pct && !hot)
		hot = worker->count > 1;
	worker->hot = (struct hs_walk){ .first = worker->first, .count = hot };
	worker->cold = (struct hs_walk){ .first = worker->first + hot, .count = worker->count - hot };
}

static void init_worker(struct hs_engine *engine, uint32_t index)
{
	struct hs_worker *worker = &engine->workers[index];

	worker->engine = engine;
	worker->index = index;
	worker->random = hs_page_mix(engine->format->seed + index);
	sem_init(&worker->wake, 0, 0);
	pthread_mutex_init(&worker->lock, NULL);
	give_pages(engine, worker);
	hs_pacer_begin(&worker->pacer, &engine->config.pace, index);
}

static int allocate(struct hs_engine *engine)
{
	uint32_t threads = engine->config.pace.threads;

	engine->generations = calloc(engine->memory->pages, sizeof(*engine->generations));
	engine->windows = calloc(HS_DIRTY_WINDOWS_MAX, sizeof(*engine->windows));
	engine->workers = aligned_alloc(_Alignof(struct hs_worker), threads * sizeof(*engine->workers));
	if (!engine->generations || !engine->windows || !engine->workers)
		return hs_fail(-ENOMEM, "no memory for the account of %llu pages",
			       (unsigned long long)engine->memory->pages);
	memset(engine->workers, 0, threads * sizeof(*engine->workers));
	engine->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (engine->event_fd < 0)
		return hs_fail(-errno, "cannot create an eventfd:");
	for (uint32_t i = 0; i < threads; i++)
		init_worker(engine, i);
	return 0;
}

/* Signals are for the thread that drives the engine. */
static int start_threads(struct hs_engine *engine)
{
	sigset_t all, before;
	int err = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (!err && engine->started < engine->config.pace.threads) {
		struct hs_worker *worker = &engine->workers[engine->started];

		err = pthread_create(&worker->thread, NULL, hs_worker_run, worker);
		engine->started += !err;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		return hs_fail(-err, "cannot start thread %u of %u:", engine->started, engine->config.pace.threads);
	return 0;
}

static void wake_all(struct hs_engine *engine)
{
	for (uint32_t i = 0; i < engine->started; i++)
		sem_post(&engine->workers[i].wake);
}

int hs_engine_start(const struct hs_dirty_config *config, const struct hs_memory *memory,
		    const struct hs_page_format *format, const struct hs_ticks *ticks, struct hs_engine **out)
{
	scoped(hs_engine) struct hs_engine *engine = calloc(1, sizeof(*engine));
	int err;

	if (!engine)
		return hs_fail(-ENOMEM, "no memory for mm_dirty's account");
	engine->config = *config;
	engine->memory = memory;
	engine->format = format;
	engine->ticks = ticks;
	engine->event_fd = -1;
	pthread_mutex_init(&engine->lock, NULL);
	err = allocate(engine);
	if (!err)
		err = start_threads(engine);
	if (err)
		return err;
	engine->start_ns = hs_monotonic_ns();
	wake_all(engine);
	*out = take(engine);
	return 0;
}

void hs_engine_verify(struct hs_engine *engine)
{
	__atomic_fetch_add(&engine->wanted_pass, 1, __ATOMIC_RELAXED);
	wake_all(engine);
}

void hs_engine_stop(struct hs_engine *engine)
{
	if (!engine->stop_ns)
		__atomic_store_n(&engine->stop_ns, hs_monotonic_ns(), __ATOMIC_RELAXED);
	wake_all(engine);
}

void hs_engine_free(struct hs_engine *engine)
{
	if (!engine)
		return;
	hs_engine_stop(engine);
	for (uint32_t i = 0; i < engine->started; i++)
		pthread_join(engine->workers[i].thread, NULL);
	for (uint32_t i = 0; engine->workers && i < engine->config.pace.threads; i++)
		hs_histogram_clear(&engine->workers[i].latency);
	if (engine->event_fd >= 0)
		close(engine->event_fd);
	free(engine->workers);
	free(engine->windows);
	free(engine->generations);
	free(engine);
}

bool hs_engine_has_ended(const struct hs_engine *engine)
{
	for (uint32_t i = 0; i < engine->started; i++)
		if (!__atomic_load_n(&engine->workers[i].ended, __ATOMIC_ACQUIRE))
			return false;
	return true;
}

int hs_engine_fd(const struct hs_engine *engine)
{
	return engine->event_fd;
}

uint64_t hs_engine_elapsed_ns(const struct hs_engine *engine)
{
	return (engine->stop_ns ? engine->stop_ns : hs_monotonic_ns()) - engine->start_ns;
}

uint64_t hs_engine_start_ns(const struct hs_engine *engine)
{
	return engine->start_ns;
}

void hs_engine_count(const struct hs_engine *engine, struct hs_dirty_counts *counts)
{
	*counts = (struct hs_dirty_counts){ .passes = UINT64_MAX };
	for (uint32_t i = 0; i < engine->started; i++) {
		const struct hs_worker *worker = &engine->workers[i];
		uint64_t passed = __atomic_load_n(&worker->passed, __ATOMIC_ACQUIRE);

		counts->pages += __atomic_load_n(&worker->pages, __ATOMIC_RELAXED);
		counts->busy_ns += __atomic_load_n(&worker->busy_ns, __ATOMIC_RELAXED);
		counts->verified += __atomic_load_n(&worker->verified, __ATOMIC_RELAXED);
		if (passed < counts->passes)
			counts->passes = passed;
	}
	counts->faults = __atomic_load_n(&engine->fault_nr, __ATOMIC_RELAXED);
}

uint64_t hs_engine_window_nr(const struct hs_engine *engine)
{
	uint64_t nr = hs_engine_elapsed_ns(engine) / HS_PACE_WINDOW_NS;

	if (nr > HS_DIRTY_WINDOWS_MAX)
		nr = HS_DIRTY_WINDOWS_MAX;
	for (uint32_t i = 0; i < engine->started; i++) {
		const struct hs_worker *worker = &engine->workers[i];
		uint64_t window = __atomic_load_n(&worker->window, __ATOMIC_ACQUIRE);

		if (!__atomic_load_n(&worker->ended, __ATOMIC_ACQUIRE) && window < nr)
			nr = window;
	}
	return nr;
}

/* Whether the pages would all have been written at the speed that was left, had no time been lost. */
static bool is_explained(const struct hs_engine *engine, const struct hs_dirty_window *window)
{
	uint64_t total_ns = HS_PACE_WINDOW_NS * engine->config.pace.threads, left_ns;

	if (window->lost_ns >= total_ns / 10 * 9)
		return true; /* what is left says nothing about a speed */
	left_ns = total_ns - window->lost_ns;
	return (unsigned __int128)window->done * total_ns * 100 >= (unsigned __int128)window->due * left_ns * 99;
}

static enum hs_window_verdict judge(const struct hs_engine *engine, const struct hs_dirty_window *window)
{
	uint64_t due = window->due, done = window->done;
	uint64_t apart = due > done ? due - done : done - due;

	if (apart <= 1 || apart * 100 <= due)
		return HS_WINDOW_HELD;
	if (done > due)
		return HS_WINDOW_OVER;
	return is_explained(engine, window) ? HS_WINDOW_STALLED : HS_WINDOW_LIMITED;
}

void hs_engine_window(const struct hs_engine *engine, uint64_t index, struct hs_dirty_window *window)
{
	const struct hs_pace *pace = &engine->config.pace;

	*window = (struct hs_dirty_window){
		.done = __atomic_load_n(&engine->windows[index].done, __ATOMIC_RELAXED),
		.lost_ns = __atomic_load_n(&engine->windows[index].lost_ns, __ATOMIC_RELAXED),
	};
	if (!pace->bytes_per_second)
		return;
	window->due = hs_pace_due(pace, (index + 1) * HS_PACE_WINDOW_NS) - hs_pace_due(pace, index * HS_PACE_WINDOW_NS);
	window->verdict = judge(engine, window);
}

int hs_engine_take_latency(struct hs_engine *engine, struct hs_histogram *into)
{
	int err = 0;

	for (uint32_t i = 0; !err && i < engine->started; i++) {
		struct hs_worker *worker = &engine->workers[i];

		pthread_mutex_lock(&worker->lock);
		err = hs_histogram_merge(into, &worker->latency);
		if (!err)
			hs_histogram_clear(&worker->latency);
		pthread_mutex_unlock(&worker->lock);
	}
	return err;
}

/* Puts the stall where its length belongs among the `count` that are there; the shortest falls out. */
static size_t insert_stall(struct hs_stall *stalls, size_t count, size_t room, const struct hs_stall *stall)
{
	size_t at = count < room ? count : room;

	for (; at && stalls[at - 1].length_ns < stall->length_ns; at--)
		if (at < room)
			stalls[at] = stalls[at - 1];
	if (at < room)
		stalls[at] = *stall;
	return count < room ? count + 1 : room;
}

size_t hs_engine_stalls(const struct hs_engine *engine, struct hs_stall *stalls, size_t room, uint64_t *total)
{
	size_t count = 0;

	*total = 0;
	for (uint32_t i = 0; i < engine->started; i++) {
		struct hs_worker *worker = &engine->workers[i];

		pthread_mutex_lock(&worker->lock);
		for (size_t j = 0; j < worker->stall_nr && j < HS_DIRTY_STALLS_KEPT; j++)
			count = insert_stall(stalls, count, room, &worker->stalls[j]);
		*total += worker->stall_nr;
		pthread_mutex_unlock(&worker->lock);
	}
	return count;
}

const struct hs_page_verdict *hs_engine_faults(const struct hs_engine *engine, size_t *count)
{
	*count = engine->fault_nr < HS_DIRTY_FAULTS_KEPT ? engine->fault_nr : HS_DIRTY_FAULTS_KEPT;
	return engine->faults;
}
