// SPDX-License-Identifier: GPL-2.0-only
/*
 * `mm_dirty`: a memory load for migrations. Options and words are mig_mon's; the work is the engine's. One thread here,
 * one loop: progress, Ctrl-C, SIGUSR1.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/signalfd.h>

#include "base/interrupt.h"
#include "base/log.h"
#include "base/unit.h"
#include "migtools/migtools.h"
#include "migtools/mm_engine.h"
#include "migtools/mm_report.h"

#define STAMP_ROUNDS 10000
#define THREADS_MAX 1024

enum backing { BACKING_4K, BACKING_2M, BACKING_1G };

struct mm_dirty_config {
	uint64_t memory_bytes, rate, ramp_ns, duration_ns, interval_ns;
	int pattern, backing;
	uint32_t threads;
	const char *hot, *fill;
	bool latency, verify, lock, json;
};

static const char *const patterns[] = { "sequential", "random", "once", NULL };
static const char *const backings[] = { "4k", "2m", "1g", NULL };
static const uint64_t backing_bytes[] = { [BACKING_4K] = 0, [BACKING_2M] = 2ull << 20, [BACKING_1G] = 1ull << 30 };

static const struct hs_opt options[] = {
	HS_OPT(struct mm_dirty_config, memory_bytes, "memory", 'm', HS_OPT_SIZE, "SIZE", "512",
	       "memory to write to; a bare number is MiB", .unit = 1 << 20, .min = 1),
	HS_OPT(struct mm_dirty_config, rate, "rate", 'r', HS_OPT_SIZE, "RATE", NULL,
	       "bytes per second to dirty; a bare number is MiB; else as fast as the machine", .unit = 1 << 20,
	       .max = HS_PACE_RATE_MAX),
	HS_OPT(struct mm_dirty_config, pattern, "pattern", 'p', HS_OPT_CHOICE, "PATTERN", "sequential",
	       "which page is next (once: each is written at the start, then none)", .choices = patterns),
	HS_OPT(struct mm_dirty_config, backing, "page", 'P', HS_OPT_CHOICE, "SIZE", "4k", "pages that back the memory",
	       .choices = backings),
	HS_OPT(struct mm_dirty_config, latency, "latency", 'L', HS_OPT_FLAG, NULL, NULL,
	       "time every write, one after the other"),
	HS_OPT(struct mm_dirty_config, threads, "threads", 'j', HS_OPT_U32, "N", "1",
	       "threads, each with its part of the memory and of the rate", .min = 1, .max = THREADS_MAX),
	HS_OPT(struct mm_dirty_config, hot, "hot", 0, HS_OPT_STR, "PAGES%:WRITES%", NULL,
	       "working set: 10%:90% gives a tenth of the pages nine of ten writes"),
	HS_OPT(struct mm_dirty_config, fill, "fill", 0, HS_OPT_STR, "CONTENTS", "stamp",
	       "what pages hold: stamp (32 bytes, then zeros), zero, random, compressible=50%"),
	HS_OPT(struct mm_dirty_config, ramp_ns, "ramp", 0, HS_OPT_DURATION, "TIME", NULL,
	       "raise the rate from nothing to --rate over that time"),
	HS_OPT(struct mm_dirty_config, duration_ns, "duration", 'd', HS_OPT_DURATION, "TIME", NULL,
	       "end after that time; else Ctrl-C ends it"),
	HS_OPT(struct mm_dirty_config, verify, "verify", 0, HS_OPT_FLAG, NULL, NULL,
	       "read pages whole: one at random every millisecond, all of them at the end"),
	HS_OPT(struct mm_dirty_config, lock, "mlock", 0, HS_OPT_FLAG, NULL, NULL, "keep the memory from being swapped"),
	HS_OPT(struct mm_dirty_config, interval_ns, "interval", 'i', HS_OPT_DURATION, "TIME", "1s",
	       "between two lines of progress; at least 1ms"),
	HS_OPT(struct mm_dirty_config, json, "json", 0, HS_OPT_FLAG, NULL, NULL,
	       "print one JSON document (" HS_DIRTY_SCHEMA ") at the end; progress goes to stderr"),
	HS_OPT_END,
};

/* A run from its first thread to its last. */
struct mm_dirty {
	const struct mm_dirty_config *config;
	struct hs_dirty_config engine_config;
	struct hs_page_format format;
	struct hs_ticks ticks;
	struct hs_memory memory;
	struct hs_engine *engine;
	struct hs_loop *loop;
	FILE *out; /* of progress */
	bool interrupted;
	bool limit_said;
	uint64_t window; /* the first that progress has not judged */
	uint64_t line_ns;
	struct hs_dirty_counts line_counts; /* at line_ns */
	uint64_t passes_wanted, passes_said;
	struct hs_histogram latency; /* until line_ns */
	uint64_t stamp_ns;
	uint64_t start_boottime_ns, start_realtime_ns;
	struct hs_watch timer, signal, event;
	int signal_fd;
};

