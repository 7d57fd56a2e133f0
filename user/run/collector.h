/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The collector of one run: a thread that drains the BPF rings into the trace, reads QEMU's IOMMU log as it
 * grows, samples the clocks and watches the disk. The main thread tells it what to watch; counts are read after
 * hs_collector_stop().
 */
#ifndef HS_RUN_COLLECTOR_H
#define HS_RUN_COLLECTOR_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/scoped.h"
#include "capture/capture.h"
#include "orchestrate/lab.h"
#include "qemulog/qemulog.h"
#include "timeline/clock.h"

struct hs_collector;

struct hs_collector_config {
	unsigned pairs;
	const char *run_dir;   /* DIR/trace/host is written; its file system is watched for room */
	const char *log_file;  /* NULL: no IOMMU log */
	bool trace;	       /* false: no BPF */
};

/*
 * Starts it. Where BPF cannot run that is a warning, kept for hs_collector_why_no_trace(), and the rest goes on.
 * *alarm_fd becomes readable when the run must end: the disk is nearly full (borrowed).
 */
int hs_collector_start(const struct hs_collector_config *config, struct hs_collector **out, int *alarm_fd);

void hs_collector_watch_process(struct hs_collector *collector, pid_t pid);
void hs_collector_watch_tap(struct hs_collector *collector, const struct hs_lab_tap *tap);

/* The log's writer is gone and another begins: empties the file, counts from zero. */
void hs_collector_restart_log(struct hs_collector *collector);

/* Takes everything that is left and ends the thread: call it when the machines are gone. */
void hs_collector_stop(struct hs_collector *collector);
void hs_collector_free(struct hs_collector *collector);
HS_SCOPED(hs_collector, struct hs_collector *, hs_collector_free)

/* NULL without BPF; hs_collector_why_no_trace() says why, "" if it was not wanted. */
const struct hs_capture *hs_collector_capture(const struct hs_collector *collector);
const char *hs_collector_why_no_trace(const struct hs_collector *collector);
/* NULL without a log. */
const struct hs_qemulog_counts *hs_collector_log(const struct hs_collector *collector);
/* Copies the samples so far into `out`, which is empty; also while it runs. 0 or -ENOMEM. */
int hs_collector_clocks(struct hs_collector *collector, struct hs_clock_list *out);

/* Bytes that must stay free on the run's file system; below that the run is ended. */
#define HS_COLLECTOR_DISK_RESERVE (16ull << 20)

#endif
