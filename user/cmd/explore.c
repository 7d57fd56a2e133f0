// SPDX-License-Identifier: GPL-2.0-only
/* `hsbpf explore PLAN`: sweeps of the IOMMU model. Main thread; the sweep is user/explore/. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/interrupt.h"
#include "base/log.h"
#include "cmd.h"
#include "explore/figures.h"
#include "explore/sweep.h"

struct explore_config {
	struct hs_explore_options options;
	const char *out;
	int engine;
	uint32_t jobs;
	bool json;
};

static const struct hs_opt options[] = {
	HS_OPT(struct explore_config, options.axes[HS_AXIS_TRACE], "trace", 't', HS_OPT_LIST, "FILE", NULL,
	       "what `hsbpf trace-gen` wrote, from the current folder; several by comma or repetition"),
	HS_OPT(struct explore_config, options.axes[HS_AXIS_CONFIG], "config", 'c', HS_OPT_LIST, "FILE", NULL,
	       "configurations: files, or shipped ones: base (default), hypertrio, hypersio"),
#define HS_SIM_PARAMETER(id, name, kind, member, arg, help, ...)                                                       \
	HS_OPT(struct explore_config, options.axes[HS_AXIS_##id], name, 0, HS_OPT_LIST, arg, NULL, help),
#include "hyper/sim_config.def"
#undef HS_SIM_PARAMETER
	HS_OPT(struct explore_config, out, "out", 'o', HS_OPT_STR, "DIR", "hsbpf-explore",
	       "folder for the results; a sweep that was interrupted goes on where it stopped"),
	HS_OPT(struct explore_config, engine, "engine", 0, HS_OPT_CHOICE, "ENGINE", "local",
	       "where it is simulated: local, in processes of this machine", .choices = hs_engine_names),
	HS_OPT(struct explore_config, jobs, "jobs", 'j', HS_OPT_U32, "N", NULL,
	       "simulations at the same time (default: one for each CPU)", .min = 1, .max = 4096),
	HS_OPT(struct explore_config, json, "json", 0, HS_OPT_FLAG, NULL, NULL,
	       "print one JSON document (hsbpf.explore/1) instead of a table"),
	HS_OPT_END,
};

static void on_interrupt(void *ctx)
{
	bool *is_interrupted = ctx;

	*is_interrupted = true;
}

static unsigned cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ? 1 : (unsigned)CPU_COUNT(&set);
}

static void report(const struct explore_config *config, json_object *document)
{
	if (config->json) {
		printf("%s\n", json_object_to_json_string_ext(document, HS_JSON_PRINT_FLAGS));
	} else {
		hs_explore_print(stdout, document);
		printf("results: %s/explore.html\n         %s/explore.csv\n         %s/explore.json\n", config->out,
		       config->out, config->out);
	}
	fflush(stdout);
}

static int run_sweep(const struct explore_config *config, const struct hs_explore_plan *plan)
{
	scoped(hs_loop) struct hs_loop *loop = NULL;
	scoped(json) json_object *document = NULL;
	bool is_interrupted = false;
	struct hs_sweep_config sweep = { .plan = plan,
					 .engine = &hs_engines[config->engine],
					 .out = config->out,
					 .jobs = config->jobs ? config->jobs : cpus(),
					 .is_interrupted = &is_interrupted };
	int err = hs_loop_open(&loop);

	if (!err)
		err = hs_interrupt_open(loop, on_interrupt, &is_interrupted);
	if (err)
		return err;
	sweep.loop = loop;
	err = hs_sweep_run(&sweep, &document);
	hs_interrupt_close(loop);
	if (document)
		report(config, document);
	if (err == -EINTR && hs_interrupt_signal())
		return 128 + hs_interrupt_signal();
	return err ? err : hs_json_get_u64(document, "counts.failed") ? HS_EXIT_FAILURE : HS_EXIT_OK;
}

static int run(void *config_ptr, int argc, char **argv)
{
	struct explore_config *config = config_ptr;
	scoped(hs_explore_plan) struct hs_explore_plan *plan = NULL;
	int err;

	if (argc != 1) {
		hs_err("explore needs one plan: a file, or the name of one that is shipped (hypertenant, caches)");
		return HS_EXIT_USAGE;
	}
	err = hs_explore_plan_make(options, config, &config->options, argv[0], &plan);
	return err ? err : run_sweep(config, plan);
}

const struct hs_verb cmd_explore = {
	.name = "explore",
	.synopsis = "PLAN",
	.help = "run the IOMMU model over ranges of tenants, caches, queues and links, on all CPUs",
	.example = "explore hypertenant --trace big.dma    link use against tenants, by configuration",
	.text = "A plan has lines `option = value` of the options below, which weigh less than those given here. Every "
		"combination\n"
		"of their values is a point. Values are given by comma or repetition, and as ranges: 4..1024 doubles, "
		"1..81*3 triples,\n"
		"100G..400G+100G adds. What no line names stays as the configuration has it. DIR gets explore.html, "
		"explore.csv,\n"
		"explore.json, and explore.jsonl, to which each point is appended when it ends. Points are known by "
		"what is simulated:\n"
		"run again, also with a plan that has grown, only what is missing or failed is simulated. A point that "
		"fails is a row\n"
		"with its reason, and then the exit code is 1 when all is done.",
	.options = options,
	.config_size = sizeof(struct explore_config),
	.run = run,
};
