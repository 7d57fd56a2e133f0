// SPDX-License-Identifier: GPL-2.0-only
/* `hsbpf trace-gen`: many IOMMU logs into one DMA trace of many tenants; and what such a trace holds. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "base/unit.h"
#include "cmd.h"
#include "hyper/gen.h"
#include "hyper/gen_hypersio.h"
#include "hyper/gen_report.h"

#define FIXED "fixed="
#define FIXED_MAX 512

struct trace_gen_config {
	const char *prefix, *output, *info, *packets, *cut, *seed;
	uint32_t tenants, burst;
	int order, format;
	bool accept_truncated, json;
};

static const char *const orders[] = {
	[HS_DMATRACE_RR] = "rr",
	[HS_DMATRACE_RAND] = "rand",
	[HS_DMATRACE_ORIG] = "orig",
	NULL,
};

enum { FORMAT_HSBPF, FORMAT_HYPERSIO };
static const char *const formats[] = { [FORMAT_HSBPF] = "hsbpf", [FORMAT_HYPERSIO] = "hypersio", NULL };

static const struct hs_opt options[] = {
	HS_OPT(struct trace_gen_config, prefix, "log-prefix", 'l', HS_OPT_STR, "P", NULL,
	       "read the logs P_0.txt, P_1.txt, ..., plain or packed (.gz, .xz, .zst); or P is the folder of a run"),
	HS_OPT(struct trace_gen_config, tenants, "tenants", 'n', HS_OPT_U32, "N", NULL,
	       "tenants of the trace; more than the logs have use their packets again (default: what the logs have)",
	       .min = 1, .max = HS_DMATRACE_TENANTS_MAX),
	HS_OPT(struct trace_gen_config, order, "order", 0, HS_OPT_CHOICE, "ORDER", "rr",
	       "who is next: rr in turn, rand by lot, orig as the logs have it", .choices = orders),
	HS_OPT(struct trace_gen_config, burst, "burst", 'b', HS_OPT_U32, "PKTS", "1", "packets of one tenant in a row",
	       .min = 1, .max = 1 << 20),
	HS_OPT(struct trace_gen_config, seed, "seed", 's', HS_OPT_STR, "S", "1",
	       "number that --order rand draws from: the same gives the same trace"),
	HS_OPT(struct trace_gen_config, packets, "packets", 0, HS_OPT_STR, "RULE", "found",
	       "found: packets as the log shows them; fixed=N: each is N translations"),
	HS_OPT(struct trace_gen_config, cut, "cut", 0, HS_OPT_STR, "WHERE", NULL,
	       "first: end where the first tenant runs out; N: use N packets of each tenant at most"),
	HS_OPT(struct trace_gen_config, accept_truncated, "accept-truncated", 0, HS_OPT_FLAG, NULL, NULL,
	       "use logs whose last line is cut off"),
	HS_OPT(struct trace_gen_config, output, "output", 'o', HS_OPT_STR, "FILE", NULL, "write the trace there"),
	HS_OPT(struct trace_gen_config, format, "format", 0, HS_OPT_CHOICE, "FORMAT", "hsbpf",
	       "hypersio: the three files that hypersio-perf reads, FILE_iotlb_trace.bin, _cc_data.bin, _slpt_data.bin",
	       .choices = formats),
	HS_OPT(struct trace_gen_config, info, "info", 0, HS_OPT_STR, "FILE", NULL,
	       "make nothing: print what a trace holds"),
	HS_OPT(struct trace_gen_config, json, "json", 0, HS_OPT_FLAG, NULL, NULL, "print one JSON document"),
	HS_OPT_END,
};

static void print_trace(const struct hs_dmatrace *trace, const char *path, bool as_json)
{
	scoped(json) json_object *document = NULL;

	if (!as_json) {
		hs_gen_report_print(trace, path, stdout);
		return;
	}
	document = hs_gen_report_to_json(trace, path);
	printf("%s\n", json_object_to_json_string_ext(document, HS_JSON_PRINT_FLAGS));
}

/* Of a whole trace, checked; of one that was written just now its front says it all. */
static int print_file(const char *path, bool is_new, bool as_json)
{
	scoped(hs_dmatrace) struct hs_dmatrace *trace = NULL;
	int err = is_new ? hs_dmatrace_open_front(path, &trace) : hs_dmatrace_open(path, &trace);

	if (!err)
		print_trace(trace, path, as_json);
	return err;
}

