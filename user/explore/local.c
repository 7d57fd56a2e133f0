// SPDX-License-Identifier: GPL-2.0-only
/*
 * The local engine: worker processes, forked when the traces are mapped, so that all of them run over the same pages.
 * A worker is told a point's number, simulates it and answers with one document. One that dies takes its point with it
 * and is replaced. Main thread, from the loop's callbacks; each worker is a process with one thread.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/proc.h"
#include "explore/engine.h"
#include "explore/point.h"

#define NO_POINT SIZE_MAX
#define ANSWER_BYTES_MAX (128u << 10) /* within a socket's default buffer */

struct pool;

struct worker {
	struct pool *pool;
	struct hs_watch watch;
	pid_t pid; /* 0: none */
	int fd;	   /* the pool's end; -1: none */
	size_t point;
	uint64_t since_ns;
};

struct pool {
	const struct hs_engine_config *config;
	struct worker *workers;
	size_t worker_nr, next; /* next: index into config->points */
	size_t ended;
	int err;
};

/* ---- the worker's side ------------------------------------------------------------------------- */

/* {"result": ...} or {"why": "..."} */
static json_object *simulate(const struct hs_explore_plan *plan, size_t point)
{
	json_object *answer = json_object_new_object(), *result;
	int err = hs_point_simulate(plan, point, &result);

	if (err)
		hs_json_add_string(answer, "why", err == -ENOMEM ? "out of memory" : hs_log_last_error());
	else
		json_object_object_add(answer, "result", result);
	return answer;
}

