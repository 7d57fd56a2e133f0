// SPDX-License-Identifier: GPL-2.0-only
/* `hsbpf iommu-sim TRACE`: one simulation of a trace's tenants and their IOMMU, as a table, a document, or CSV by
 * tenant. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/scoped.h"
#include "cmd.h"
#include "hyper/sim.h"

struct sim_options {
	bool json;
	const char *config, *tenants;
	struct hs_sim_words words;
};

static const struct hs_opt options[] = {
	HS_OPT(struct sim_options, config, "config", 'c', HS_OPT_STR, "FILE", "base",
	       "lines `option = value` with the options below; a path, or a shipped one: base, hypertrio, hypersio"),
	HS_OPT(struct sim_options, json, "json", 0, HS_OPT_FLAG, NULL, NULL, "print a document (hsbpf.iommu-sim/1)"),
	HS_OPT(struct sim_options, tenants, "tenants-csv", 0, HS_OPT_STR, "FILE", NULL,
	       "also write a row for each tenant: translations, rate, hits, reads, latency; - for stdout"),
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
	hs_sim_result_print_tenants(result, trace, file);
	if (fflush(file) || ferror(file))
		return hs_fail(-EIO, "cannot write %s:", path);
	return 0;
}

static int run(void *config_ptr, int argc, char **argv)
{
	const struct sim_options *given = config_ptr;
	scoped(hs_dmatrace) struct hs_dmatrace *trace = NULL;
	scoped(hs_sim_result) struct hs_sim_result result = { 0 };
	struct hs_sim_config config;
	int err;

	if (argc != 1) {
		hs_err("iommu-sim needs one trace, as hsbpf trace-gen writes it");
		return HS_EXIT_USAGE;
	}
	if (hs_sim_config_make(&given->words, given->config, &config))
		return HS_EXIT_USAGE;
	err = hs_dmatrace_open(argv[0], &trace);
	if (!err)
		err = hs_sim_run(trace, &config, &result);
	if (!err && given->tenants)
		err = write_tenants(given->tenants, &result, trace);
	if (err)
		return err;
	if (given->json) {
		scoped(json) json_object *document = hs_sim_result_to_json(&result, &config);

		printf("%s\n", json_object_to_json_string_ext(document, HS_JSON_PRINT_FLAGS));
	} else if (!given->tenants || strcmp(given->tenants, "-") != 0) {
		hs_sim_result_print(&result, &config, stdout);
	}
	return 0;
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
		"What an option does not say is taken from the file of --config, and what that does not say from base.",
	.example = "iommu-sim t.hyper --config hypertrio --link 400G     what a better IOMMU would give",
	.options = options,
	.config_size = sizeof(struct sim_options),
	.run = run,
};
