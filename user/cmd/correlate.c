// SPDX-License-Identifier: GPL-2.0-only
/* `hsbpf correlate RUN`: each tenant's packets followed through every layer of a run. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/loop.h"
#include "base/unit.h"
#include "cmd.h"
#include "correlate/path.h"
#include "correlate/report.h"
#include "run/document.h"
#include "run/rundir.h"

struct correlate_config {
	const char *tenant, *packet;
	uint64_t from_ns, to_ns;
	bool json;
};

static const struct hs_opt options[] = {
	HS_OPT(struct correlate_config, tenant, "tenant", 0, HS_OPT_STR, "N", NULL, "only this tenant"),
	HS_OPT(struct correlate_config, packet, "packet", 0, HS_OPT_STR, "N", NULL,
	       "print the path of one packet: its number, as the list of the slowest says it"),
	HS_OPT(struct correlate_config, from_ns, "from", 0, HS_OPT_DURATION, "TIME", NULL,
	       "packets from that time after the trace's begin"),
	HS_OPT(struct correlate_config, to_ns, "to", 0, HS_OPT_DURATION, "TIME", NULL,
	       "packets up to that time after the trace's begin"),
	HS_OPT(struct correlate_config, json, "json", 0, HS_OPT_FLAG, NULL, NULL, "print one JSON document"),
	HS_OPT_END,
};

struct correlation {
	const struct correlate_config *config;
	struct hs_correlate_result result;
	struct hs_tally tallies[HS_PAIRS_MAX][HS_DIRECTION_NR];
	uint64_t packet; /* that is asked for; 0: none */
	bool is_found;
	struct hs_packet found;
	int err;
};

static void correlation_scoped(struct correlation **correlation)
{
	for (unsigned int i = 0; *correlation && i < HS_PAIRS_MAX; i++)
		for (int j = 0; j < HS_DIRECTION_NR; j++)
			hs_tally_clear(&(*correlation)->tallies[i][j]);
	free(*correlation);
}

static bool on_packet(void *ctx, const struct hs_packet *packet)
{
	struct correlation *correlation = ctx;
	const struct correlate_config *config = correlation->config;
	const struct hs_lane_config *has = &correlation->result.tenants[packet->tenant].has;
	struct hs_tally *tally = &correlation->tallies[packet->tenant][packet->direction];
	uint64_t at_ns = packet->sights[HS_LAYER_TAP].time_ns - correlation->result.begin_ns;

	if (correlation->packet) {
		correlation->is_found = packet->number == correlation->packet;
		if (correlation->is_found)
			correlation->found = *packet;
		return !correlation->is_found;
	}
	if (at_ns < config->from_ns || (config->to_ns && at_ns >= config->to_ns))
		return true;
	tally->scope = (struct hs_tally_scope){ has->has_dma, has->has_client, has->has_l2 };
	correlation->err = hs_tally_add(tally, packet);
	return !correlation->err;
}

static int print_packet(const struct correlation *correlation, const char *run)
{
	scoped(json) json_object *document = NULL;

	if (!correlation->is_found) {
		hs_err("%s has no packet %" PRIu64 "%s; it has %" PRIu64, run, correlation->packet,
		       correlation->config->tenant ? " of that tenant" : "", correlation->result.packet_nr);
		return HS_EXIT_FAILURE;
	}
	if (!correlation->config->json) {
		hs_path_print(&correlation->found, correlation->result.begin_ns, stdout);
		return 0;
	}
	document = json_object_new_object();
	hs_json_add_string(document, "schema", "hsbpf.correlate.packet/1");
	hs_json_add_string(document, "run", run);
	hs_path_to_json(&correlation->found, document);
	printf("%s\n", json_object_to_json_string_ext(document, HS_JSON_PRINT_FLAGS));
	return 0;
}

/* An effect before its cause by more than the stated bound: what is printed is not to be trusted. */
static int judge(const struct correlation *correlation)
{
	uint64_t beyond = hs_causality_beyond_bound(&correlation->result.causality);

	if (!beyond)
		return 0;
	hs_err("the clocks are aligned wrongly: %" PRIu64 " effects come before their causes by more than the bound",
	       beyond);
	return HS_EXIT_FAILURE;
}

