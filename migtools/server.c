// SPDX-License-Identifier: GPL-2.0-only
/*
 * `server`: hears what `client` sends and says when it did not come, client by client. The spike log and the progress
 * line follow the client that was heard first. One thread, one loop.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/unit.h"
#include "migtools/arrivals.h"
#include "migtools/migtools.h"
#include "migtools/ports.h"
#include "migtools/spikes.h"
#include "migtools/spread.h"

/* More than anybody probes with; what a flood of senders may cost is bounded. */
#define CLIENTS_MAX 64

struct server_config {
	struct hs_opt_list ports;
	uint64_t duration_ns, patience_ns;
	bool json;
};

static const struct hs_opt options[] = {
	HS_OPT(struct server_config, ports, "port", 'p', HS_OPT_LIST, "PORT", NULL,
	       "UDP port to listen on instead of 9008 and 12323; more than once for several"),
	HS_OPT(struct server_config, patience_ns, "patience", 0, HS_OPT_DURATION, "TIME", NULL,
	       "an outage lasts that long at least (default two intervals)"),
	HS_OPT(struct server_config, duration_ns, "duration", 'd', HS_OPT_DURATION, "TIME", NULL,
	       "end after that time; else Ctrl-C ends it"),
	HS_OPT(struct server_config, json, "json", 0, HS_OPT_FLAG, NULL, NULL,
	       "print the summary as one JSON document (hsbpf.server/1); progress goes to stderr"),
	HS_OPT_END,
};

struct client {
	struct hs_address from;
	struct hs_arrivals arrivals;
	size_t announced; /* outages */
};

struct server {
	const struct server_config *config;
	struct hs_ports ports;
	struct hs_progress progress;
	struct hs_spikes spikes;
	struct client clients[CLIENTS_MAX];
	size_t client_nr;
	uint64_t start_ns;
	int error;
};

static inline void clear_server(struct server *server)
{
	if (!server)
		return;
	for (size_t i = 0; i < server->client_nr; i++)
		hs_arrivals_clear(&server->clients[i].arrivals);
	hs_spikes_clear(&server->spikes);
	free(server);
}

HS_SCOPED(server, struct server *, clear_server)

/* ---- what comes -------------------------------------------------------------------------------- */

static bool is_from(const struct client *client, const struct hs_address *from, const struct hs_probe *probe)
{
	const struct hs_arrivals *arrivals = &client->arrivals;

	return client->from.len == from->len && !memcmp(&client->from.sa, &from->sa, from->len) &&
	       (probe ? arrivals->is_numbered && arrivals->session == probe->session : !arrivals->is_numbered);
}

/* NULL: there are too many, or no memory. */
static struct client *find_client(struct server *server, const struct hs_datagram *datagram,
				  const struct hs_probe *probe)
{
	struct client *client = &server->clients[server->client_nr];
	char text[HS_ADDRESS_TEXT_MAX];

	for (size_t i = 0; i < server->client_nr; i++)
		if (is_from(&server->clients[i], &datagram->from, probe))
			return &server->clients[i];
	if (server->client_nr == CLIENTS_MAX ||
	    hs_arrivals_start(&client->arrivals, probe, server->config->patience_ns, datagram->arrival_ns))
		return NULL;
	client->from = datagram->from;
	hs_progress_end(&server->progress);
	hs_info("client %s port %u", hs_address_format(text, sizeof(text), &client->from),
		hs_address_port(&client->from));
	server->client_nr++;
	return client;
}

static void announce_outages(struct server *server, struct client *client)
{
	const struct hs_outages *outages = &client->arrivals.probes.outages;
	char address[HS_ADDRESS_TEXT_MAX], start[40];

	for (; client->announced < outages->count; client->announced++) {
		const struct hs_outage *outage = &outages->items[client->announced];

		if (client == server->clients)
			hs_spikes_outage(&server->spikes, outage->start_ns, outage->end_ns);
		hs_progress_end(&server->progress);
		hs_info("nothing from %s for %.3f ms, from %s UTC on",
			hs_address_format(address, sizeof(address), &client->from),
			(double)(outage->end_ns - outage->start_ns) / 1e6,
			hs_outage_format_time(start, sizeof(start), outage->start_ns));
	}
}

static void show_first(struct server *server, const struct hs_datagram *datagram)
{
	const struct hs_arrivals *arrivals = &server->clients[0].arrivals;
	struct hs_spikes *spikes = &server->spikes;
	uint64_t interval_ns = hs_arrivals_interval_ns(arrivals);

	/* Until it is known, mig_mon's own rule: what the first delay is. */
	if (!interval_ns && spikes->received == 1)
		interval_ns = datagram->arrival_ns - spikes->last_ns;
	if (interval_ns)
		spikes->throttle_ns = server->config->patience_ns ? server->config->patience_ns : 2 * interval_ns;
	hs_spikes_arrival(spikes, datagram->arrival_ns);
	hs_spikes_show(spikes, datagram->arrival_ns);
}

static void on_datagram(void *ctx, struct hs_port *port, const struct hs_datagram *datagram)
{
	struct server *server = ctx;
	struct hs_probe decoded, *probe = NULL;
	struct client *client;

	if (hs_probe_decode(datagram->bytes, datagram->len, &decoded))
		probe = &decoded;
	client = find_client(server, datagram, probe);
	if (!client) {
		port->refused++;
		return;
	}
	if (hs_arrivals_add(&client->arrivals, probe, datagram->arrival_ns))
		server->error = -ENOMEM;
	if (client == server->clients)
		show_first(server, datagram);
	announce_outages(server, client);
}

