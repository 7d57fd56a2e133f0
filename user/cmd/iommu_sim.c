// SPDX-License-Identifier: GPL-2.0-only
/* `hsbpf iommu-sim TRACE`: one simulation of a trace's tenants and their IOMMU, as a table, a document, or CSV by
 * tenant. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/opt_lines.h"
#include "base/scoped.h"
#include "cmd.h"
#include "hyper/sim.h"
#include "hyper/sim_compat.h"

enum compat { COMPAT_NONE, COMPAT_HYPERSIO };
static const char *const compats[] = { "none", "hypersio", NULL };

struct sim_options {
	bool json, builder_sids;
	int compat;
	struct hs_opt_list correct;
	const char *config, *tenants;
	struct hs_sim_words words;
};

static const struct hs_opt options[] = {
	HS_OPT(struct sim_options, config, "config", 'c', HS_OPT_STR, "FILE", NULL,
	       "lines `option = value` with the options below; a path, or a shipped one: base (default), hypertrio, "
	       "hypersio"),
	HS_OPT(struct sim_options, json, "json", 0, HS_OPT_FLAG, NULL, NULL, "print a document (hsbpf.iommu-sim/1)"),
	HS_OPT(struct sim_options, tenants, "tenants-csv", 0, HS_OPT_STR, "FILE", NULL,
	       "also write a row for each tenant: translations, rate, hits, reads, latency; - for stdout"),
	HS_OPT(struct sim_options, compat, "compat", 0, HS_OPT_CHOICE, "PROGRAM", "none",
	       "the model of hypersio 1.0 with its faults, to the last digit of its Mb/s; configuration hypersio "
	       "unless "
	       "--config is given",
	       .choices = compats),
	HS_OPT(struct sim_options, builder_sids, "builder-sids", 0, HS_OPT_FLAG, NULL, NULL,
	       "with --compat: number devices as hypersio's own builder of traces does, by sid + 128 * log, where some "
	       "are the same; trace-gen --format hypersio does not"),
	HS_OPT(struct sim_options, correct, "correct", 0, HS_OPT_LIST, "FAULT", NULL,
	       "of that model, put right: walk, giant, prefetch, successor, arrival, page-size, packet, or all; "
	       "several "
	       "by comma or repetition"),
#define HS_SIM_PARAMETER(id, name, kind, member, arg, help, ...)                                                       \
	HS_OPT(struct sim_options, words.word[HS_SIM_##id], name, 0, HS_OPT_STR, arg, NULL, help),
#include "hyper/sim_config.def"
#undef HS_SIM_PARAMETER
	HS_OPT_END,
};

static int write_tenants(const char *path, const struct hs_sim_result *result, const struct hs_dmatrace *trace)
{
	scoped(file) FILE *file = NULL;

	if (!strcmp(path, "-")) {
		hs_sim_result_print_tenants(result, trace, stdout);
		return 0;
	}
	file = fopen(path, "we");
	if (!file)
		return hs_fail(-errno, "cannot write %s:", path);
	errno = 0;
	hs_sim_result_print_tenants(result, trace, file);
	if (fflush(file) || ferror(file))
		return hs_fail(errno ? -errno : -EIO, "cannot write %s:", path);
	return 0;
}

static void print_document(json_object *document)
{
	printf("%s\n", json_object_to_json_string_ext(document, HS_JSON_PRINT_FLAGS));
	json_object_put(document);
}

static int take_fault(void *ctx, const char *word)
{
	unsigned int *faults = ctx;

	if (!strcmp(word, "all")) {
		*faults &= ~HS_SIM_FAULTS_OF_MODEL;
		return 0;
	}
	for (unsigned int i = 0; i < HS_SIM_FAULT_SID; i++)
		if (!strcmp(word, hs_sim_fault_names[i])) {
			*faults &= ~(1u << i);
			return 0;
		}
	return hs_fail(-EINVAL, "--correct %s: hypersio has no such fault; `hsbpf iommu-sim --help` lists them", word);
}

static int run_compat(const struct sim_options *given, const struct hs_dmatrace *trace,
		      const struct hs_sim_config *config, unsigned int faults)
{
	struct hs_sim_compat_result result;
	int err = hs_sim_compat_run(trace, config, faults, &result);

	if (err)
		return err;
	if (given->json)
		print_document(hs_sim_compat_to_json(&result, config, faults));
	else
		hs_sim_compat_print(&result, stdout);
	return 0;
}

static int run_model(const struct sim_options *given, const struct hs_dmatrace *trace,
		     const struct hs_sim_config *config)
{
	scoped(hs_sim_result) struct hs_sim_result result = { 0 };
	int err = hs_sim_run(trace, config, &result);

	if (!err && given->tenants)
		err = write_tenants(given->tenants, &result, trace);
	if (err)
		return err;
	if (given->json)
		print_document(hs_sim_result_to_json(&result, config));
	else if (!given->tenants || strcmp(given->tenants, "-") != 0)
		hs_sim_result_print(&result, config, stdout);
	return 0;
}

static int check_options(const struct sim_options *given, unsigned int *faults)
{
	if (given->compat == COMPAT_HYPERSIO && given->tenants)
		return hs_fail(-EINVAL, "--tenants-csv is not for --compat hypersio");
	if (given->compat == COMPAT_NONE && (given->correct.count || given->builder_sids))
		return hs_fail(-EINVAL, "--correct and --builder-sids are for --compat hypersio");
	if (given->builder_sids)
		*faults |= 1u << HS_SIM_FAULT_SID;
	if (given->json && given->tenants && !strcmp(given->tenants, "-"))
		return hs_fail(-EINVAL, "--json and --tenants-csv - both are for stdout");
	return hs_opt_list_each(&given->correct, take_fault, faults);
}

static int run(void *config_ptr, int argc, char **argv)
{
	const struct sim_options *given = config_ptr;
	const char *base = given->compat == COMPAT_HYPERSIO ? "hypersio" : "base";
	scoped(hs_dmatrace) struct hs_dmatrace *trace = NULL;
	struct hs_sim_config config;
	unsigned int faults = HS_SIM_FAULTS_OF_MODEL;
	int err;

	if (argc != 1) {
		hs_err("iommu-sim needs one trace, as hsbpf trace-gen writes it");
		return HS_EXIT_USAGE;
	}
	if (check_options(given, &faults) ||
	    hs_sim_config_make(&given->words, given->config ? given->config : base, &config))
		return HS_EXIT_USAGE;
	err = hs_dmatrace_open(argv[0], &trace);
	if (err)
		return err;
	return given->compat == COMPAT_HYPERSIO ? run_compat(given, trace, &config, faults)
						: run_model(given, trace, &config);
}

const struct hs_verb cmd_iommu_sim = {
	.name = "iommu-sim",
	.synopsis = "TRACE",
	.help = "simulate how much of a link many tenants can use behind an IOMMU",
	.text = "TRACE is what `hsbpf trace-gen` writes: the translations of many tenants' packets, in order. Packets "
		"come in "
		"the slots of a link that is never idle. Each translation takes a place in the queue, is looked up in "
		"the "
		"device's TLB (and its prefetch buffer) and, if it is not there, sent over PCIe to the IOMMU, which "
		"looks "
		"into its context cache and its caches of pages and reads the tables that are left. A slot in which "
		"the queue "
		"is full goes by without a packet: what is left is the use of the link. Invalidations of the log are "
		"applied "
		"as they come. Nothing is rounded: time is counted in picoseconds.\n\n"
		"--compat hypersio runs the model of Princeton's hypersio 1.0 instead, whose Mb/s it reproduces, and "
		"with "
		"--correct without some of its faults.\n\n"
		"What an option does not say is taken from the file of --config, and what that does not say from base.",
	.example = "iommu-sim t.hyper --config hypertrio --link 400G     what a better IOMMU would give",
	.options = options,
	.config_size = sizeof(struct sim_options),
	.run = run,
};