static void mm_dirty_close(struct mm_dirty *dirty)
{
	hs_engine_free(dirty->engine);
	hs_histogram_clear(&dirty->latency);
	hs_memory_unmap(&dirty->memory);
	if (dirty->loop) {
		hs_loop_close(dirty->loop, &dirty->timer);
		hs_loop_remove(dirty->loop, &dirty->signal);
		hs_loop_remove(dirty->loop, &dirty->event);
		hs_interrupt_close(dirty->loop);
	}
	hs_loop_free(dirty->loop);
	if (dirty->signal_fd >= 0)
		close(dirty->signal_fd);
}

static void mm_dirty_scoped(struct mm_dirty *dirty)
{
	mm_dirty_close(dirty);
}

/* ---- before ------------------------------------------------------------------------------------ */

static int parse_hot(const char *text, struct hs_dirty_config *config)
{
	char percent[2], end;
	unsigned int pages, writes;

	if (sscanf(text, "%3u%1[%]:%3u%1[%]%c", &pages, percent, &writes, percent, &end) != 4 || !pages || pages > 99 ||
	    !writes || writes > 99) {
		hs_err("mm_dirty: --hot '%s' is not like 10%%:90%%, both from 1%% to 99%%", text);
		return HS_EXIT_USAGE;
	}
	config->hot_pages_pct = pages;
	config->hot_writes_pct = writes;
	return 0;
}

static int check_config(const struct mm_dirty_config *config, uint64_t page_bytes)
{
	if (config->threads > config->memory_bytes / page_bytes)
		hs_err("mm_dirty: %u threads are more than the memory has pages", config->threads);
	else if (config->ramp_ns && !config->rate)
		hs_err("mm_dirty: --ramp needs the --rate that it goes to");
	else if (config->ramp_ns > HS_PACE_RAMP_MAX_NS)
		hs_err("mm_dirty: --ramp is an hour at most");
	else if (config->interval_ns < 1000000u)
		hs_err("mm_dirty: --interval is 1ms at least");
	else
		return 0;
	return HS_EXIT_USAGE;
}

/* 0 or HS_EXIT_USAGE after a message. */
static int configure(struct mm_dirty *dirty)
{
	const struct mm_dirty_config *config = dirty->config;
	uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE), seed;

	if (check_config(config, page_bytes) || (config->hot && parse_hot(config->hot, &dirty->engine_config)))
		return HS_EXIT_USAGE;
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
		seed = hs_now_ns(); /* a guest that has just booted; any number that is not the last run's */
	if (hs_page_format_parse(config->fill, page_bytes, seed, &dirty->format)) {
		hs_err("mm_dirty: --fill '%s' is not one of stamp, zero, random, compressible=50%%", config->fill);
		return HS_EXIT_USAGE;
	}
	dirty->engine_config.pattern = (enum hs_pattern)config->pattern;
	dirty->engine_config.latency = config->latency;
	dirty->engine_config.verify = config->verify;
	dirty->engine_config.pace = (struct hs_pace){
		.bytes_per_second = config->rate,
		.page_bytes = page_bytes,
		.ramp_ns = config->ramp_ns,
		.threads = config->threads,
	};
	return 0;
}

