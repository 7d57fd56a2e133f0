// SPDX-License-Identifier: GPL-2.0-only
/*
 * `client_rr`: when the network of a (guest) machine was there and when not, seen from outside by probes that an echo
 * server there answers, ours or mig_mon's. One thread, one loop.
 */
#include "migtools/client_rr.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/unit.h"
#include "migtools/migtools.h"
#include "migtools/probes.h"
#include "migtools/spikes.h"
#include "migtools/spread.h"

#define LOG_BY_LINE_NS 1000000u

const struct hs_opt hs_client_rr_options[] = {
	HS_PROBER_OPTIONS(struct hs_client_rr_config),
	HS_OPT(struct hs_client_rr_config, patience_ns, "patience", 0, HS_OPT_DURATION, "TIME", NULL,
	       "a probe with no answer that long after the usual round trip is missing, and an outage lasts that long "
	       "at "
	       "least (default two intervals)"),
	HS_OPT(struct hs_client_rr_config, probes, "probes", 0, HS_OPT_STR, "FILE", NULL,
	       "write a line for every probe: number, when it was sent, round trip, what became of it"),
	HS_OPT(struct hs_client_rr_config, json, "json", 0, HS_OPT_FLAG, NULL, NULL,
	       "print the summary as one JSON document (hsbpf.client_rr/1); progress goes to stderr"),
	HS_OPT_END,
};

struct client_rr {
	const struct hs_client_rr_config *config;
	struct hs_prober prober;
	struct hs_probes probes;
	struct hs_spikes spikes;
	struct hs_progress progress;
	FILE *log;
	size_t announced; /* outages */
};

static inline void clear_client(struct client_rr *client)
{
	hs_prober_clear(&client->prober);
	hs_probes_clear(&client->probes);
	hs_spikes_clear(&client->spikes);
	hs_file_close(take(client->log));
}

HS_SCOPED(client, struct client_rr *, clear_client)

/* ---- what happens ------------------------------------------------------------------------------ */

static void announce_outages(struct client_rr *client)
{
	char start[40];

	for (; client->announced < client->probes.outages.count; client->announced++) {
		const struct hs_outage *outage = &client->probes.outages.items[client->announced];

		hs_spikes_outage(&client->spikes, outage->start_ns, outage->end_ns);
		hs_progress_end(&client->progress);
		hs_info("no answer for %.3f ms, from %s UTC on%s%s", (double)(outage->end_ns - outage->start_ns) / 1e6,
			hs_outage_format_time(start, sizeof(start), outage->start_ns), outage->error ? ": " : "",
			outage->error ? strerror(-outage->error) : "");
	}
}

static int on_sent(void *ctx, uint64_t sent_ns, int error)
{
	struct client_rr *client = ctx;

	hs_spikes_show(&client->spikes, sent_ns);
	return hs_probes_sent(&client->probes, sent_ns, error);
}

static int on_probe(void *ctx, const struct hs_probe *probe, uint64_t arrival_ns)
{
	struct client_rr *client = ctx;
	enum hs_probes_verdict verdict;
	int err = hs_probes_answer(&client->probes, probe->seq, arrival_ns, &verdict);

	if (err || verdict == HS_PROBES_DUPLICATE || verdict == HS_PROBES_UNKNOWN)
		return err;
	hs_spikes_arrival(&client->spikes, arrival_ns);
	announce_outages(client);
	return 0;
}

static void on_error(void *ctx, uint64_t now_ns, int error)
{
	struct client_rr *client = ctx;

	hs_probes_error(&client->probes, now_ns, error);
}

static int on_settled(void *ctx, uint64_t settled_ns)
{
	struct client_rr *client = ctx;
	int err = hs_probes_judge(&client->probes, settled_ns);

	announce_outages(client);
	return err;
}

static bool is_waiting(void *ctx)
{
	const struct client_rr *client = ctx;

	return client->probes.judged < client->probes.sent;
}

static const struct hs_prober_ops ops = {
	.on_sent = on_sent,
	.on_probe = on_probe,
	.on_error = on_error,
	.on_settled = on_settled,
	.is_waiting = is_waiting,
};

/* ---- the summary ------------------------------------------------------------------------------- */

static uint64_t outage_total_ns(const struct hs_outages *outages, uint64_t *longest_ns)
{
	uint64_t total_ns = 0;

	*longest_ns = 0;
	for (size_t i = 0; i < outages->count; i++) {
		uint64_t length_ns = outages->items[i].end_ns - outages->items[i].start_ns;

		total_ns += length_ns;
		*longest_ns = length_ns > *longest_ns ? length_ns : *longest_ns;
	}
	return total_ns;
}

static int print_document(const struct client_rr *client)
{
	scoped(json) json_object *document = json_object_new_object();
	const struct hs_probes *probes = &client->probes;
	uint64_t longest_ns, total_ns = outage_total_ns(&probes->outages, &longest_ns);

	if (!document)
		return -ENOMEM;
	hs_json_add_string(document, "schema", "hsbpf.client_rr/1");
	hs_prober_add_json(&client->prober, document);
	hs_json_add_u64(document, "patience_ns", probes->patience_ns);
	hs_json_add_u64(document, "sent", probes->sent - probes->unsent);
	hs_json_add_u64(document, "not_sent", probes->unsent);
	hs_json_add_u64(document, "answered", probes->answered);
	hs_json_add_u64(document, "late", probes->late);
	hs_json_add_u64(document, "lost", hs_probes_lost(probes));
	hs_json_add_u64(document, "duplicates", probes->duplicates);
	hs_json_add_u64(document, "reordered", probes->reordered);
	hs_json_add_u64(document, "unknown", probes->unknown);
	hs_spread_add_json(document, "round_trip", &probes->rtt);
	hs_spread_add_json(document, "delay", &probes->delay);
	hs_json_add_u64(document, "spikes", client->spikes.spikes);
	hs_json_add_u64(document, "outage_total_ns", total_ns);
	hs_json_add_u64(document, "outage_longest_ns", longest_ns);
	hs_outages_add_json(&probes->outages, document);
	printf("%s\n", json_object_to_json_string_ext(document, HS_JSON_PRINT_FLAGS));
	return 0;
}