/* By way of a trace of ours, which is gone afterwards. */
static int write_hypersio(struct hs_gen_config *gen, bool as_json)
{
	scoped(mem) char *between = hs_format("%s.XXXXXX", gen->output);
	scoped(hs_ingest_walks) struct hs_ingest_walks *walks = NULL;
	scoped(hs_dmatrace) struct hs_dmatrace *trace = NULL;
	const char *prefix = gen->output;
	scoped(fd) int temporary = -1;
	int err = between ? hs_ingest_walks_open(&walks) : -ENOMEM;

	if (err)
		return err;
	temporary = mkostemp(between, O_CLOEXEC);
	if (temporary < 0)
		return hs_fail(-errno, "cannot create a temporary file beside %s:", prefix);
	gen->output = between;
	gen->walks = walks;
	err = hs_gen_write(gen);
	if (!err)
		err = hs_dmatrace_open(between, &trace);
	unlink(between);
	if (!err)
		err = hs_gen_hypersio_write(trace, walks, prefix);
	if (!err)
		print_trace(trace, prefix, as_json);
	return err;
}

/* Options that are more than a number; 0 or a usage error that was told. */
static int read_rules(const struct trace_gen_config *config, struct hs_gen_config *gen)
{
	uint64_t fixed;

	if (strncmp(config->packets, FIXED, strlen(FIXED)) == 0) {
		if (hs_parse_u64(config->packets + strlen(FIXED), &fixed) || !fixed || fixed > FIXED_MAX) {
			hs_err("--packets %s: a packet has from 1 to %d translations", config->packets, FIXED_MAX);
			return HS_EXIT_USAGE;
		}
		gen->packet_translations = (uint32_t)fixed;
	} else if (strcmp(config->packets, "found") != 0) {
		hs_err("--packets '%s' is neither 'found' nor 'fixed=N'", config->packets);
		return HS_EXIT_USAGE;
	}
	if (hs_parse_u64(config->seed, &gen->seed)) {
		hs_err("--seed '%s' is not a number", config->seed);
		return HS_EXIT_USAGE;
	}
	gen->cut_first = config->cut && !strcmp(config->cut, "first");
	if (config->cut && !gen->cut_first && (hs_parse_u64(config->cut, &gen->cut_packets) || !gen->cut_packets)) {
		hs_err("--cut '%s' is neither 'first' nor a number of packets", config->cut);
		return HS_EXIT_USAGE;
	}
	if (gen->cut_first && gen->order == HS_DMATRACE_ORIG) {
		hs_err("--cut first has no meaning with --order orig, where one log follows the other");
		return HS_EXIT_USAGE;
	}
	return 0;
}

static int run(void *config_ptr, int argc, char **argv)
{
	const struct trace_gen_config *config = config_ptr;
	struct hs_gen_config gen = {
		.prefix = config->prefix,
		.output = config->output,
		.tenants = config->tenants,
		.order = (enum hs_dmatrace_order)config->order,
		.burst = config->burst,
		.accepts_truncated = config->accept_truncated,
	};
	int err;

	if (argc) {
		hs_err("trace-gen takes no '%s': logs are named by --log-prefix", argv[0]);
		return HS_EXIT_USAGE;
	}
	if (config->info)
		return print_file(config->info, false, config->json);
	if (!config->prefix || !config->output) {
		hs_err("trace-gen needs --log-prefix P and -o FILE, or --info FILE");
		return HS_EXIT_USAGE;
	}
	err = read_rules(config, &gen);
	if (err)
		return err;
	if (config->format == FORMAT_HYPERSIO)
		return write_hypersio(&gen, config->json);
	err = hs_gen_write(&gen);
	return err ? err : print_file(config->output, true, config->json);
}

const struct hs_verb cmd_trace_gen = {
	.name = "trace-gen",
	.synopsis = "",
	.help = "merge IOMMU logs into one DMA trace of many tenants",
	.text = "Reads what QEMU 7.2 and newer write with -trace 'vtd_iotlb*' (better also vtd_dmar_translate, which "
		"says "
		"page sizes, and vtd_inv_*), or what hypersio's patched QEMU writes. A tenant is a device of a log, "
		"whatever domains it goes through. Packets are found in the log: descriptor read, data, write-back.\n\n"
		"The trace has 16 bytes for each translation and says where it comes from: order, seed, logs with "
		"their "
		"SHA-256, tenants, and how much of the logs was ignored for which reason. iommu-sim runs it.",
	.example = "trace-gen -l out/log -n 1024 -o t   merge IOMMU logs into one trace of 1024 tenants",
	.options = options,
	.config_size = sizeof(struct trace_gen_config),
	.run = run,
};
