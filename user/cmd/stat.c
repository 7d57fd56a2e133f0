// SPDX-License-Identifier: GPL-2.0-only
/* `hsbpf stat`: VM exits, I/O, interrupts and packets of this host, counted in the kernel, as tables that repeat. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/command.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "cmd.h"
#include "stat/report.h"

#define SECOND_NS 1000000000ull
#define INTERVAL_MIN_NS 1000000ull

struct stat_config {
	struct hs_opt_list vms, taps;
	uint64_t interval_ns, duration_ns;
	uint32_t count;
	int sort;
	const char *out;
	bool json, jsonl, csv, verbose;
};

static const char *const sorts[] = { "exits", "time", "kicks", "packets", NULL };

static const struct hs_opt options[] = {
	HS_OPT(struct stat_config, interval_ns, "interval", 'i', HS_OPT_DURATION, "TIME", NULL,
	       "a table each TIME: 1s, and with a command only the total, unless given"),
	HS_OPT(struct stat_config, count, "count", 'n', HS_OPT_U32, "N", NULL, "end after N tables"),
	HS_OPT(struct stat_config, duration_ns, "duration", 'd', HS_OPT_DURATION, "TIME", NULL, "end after that time",
	       .min = 1),
	HS_OPT(struct stat_config, vms, "vm", 0, HS_OPT_LIST, "NAME|PID", NULL,
	       "only this VM: a PID, a QEMU -name or a libvirt domain; every VM unless given"),
	HS_OPT(struct stat_config, taps, "tap", 0, HS_OPT_LIST, "IFACE", NULL,
	       "only packets of this interface; every tap of this network namespace unless given"),
	HS_OPT(struct stat_config, sort, "sort", 0, HS_OPT_CHOICE, "KEY", "exits", "order of the lines",
	       .choices = sorts),
	HS_OPT(struct stat_config, json, "json", 0, HS_OPT_FLAG, NULL, NULL, "print the total as a document"),
	HS_OPT(struct stat_config, jsonl, "jsonl", 0, HS_OPT_FLAG, NULL, NULL,
	       "print each table and the total as a document of one line"),
	HS_OPT(struct stat_config, csv, "csv", 0, HS_OPT_FLAG, NULL, NULL, "print comma-separated values"),
	HS_OPT(struct stat_config, out, "out", 'o', HS_OPT_STR, "FILE", NULL,
	       "print into this file, apart from what the command prints"),
	HS_OPT(struct stat_config, verbose, "verbose", 'v', HS_OPT_FLAG, NULL, NULL, "say every step"),
	HS_OPT_END,
};

struct stat {
	const struct stat_config *config;
	struct hs_loop *loop;
	struct hs_stat_monitor *monitor;
	struct hs_watch tick;
	struct hs_command command;
	FILE *out;
	char *const *argv;
	int err;
	uint64_t interval_ns, next_ns; /* when the next table is due */
	uint32_t printed;
	bool is_over;
};

static void print(const struct stat *stat, bool is_total)
{
	struct hs_stat_report report = { .monitor = stat->monitor, .is_total = is_total, .sort = stat->config->sort };
	scoped(json) json_object *document = NULL;

	if (stat->config->json || stat->config->jsonl) {
		if (!is_total && !stat->config->jsonl)
			return;
		document = hs_stat_report_to_json(&report);
		fprintf(stat->out, "%s\n",
			json_object_to_json_string_ext(document, stat->config->jsonl ? JSON_C_TO_STRING_NOSLASHESCAPE
										     : HS_JSON_PRINT_FLAGS));
	} else if (stat->config->csv) {
		hs_stat_report_print_csv(stat->out, &report);
	} else {
		if (stat->printed)
			fputc('\n', stat->out);
		hs_stat_report_print(stat->out, &report);
	}
	fflush(stat->out);
}

static void on_tick(void *ctx, uint32_t events)
{
	struct stat *stat = ctx;
	uint64_t now_ns = hs_now_ns();

	(void)events;
	stat->err = hs_stat_monitor_update(stat->monitor);
	if (stat->err) {
		stat->is_over = true;
		return;
	}
	if (now_ns >= stat->next_ns) {
		print(stat, false);
		hs_stat_table_begin(&stat->monitor->table);
		while (stat->next_ns <= now_ns)
			stat->next_ns += stat->interval_ns;
		stat->printed++;
		stat->is_over = stat->is_over || stat->printed == stat->config->count;
	}
	if (!stat->is_over && !hs_stat_monitor_has_any_vm(stat->monitor)) {
		hs_info("the VMs have ended");
		stat->is_over = true;
	}
}

static void on_interrupt(void *ctx)
{
	struct stat *stat = ctx;

	stat->is_over = true;
}

static void on_command_end(void *ctx)
{
	struct stat *stat = ctx;

	stat->is_over = true;
}

static bool is_over(void *ctx)
{
	const struct stat *stat = ctx;

	return stat->is_over;
}

/* One line for all that have the same reason. */
static void say_missing(const struct stat *stat)
{
	size_t missing_nr;
	const struct hs_stat_missing *missing = hs_stat_source_missing(stat->monitor->source, &missing_nr);

	for (size_t i = 0, next; i < missing_nr; i = next) {
		char events[256] = "";

		for (next = i; next < missing_nr && !strcmp(missing[next].reason, missing[i].reason); next++)
			snprintf(events + strlen(events), sizeof(events) - strlen(events), "%s%s", next > i ? ", " : "",
				 missing[next].event);
		hs_info("not counted: %s: %s", events, missing[i].reason);
	}
}