static int print_report(const struct correlation *correlation, const char *run, double seconds)
{
	struct hs_correlate_report report = { .result = &correlation->result,
					      .tallies = correlation->tallies,
					      .run = run,
					      .from_ns = correlation->config->from_ns,
					      .to_ns = correlation->config->to_ns,
					      .seconds = seconds };
	scoped(json) json_object *document = NULL;

	if (correlation->config->json) {
		document = hs_correlate_to_json(&report);
		printf("%s\n", json_object_to_json_string_ext(document, HS_JSON_PRINT_FLAGS));
	} else {
		hs_correlate_print(&report, stdout);
	}
	return judge(correlation);
}

/* -1: not given. */
static int parse_numbers(const struct correlate_config *config, int *tenant, uint64_t *packet)
{
	uint64_t number;

	*tenant = -1;
	*packet = 0;
	if (config->tenant) {
		if (hs_parse_u64(config->tenant, &number) || number >= HS_PAIRS_MAX) {
			hs_err("--tenant takes a number below %u, not '%s'", HS_PAIRS_MAX, config->tenant);
			return HS_EXIT_USAGE;
		}
		*tenant = (int)number;
	}
	if (config->packet && (hs_parse_u64(config->packet, packet) || !*packet)) {
		hs_err("--packet takes a number from 1 on, not '%s'", config->packet);
		return HS_EXIT_USAGE;
	}
	return 0;
}

static int run(void *config_ptr, int argc, char **argv)
{
	scoped(correlation) struct correlation *correlation = calloc(1, sizeof(*correlation));
	scoped(hs_rundir) struct hs_rundir *rundir = NULL;
	scoped(json) json_object *document = NULL;
	struct hs_correlate_config config = { .on_packet = on_packet, .ctx = correlation };
	uint64_t start_ns = hs_now_ns();
	int err;

	if (!correlation)
		return -ENOMEM;
	correlation->config = config_ptr;
	if (argc != 1) {
		hs_err("correlate needs one run: its folder, its run.json or its log");
		return HS_EXIT_USAGE;
	}
	err = parse_numbers(config_ptr, &config.tenant, &correlation->packet);
	if (!err)
		err = hs_rundir_find(argv[0], &rundir);
	if (!err)
		err = hs_json_read_file(rundir->document, &document);
	if (err)
		return err;
	if (strcmp(hs_json_get_string(document, "schema"), HS_DOCUMENT_SCHEMA) != 0)
		return hs_fail(-EBADMSG, "%s has the schema '%s'; this hsbpf reads " HS_DOCUMENT_SCHEMA,
			       rundir->document, hs_json_get_string(document, "schema"));
	config.trace_dir = rundir->trace;
	config.log = rundir->log;
	config.document = document;
	err = hs_correlate(&config, &correlation->result);
	if (err || correlation->err)
		return err ? err : correlation->err;
	if (correlation->packet)
		return print_packet(correlation, rundir->dir);
	return print_report(correlation, rundir->dir, (double)(hs_now_ns() - start_ns) / 1e9);
}

const struct hs_verb cmd_correlate = {
	.name = "correlate",
	.synopsis = "RUN",
	.help = "follow each tenant's packets through every layer of a run",
	.text = "Client's stack and NIC, its tap, the L2's tap, the translations that QEMU made for the NIC's DMA, "
		"L1's\n"
		"interrupt and entry of the L2, the L2's NIC and stack; and back. As far as the run has them: taps "
		"and\n"
		"translations always, the others when the machines were recorded. For each tenant and direction: times "
		"from\n"
		"layer to layer, translations per packet by kind, the slowest packets, and which share was joined, and "
		"why the\n"
		"others were not.\n"
		"Packets are joined by addresses, ports, TCP sequence and IP identification between taps; by order to "
		"the\n"
		"translations of a received packet, by thread and time to those of a sent one; by order and length to "
		"what\n"
		"guests saw; by time alone to interrupts and entries.\n"
		"Effects that come before their causes by more than the clocks' stated bound are an error: exit code "
		"1.",
	.example = "correlate out/hsbpf_iperf3_vm_2_log_0     # each packet through every layer, by tenant",
	.options = options,
	.config_size = sizeof(struct correlate_config),
	.run = run,
};