/* ---- the summary ------------------------------------------------------------------------------- */

static void add_client_json(const struct client *client, json_object *array, uint64_t now_ns)
{
	const struct hs_arrivals *arrivals = &client->arrivals;
	const struct hs_probes *probes = &arrivals->probes;
	json_object *row = hs_json_append_object(array);
	char text[HS_ADDRESS_TEXT_MAX];

	hs_json_add_string(row, "address", hs_address_format(text, sizeof(text), &client->from));
	hs_json_add_u64(row, "port", hs_address_port(&client->from));
	hs_json_add_bool(row, "numbered", arrivals->is_numbered);
	hs_json_add_u64(row, "interval_ns", hs_arrivals_interval_ns(arrivals));
	hs_json_add_u64(row, "first_ns", arrivals->first_ns);
	hs_json_add_u64(row, "last_ns", arrivals->last_ns);
	hs_json_add_u64(row, "silent_ns", now_ns > arrivals->last_ns ? now_ns - arrivals->last_ns : 0);
	hs_json_add_u64(row, "received", arrivals->received);
	hs_json_add_u64(row, "refused", arrivals->refused);
	hs_json_add_u64(row, "late", probes->late);
	hs_json_add_u64(row, "lost", hs_probes_lost(probes));
	hs_json_add_u64(row, "duplicates", probes->duplicates);
	hs_json_add_u64(row, "reordered", probes->reordered);
	hs_spread_add_json(row, "delay", &probes->delay);
	if (arrivals->is_numbered)
		hs_spread_add_json(row, "way", &probes->rtt);
	hs_outages_add_json(&probes->outages, row);
}

static int print_document(const struct server *server, uint64_t now_ns)
{
	scoped(json) json_object *document = json_object_new_object();
	json_object *clients;

	if (!document)
		return -ENOMEM;
	hs_json_add_string(document, "schema", "hsbpf.server/1");
	hs_json_add_u64(document, "duration_ns", now_ns - server->start_ns);
	hs_ports_add_json(&server->ports, document);
	clients = hs_json_add_array(document, "clients");
	for (size_t i = 0; i < server->client_nr; i++)
		add_client_json(&server->clients[i], clients, now_ns);
	printf("%s\n", json_object_to_json_string_ext(document, HS_JSON_PRINT_FLAGS));
	return 0;
}

static void print_client(const struct client *client)
{
	const struct hs_arrivals *arrivals = &client->arrivals;
	const struct hs_probes *probes = &arrivals->probes;
	char address[HS_ADDRESS_TEXT_MAX], interval[32];

	printf("%s port %u: %s every %s\n", hs_address_format(address, sizeof(address), &client->from),
	       hs_address_port(&client->from), arrivals->is_numbered ? "a probe" : "a datagram without number",
	       hs_format_ns(interval, sizeof(interval), hs_arrivals_interval_ns(arrivals)));
	printf("received %" PRIu64, arrivals->received);
	if (arrivals->is_numbered)
		printf(" (late %" PRIu64 "), lost %" PRIu64 ", twice %" PRIu64 ", out of order %" PRIu64, probes->late,
		       hs_probes_lost(probes), probes->duplicates, probes->reordered);
	printf("\n");
	hs_spread_print("delay", &probes->delay);
	if (probes->outages.count)
		printf("outages: %zu\n", probes->outages.count);
	else
		printf("outages: none\n");
	hs_outages_print(&probes->outages);
}

static int summarize(struct server *server)
{
	uint64_t now_ns = hs_now_ns();
	int err = server->error;

	for (size_t i = 0; i < server->client_nr && !err; i++) {
		err = hs_arrivals_finish(&server->clients[i].arrivals);
		announce_outages(server, &server->clients[i]);
	}
	if (err)
		return hs_fail(err, "no memory for what came");
	if (server->config->json)
		return print_document(server, now_ns);
	for (size_t i = 0; i < server->client_nr; i++)
		print_client(&server->clients[i]);
	hs_ports_print(&server->ports);
	return 0;
}

static int run(void *config_ptr, int argc, char **argv)
{
	const struct server_config *config = config_ptr;
	scoped(server) struct server *server = calloc(1, sizeof(*server));
	int err;

	if (argc > 1) {
		hs_err("server takes one operand at most: the spike log");
		return HS_EXIT_USAGE;
	}
	if (!server)
		return -ENOMEM;
	server->config = config;
	server->start_ns = hs_now_ns();
	hs_progress_start(&server->progress, config->json);
	err = hs_spikes_start(&server->spikes, argc ? argv[0] : NULL, UINT64_MAX, &server->progress);
	if (!err)
		err = hs_ports_serve(&server->ports, &config->ports, config->duration_ns, on_datagram, server);
	if (err)
		return err;
	hs_progress_end(&server->progress);
	err = summarize(server);
	return err ? err : hs_spikes_close(&server->spikes, argc ? argv[0] : NULL);
}

const struct hs_verb cmd_server = {
	.name = "server",
	.synopsis = "[LOG]",
	.help = "hear the probes of `client`, which come one way, and list every stretch in which they did not come",
	.text = "The other end is `client`, or mig_mon's, on either of its ports. Probes of ours tell number and time, "
		"so\n"
		"losses and late ones are known; from mig_mon's datagrams only their delays are. LOG (default\n"
		"/tmp/spike.log) gets a line \"unix seconds,ms\" for every delay of two intervals or more.",
	.options = options,
	.config_size = sizeof(struct server_config),
	.run = run,
};
