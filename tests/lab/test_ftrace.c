// SPDX-License-Identifier: GPL-2.0-only
/*
 * This kernel's own ftrace pages as a CTF trace: event by event and field by field what the kernel prints of them,
 * with babeltrace2 between; a million events, rings that overrun, and large pages, counted by the ring. Needs root. All
 * in an instance of tracefs that nobody else uses.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "ftrace/ctf.h"
#include "tests/lab/lab.h"
#include "timeline/clock.h"
#include "trace/ctf_reader.h"
#include "trace/ctf_writer.h"

#define CPUS_MAX 1024
#define PAGES_BYTES (1u << 20)

/* A trace of our own records, of one, in that folder: ftrace joins it. */
static bool write_record(const char *trace)
{
	struct hs_ctf_writer_config config = { .dir = trace, .machine = "l1" };
	scoped(hs_ctf_writer) struct hs_ctf_writer *writer = NULL;
	struct hs_event_kvm_pio pio = { .header = { .id = HS_EVENT_kvm_pio, .tid = 1 } };
	struct hs_clock_sample now;

	hs_clock_sample_take(&now);
	pio.header.ts = now.boot_ns;
	return !hs_ctf_writer_open(&config, &writer) && !hs_ctf_writer_begin(writer, 0) &&
	       !hs_ctf_writer_add(writer, &pio, sizeof(pio)) && !hs_ctf_writer_end(writer, 0);
}

/* One instance, and what is made of its pages. */
struct taking {
	struct lab_tracer tracer;
	struct hs_ftrace *ftrace;
	char trace[128];
	bool has_record; /* one of ours is in the folder before */
	long cpu_nr;
	int raw_fds[CPUS_MAX];
	uint8_t *pages;
};

static bool read_text(const struct lab_tracer *tracer, const char *file, char **text, size_t *bytes)
{
	scoped(mem) char *path = hs_format("/proc/self/fd/%d/%s", tracer->fd, file);

	return path && !hs_read_file(path, 64u << 20, text, bytes);
}

/* Gives one event's format; `event` is "sched/sched_switch". */
static int add_format(struct taking *taking, const char *event)
{
	scoped(mem) char *file = hs_format("events/%s/format", event), *text = NULL;
	scoped(mem) char *system = strndup(event, strcspn(event, "/"));
	size_t bytes;

	/* ftrace's own are there in the root only. */
	if (!read_text(&taking->tracer, file, &text, &bytes)) {
		struct lab_tracer root = { .fd = taking->tracer.tracefs_fd };

		if (!read_text(&root, file, &text, &bytes))
			return -ENOENT;
	}
	return hs_ftrace_add_format(taking->ftrace, system, text, bytes);
}

