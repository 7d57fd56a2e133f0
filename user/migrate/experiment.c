// SPDX-License-Identifier: GPL-2.0-only
/* What all trials share is made once; a small QEMU without a machine says which modes there are. */
#include "migrate/experiment.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/datadir.h"
#include "base/io.h"
#include "base/log.h"
#include "base/unit.h"
#include "migrate/drive.h"
#include "migrate/figures.h"
#include "migrate/page.h"
#include "migrate/trial.h"
#include "orchestrate/lab.h"
#include "orchestrate/qemu.h"

#define ASK_LIMIT_NS 10000000000u
#define UNSTARTED_MAX 2 /* a loaded machine may miss one; more are no chance */

struct experiment {
	const struct hs_experiment_config *config;
	struct hs_labdir *labdir;
	struct hs_images *images;
	struct hs_accel_answer accel;
	char *events_file, *json_path, *csv_path, *html_path;
	json_object *document;
	unsigned unstarted; /* trials whose guests did not come up */
};

static void clear(struct experiment *experiment)
{
	hs_images_free(experiment->images);
	hs_labdir_free(experiment->labdir);
	free(experiment->events_file);
	free(experiment->json_path);
	free(experiment->csv_path);
	free(experiment->html_path);
	json_object_put(experiment->document);
}

/* ---- which modes there are --------------------------------------------------------------------- */

static void ignore_frame(void *ctx, struct hs_machine *machine, const struct hs_frame *frame, const char *payload)
{
	(void)ctx, (void)machine, (void)frame, (void)payload;
}

static void ignore_exit(void *ctx, struct hs_machine *machine, int wait_status)
{
	(void)ctx, (void)wait_status;
	hs_machine_set_state(machine, HS_STATE_OFF, NULL);
}

static const struct hs_machine_ops asked_ops = { .on_frame = ignore_frame, .on_exit = ignore_exit };

static bool has_greeted(void *ctx)
{
	const struct hs_machine *machine = ctx;

	return machine->qemu_version[0] || !machine->pid;
}

/* A QEMU that waits for a migration, without a machine: one for each mode, for a mode's leftovers stay. */
static int start_asked(struct hs_machine *machine, struct hs_labdir *labdir)
{
	scoped(argv) struct hs_argv argv = { 0 };
	int err;

	machine->errors_path = hs_format("%s/asked.txt", hs_labdir_path(labdir));
	hs_argv_add_words(&argv, HS_QEMU " -M none -nodefaults -no-user-config -display none -incoming defer");
	hs_argv_add_pair(&argv, "-chardev", "socket,id=qmp,path=%s/%s.qmp", hs_labdir_path(labdir), machine->name);
	hs_argv_add_words(&argv, "-mon chardev=qmp,mode=control");
	err = argv.err || !machine->errors_path ? -ENOMEM
						: hs_machine_start(machine, hs_labdir_path(labdir), argv.words, -1);
	if (err)
		return err;
	hs_labdir_record(labdir, machine->pid);
	err = hs_loop_until(machine->loop, has_greeted, machine, hs_now_ns() + ASK_LIMIT_NS);
	return !err && machine->qmp ? 0 : hs_fail(-EIO, "a QEMU without a machine did not say what it can do");
}

/* 0; -EREMOTEIO with the reason: not of this QEMU; other errors after a message. */
static int ask(struct hs_loop *loop, struct hs_labdir *labdir, const struct hs_mode *mode, char *why, size_t size)
{
	struct hs_machine machine;
	const char *reason = "";
	int err;

	hs_machine_init(&machine, loop, "asked", HS_MACHINE_CLIENT, &asked_ops, NULL);
	err = start_asked(&machine, labdir);
	if (!err)
		err = hs_drive_set_mode(machine.qmp, mode, 300, &reason);
	snprintf(why, size, "%s", reason);
	hs_machine_clear(&machine);
	return err;
}

int hs_experiment_list_modes(struct hs_loop *loop, const char *lab)
{
	scoped(hs_labdir) struct hs_labdir *labdir = NULL;
	int err = hs_labdir_open(lab, &labdir);
	char why[256];

	for (const struct hs_mode *mode = hs_modes; !err && mode->name; mode++) {
		err = ask(loop, labdir, mode, why, sizeof(why));
		if (err && err != -EREMOTEIO)
			return err;
		printf("%-18s %-4s %s%s%s\n", mode->name, err ? "no" : "yes", mode->help, err ? ": " : "",
		       err ? why : "");
		err = 0;
	}
	return err;
}

static int check_modes(struct experiment *experiment)
{
	const struct hs_plan *plan = experiment->config->plan;
	char why[256];
	int missing = 0;

	for (size_t i = 0; i < plan->mode_nr; i++) {
		int err = ask(experiment->config->loop, experiment->labdir, plan->modes[i], why, sizeof(why));

		if (err && err != -EREMOTEIO)
			return err;
		if (err)
			missing += hs_fail(1, "this QEMU has no mode %s: %s", plan->modes[i]->name, why);
	}
	return missing ? -EOPNOTSUPP : 0;
}

