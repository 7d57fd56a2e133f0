// SPDX-License-Identifier: GPL-2.0-only
/*
 * `server_rr`: answers every UDP datagram with its own bytes, so that a client outside sees when the network of this
 * (guest) machine is there and when not. Peers are our client_rr and mig_mon's, on either port. One thread, one loop.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/interrupt.h"
#include "base/json.h"
#include "base/log.h"
#include "base/scoped.h"
#include "migtools/migtools.h"
#include "migtools/ports.h"
#include "migtools/progress.h"

struct server_rr_config {
	struct hs_opt_list ports;
	uint64_t duration_ns;
	bool json;
};

static const struct hs_opt options[] = {
	HS_OPT(struct server_rr_config, ports, "port", 'p', HS_OPT_LIST, "PORT", NULL,
	       "UDP port to answer on instead of 9008 and 12323; more than once for several"),
	HS_OPT(struct server_rr_config, duration_ns, "duration", 'd', HS_OPT_DURATION, "TIME", NULL,
	       "end after that time; else Ctrl-C ends it"),
	HS_OPT(struct server_rr_config, json, "json", 0, HS_OPT_FLAG, NULL, NULL,
	       "print the summary as one JSON document (hsbpf.server_rr/1)"),
	HS_OPT_END,
};

struct server_rr {
	struct hs_ports ports;
	struct hs_progress progress;
	uint64_t start_ns, answered, bytes, not_sent;
	int last_error; /* why the newest one of not_sent was not */
};

/* An answer to another echo server's answer would be answered for ever. */
static bool is_echo_server(const struct server_rr *server, uint16_t port)
{
	return port == HS_UDP_PORT || port == HS_UDP_PORT_BIG_ENDIAN || hs_ports_has(&server->ports, port);
}

static void on_datagram(void *ctx, struct hs_port *port, const struct hs_datagram *datagram)
{
	struct server_rr *server = ctx;
	int err;

	if (is_echo_server(server, hs_address_port(&datagram->from))) {
		port->refused++;
		return;
	}
	hs_progress_line(&server->progress, datagram->arrival_ns, "responding to client");
	err = hs_udp_answer(port->watch.fd, datagram);
	if (err) {
		server->not_sent++;
		server->last_error = err;
		return;
	}
	server->answered++;
	server->bytes += datagram->len;
}

static int print_document(const struct server_rr *server)
{
	scoped(json) json_object *document = json_object_new_object();

	if (!document)
		return -ENOMEM;
	hs_json_add_string(document, "schema", "hsbpf.server_rr/1");
	hs_json_add_u64(document, "duration_ns", hs_now_ns() - server->start_ns);
	hs_json_add_u64(document, "answered", server->answered);
	hs_json_add_u64(document, "bytes", server->bytes);
	hs_json_add_u64(document, "not_sent", server->not_sent);
	hs_ports_add_json(&server->ports, document);
	printf("%s\n", json_object_to_json_string_ext(document, HS_JSON_PRINT_FLAGS));
	return 0;
}

static int print_summary(const struct server_rr *server, bool json)
{
	if (json)
		return print_document(server);
	printf("answered %" PRIu64 " datagrams\n", server->answered);
	hs_ports_print(&server->ports);
	return 0;
}

static int run(void *config_ptr, int argc, char **argv)
{
	const struct server_rr_config *config = config_ptr;
	struct server_rr server = { .start_ns = hs_now_ns() };
	int err;

	(void)argv;
	if (argc) {
		hs_err("server_rr takes no operand");
		return HS_EXIT_USAGE;
	}
	hs_progress_start(&server.progress, config->json);
	err = hs_ports_serve(&server.ports, &config->ports, config->duration_ns, on_datagram, &server);
	if (err)
		return err;
	hs_progress_end(&server.progress);
	if (server.not_sent)
		hs_warn("%" PRIu64 " answers could not be sent, the newest one: %s", server.not_sent,
			strerror(-server.last_error));
	return print_summary(&server, config->json);
}

const struct hs_verb cmd_server_rr = {
	.name = "server_rr",
	.synopsis = "",
	.help = "answer every UDP probe with its own bytes: run it in the guest that migrates",
	.text = "The other end is `client_rr`, or mig_mon's: both of its ports are served (9008 is where a "
		"little-endian\n"
		"machine's mig_mon sends to, 12323 where a big-endian one does), IPv4 and IPv6. Answers leave from "
		"the\n"
		"address that was asked, at most 1024 bytes each.",
	.example = "server_rr               in a guest: answer the probes of client_rr",
	.options = options,
	.config_size = sizeof(struct server_rr_config),
	.run = run,
};
