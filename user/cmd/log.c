// SPDX-License-Identifier: GPL-2.0-only
/* `hsbpf log`: the logs of this host's kernel and of guests as one, and `hsbpf log level` while it runs. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "base/interrupt.h"
#include "base/io.h"
#include "base/log.h"
#include "cmd.h"
#include "journal/control.h"
#include "journal/pstore.h"
#include "journal/recorder.h"
#include "orchestrate/ctl.h"
#include "orchestrate/labdir.h"
#include "orchestrate/ports.h"

#define LOG_DIR "/var/log/hsbpf"
#define SIZE_MIN (128u << 10)

struct log_config {
	const char *out, *level, *lab;
	struct hs_opt_list guests, consoles, qemus;
	uint64_t max_bytes, max_age_ns, window_ns, duration_ns;
	uint32_t max_files;
	bool to_stdout, json, only_new, verbose;
};

#define OUT_OPTION(config)                                                                                             \
	HS_OPT(struct config, out, "out", 'o', HS_OPT_STR, "DIR", LOG_DIR, "folder of the log's files")

static const struct hs_opt options[] = {
	OUT_OPTION(log_config),
	HS_OPT(struct log_config, lab, "lab", 0, HS_OPT_STR, "NAME", NULL,
	       "follow every machine of that lab too, until it is gone"),
	HS_OPT(struct log_config, guests, "guest", 0, HS_OPT_LIST, "NAME=SOCKET", NULL,
	       "follow a guest's kernel through its hsbpf-agent: the socket of its port agent-log-path; may be "
	       "repeated"),
	HS_OPT(struct log_config, consoles, "console", 0, HS_OPT_LIST, "NAME=FILE", NULL,
	       "follow a machine's serial console that is written into a file; may be repeated"),
	HS_OPT(struct log_config, qemus, "qemu", 0, HS_OPT_LIST, "NAME=FILE", NULL,
	       "follow what a machine's QEMU says into a file; may be repeated"),
	HS_OPT(struct log_config, to_stdout, "stdout", 0, HS_OPT_FLAG, NULL, NULL,
	       "print the records instead of writing files"),
	HS_OPT(struct log_config, json, "json", 0, HS_OPT_FLAG, NULL, NULL,
	       "a line of JSON for each record (hsbpf.log/1), in hsbpf.jsonl"),
	HS_OPT(struct log_config, max_bytes, "size", 's', HS_OPT_SIZE, "SIZE", "1M", "most bytes of one file",
	       .min = SIZE_MIN),
	HS_OPT(struct log_config, max_files, "count", 'n', HS_OPT_U32, "COUNT", "4",
	       "files that are kept, the one that is written among them", .min = 1),
	HS_OPT(struct log_config, max_age_ns, "age", 0, HS_OPT_DURATION, "TIME", NULL,
	       "begin another file after that time, such as 24h, if this one has records; by size alone unless given",
	       .min = 1),
	HS_OPT(struct log_config, level, "level", 'l', HS_OPT_STR, "LEVEL", "debug",
	       "leave out what is less severe: emerg, alert, crit, err, warning, notice, info, debug, or 0 to 7"),
	HS_OPT(struct log_config, window_ns, "window", 0, HS_OPT_DURATION, "TIME", "500ms",
	       "how long a record waits for earlier ones of other machines; later ones are marked late"),
	HS_OPT(struct log_config, only_new, "new", 0, HS_OPT_FLAG, NULL, NULL,
	       "leave out what this host's kernel logged before, unless this log has the records before it"),
	HS_OPT(struct log_config, duration_ns, "duration", 'd', HS_OPT_DURATION, "TIME", NULL,
	       "end after that time; at Ctrl-C unless given", .min = 1),
	HS_OPT(struct log_config, verbose, "verbose", 'v', HS_OPT_FLAG, NULL, NULL, "say every step"),
	HS_OPT_END,
};

struct log_run {
	struct hs_loop *loop;
	struct hs_journal *journal;
	struct hs_watch hangup, owner;
	bool must_end;
};

static void on_interrupt(void *ctx)
{
	((struct log_run *)ctx)->must_end = true;
}

static void on_hangup(void *ctx, uint32_t events)
{
	struct log_run *log = ctx;
	struct signalfd_siginfo info;

	(void)events;
	if (read(log->hangup.fd, &info, sizeof(info)) > 0)
		hs_journal_reopen(log->journal);
}

static bool is_over(void *ctx)
{
	struct log_run *log = ctx;

	return log->must_end || hs_journal_is_over(log->journal);
}

/* SIGHUP is an order here: open the file again. */
static int watch_hangup(struct log_run *log)
{
	scoped(fd) int fd = -1;
	sigset_t set;
	int err;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return hs_fail(-errno, "cannot create a signalfd:");
	err = hs_loop_add(log->loop, &log->hangup, fd, EPOLLIN, on_hangup, log);
	if (!err)
		take_fd(&fd);
	return err;
}

