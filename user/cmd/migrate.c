// SPDX-License-Identifier: GPL-2.0-only
/* `hsbpf migrate`: experiments on real live migrations. Main thread; the experiment is user/migrate/. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/interrupt.h"
#include "base/io.h"
#include "base/log.h"
#include "cmd.h"
#include "lab_options.h"
#include "migrate/experiment.h"
#include "migrate/figures.h"
#include "orchestrate/labdir.h"

struct migrate_config {
	struct hs_plan_options options;
	const char *plan, *out, *lab, *kernel;
	int accel;
	bool json, list_modes, verbose;
};

static const struct hs_opt options[] = {
	HS_PLAN_OPTIONS(struct migrate_config, options),
	HS_OPT(struct migrate_config, plan, "plan", 'p', HS_OPT_STR, "FILE", NULL,
	       "lines `option = value` of the options above, which weigh less than those given here; a file, or smoke, "
	       "convergence, postcopy"),
	HS_OPT(struct migrate_config, out, "out", 'o', HS_OPT_STR, "DIR", "hsbpf-migrate",
	       "folder for everything that comes back"),
	HS_OPT(struct migrate_config, lab, "lab", 0, HS_OPT_STR, "NAME", "migrate",
	       "name of the lab; several can run side by side"),
	HS_OPT(struct migrate_config, accel, "accel", 0, HS_OPT_CHOICE, "ACCEL", "auto", "accelerator of the guest",
	       .choices = lab_accels),
	HS_OPT(struct migrate_config, kernel, "kernel", 0, HS_OPT_STR, "PATH", NULL,
	       "guest kernel: a vmlinuz, or a folder with an unpacked package; found or fetched unless given"),
	HS_OPT(struct migrate_config, list_modes, "list-modes", 0, HS_OPT_FLAG, NULL, NULL,
	       "say which modes this QEMU has, by trying, and end"),
	HS_OPT(struct migrate_config, json, "json", 0, HS_OPT_FLAG, NULL, NULL,
	       "print one JSON document (hsbpf.migrate/1) instead of tables"),
	HS_OPT(struct migrate_config, verbose, "verbose", 'v', HS_OPT_FLAG, NULL, NULL, "say every step"),
	HS_OPT_END,
};

static void on_interrupt(void *ctx)
{
	bool *is_interrupted = ctx;

	*is_interrupted = true;
}

static int exit_code(int err)
{
	if (err == -EINTR && hs_interrupt_signal())
		return 128 + hs_interrupt_signal();
	if (err)
		return err == -EPERM || err == -EACCES || err == -EOPNOTSUPP ? HS_EXIT_PRIVILEGE : HS_EXIT_FAILURE;
	return HS_EXIT_OK;
}

static void report(const struct migrate_config *config, const char *out, json_object *document)
{
	if (config->json) {
		printf("%s\n", json_object_to_json_string_ext(document, HS_JSON_PRINT_FLAGS));
	} else {
		hs_figures_print(stdout, document);
		printf("results: %s/migrate.html\n         %s/migrate.csv\n         %s/migrate.json\n", out, out, out);
	}
	fflush(stdout);
}

static int run_experiment(const struct migrate_config *config, const struct hs_plan *plan, const char *out,
			  struct hs_loop *loop, const bool *is_interrupted)
{
	struct hs_experiment_config experiment = { .loop = loop,
						   .plan = plan,
						   .lab = config->lab,
						   .out = out,
						   .kernel = config->kernel,
						   .accel = config->accel,
						   .is_interrupted = is_interrupted };
	scoped(json) json_object *document = NULL;
	int err = hs_experiment_run(&experiment, &document);

	if (document)
		report(config, out, document);
	if (!err && hs_experiment_check(document, &plan->options))
		return HS_EXIT_THRESHOLD;
	if (!err && hs_experiment_failures(document))
		return HS_EXIT_FAILURE;
	return exit_code(err);
}

/* QEMU splits its options at commas. */
static char *absolute(const char *path)
{
	char cwd[PATH_MAX];

	if (!*path || strchr(path, ',')) {
		hs_err("--out '%s': a folder without a comma in its path is needed", path);
		return NULL;
	}
	return path[0] == '/' ? strdup(path) : getcwd(cwd, sizeof(cwd)) ? hs_format("%s/%s", cwd, path) : NULL;
}

static int run_in_loop(struct migrate_config *config, const struct hs_plan *plan, const char *out)
{
	scoped(hs_loop) struct hs_loop *loop = NULL;
	bool is_interrupted = false;
	int err = hs_loop_open(&loop);

	if (!err)
		err = hs_interrupt_open(loop, on_interrupt, &is_interrupted);
	if (err)
		return err;
	if (config->list_modes)
		err = exit_code(hs_experiment_list_modes(loop, config->lab));
	else
		err = run_experiment(config, plan, out, loop, &is_interrupted);
	hs_interrupt_close(loop);
	return err;
}

static int run(void *config_ptr, int argc, char **argv)
{
	struct migrate_config *config = config_ptr;
	scoped(hs_plan) struct hs_plan *plan = NULL;
	scoped(mem) char *out = NULL;
	int err;

	if (argc) {
		hs_err("migrate takes no operand, but '%s' was given", argv[0]);
		return HS_EXIT_USAGE;
	}
	hs_log_set_level(config->verbose ? HS_LOG_DBG : HS_LOG_INFO);
	err = hs_plan_make(options, config, &config->options, config->plan, &plan);
	if (err)
		return err;
	out = absolute(config->out);
	if (!out || hs_lab_name_check(config->lab))
		return HS_EXIT_USAGE;
	hs_labs_sweep();
	return run_in_loop(config, plan, out);
}

const struct hs_verb cmd_migrate = {
	.name = "migrate",
	.synopsis = "",
	.help = "migrate guests live between two QEMUs, again and again, and measure it from every side",
	.example = "migrate --plan smoke    live migrations, measured by QEMU, network, taps and guest",
	.text = "Each trial boots a guest on a source host, a network namespace, and migrates it to a destination "
		"host, "
		"another,\n"
		"over a link of limited bandwidth. The guest dirties its memory (mm_dirty) and answers probes "
		"(server_rr), which a\n"
		"client sends from a third namespace. QEMU's numbers, the gap that probes saw, the gap between packets "
		"on both\n"
		"taps, the time from STOP to RESUME and what the guest itself noticed are kept apart. DIR gets "
		"migrate.html,\n"
		"migrate.csv, migrate.json and a folder for each trial with a time line of everything.",
	.options = options,
	.config_size = sizeof(struct migrate_config),
	.run = run,
};
