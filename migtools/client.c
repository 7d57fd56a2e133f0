// SPDX-License-Identifier: GPL-2.0-only
/*
 * `client`: sends probes one way, for `server` (ours or mig_mon's) to see when they do not come. Called with a LOG, as
 * mig_mon's README has it, it is client_rr. One thread, one loop.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "migtools/client_rr.h"
#include "migtools/migtools.h"
#include "migtools/progress.h"

struct client {
	struct hs_prober prober;
	struct hs_progress progress;
	uint64_t sent, not_sent;
	int last_error;
};

static int on_sent(void *ctx, uint64_t sent_ns, int error)
{
	struct client *client = ctx;

	hs_progress_line(&client->progress, sent_ns, "sending packet to server");
	client->sent++;
	client->not_sent += error != 0;
	client->last_error = error ? error : client->last_error;
	return 0;
}

static int on_probe(void *ctx, const struct hs_probe *probe, uint64_t arrival_ns)
{
	(void)ctx, (void)probe, (void)arrival_ns; /* an echo server is there: nobody asked it */
	return 0;
}

static void on_error(void *ctx, uint64_t now_ns, int error)
{
	struct client *client = ctx;

	(void)now_ns;
	client->last_error = error;
}

static int on_settled(void *ctx, uint64_t settled_ns)
{
	(void)ctx, (void)settled_ns;
	return 0;
}

static bool is_waiting(void *ctx)
{
	(void)ctx;
	return false;
}

static const struct hs_prober_ops ops = {
	.on_sent = on_sent,
	.on_probe = on_probe,
	.on_error = on_error,
	.on_settled = on_settled,
	.is_waiting = is_waiting,
};

static int print_summary(const struct client *client, bool json)
{
	scoped(json) json_object *document = NULL;

	if (!json) {
		hs_prober_print(&client->prober);
		printf("sent %" PRIu64 ", not sent %" PRIu64 "\n", client->sent - client->not_sent, client->not_sent);
		return 0;
	}
	document = json_object_new_object();
	if (!document)
		return -ENOMEM;
	hs_json_add_string(document, "schema", "hsbpf.client/1");
	hs_prober_add_json(&client->prober, document);
	hs_json_add_u64(document, "sent", client->sent - client->not_sent);
	hs_json_add_u64(document, "not_sent", client->not_sent);
	hs_json_add_string(document, "error", client->last_error ? strerror(-client->last_error) : NULL);
	printf("%s\n", json_object_to_json_string_ext(document, HS_JSON_PRINT_FLAGS));
	return 0;
}

static int run(void *config_ptr, int argc, char **argv)
{
	struct hs_client_rr_config *config = config_ptr;
	struct client client = { .last_error = 0 };
	int err;

	if (argc > 2)
		return hs_client_rr_run(config, argc, argv);
	if (config->probes || config->patience_ns) {
		hs_err("client hears no answers: use client_rr for --probes and --patience");
		return HS_EXIT_USAGE;
	}
	err = hs_prober_parse(&config->prober, argc, argv);
	if (err)
		return err;
	hs_progress_start(&client.progress, config->json);
	err = hs_prober_run(&client.prober, &config->prober, &ops, &client);
	hs_progress_end(&client.progress);
	if (!err && client.last_error)
		hs_warn("the network reported errors, the newest one: %s", strerror(-client.last_error));
	if (!err)
		err = print_summary(&client, config->json);
	hs_prober_clear(&client.prober);
	return err;
}

const struct hs_verb cmd_client = {
	.name = "client",
	.synopsis = "IP [INTERVAL_MS] | IP INTERVAL_MS LOG",
	.help = "send probes one way to `server`; with a LOG, do what client_rr does",
	.text = "IP is a name or an IPv4 or IPv6 address where `server` runs, ours or mig_mon's.",
	.options = hs_client_rr_options,
	.config_size = sizeof(struct hs_client_rr_config),
	.run = run,
};