/* ---- what is followed ---- */

static void on_lab_end(void *ctx, uint32_t events)
{
	struct log_run *log = ctx;

	(void)events;
	hs_info("the lab is gone");
	log->must_end = true;
}

/* Consoles lie beside what their QEMU says; an L2's QEMU says it on the console. */
static int follow_lab_machine(struct log_run *log, const char *lab, json_object *machine)
{
	const char *name = hs_json_get_string(machine, "machine"), *console = hs_json_get_string(machine, "console");
	size_t len = strlen(console);
	bool has_files = len > 4 && !strcmp(console + len - 4, ".txt");
	scoped(mem) char *agent = hs_format(HS_LAB_ROOT "/%s/%s." HS_LOG_PORT, lab, name);
	scoped(mem) char *qemu = hs_format("%.*s.qemu.txt", has_files ? (int)(len - 4) : 0, console);
	struct hs_journal_machine logs = { .name = name, .agent = agent };

	if (!agent || !qemu)
		return -ENOMEM;
	if (!has_files)
		return 0; /* a process in a namespace */
	logs.console = console;
	if (access(qemu, F_OK) == 0)
		logs.qemu = qemu;
	return hs_journal_follow_machine(log->journal, &logs);
}

static int follow_lab(struct log_run *log, const char *lab)
{
	scoped(json) json_object *status = NULL;
	json_object *machines;
	int err;

	hs_labs_sweep();
	err = hs_ctl_ask(lab, HS_FRAME_STATUS, NULL, &status);
	machines = err ? NULL : hs_json_get(status, "machines");
	for (size_t i = 0; machines && !err && i < json_object_array_length(machines); i++)
		err = follow_lab_machine(log, lab, json_object_array_get_idx(machines, i));
	return err ? err
		   : hs_loop_child(log->loop, &log->owner, (pid_t)hs_json_get_u64(status, "owner"), on_lab_end, log);
}

enum part { PART_AGENT, PART_CONSOLE, PART_QEMU };

/* Each "NAME=PATH". */
static int follow_given(struct log_run *log, const struct hs_opt_list *list, enum part part)
{
	int err = 0;

	for (size_t i = 0; i < list->count && !err; i++) {
		const char *equals = strchr(list->items[i], '=');
		scoped(mem) char *name = strndup(list->items[i], equals ? (size_t)(equals - list->items[i]) : 0);
		struct hs_journal_machine machine = { .name = name };

		if (!name)
			return -ENOMEM;
		if (!*name || strpbrk(name, " \t\n=") || !equals[1]) {
			hs_err("'%s' is not NAME=PATH", list->items[i]);
			return HS_EXIT_USAGE;
		}
		machine.agent = part == PART_AGENT ? equals + 1 : NULL;
		machine.console = part == PART_CONSOLE ? equals + 1 : NULL;
		machine.qemu = part == PART_QEMU ? equals + 1 : NULL;
		if (access(equals + 1, F_OK) < 0 && errno == ENOENT)
			hs_info("%s is not there yet: it is followed when it is", equals + 1);
		err = hs_journal_follow_machine(log->journal, &machine);
	}
	return err == -EEXIST ? HS_EXIT_USAGE : err;
}

static int follow_all(struct log_run *log, const struct log_config *config)
{
	int err = hs_journal_follow_host(log->journal);

	if (!err && config->lab)
		err = follow_lab(log, config->lab);
	if (!err)
		err = follow_given(log, &config->guests, PART_AGENT);
	if (!err)
		err = follow_given(log, &config->consoles, PART_CONSOLE);
	if (!err)
		err = follow_given(log, &config->qemus, PART_QEMU);
	return err;
}

static void say_counts(const struct hs_journal *journal)
{
	struct hs_journal_counts counts;

	hs_journal_counts(journal, &counts);
	hs_info("%llu records; missing %llu, late %llu, twice %llu, not written %llu",
		(unsigned long long)counts.merge.records, (unsigned long long)counts.merge.missing,
		(unsigned long long)counts.merge.late, (unsigned long long)counts.merge.duplicates,
		(unsigned long long)counts.files.lost_lines);
}