static void print_header(const struct mm_dirty *dirty)
{
	const struct mm_dirty_config *config = dirty->config;
	FILE *out = dirty->out;

	fprintf(out, "Binary version: \t%s\n", HS_VERSION);
	fprintf(out, "Test memory size: \t%" PRIu64 " (MB)\n", dirty->memory.bytes >> 20);
	fprintf(out, "Backend page size: \t%" PRIu64 " (KB)\n", dirty->memory.backing_bytes >> 10);
	fprintf(out, "Dirty step size: \t%" PRIu64 " (KB)\n", dirty->memory.page_bytes >> 10);
	if (config->rate)
		fprintf(out, "Dirty memory rate: \t%.0f (MB/s)\n", (double)config->rate / (1 << 20));
	else
		fprintf(out, "Dirty memory rate: \tMaximum\n");
	fprintf(out, "Dirty pattern: \t\t%s\n", patterns[config->pattern]);
	fprintf(out, "Recording latencies: \t%s\n", config->latency ? "Enabled" : "Disabled");
}

static FILE *heating_out; /* hs_memory_heat() has no room for a context: one heating per process */

static void on_gib(void)
{
	fputc('.', heating_out);
	fflush(heating_out);
}

static int prepare_memory(struct mm_dirty *dirty)
{
	int err = hs_memory_map(dirty->config->memory_bytes, backing_bytes[dirty->config->backing], &dirty->memory);

	if (err)
		return err;
	print_header(dirty);
	fprintf(dirty->out, "Pre-heating memory ");
	heating_out = dirty->out;
	on_gib();
	err = hs_memory_heat(&dirty->memory, &dirty->format, on_gib);
	if (err)
		return err;
	fprintf(dirty->out, " done\n");
	fflush(dirty->out);
	return dirty->config->lock ? hs_memory_lock(&dirty->memory) : 0;
}

/* What a time stamp and its place in the histogram cost, as dirty_timed() of the engine takes them. */
static int measure_stamp(struct mm_dirty *dirty)
{
	struct hs_histogram histogram = { 0 };
	uint64_t start = hs_ticks_now(), before = start;
	int err = 0;

	for (int i = 0; i < STAMP_ROUNDS && !err; i++) {
		uint64_t now = hs_ticks_now();

		err = hs_histogram_add(&histogram, hs_ticks_to_ns(&dirty->ticks, now - before), 1);
		before = now;
	}
	dirty->stamp_ns = hs_histogram_quantile(&histogram, 0.5);
	hs_histogram_clear(&histogram);
	return err ? hs_fail(err, "no memory for a histogram") : 0;
}

/* ---- while it runs ----------------------------------------------------------------------------- */

static void take_latency(struct mm_dirty *dirty, struct hs_histogram *recent)
{
	if (hs_engine_take_latency(dirty->engine, recent) || hs_histogram_merge(&dirty->latency, recent))
		hs_warn("no memory for all latencies: some are left out");
}

static uint64_t us_rounded_up(uint64_t ns)
{
	return (ns + 999) / 1000;
}

static void print_line(struct mm_dirty *dirty)
{
	uint64_t now = hs_monotonic_ns(), ns = now - dirty->line_ns;
	struct hs_dirty_counts counts;
	struct hs_histogram recent = { 0 };
	double mib;

	hs_engine_count(dirty->engine, &counts);
	mib = (double)((counts.pages - dirty->line_counts.pages) * dirty->memory.page_bytes) / (1 << 20);
	fprintf(dirty->out, "dirty-rate: %.0f (MB/s), time (ms): %" PRIu64 ", load: %.2f%%", mib * 1e9 / (double)ns,
		ns / 1000000,
		(double)(counts.busy_ns - dirty->line_counts.busy_ns) * 100 / (double)ns / dirty->config->threads);
	if (dirty->config->latency) {
		take_latency(dirty, &recent);
		fprintf(dirty->out, ", lat (us): p50=%" PRIu64 " p99=%" PRIu64 " max=%" PRIu64,
			us_rounded_up(hs_histogram_quantile(&recent, 0.5)),
			us_rounded_up(hs_histogram_quantile(&recent, 0.99)),
			us_rounded_up(recent.count ? recent.max : 0));
		hs_histogram_clear(&recent);
	}
	fputc('\n', dirty->out);
	fflush(dirty->out);
	dirty->line_ns = now;
	dirty->line_counts = counts;
}