/* ---- before the first trial -------------------------------------------------------------------- */

static int name_files(struct experiment *experiment)
{
	const char *out = experiment->config->out;

	experiment->json_path = hs_format("%s/migrate.json", out);
	experiment->csv_path = hs_format("%s/migrate.csv", out);
	experiment->html_path = hs_format("%s/migrate.html", out);
	experiment->events_file = hs_datadir_find("migrate", "trace_events", "events");
	if (!experiment->events_file)
		return hs_fail(-ENOENT, "cannot find the list of QEMU events migrate.events: run `make install`");
	if (!experiment->json_path || !experiment->csv_path || !experiment->html_path)
		return -ENOMEM;
	if (!access(experiment->json_path, F_OK))
		return hs_fail(-EEXIST, "%s is there already: give another --out, or remove it", experiment->json_path);
	return 0;
}

static int prepare(struct experiment *experiment)
{
	const struct hs_experiment_config *config = experiment->config;
	struct hs_accel_query query;
	int err = hs_lab_check_host(2 * config->plan->options.mem_bytes, "guests with less --mem");

	if (!err)
		err = name_files(experiment);
	if (!err)
		err = hs_labdir_open(config->lab, &experiment->labdir);
	if (!err)
		err = check_modes(experiment);
	if (!err)
		err = hs_images_make_migrating(config->kernel, hs_labdir_path(experiment->labdir), &experiment->images);
	if (err)
		return err;
	query = (struct hs_accel_query){ .cache_dir = experiment->images->cache_dir,
					 .kernel = experiment->images->kernel,
					 .release = experiment->images->release,
					 .initramfs = experiment->images->client,
					 .work_dir = hs_labdir_path(experiment->labdir) };
	err = hs_accel_choose((enum hs_accel)config->accel, &query, &experiment->accel);
	return err ? err : hs_make_dirs(config->out);
}

static void describe(struct experiment *experiment)
{
	const struct hs_plan_options *options = &experiment->config->plan->options;
	json_object *document = experiment->document, *object;

	hs_json_add_string(document, "schema", "hsbpf.migrate/1");
	hs_json_add_string(document, "plan", experiment->config->plan->name);
	hs_json_add_command_line(document, "command");
	hs_json_add_string(document, "outcome", "running");
	object = hs_json_add_object(document, "guest");
	hs_json_add_u64(object, "memory_bytes", options->mem_bytes);
	hs_json_add_u64(object, "dirty_memory_bytes", options->dirty_mem_bytes);
	hs_json_add_u64(object, "cpus", options->cpus);
	hs_json_add_string(object, "accelerator", experiment->accel.client_kvm ? "kvm" : "tcg");
	hs_json_add_string(object, "kernel", experiment->images->release);
	object = hs_json_add_object(document, "limits");
	hs_json_add_u64(object, "trials", options->trials);
	hs_json_add_u64(object, "link_delay_ns", options->delay_ns);
	hs_json_add_u64(object, "probe_interval_ns", options->interval_ns);
	hs_json_add_u64(object, "settle_ns", options->settle_ns);
	hs_json_add_u64(object, "limit_ns", options->limit_ns);
	hs_json_add_u64(object, "downtime_limit_ns", options->downtime_limit_ns);
	hs_json_add_array(document, "trials");
	hs_json_add_array(document, "cells");
}

/* ---- the matrix -------------------------------------------------------------------------------- */

struct kind {
	const struct hs_mode *mode;
	uint64_t dirty_mib, bandwidth_bps;
};

static int run_trial(struct experiment *experiment, const struct kind *kind, unsigned number, size_t index)
{
	const struct hs_experiment_config *config = experiment->config;
	scoped(mem) char *dir = hs_format("%s/trial-%03zu", config->out, index);
	struct hs_trial_config trial = { .site = { .loop = config->loop,
						   .labdir = experiment->labdir,
						   .lab = config->lab,
						   .images = experiment->images,
						   .kvm = experiment->accel.client_kvm,
						   .events_file = experiment->events_file,
						   .options = &config->plan->options,
						   .bandwidth_bps = kind->bandwidth_bps,
						   .dir = dir },
					 .mode = kind->mode,
					 .dirty_mib = kind->dirty_mib,
					 .number = number,
					 .is_interrupted = config->is_interrupted };
	json_object *document;
	char rate[32];
	int err;

	if (!dir)
		return -ENOMEM;
	hs_info("trial-%03zu: %s, %" PRIu64 " MiB/s dirtied, %s, %u of %u", index, kind->mode->name, kind->dirty_mib,
		hs_format_rate(rate, sizeof(rate), (double)kind->bandwidth_bps), number, config->plan->options.trials);
	err = hs_trial_run(&trial, &document);
	if (err)
		return err;
	json_object_array_add(hs_json_get(experiment->document, "trials"), document);
	if (!hs_json_get_u64(document, "start_boottime_ns"))
		experiment->unstarted++;
	hs_info("  %s%s%s", hs_json_get_string(document, "outcome"), *hs_json_get_string(document, "why") ? ": " : "",
		hs_json_get_string(document, "why"));
	hs_figures_derive(experiment->document);
	err = hs_json_write_file(experiment->json_path, experiment->document);
	if (!err && experiment->unstarted > UNSTARTED_MAX)
		err = hs_fail(-EIO, "%u migrations could not even be started: giving up", experiment->unstarted);
	return err;
}