static void print_summary(const struct client_rr *client)
{
	const struct hs_probes *probes = &client->probes;
	uint64_t longest_ns, total_ns = outage_total_ns(&probes->outages, &longest_ns);
	char total[32];

	hs_prober_print(&client->prober);
	printf("sent %" PRIu64 ", answered %" PRIu64 " (late %" PRIu64 "), lost %" PRIu64 ", not sent %" PRIu64
	       ", twice %" PRIu64 ", out of order %" PRIu64 "\n",
	       probes->sent - probes->unsent, probes->answered, probes->late, hs_probes_lost(probes), probes->unsent,
	       probes->duplicates, probes->reordered);
	hs_spread_print("round trip", &probes->rtt);
	hs_spread_print("delay     ", &probes->delay);
	if (probes->outages.count)
		printf("outages: %zu, %s in all\n", probes->outages.count,
		       hs_format_ns(total, sizeof(total), total_ns));
	else
		printf("outages: none\n");
	hs_outages_print(&probes->outages);
}

static void warn(const struct client_rr *client)
{
	const struct hs_prober *prober = &client->prober;

	if (prober->skipped)
		hs_warn("%" PRIu64 " probes were not sent: this machine was too busy at their time", prober->skipped);
	if (prober->dropped)
		hs_warn("%" PRIu32 " answers found no room in the socket: lost here, not on the network",
			prober->dropped);
	if (prober->foreign)
		hs_warn("%" PRIu64 " datagrams were no answers to this run's probes", prober->foreign);
}

/* ---- the verb ---------------------------------------------------------------------------------- */

static int open_log(struct client_rr *client, const char *path)
{
	if (!path)
		return 0;
	client->log = fopen(path, "we");
	if (!client->log)
		return hs_fail(-errno, "cannot write %s:", path);
	/* To be followed while it grows, where that costs nothing. */
	if (client->config->prober.interval_ns >= LOG_BY_LINE_NS)
		setvbuf(client->log, NULL, _IOLBF, 0);
	hs_probes_log(&client->probes, client->log);
	return 0;
}

/* After the summary, which does not depend on them. */
static int close_logs(struct client_rr *client, const char *probes, const char *spikes)
{
	int err = hs_spikes_close(&client->spikes, spikes);
	FILE *log = take(client->log);

	if (log && (fflush(log) || ferror(log)))
		err = hs_fail(-EIO, "%s could not be written to its end", probes);
	hs_file_close(log);
	return err;
}

static int start(struct client_rr *client, const char *spike_log)
{
	const struct hs_client_rr_config *config = client->config;
	uint64_t interval_ns = config->prober.interval_ns;
	uint64_t patience_ns = config->patience_ns ? config->patience_ns : 2 * interval_ns;
	int err;

	hs_progress_start(&client->progress, config->json);
	err = hs_spikes_start(&client->spikes, spike_log, patience_ns, &client->progress);
	if (!err)
		err = hs_probes_start(&client->probes, interval_ns, patience_ns, hs_now_ns());
	return err ? err : open_log(client, config->probes);
}

int hs_client_rr_run(void *config_ptr, int argc, char **argv)
{
	struct hs_client_rr_config *config = config_ptr;
	struct client_rr storage = { .config = config };
	scoped(client) struct client_rr *client = &storage;
	int err;

	if (argc > 3) {
		hs_err("client_rr takes IP, INTERVAL_MS and LOG, and nothing after them");
		return HS_EXIT_USAGE;
	}
	err = hs_prober_parse(&config->prober, argc, argv);
	if (!err)
		err = start(client, argc > 2 ? argv[2] : NULL);
	if (!err)
		err = hs_prober_run(&client->prober, &config->prober, &ops, client);
	if (!err)
		err = hs_probes_finish(&client->probes, hs_now_ns());
	if (err)
		return err;
	hs_progress_end(&client->progress);
	announce_outages(client);
	warn(client);
	if (config->json)
		err = print_document(client);
	else
		print_summary(client);
	return err ? err : close_logs(client, config->probes, argc > 2 ? argv[2] : NULL);
}

const struct hs_verb cmd_client_rr = {
	.name = "client_rr",
	.synopsis = "IP [INTERVAL_MS [LOG]]",
	.help = "probe a guest's network from outside and list every outage: the downtime of a migration",
	.text = "IP is a name or an IPv4 or IPv6 address where `server_rr` runs, ours or mig_mon's; INTERVAL_MS may be "
		"0.2.\n"
		"Every probe has a number, so its round trip, its loss, and answers that come twice or out of order "
		"are\n"
		"known, and late answers of one outage cannot hide the next. LOG (default /tmp/spike.log) gets a line\n"
		"\"unix seconds,ms\" for every delay of two intervals or more, as mig_mon's. What the network does "
		"(refused,\n"
		"unreachable, interface down) is an outage and ends nothing.",
	.example = "client_rr GUEST 10      from outside: list every outage of its network",
	.options = hs_client_rr_options,
	.config_size = sizeof(struct hs_client_rr_config),
	.run = hs_client_rr_run,
};
