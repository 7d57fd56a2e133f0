// SPDX-License-Identifier: GPL-2.0-only
/*
 * The collector's thread. One lock covers the capture, the log's parser and the clocks: the thread drains, feeds and
 * samples them, the main thread adds processes and taps and looks at the clocks.
 */
#include "collector.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/statvfs.h>

#include "base/io.h"
#include "base/log.h"
#include "base/loop.h"
#include "qemulog/tail.h"

#define TICK_MS 10
#define SECOND_NS 1000000000ull
#define DISK_PERIOD_NS (SECOND_NS / 10)
#define LOG_BUDGET_BYTES (8u << 20) /* per tick, so that a backlog of log does not delay the rings */

struct hs_collector {
	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	int stop_fd, alarm_fd;
	char *run_dir, *log_file;
	unsigned pairs;
	struct hs_capture *capture;
	char why_no_trace[256];
	struct hs_qemulog *log;
	struct hs_qemulog_tail *tail;
	struct hs_clock_list clocks;
	uint64_t next_clock_ns, next_disk_ns;
	bool alarmed;
};

static void sample_clocks(struct hs_collector *collector)
{
	struct hs_clock_sample sample;
	int err;

	hs_clock_sample_take(&sample);
	pthread_mutex_lock(&collector->lock);
	err = hs_clock_list_append(&collector->clocks, &sample);
	pthread_mutex_unlock(&collector->lock);
	if (err)
		hs_warn("a clock sample was left out: the boot clock did not advance");
}

static void watch_disk(struct hs_collector *collector)
{
	struct statvfs fs;
	uint64_t one = 1;

	if (collector->alarmed || statvfs(collector->run_dir, &fs) < 0 ||
	    (uint64_t)fs.f_bavail * fs.f_frsize >= HS_COLLECTOR_DISK_RESERVE)
		return;
	collector->alarmed = true;
	hs_err("the disk is nearly full: less than 16 MiB are left for %s; the run is ended so that what it has stays "
	       "whole; make room, or give another folder with --out",
	       collector->run_dir);
	if (write(collector->alarm_fd, &one, sizeof(one)) < 0)
		return; /* an eventfd that is already set */
}

static void do_tick(struct hs_collector *collector)
{
	uint64_t now;

	pthread_mutex_lock(&collector->lock);
	if (collector->capture)
		hs_capture_drain(collector->capture);
	if (collector->tail)
		hs_qemulog_tail_poll(collector->tail, LOG_BUDGET_BYTES);
	pthread_mutex_unlock(&collector->lock);
	now = hs_now_ns();
	if (now >= collector->next_clock_ns) {
		sample_clocks(collector);
		collector->next_clock_ns = now + SECOND_NS;
	}
	if (now >= collector->next_disk_ns) {
		watch_disk(collector);
		collector->next_disk_ns = now + DISK_PERIOD_NS;
	}
}

static void *collect(void *arg)
{
	struct hs_collector *collector = arg;
	struct pollfd fds[2] = { { .fd = collector->stop_fd, .events = POLLIN }, { .fd = -1, .events = POLLIN } };
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	if (collector->capture)
		fds[1].fd = hs_capture_fd(collector->capture);
	while (!(fds[0].revents & POLLIN)) {
		do_tick(collector);
		poll(fds, 2, TICK_MS);
	}
	return NULL;
}

static void open_capture(struct hs_collector *collector, const struct hs_collector_config *config)
{
	scoped(mem) char *parent = hs_format("%s/trace", config->run_dir);
	scoped(mem) char *dir = hs_format("%s/trace/host", config->run_dir);
	struct hs_capture_config capture = { .trace_dir = dir,
					     .machine = "host",
					     .reason = collector->why_no_trace,
					     .reason_bytes = sizeof(collector->why_no_trace) };
	size_t missing_nr;
	const struct hs_probe_missing *missing;

	hs_event_set_add_profile(&capture.events, "kvm");
	hs_event_set_add_profile(&capture.events, "net");
	if (!parent || !dir || hs_make_dirs(parent) || hs_capture_open(&capture, &collector->capture)) {
		if (!*collector->why_no_trace)
			snprintf(collector->why_no_trace, sizeof(collector->why_no_trace), "%s", hs_log_last_error());
		hs_warn("the host's kernel is not traced: %s; the run goes on without", collector->why_no_trace);
		return;
	}
	missing = hs_capture_missing(collector->capture, &missing_nr);
	for (size_t i = 0; i < missing_nr; i++)
		hs_warn("%s is not recorded: %s", missing[i].event->name, missing[i].reason);
}

static int open_log(struct hs_collector *collector)
{
	struct hs_qemulog_tenant tenants[HS_PAIRS_MAX];
	struct hs_qemulog_config log = { .tenants = tenants, .tenant_nr = collector->pairs };
	int err;

	for (unsigned i = 0; i < collector->pairs; i++)
		tenants[i] = (struct hs_qemulog_tenant){ .sid = hs_pair_of(i).sid, .tenant = i };
	err = hs_qemulog_open(&log, &collector->log);
	return err ? err : hs_qemulog_tail_open(collector->log_file, collector->log, &collector->tail);
}