/* Trials of one kind are not run in a row: what drifts meanwhile touches all kinds alike. */
static int run_all(struct experiment *experiment)
{
	const struct hs_plan *plan = experiment->config->plan;
	size_t index = 0;

	for (unsigned number = 1; number <= plan->options.trials; number++)
		for (size_t m = 0; m < plan->mode_nr; m++)
			for (size_t d = 0; d < plan->dirty_nr; d++)
				for (size_t b = 0; b < plan->bandwidth_nr; b++) {
					struct kind kind = { plan->modes[m], plan->dirty[d], plan->bandwidth_bps[b] };
					int err = run_trial(experiment, &kind, number, index++);

					if (err)
						return err;
				}
	return 0;
}

int hs_experiment_run(const struct hs_experiment_config *config, json_object **document)
{
	struct experiment experiment = { .config = config, .document = json_object_new_object() };
	int err = prepare(&experiment), written;

	if (err) {
		clear(&experiment);
		return err;
	}
	describe(&experiment);
	err = run_all(&experiment);
	hs_json_add_string(experiment.document, "outcome", err == -EINTR ? "interrupted" : err ? "failed" : "ok");
	written = hs_json_write_file(experiment.json_path, experiment.document);
	if (!written)
		written = hs_figures_write_csv(experiment.document, experiment.csv_path);
	if (!written)
		written = hs_migrate_page_write(experiment.document, experiment.html_path);
	*document = json_object_get(experiment.document);
	clear(&experiment);
	return err ? err : written;
}

/* ---- thresholds -------------------------------------------------------------------------------- */

static const struct {
	const char *option, *path;
	size_t offset; /* of the limit in the plan's options, ns; 0: there is none */
} thresholds[] = {
	{ "max-net-downtime", "seen.network_gap_ms", offsetof(struct hs_plan_options, max_net_downtime_ns) },
	{ "max-tap-gap", "seen.tap_gap_ms", offsetof(struct hs_plan_options, max_tap_gap_ns) },
	{ "max-stop-resume", "seen.stop_resume_ms", offsetof(struct hs_plan_options, max_stop_resume_ns) },
	{ "max-blackout", "seen.guest_blackout_ms", offsetof(struct hs_plan_options, max_blackout_ns) },
	{ "max-brownout", "seen.brownout_ms", offsetof(struct hs_plan_options, max_brownout_ns) },
	{ "max-qemu-downtime", "qemu.downtime_ms", offsetof(struct hs_plan_options, max_qemu_downtime_ns) },
	{ "max-total", "qemu.total_ms", offsetof(struct hs_plan_options, max_total_ns) },
};

/* What was to be held and was not measured was not held. */
static unsigned check_one(json_object *trial, size_t row, uint64_t limit_ns)
{
	const char *folder = hs_json_get_string(trial, "folder"), *outcome = hs_json_get_string(trial, "outcome");
	const char *path = thresholds[row].path;
	double ms = hs_json_get_double(trial, path), limit_ms = (double)limit_ns / 1e6;

	if (strcmp(outcome, "completed") != 0)
		hs_err("%s: %s, and --%s was given", folder, outcome, thresholds[row].option);
	else if (!hs_json_get(trial, path))
		hs_err("%s: %s was not seen, and --%s was given", folder, path, thresholds[row].option);
	else if (ms > limit_ms)
		hs_err("%s: %s is %.1f ms, more than %.1f", folder, path, ms, limit_ms);
	else
		return 0;
	return 1;
}

unsigned hs_experiment_check(json_object *document, const struct hs_plan_options *options)
{
	json_object *trials = hs_json_get(document, "trials");
	unsigned exceeded = 0;

	for (size_t i = 0; i < json_object_array_length(trials); i++) {
		for (size_t row = 0; row < HS_ARRAY_SIZE(thresholds); row++) {
			uint64_t limit_ns = 0;

			memcpy(&limit_ns, (const char *)options + thresholds[row].offset, sizeof(limit_ns));
			if (limit_ns)
				exceeded += check_one(json_object_array_get_idx(trials, i), row, limit_ns);
		}
	}
	return exceeded;
}

unsigned hs_experiment_failures(json_object *document)
{
	json_object *trials = hs_json_get(document, "trials");
	unsigned failed = 0;

	for (size_t i = 0; i < json_object_array_length(trials); i++) {
		json_object *trial = json_object_array_get_idx(trials, i);

		failed += !strcmp(hs_json_get_string(trial, "outcome"), hs_outcome_name(HS_OUTCOME_FAILED)) &&
			  !strcmp(hs_json_get_string(trial, "fault"), hs_fault_names[HS_FAULT_NONE]);
	}
	return failed;
}