static int answer(int fd, json_object *document)
{
	static const char too_long[] = "{\"why\":\"its result is too long\"}";
	const char *text = json_object_to_json_string_ext(document, JSON_C_TO_STRING_PLAIN);
	size_t len = text ? strlen(text) : 0;

	if (!len || len > ANSWER_BYTES_MAX) {
		text = too_long;
		len = strlen(too_long);
	}
	return send(fd, text, len, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int serve(const struct hs_explore_plan *plan, int fd)
{
	size_t point;

	while (recv(fd, &point, sizeof(point), 0) == sizeof(point)) {
		json_object *document = simulate(plan, point);
		int err = answer(fd, document);

		json_object_put(document);
		if (err)
			return err;
	}
	return 0;
}

/* Its words reach the user as reasons of points; Ctrl-C and the other workers' sockets are the parent's. */
static void __attribute__((noreturn)) run_worker(const struct hs_explore_plan *plan, int fd, pid_t parent)
{
	static const int caught[] = { SIGINT, SIGTERM, SIGHUP };

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent || dup2(fd, 3) < 0 ||
	    close_range(4, ~0u, 0) < 0)
		_exit(1);
	setpgid(0, 0);
	for (size_t i = 0; i < HS_ARRAY_SIZE(caught); i++)
		signal(caught[i], SIG_DFL);
	if (!freopen("/dev/null", "w", stderr))
		_exit(1);
	_exit(serve(plan, 3) ? 1 : 0);
}

/* ---- the pool's side --------------------------------------------------------------------------- */

static void on_readable(void *ctx, uint32_t events);

static int start_worker(struct pool *pool, struct worker *worker)
{
	int pair[2], err;
	pid_t parent = getpid();

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return hs_fail(-errno, "cannot make a socket for a worker:");
	fflush(NULL); /* what is buffered is the parent's to write */
	worker->pid = fork();
	if (worker->pid == 0)
		run_worker(pool->config->plan, pair[1], parent);
	err = worker->pid < 0 ? -errno : 0;
	close(pair[1]);
	worker->fd = pair[0];
	if (err) {
		worker->pid = 0;
		return hs_fail(err, "cannot start a worker:");
	}
	return hs_loop_add(pool->config->loop, &worker->watch, worker->fd, EPOLLIN, on_readable, worker);
}

/* The wait status. */
static int stop_worker(struct worker *worker)
{
	int status = 0;

	hs_loop_remove(worker->pool->config->loop, &worker->watch);
	if (worker->fd >= 0)
		close(worker->fd);
	worker->fd = -1;
	if (worker->pid) {
		kill(worker->pid, SIGKILL); /* one that has ended by itself keeps its own status */
		while (waitpid(worker->pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	worker->pid = 0;
	return status;
}

static int give_point(struct worker *worker)
{
	struct pool *pool = worker->pool;

	worker->point = NO_POINT;
	if (pool->next == pool->config->point_nr)
		return 0;
	worker->point = pool->config->points[pool->next++];
	worker->since_ns = hs_now_ns();
	/* A worker that has died meanwhile is met when its end is read. */
	if (send(worker->fd, &worker->point, sizeof(worker->point), MSG_NOSIGNAL) < 0 && errno != EPIPE)
		return hs_fail(-errno, "cannot give a worker its point:");
	return 0;
}

static int end_point(struct worker *worker, json_object *result, const char *why)
{
	struct hs_engine_end end = {
		.point = worker->point, .result = result, .why = why, .took_ns = hs_now_ns() - worker->since_ns
	};

	worker->pool->ended++;
	return worker->pool->config->on_end(worker->pool->config->ctx, &end);
}

static int on_death(struct worker *worker)
{
	char why[128], how[96];
	int err, status = stop_worker(worker);

	if (worker->point == NO_POINT)
		return 0; /* nothing was left to do for it */
	snprintf(why, sizeof(why), "its process %s", hs_proc_describe(status, how, sizeof(how)));
	err = end_point(worker, NULL, why);
	if (!err && worker->pool->next < worker->pool->config->point_nr)
		err = start_worker(worker->pool, worker);
	if (!err && worker->pid)
		err = give_point(worker);
	return err;
}

static int on_answer(struct worker *worker, const char *text)
{
	scoped(json) json_object *document = json_tokener_parse(text);
	json_object *result = hs_json_get(document, "result");
	const char *why = hs_json_get_string(document, "why");
	int err = end_point(worker, result, result ? NULL : *why ? why : "its worker did not answer in JSON");

	return err ? err : give_point(worker);
}

static void on_readable(void *ctx, uint32_t events)
{
	struct worker *worker = ctx;
	scoped(mem) char *text = malloc(ANSWER_BYTES_MAX + 1);
	ssize_t len = text ? recv(worker->fd, text, ANSWER_BYTES_MAX, MSG_DONTWAIT) : -1;
	int err;

	(void)events;
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len > 0) {
		text[len] = '\0';
		err = on_answer(worker, text);
	} else {
		err = on_death(worker);
	}
	if (err && !worker->pool->err)
		worker->pool->err = err;
}

static bool is_done(void *ctx)
{
	const struct pool *pool = ctx;

	return pool->err || *pool->config->is_interrupted || pool->ended == pool->config->point_nr;
}

static int run_pool(struct pool *pool)
{
	int err = 0;

	for (size_t i = 0; !err && i < pool->worker_nr; i++) {
		err = start_worker(pool, &pool->workers[i]);
		if (!err)
			err = give_point(&pool->workers[i]);
	}
	if (!err)
		err = hs_loop_until(pool->config->loop, is_done, pool, 0);
	if (!err)
		err = pool->err;
	return !err && pool->ended < pool->config->point_nr ? -EINTR : err;
}

int hs_engine_local_run(const struct hs_engine_config *config)
{
	struct pool pool = { .config = config,
			     .worker_nr = config->jobs < config->point_nr ? config->jobs : config->point_nr };
	int err;

	pool.workers = calloc(pool.worker_nr ? pool.worker_nr : 1, sizeof(*pool.workers));
	if (!pool.workers)
		return -ENOMEM;
	for (size_t i = 0; i < pool.worker_nr; i++)
		pool.workers[i] = (struct worker){ .pool = &pool, .watch = HS_WATCH_NONE, .fd = -1, .point = NO_POINT };
	err = run_pool(&pool);
	for (size_t i = 0; i < pool.worker_nr; i++)
		stop_worker(&pool.workers[i]);
	free(pool.workers);
	return err;
}