static int run_log(struct log_run *log, const struct log_config *config)
{
	uint64_t deadline_ns = config->duration_ns ? hs_now_ns() + config->duration_ns : 0;
	int err = follow_all(log, config);

	if (!err)
		err = hs_interrupt_open(log->loop, on_interrupt, log);
	if (!err)
		err = watch_hangup(log);
	if (!err)
		err = hs_loop_until(log->loop, is_over, log, deadline_ns);
	if (!err || err == -ETIMEDOUT)
		hs_journal_finish(log->journal);
	hs_interrupt_close(log->loop);
	hs_loop_close(log->loop, &log->hangup);
	hs_loop_close(log->loop, &log->owner);
	if (!err || err == -ETIMEDOUT)
		say_counts(log->journal);
	return err == -ETIMEDOUT || !err ? hs_journal_error(log->journal) : err;
}

/* What this host's last crash left, before anything is added to it; what cannot be had was said. */
static void save_last(const char *dir)
{
	scoped(mem) char *last = dir ? hs_format("%s/last", dir) : NULL;

	if (last)
		hs_pstore_save(last);
}

static int run(void *config_ptr, int argc, char **argv)
{
	const struct log_config *config = config_ptr;
	struct hs_journal_config journal = { .dir = config->to_stdout ? NULL : config->out,
					     .json = config->json,
					     .max_bytes = config->max_bytes,
					     .max_files = config->max_files,
					     .max_age_ns = config->max_age_ns,
					     .window_ns = config->window_ns,
					     .level = hs_journal_severity_parse(config->level),
					     .only_new = config->only_new };
	struct log_run log = { .hangup = HS_WATCH_NONE, .owner = HS_WATCH_NONE };
	scoped(hs_loop) struct hs_loop *loop = NULL;
	scoped(hs_journal) struct hs_journal *opened = NULL;
	scoped(hs_journal_control) struct hs_journal_control *control = NULL;
	int err;

	if (argc) {
		hs_err("log takes no operand, but '%s' was given", argv[0]);
		return HS_EXIT_USAGE;
	}
	if (journal.level < 0) {
		hs_err("--level '%s': emerg, alert, crit, err, warning, notice, info, debug, or 0 to 7", config->level);
		return HS_EXIT_USAGE;
	}
	if (config->verbose)
		hs_log_set_level(HS_LOG_DBG);
	err = hs_loop_open(&loop);
	if (!err)
		err = hs_journal_open(loop, &journal, &opened);
	if (!err && journal.dir)
		err = hs_journal_control_open(opened, journal.dir, &control);
	if (err)
		return err;
	save_last(journal.dir);
	log.loop = loop;
	log.journal = opened;
	return run_log(&log, config);
}

const struct hs_verb cmd_log = {
	.name = "log",
	.synopsis = "",
	.help = "follow the logs of this kernel, QEMUs and guests into rotated files: ordered, every gap told",
	.example = "log                     the kernel's log in rotated files, every gap told",
	.text = "DIR/hsbpf.log is written; when it is full or old it becomes hsbpf.log.<N>, N counting up for ever, "
		"and "
		"the oldest goes: `tail -F DIR/hsbpf.log` misses nothing. A restart goes on with the record after the "
		"last one in the files. Each line has time (UTC) and its bound, machine, severity, source, number, "
		"thread or CPU where the kernel tells it, and the text with control characters as \\xNN. SIGHUP opens "
		"the file again, SIGTERM ends it well.",
	.options = options,
	.config_size = sizeof(struct log_config),
	.run = run,
};

/* ---- level ---- */

struct level_config {
	const char *out;
};

static const struct hs_opt level_options[] = { OUT_OPTION(level_config), HS_OPT_END };

static int run_level(void *config_ptr, int argc, char **argv)
{
	const struct level_config *config = config_ptr;
	int severity = argc == 2 ? hs_journal_severity_parse(argv[1]) : -EINVAL;

	if (severity < 0) {
		hs_err("log level needs a machine (or all) and a level: hsbpf log level l1 debug");
		return HS_EXIT_USAGE;
	}
	return hs_journal_ask_level(config->out, argv[0], severity);
}

const struct hs_verb cmd_log_level = {
	.name = "log level",
	.synopsis = "MACHINE|all LEVEL",
	.help = "change from which severity on a machine's records are written, while `hsbpf log` runs",
	.text = "LEVEL is emerg, alert, crit, err, warning, notice, info or debug, or 0 to 7.",
	.options = level_options,
	.config_size = sizeof(struct level_config),
	.run = run_level,
};