/* Says, once, that the machine is slower than the rate. */
static void watch_limit(struct mm_dirty *dirty)
{
	uint64_t nr = hs_engine_window_nr(dirty->engine), done = 0, due = 0;
	struct hs_dirty_verdicts verdicts;

	if (!dirty->config->rate || dirty->config->pattern == HS_PATTERN_ONCE || dirty->limit_said ||
	    nr <= dirty->window)
		return;
	hs_dirty_report_verdicts(dirty->engine, dirty->window, nr - dirty->window, &verdicts);
	for (uint64_t i = dirty->window; verdicts.nr[HS_WINDOW_LIMITED] && i < nr; i++) {
		struct hs_dirty_window window;

		hs_engine_window(dirty->engine, i, &window);
		due += window.due;
		done += window.done;
	}
	if (verdicts.nr[HS_WINDOW_LIMITED]) {
		double to_mib = (double)dirty->memory.page_bytes * (1e9 / HS_PACE_WINDOW_NS) / (1 << 20) /
				(double)(nr - dirty->window);

		hs_warn("the machine cannot dirty %.0f MB/s: it did %.0f (more threads may help: -j)",
			(double)due * to_mib, (double)done * to_mib);
		dirty->limit_said = true;
	}
	dirty->window = nr;
}

static void on_timer(void *ctx, uint32_t events)
{
	struct mm_dirty *dirty = ctx;

	(void)events;
	if (dirty->config->pattern != HS_PATTERN_ONCE)
		print_line(dirty);
	watch_limit(dirty);
}