/* Once, at the end: what the tables do not hold, and why. */
static void say_limits(const struct stat *stat)
{
	const struct hs_stat_table *table = &stat->monitor->table;
	uint64_t uncounted = hs_stat_table_uncounted(table), user_exits = 0, entries = 0;
	for (size_t i = 0; i < table->line_nr; i++) {
		if (table->lines[i]->key.kind == HS_STAT_USER)
			user_exits += table->lines[i]->total.count;
	}
	for (size_t i = 0; i < table->vcpu_nr; i++)
		entries += table->vcpus[i]->total.entries;
	if (user_exits && !entries)
		hs_info("this host's KVM enters its guests without VMX or SVM: there are no VM exits to count, and "
			"user-space exits have no time");
	if (uncounted)
		hs_warn("%" PRIu64 " events were not counted: the kernel's tables were full or it left them out",
			uncounted);
}

/* A command has its total, and intervals where they were asked for. */
static bool has_intervals(const struct stat *stat)
{
	return !stat->argv || stat->config->interval_ns;
}

static int count(struct stat *stat)
{
	const struct stat_config *config = stat->config;
	uint64_t tick_ns = stat->interval_ns < SECOND_NS ? stat->interval_ns : SECOND_NS, now_ns = hs_now_ns();
	int err = hs_loop_timer(stat->loop, &stat->tick, tick_ns, on_tick, stat);

	if (!err)
		err = hs_interrupt_open(stat->loop, on_interrupt, stat);
	if (!err && stat->argv)
		err = hs_command_start(&stat->command, stat->loop, stat->argv, STDOUT_FILENO, on_command_end, stat);
	if (err)
		return err;
	stat->next_ns = has_intervals(stat) ? now_ns + stat->interval_ns - tick_ns / 2 : UINT64_MAX;
	if (config->csv)
		hs_stat_report_print_csv_header(stat->out);
	err = hs_loop_until(stat->loop, is_over, stat, config->duration_ns ? now_ns + config->duration_ns : 0);
	hs_loop_close(stat->loop, &stat->tick);
	hs_command_end(&stat->command);
	hs_interrupt_close(stat->loop);
	if (!err || err == -ETIMEDOUT)
		err = stat->err ? stat->err : hs_stat_monitor_stop(stat->monitor);
	if (err)
		return err;
	/* What came after the last table, unless a number of tables was asked for. */
	if (has_intervals(stat) && stat->printed != config->count)
		print(stat, false);
	print(stat, true);
	say_missing(stat);
	say_limits(stat);
	return stat->command.exit_code;
}

static int run(void *config_ptr, int argc, char **argv)
{
	const struct stat_config *config = config_ptr;
	struct hs_stat_monitor_config watched = { .vms = config->vms, .taps = config->taps };
	scoped(hs_loop) struct hs_loop *loop = NULL;
	scoped(hs_stat_monitor) struct hs_stat_monitor *monitor = NULL;
	scoped(file) FILE *out = NULL;
	struct stat stat = { .config = config, .tick = HS_WATCH_NONE, .command = HS_COMMAND_NONE };
	int err;

	if (config->interval_ns && config->interval_ns < INTERVAL_MIN_NS) {
		hs_err("an interval is 1ms at least");
		return HS_EXIT_USAGE;
	}
	if (config->json + config->jsonl + config->csv > 1) {
		hs_err("stat has one form: --json, --jsonl or --csv");
		return HS_EXIT_USAGE;
	}
	if (config->verbose)
		hs_log_set_level(HS_LOG_DBG);
	if (config->out) {
		out = fopen(config->out, "we");
		if (!out)
			return hs_fail(-errno, "cannot write %s:", config->out);
	}
	err = hs_loop_open(&loop);
	if (!err)
		err = hs_stat_monitor_open(&watched, &monitor);
	if (err)
		return err;
	stat.out = out ? out : stdout;
	stat.loop = loop;
	stat.monitor = monitor;
	stat.interval_ns = config->interval_ns ? config->interval_ns : SECOND_NS;
	stat.argv = argc ? argv : NULL;
	return count(&stat);
}

const struct hs_verb cmd_stat = {
	.name = "stat",
	.synopsis = "[-- COMMAND ARG...]",
	.has_command = true,
	.help = "count VM exits, I/O and packets of this host in the kernel",
	.text = "Nothing is recorded: programs in the kernel add up, and a table is printed each interval and at the "
		"end "
		"(Ctrl-C, --count, --duration, or the command's end, whose exit code is then ours).\n\n"
		"The time of an exit lasts until the vCPU enters its guest again, that of a user exit likewise from "
		"the return "
		"to user space; share is of the vCPU's time. p50 and p99 are the middles of buckets, 12.5 % off at "
		"most. Steal is "
		"the time that a vCPU's thread was runnable and another thread had the CPU. to guest of a tap includes "
		"what it "
		"refused.",
	.options = options,
	.config_size = sizeof(struct stat_config),
	.run = run,
};