static bool start(struct taking *taking, const char *name, const char *const *events, const char *buffer_kb)
{
	struct hs_ftrace_config config = { .dir = taking->trace, .machine = "l1", .clock = "boot" };
	struct hs_clock_sample now;
	scoped(mem) char *header = NULL;
	size_t bytes;
	bool good = lab_tracer_open(&taking->tracer) && lab_tracer_write(&taking->tracer, "buffer_size_kb", buffer_kb);

	snprintf(taking->trace, sizeof(taking->trace), "%s/%s", lab_folder(), name);
	good = good && (!taking->has_record || write_record(taking->trace));
	hs_clock_sample_take(&now);
	config.start_ns = now.boot_ns;
	taking->cpu_nr = sysconf(_SC_NPROCESSORS_CONF);
	taking->pages = malloc(PAGES_BYTES);
	good = good && taking->pages && taking->cpu_nr <= CPUS_MAX && !hs_ftrace_open(&config, &taking->ftrace) &&
	       read_text(&taking->tracer, "events/header_page", &header, &bytes) &&
	       !hs_ftrace_set_header_page(taking->ftrace, header, bytes);
	for (; good && *events; events++)
		good = !add_format(taking, *events);
	for (long i = 0; good && i < taking->cpu_nr; i++) {
		scoped(mem) char *raw = hs_format("per_cpu/cpu%ld/trace_pipe_raw", i);

		taking->raw_fds[i] = openat(taking->tracer.fd, raw, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		good = taking->raw_fds[i] >= 0;
	}
	return lab_ok(good, "%s: this kernel's tracing starts", name);
}

static bool enable(const struct taking *taking, const char *const *events)
{
	bool good = true;

	for (; good && *events; events++) {
		scoped(mem) char *file = hs_format("events/%s/enable", *events);

		good = lab_tracer_write(&taking->tracer, file, "1");
	}
	return good;
}

/* What the rings have now, of whole pages only unless tracing is off. */
static bool take_pages(struct taking *taking)
{
	uint32_t page_bytes = hs_ftrace_page_bytes(taking->ftrace);
	bool good = true;

	for (long i = 0; i < taking->cpu_nr; i++) {
		ssize_t got;

		while ((got = read(taking->raw_fds[i], taking->pages, page_bytes)) > 0)
			good &= !hs_ftrace_add_pages(taking->ftrace, (uint32_t)i, taking->pages, page_bytes);
	}
	return good;
}

/* per_cpu/cpuN/stats: one of its numbers. */
static uint64_t stat_of(const char *text, const char *name)
{
	scoped(mem) char *line = hs_format("\n%s: ", name);
	const char *at = strncmp(text, line + 1, strlen(line) - 1) ? strstr(text, line) : text - 1;

	return at ? strtoull(at + strlen(line), NULL, 10) : 0;
}

/* Ends it: the counts, and what the rings say was produced. */
static uint64_t finish(struct taking *taking, struct hs_ftrace_counts *counts)
{
	uint64_t all = 0;

	lab_tracer_write(&taking->tracer, "tracing_on", "0");
	lab_ok(take_pages(taking), "all pages are written");
	for (long i = 0; i < taking->cpu_nr; i++) {
		scoped(mem) char *file = hs_format("per_cpu/cpu%ld/stats", i), *text = NULL;
		uint64_t produced;

		if (!read_text(&taking->tracer, file, &text, NULL))
			continue;
		produced = stat_of(text, "entries") + stat_of(text, "overrun") + stat_of(text, "dropped events") +
			   stat_of(text, "read events");
		hs_ftrace_set_produced(taking->ftrace, (uint32_t)i, produced);
		all += produced;
		close(taking->raw_fds[i]);
	}
	*counts = *hs_ftrace_counts(taking->ftrace);
	hs_ftrace_free(taking->ftrace);
	free(taking->pages);
	lab_tracer_close(&taking->tracer);
	return all;
}

static int shell(const char *command)
{
	int status = system(command);

	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/* The first number that a command prints. */
static uint64_t number_of(const char *format, const char *trace)
{
	char command[512];
	uint64_t number = UINT64_MAX;
	FILE *pipe;

	snprintf(command, sizeof(command), format, trace, trace, trace);
	pipe = popen(command, "r");
	if (!pipe)
		return number;
	if (fscanf(pipe, "%lu", &number) != 1)
		number = UINT64_MAX;
	pclose(pipe);
	return number;
}

/* What our own reader finds: events, and those lost. */
static uint64_t count_read(const char *trace, uint64_t *lost)
{
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = NULL;
	struct hs_ctf_record record;
	uint64_t count = 0;

	*lost = 0;
	if (hs_ctf_reader_open_all(trace, &reader))
		return UINT64_MAX;
	while (hs_ctf_reader_next(reader, &record) > 0)
		count += record.event->is_foreign;
	*lost = hs_ctf_reader_counts(reader)->discarded;
	return count;
}

/* ---- every field ---- */

static void work(void)
{
	char big[1800];
	FILE *file;

	shell("for i in 1 2 3 4 5; do ls /proc/self >/dev/null; cat /dev/null | wc -c >/dev/null; done");
	shell("! build/tests/bench/kvmgen 500 >/dev/null 2>&1");
	file = fopen("/nonexistent/\"quoted\" name, with = and }", "r");
	if (file)
		fclose(file);
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	file = fopen(big, "r");
	if (file)
		fclose(file);
}

static void test_events_are_what_the_kernel_prints(void)
{
	static const char *const events[] = { "sched/sched_switch",
					      "sched/sched_waking",
					      "sched/sched_process_exec",
					      "sched/sched_process_fork",
					      "sched/sched_process_exit",
					      "raw_syscalls/sys_enter",
					      "raw_syscalls/sys_exit",
					      "syscalls/sys_enter_openat",
					      "syscalls/sys_exit_openat",
					      "irq/softirq_entry",
					      "irq/softirq_exit",
					      "timer/hrtimer_start",
					      "timer/timer_start",
					      "signal/signal_generate",
					      "signal/signal_deliver",
					      "task/task_newtask",
					      "kmem/kmalloc",
					      "kvm/kvm_pio",
					      "kvm/kvm_emulate_insn",
					      "kvm/kvm_userspace_exit",
					      "kvm/kvm_fpu",
					      NULL };
	struct taking taking = { 0 };
	struct hs_ftrace_counts counts;
	scoped(mem) char *text = NULL, *path = NULL;
	uint64_t produced, lost, events_agreed = 0, fields_agreed = 0;
	char command[512];
	size_t bytes = 0;
	FILE *pipe;

	if (!start(&taking, "fields", events, "16384"))
		return;
	/* Of this process and its children alone: others may keep the machine busy. */
	snprintf(command, sizeof(command), "%d", getpid());
	lab_ok(lab_tracer_write(&taking.tracer, "options/event-fork", "1") &&
		       lab_tracer_write(&taking.tracer, "set_event_pid", command) && enable(&taking, events),
	       "%zu events are switched on", HS_ARRAY_SIZE(events) - 1);
	work();
	lab_tracer_write(&taking.tracer, "tracing_on", "0");
	path = hs_format("%s.txt", taking.trace);
	lab_ok(read_text(&taking.tracer, "trace", &text, &bytes) && !hs_write_file_atomic(path, text, bytes),
	       "the kernel prints its events");
	produced = finish(&taking, &counts);
	lab_equal(counts.recorded, produced, "all events that the rings had are recorded");
	lab_equal(counts.lost + counts.clamped + counts.damaged_pages, 0, "nothing is lost, clamped or damaged");
	lab_equal(count_read(taking.trace, &lost), produced, "and read back");
	snprintf(command, sizeof(command), "babeltrace2 --clock-cycles --no-delta %s >%s.bt 2>%s.err", taking.trace,
		 taking.trace, taking.trace);
	lab_equal((uint64_t)shell(command), 0, "babeltrace2 reads the trace to its end");
	lab_equal(number_of("wc -l <%s.err", taking.trace), 0, "without a warning");
	snprintf(command, sizeof(command), "tests/lab/ftrace_agrees.py %s.txt %s.bt", taking.trace, taking.trace);
	pipe = popen(command, "r");
	if (pipe && fscanf(pipe, "%lu %lu", &events_agreed, &fields_agreed) != 2 && getline(&text, &bytes, pipe) > 0)
		printf("# %s", text);
	while (pipe && getline(&text, &bytes, pipe) > 1)
		printf("# %s", text);
	if (pipe)
		pclose(pipe);
	lab_equal(events_agreed, produced, "every event agrees in CPU, time, thread, name");
	snprintf(command, sizeof(command), "build/hsbpf print --jsonl %s >%s.jsonl", taking.trace, taking.trace);
	lab_equal((uint64_t)shell(command), 0, "hsbpf print prints it");
	lab_equal(number_of("tests/lab/print_agrees.py %s.jsonl %s.bt 2>&1", taking.trace), produced,
		  "each event as babeltrace2, in every field");
	lab_equal(number_of("build/hsbpf print --count -e 'sched:sched_process_exec' %s", taking.trace),
		  number_of("grep -c ' sched_process_exec: ' %s.txt", taking.trace),
		  "hsbpf print -e finds an event of ftrace");
	lab_equal(number_of("build/hsbpf info --json %s | jq '[.machines[].events[].recorded] | add'", taking.trace),
		  produced, "hsbpf info counts them");
	lab_ok(fields_agreed > produced, "of the fields, %lu are the kernel's", fields_agreed);
}

/* Every format that this kernel has, one event, and babeltrace2. */
static void test_every_format_of_this_kernel_is_understood(void)
{
	static const char *const events[] = { "raw_syscalls/sys_enter", NULL };
	struct taking taking = { .has_record = true };
	struct hs_ftrace_counts counts;
	scoped(mem) char *pattern = NULL;
	unsigned int bad_nr = 0;
	glob_t found = { 0 };

	if (!start(&taking, "formats", events, "256"))
		return;
	pattern = hs_format("/proc/self/fd/%d/events/*/*/format", taking.tracer.tracefs_fd);
	glob(pattern, 0, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char *event = found.gl_pathv[i] + strlen(pattern) - strlen("*/*/format");

		*strrchr(event, '/') = '\0';
		bad_nr += add_format(&taking, event) != 0;
	}
	lab_ok(found.gl_pathc > 0 && !bad_nr, "all of %zu formats are understood", found.gl_pathc);
	globfree(&found);
	enable(&taking, events);
	finish(&taking, &counts);
	lab_equal(number_of("babeltrace2 %s 2>&1 | grep -vc ' sys_enter: '", taking.trace), 1,
		  "babeltrace2 understands them, and the record of ours beside them");
	lab_equal(number_of("build/hsbpf print --count -e sys_enter %s", taking.trace), counts.recorded,
		  "so does print");
	lab_equal(number_of("build/hsbpf print --count -e kvm_pio %s", taking.trace), 1, "both of them");
}

/* ---- counts ---- */

static const char *const calls_events[] = { "raw_syscalls/sys_enter", "raw_syscalls/sys_exit", NULL };

/* A child that makes 2 * `calls` events and nothing else that the filter lets through. */
static pid_t start_calls(struct taking *taking, unsigned int calls)
{
	char filter[64], go;
	int pipe_fds[2];
	pid_t pid;

	if (pipe(pipe_fds))
		return -1;
	pid = fork();
	if (!pid) {
		if (read(pipe_fds[0], &go, 1) == 1)
			for (unsigned int i = 0; i < calls; i++)
				syscall(SYS_getppid);
		_exit(0);
	}
	snprintf(filter, sizeof(filter), "common_pid == %d && id == %d", pid, (int)SYS_getppid);
	lab_ok(lab_tracer_write(&taking->tracer, "events/raw_syscalls/filter", filter) &&
		       enable(taking, calls_events) && write(pipe_fds[1], "g", 1) == 1,
	       "%u system calls are made", calls);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return pid;
}

static void test_a_million_events_are_all_there(void)
{
	struct taking taking = { 0 };
	struct hs_ftrace_counts counts;
	bool taken = true;
	pid_t pid;

	if (!start(&taking, "million", calls_events, "65536"))
		return;
	pid = start_calls(&taking, 500000);
	while (waitpid(pid, NULL, WNOHANG) == 0)
		taken &= take_pages(&taking);
	lab_ok(taken, "pages are taken while it goes on");
	lab_equal(finish(&taking, &counts), 1000000, "the rings counted a million events");
	lab_equal(counts.recorded, 1000000, "as many are recorded");
	lab_equal(counts.lost + counts.clamped + counts.damaged_pages + counts.unknown_losses, 0, "none is lost");
	lab_equal(number_of("babeltrace2 -o dummy %s 2>&1 | wc -l", taking.trace), 0, "babeltrace2 has no complaint");
	lab_equal(number_of("babeltrace2 %s | grep -c 'sys_e[nx]'", taking.trace), 1000000, "and counts a million");
}

static void test_overrun_rings_say_what_they_lost(const char *name, const char *page_kb, bool while_it_runs)
{
	struct taking taking = { 0 };
	struct hs_ftrace_counts counts;
	uint64_t lost;
	bool good = true;
	pid_t pid;

	if (!start(&taking, name, calls_events, "256"))
		return;
	if (page_kb) {
		scoped(mem) char *header = NULL;
		size_t bytes;

		if (!lab_tracer_write(&taking.tracer, "buffer_subbuf_size_kb", page_kb)) {
			lab_skip("pages of another size", "this kernel has one size only (Linux 6.8 and later)");
			finish(&taking, &counts);
			return;
		}
		good = read_text(&taking.tracer, "events/header_page", &header, &bytes) &&
		       !hs_ftrace_set_header_page(taking.ftrace, header, bytes);
		lab_equal(good ? hs_ftrace_page_bytes(taking.ftrace) : 0, 1024 * strtoul(page_kb, NULL, 10),
			  "pages of %s KiB", page_kb);
	}
	pid = start_calls(&taking, 100000);
	if (while_it_runs)
		take_pages(&taking); /* what was read before a loss, what was lost, what was read behind it */
	waitpid(pid, NULL, 0);
	lab_equal(finish(&taking, &counts), 200000, "the rings counted all events");
	lab_ok(counts.lost > 0, "%s: some were lost (%lu)", name, counts.lost);
	lab_equal(counts.recorded + counts.lost, 200000, "recorded and lost are all there were");
	lab_equal(counts.damaged_pages + counts.damaged_events + counts.no_format, 0, "nothing was damaged");
	lab_equal(count_read(taking.trace, &lost), counts.recorded, "those recorded are read back");
	lab_equal(lost, counts.lost, "and those lost");
	lab_equal(number_of("babeltrace2 %s 2>/dev/null | grep -c 'sys_e[nx]'", taking.trace), counts.recorded,
		  "babeltrace2 counts those recorded");
	lab_equal(number_of("babeltrace2 %s 2>&1 >/dev/null | grep -oE 'discarded [0-9]+ event' | "
			    "awk '{sum += $2} END {print sum + 0}'",
			    taking.trace),
		  counts.lost, "and those lost");
}

int main(void)
{
	struct lab_tracer tracer;
	bool can = !geteuid() && lab_tracer_open(&tracer);

	if (!geteuid())
		lab_tracer_close(&tracer);
	if (!can)
		return lab_skip_all("needs root and a tracefs that prints fields by name (Linux 6.4 and later)");
	test_events_are_what_the_kernel_prints();
	test_every_format_of_this_kernel_is_understood();
	test_a_million_events_are_all_there();
	test_overrun_rings_say_what_they_lost("overrun", NULL, false);
	test_overrun_rings_say_what_they_lost("overrun-read", NULL, true);
	test_overrun_rings_say_what_they_lost("pages-8", "8", false);
	test_overrun_rings_say_what_they_lost("pages-64", "64", false);
	return lab_done();
}