static void on_usr1(void *ctx, uint32_t events)
{
	struct mm_dirty *dirty = ctx;
	struct signalfd_siginfo info;

	(void)events;
	if (read(dirty->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	dirty->passes_wanted++;
	hs_engine_verify(dirty->engine);
}

static void on_engine(void *ctx, uint32_t events)
{
	struct mm_dirty *dirty = ctx;
	struct hs_dirty_counts counts;
	uint64_t ignored;

	(void)events;
	if (read(hs_engine_fd(dirty->engine), &ignored, sizeof(ignored)) < 0)
		return;
	hs_engine_count(dirty->engine, &counts);
	if (counts.passes <= dirty->passes_said)
		return;
	dirty->passes_said = counts.passes;
	fprintf(dirty->out, "verified: all %" PRIu64 " pages, %" PRIu64 " wrong so far\n", dirty->memory.pages,
		counts.faults);
	fflush(dirty->out);
}

static void on_interrupt(void *ctx)
{
	((struct mm_dirty *)ctx)->interrupted = true;
}

static bool is_interrupted(void *ctx)
{
	return ((struct mm_dirty *)ctx)->interrupted;
}

static bool has_ended(void *ctx)
{
	return hs_engine_has_ended(((struct mm_dirty *)ctx)->engine);
}

/* SIGUSR1 asks for a verification; it is blocked before any thread is there. */
static int watch_signals(struct mm_dirty *dirty)
{
	sigset_t usr1;
	int err = hs_loop_open(&dirty->loop);

	if (err)
		return err;
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	dirty->signal_fd = signalfd(-1, &usr1, SFD_CLOEXEC | SFD_NONBLOCK);
	if (dirty->signal_fd < 0)
		return hs_fail(-errno, "cannot create a signalfd:");
	err = hs_loop_add(dirty->loop, &dirty->signal, dirty->signal_fd, EPOLLIN, on_usr1, dirty);
	return err ? err : hs_interrupt_open(dirty->loop, on_interrupt, dirty);
}

static int start(struct mm_dirty *dirty)
{
	struct timespec realtime;
	int err = hs_engine_start(&dirty->engine_config, &dirty->memory, &dirty->format, &dirty->ticks, &dirty->engine);

	if (err)
		return err;
	dirty->line_ns = hs_engine_start_ns(dirty->engine);
	clock_gettime(CLOCK_REALTIME, &realtime);
	dirty->start_realtime_ns = (uint64_t)realtime.tv_sec * 1000000000u + (uint64_t)realtime.tv_nsec -
				   (hs_monotonic_ns() - dirty->line_ns);
	dirty->start_boottime_ns = hs_now_ns() - (hs_monotonic_ns() - dirty->line_ns);
	err = hs_loop_add(dirty->loop, &dirty->event, hs_engine_fd(dirty->engine), EPOLLIN, on_engine, dirty);
	if (!err)
		err = hs_loop_timer(dirty->loop, &dirty->timer, dirty->config->interval_ns, on_timer, dirty);
	return err;
}

/* Until Ctrl-C or the end of the duration; then until the last thread is done. */
static int work(struct mm_dirty *dirty)
{
	uint64_t duration_ns = dirty->config->duration_ns;
	int err = hs_loop_until(dirty->loop, is_interrupted, dirty,
				duration_ns ? dirty->start_boottime_ns + duration_ns : 0);

	if (err && err != -ETIMEDOUT)
		return err;
	hs_engine_stop(dirty->engine);
	hs_loop_close(dirty->loop, &dirty->timer);
	if (hs_monotonic_ns() - dirty->line_ns >= dirty->config->interval_ns / 2)
		on_timer(dirty, 0); /* the end came just before the line */
	return hs_loop_until(dirty->loop, has_ended, dirty, 0);
}

/* ---- after ------------------------------------------------------------------------------------- */

static int report(struct mm_dirty *dirty)
{
	struct hs_histogram rest = { 0 };
	struct hs_dirty_counts counts;
	struct hs_dirty_report report = {
		.config = &dirty->engine_config,
		.memory = &dirty->memory,
		.engine = dirty->engine,
		.pattern = patterns[dirty->config->pattern],
		.fill = dirty->config->fill,
		.start_boottime_ns = dirty->start_boottime_ns,
		.start_realtime_ns = dirty->start_realtime_ns,
		.latency = &dirty->latency,
		.stamp_ns = dirty->stamp_ns,
		.drift = hs_ticks_drift(&dirty->ticks),
	};
	int err = 0;

	take_latency(dirty, &rest);
	hs_histogram_clear(&rest);
	if (dirty->config->latency && (report.drift > 0.01 || report.drift < -0.01))
		hs_warn("the CPU's time stamps ran %.1f%% off the clock: latencies are wrong by as much",
			report.drift * 100);
	if (dirty->config->json)
		err = hs_dirty_report_print_json(&report);
	else
		hs_dirty_report_print(stdout, &report);
	hs_engine_count(dirty->engine, &counts);
	if (!err && counts.faults)
		err = hs_fail(-EIO, "%" PRIu64 " pages were not as they were written", counts.faults);
	return err;
}

static int run(void *config_ptr, int argc, char **argv)
{
	const struct mm_dirty_config *config = config_ptr;
	scoped(mm_dirty) struct mm_dirty dirty = {
		.config = config,
		.out = config->json ? stderr : stdout,
		.timer = HS_WATCH_NONE,
		.signal = HS_WATCH_NONE,
		.event = HS_WATCH_NONE,
		.signal_fd = -1,
	};
	int err;

	(void)argv;
	if (argc) {
		hs_err("mm_dirty takes no operand");
		return HS_EXIT_USAGE;
	}
	if (configure(&dirty))
		return HS_EXIT_USAGE;
	hs_ticks_start(&dirty.ticks);
	err = prepare_memory(&dirty);
	if (err)
		return err == -EINVAL ? HS_EXIT_USAGE : err;
	hs_ticks_calibrate(&dirty.ticks);
	err = measure_stamp(&dirty);
	if (!err)
		err = watch_signals(&dirty);
	if (!err)
		err = start(&dirty);
	if (!err)
		err = work(&dirty);
	return err ? err : report(&dirty);
}

const struct hs_verb cmd_mm_dirty = {
	.name = "mm_dirty",
	.synopsis = "",
	.help = "dirty memory at a held rate: the load of a guest that migrates",
	.text = "Writes one cache line of a page at a time. Every page holds its number, how often it was written and "
		"a\n"
		"sum: a page that a migration lost, kept back, swapped or damaged is named, and the exit code is 1.\n"
		"SIGUSR1 has all pages read. The rate is kept in windows of 100 ms: what a window could not do, "
		"because\n"
		"the machine is slower or the process was stalled (a paused guest, a postcopy fault), is not made up\n"
		"for later; --json has every window, and the longest stalls with their times.",
	.example = "mm_dirty -m 512 -r 100  in a guest: dirty 100 MiB of its memory every second",
	.options = options,
	.config_size = sizeof(struct mm_dirty_config),
	.run = run,
};
