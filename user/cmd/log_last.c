// SPDX-License-Identifier: GPL-2.0-only
/* `hsbpf log last`: what the kernels of crashed machines left, from a run, a lab that is up, or the host's log folder.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "cmd.h"
#include "journal/last.h"
#include "orchestrate/crash.h"
#include "orchestrate/ctl.h"
#include "orchestrate/labdir.h"
#include "run/lab_last.h"

#define LOG_DIR "/var/log/hsbpf"

struct last_config {
	const char *dir, *lab;
	bool json;
};

static const struct hs_opt options[] = {
	HS_OPT(struct last_config, dir, "out", 'o', HS_OPT_STR, "DIR", NULL,
	       "folder of a run or of `hsbpf log`; the run that crashed last and " LOG_DIR " unless given"),
	HS_OPT(struct last_config, lab, "lab", 0, HS_OPT_STR, "NAME", NULL, "of a lab that is up, instead"),
	HS_OPT(struct last_config, json, "json", 0, HS_OPT_FLAG, NULL, NULL,
	       "print a line of JSON for each record (hsbpf.log/1)"),
	HS_OPT_END,
};

struct printer {
	struct hs_journal_buffer buffer;
	bool json;
};

static void flush(struct printer *printer)
{
	int err = printer->buffer.err ? 0 : hs_write_all(STDOUT_FILENO, printer->buffer.bytes, printer->buffer.len);

	if (err)
		printer->buffer.err = hs_fail(err, "cannot write to standard output:");
	printer->buffer.len = 0;
}

static void on_line(void *ctx, const struct hs_journal_record *record, size_t time_len)
{
	struct printer *printer = ctx;
	struct hs_journal_record plain = *record;

	if (printer->json) {
		plain.text += time_len; /* it is in machine_ns */
		plain.len -= time_len;
		hs_journal_record_print_json(&plain, &printer->buffer);
	} else {
		hs_journal_record_print(record, &printer->buffer);
	}
	if (printer->buffer.len > 65536)
		flush(printer);
}

/* `last` beside the console of its L1; malloc'd, NULL after a message. */
static char *dir_of_lab(const char *lab)
{
	scoped(json) json_object *status = NULL;
	const char *console, *end;

	if (hs_ctl_ask(lab, HS_FRAME_STATUS, NULL, &status))
		return NULL;
	console = hs_json_get_string(json_object_array_get_idx(hs_json_get(status, "machines"), 0), "console");
	end = strstr(console, "/console/");
	return end ? hs_format("%.*s/last", (int)(end - console), console) : NULL;
}

/* One folder, if it is there; how many records it has, -errno after a message. */
static int show(const char *dir, const char *machine, struct printer *printer)
{
	int found = hs_last_read(dir, machine, &hs_lab_last_layout, on_line, printer);

	flush(printer);
	return found < 0 ? found : printer->buffer.err ? printer->buffer.err : found;
}

static int show_all(const struct last_config *config, const char *machine, struct printer *printer)
{
	scoped(mem) char *dir = NULL;
	int found, more;

	if (!config->dir && !config->lab) {
		found = show(LOG_DIR "/last", machine, printer);
		more = found < 0 ? found : show(HS_CRASH_LINK, machine, printer);
		return more < 0 ? more : found + more;
	}
	if (config->dir && access(config->dir, F_OK) < 0)
		return hs_fail(-errno, "cannot read the folder %s:", config->dir);
	dir = config->lab ? dir_of_lab(config->lab) : hs_format("%s/last", config->dir);
	return dir ? show(dir, machine, printer) : -ENOENT;
}

static int run(void *config_ptr, int argc, char **argv)
{
	const struct last_config *config = config_ptr;
	struct printer printer = { .json = config->json };
	int found;

	if (argc > 1) {
		hs_err("log last takes one machine at most, but '%s' was given too", argv[1]);
		return HS_EXIT_USAGE;
	}
	hs_labs_sweep();
	found = show_all(config, argc ? argv[0] : NULL, &printer);
	hs_journal_buffer_clear(&printer.buffer);
	if (found < 0)
		return found;
	if (!found && argc)
		return hs_fail(-ENOENT, "there is nothing of '%s': it left nothing, or there is no such machine",
			       argv[0]);
	if (!found)
		hs_info("there is nothing: no kernel left anything");
	return 0;
}

const struct hs_verb cmd_log_last = {
	.name = "log last",
	.synopsis = "[MACHINE]",
	.help = "show what a machine's kernel left when it crashed",
	.example = "log last l1             show what a kernel that panicked left",
	.text = "Every machine of a lab has a memory that outlives it (ramoops): its kernel's whole log at an oops or "
		"a "
		"panic, and\n"
		"the end of its ftrace ring where that was on. A run keeps them in RUN/last/MACHINE (MACHINE.2 for a "
		"second crash).\n"
		"What is damaged is put right as far as its checksums reach; the rest is named. MACHINE is l1, l2-0, "
		"client-0 and so\n"
		"on, or host: the host's own pstore, as it was saved.",
	.options = options,
	.config_size = sizeof(struct last_config),
	.run = run,
};