void hs_collector_restart_log(struct hs_collector *collector)
{
	if (!collector->log)
		return;
	pthread_mutex_lock(&collector->lock);
	hs_qemulog_tail_free(take(collector->tail));
	hs_qemulog_free(take(collector->log));
	if (truncate(collector->log_file, 0) < 0 || open_log(collector))
		hs_err("cannot start the IOMMU log anew: it will not be counted");
	pthread_mutex_unlock(&collector->lock);
}

static int start_thread(struct hs_collector *collector)
{
	int err = -pthread_create(&collector->thread, NULL, collect, collector);

	if (err)
		return hs_fail(err, "cannot start the collector's thread:");
	collector->running = true;
	return 0;
}

int hs_collector_start(const struct hs_collector_config *config, struct hs_collector **out, int *alarm_fd)
{
	scoped(hs_collector) struct hs_collector *collector = calloc(1, sizeof(*collector));
	int err = 0;

	if (!collector)
		return -ENOMEM;
	pthread_mutex_init(&collector->lock, NULL);
	collector->stop_fd = eventfd(0, EFD_CLOEXEC);
	collector->alarm_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	collector->run_dir = strdup(config->run_dir);
	collector->log_file = config->log_file ? strdup(config->log_file) : NULL;
	collector->pairs = config->pairs;
	if (collector->stop_fd < 0 || collector->alarm_fd < 0 || !collector->run_dir ||
	    (config->log_file && !collector->log_file))
		return hs_fail(-ENOMEM, "cannot set up the collector");
	sample_clocks(collector);
	if (config->trace)
		open_capture(collector, config);
	if (config->log_file)
		err = open_log(collector);
	if (!err)
		err = start_thread(collector);
	if (err)
		return err;
	*alarm_fd = collector->alarm_fd;
	*out = take(collector);
	return 0;
}

void hs_collector_watch_process(struct hs_collector *collector, pid_t pid)
{
	pthread_mutex_lock(&collector->lock);
	if (collector->capture)
		hs_capture_watch_process(collector->capture, pid);
	pthread_mutex_unlock(&collector->lock);
}

void hs_collector_watch_tap(struct hs_collector *collector, const struct hs_lab_tap *tap)
{
	pthread_mutex_lock(&collector->lock);
	if (collector->capture)
		hs_capture_watch_tap(collector->capture, tap->netns_inum, (uint32_t)tap->ifindex, (uint16_t)tap->tenant,
				     tap->is_client ? HS_ROLE_CLIENT : HS_ROLE_L2);
	pthread_mutex_unlock(&collector->lock);
}

void hs_collector_stop(struct hs_collector *collector)
{
	uint64_t one = 1;

	if (!collector->running)
		return;
	if (write(collector->stop_fd, &one, sizeof(one)) < 0)
		return; /* cannot happen on a fresh eventfd */
	pthread_join(collector->thread, NULL);
	collector->running = false;
	if (collector->capture)
		hs_capture_stop(collector->capture);
	while (collector->tail && hs_qemulog_tail_poll(collector->tail, LOG_BUDGET_BYTES) > 0)
		continue;
	if (collector->log)
		hs_qemulog_finish(collector->log);
	sample_clocks(collector);
}

void hs_collector_free(struct hs_collector *collector)
{
	if (!collector)
		return;
	hs_collector_stop(collector);
	hs_capture_free(collector->capture);
	hs_qemulog_tail_free(collector->tail);
	hs_qemulog_free(collector->log);
	hs_clock_list_clear(&collector->clocks);
	if (collector->stop_fd >= 0)
		close(collector->stop_fd);
	if (collector->alarm_fd >= 0)
		close(collector->alarm_fd);
	pthread_mutex_destroy(&collector->lock);
	free(collector->run_dir);
	free(collector->log_file);
	free(collector);
}

const struct hs_capture *hs_collector_capture(const struct hs_collector *collector)
{
	return collector->capture;
}

const char *hs_collector_why_no_trace(const struct hs_collector *collector)
{
	return collector->why_no_trace;
}

const struct hs_qemulog_counts *hs_collector_log(const struct hs_collector *collector)
{
	return collector->log ? hs_qemulog_counts(collector->log) : NULL;
}

int hs_collector_clocks(struct hs_collector *collector, struct hs_clock_list *out)
{
	int err = 0;

	pthread_mutex_lock(&collector->lock);
	for (size_t i = 0; !err && i < collector->clocks.sample_nr; i++)
		err = hs_clock_list_append(out, &collector->clocks.samples[i]);
	pthread_mutex_unlock(&collector->lock);
	return err;
}
