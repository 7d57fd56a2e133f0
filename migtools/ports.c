// SPDX-License-Identifier: GPL-2.0-only
/* The sockets of a server in a loop of their own. */
#include "migtools/ports.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/log.h"
#include "base/unit.h"

/* Datagrams of one port before the others get their turn. */
#define BATCH 64

static void on_done(void *ctx)
{
	struct hs_ports *ports = ctx;

	ports->is_done = true;
}

static bool is_done(void *ctx)
{
	const struct hs_ports *ports = ctx;

	return ports->is_done;
}

static void on_readable(void *ctx, uint32_t events)
{
	struct hs_port *port = ctx;
	struct hs_datagram datagram;

	(void)events;
	for (int i = 0; i < BATCH; i++) {
		int err = hs_udp_receive(port->watch.fd, &datagram);

		if (err == -EAGAIN)
			return;
		if (err)
			continue; /* of an answer on its way: told to the socket, and over with */
		port->received++;
		port->dropped = datagram.dropped > port->dropped ? datagram.dropped : port->dropped;
		port->ports->on_datagram(port->ports->ctx, port, &datagram);
	}
}

static int parse_port(const char *text, uint16_t *out)
{
	uint64_t number;

	if (hs_parse_u64(text, &number) || !number || number > UINT16_MAX) {
		hs_err("'%s' is no port: a number from 1 to %u", text, UINT16_MAX);
		return HS_EXIT_USAGE;
	}
	*out = (uint16_t)number;
	return 0;
}

static int choose(struct hs_ports *ports, const struct hs_opt_list *numbers)
{
	static const uint16_t usual[] = { HS_UDP_PORT, HS_UDP_PORT_BIG_ENDIAN };
	int err = 0;

	if (numbers->count > HS_PORTS_MAX) {
		hs_err("%d ports at most", HS_PORTS_MAX);
		return HS_EXIT_USAGE;
	}
	ports->count = numbers->count ? numbers->count : HS_ARRAY_SIZE(usual);
	for (size_t i = 0; i < ports->count && !err; i++) {
		struct hs_port *port = &ports->ports[i];

		*port = (struct hs_port){ .watch = HS_WATCH_NONE, .ports = ports };
		if (numbers->count)
			err = parse_port(numbers->items[i], &port->number);
		else
			port->number = usual[i];
	}
	return err;
}

static int listen_all(struct hs_ports *ports, struct hs_loop *loop)
{
	for (size_t i = 0; i < ports->count; i++) {
		struct hs_port *port = &ports->ports[i];
		scoped(fd) int fd = -1;
		int err = hs_udp_listen(port->number, &fd);

		if (!err)
			err = hs_loop_add(loop, &port->watch, fd, EPOLLIN, on_readable, port);
		if (err)
			return err;
		take_fd(&fd);
		hs_info("listening on UDP port %u", port->number);
	}
	return 0;
}

int hs_ports_serve(struct hs_ports *ports, const struct hs_opt_list *numbers, uint64_t duration_ns,
		   hs_ports_fn on_datagram, void *ctx)
{
	scoped(hs_loop) struct hs_loop *loop = NULL;
	int err;

	*ports = (struct hs_ports){ .on_datagram = on_datagram, .ctx = ctx };
	err = choose(ports, numbers);
	if (!err)
		err = hs_loop_open(&loop);
	if (!err)
		err = hs_interrupt_open(loop, on_done, ports);
	if (err)
		return err;
	err = listen_all(ports, loop);
	if (!err)
		err = hs_loop_until(loop, is_done, ports, duration_ns ? hs_now_ns() + duration_ns : 0);
	for (size_t i = 0; i < ports->count; i++)
		hs_loop_close(loop, &ports->ports[i].watch);
	hs_interrupt_close(loop);
	return err == -ETIMEDOUT ? 0 : err;
}

bool hs_ports_has(const struct hs_ports *ports, uint16_t number)
{
	for (size_t i = 0; i < ports->count; i++)
		if (ports->ports[i].number == number)
			return true;
	return false;
}

void hs_ports_add_json(const struct hs_ports *ports, json_object *document)
{
	json_object *array = hs_json_add_array(document, "ports");

	for (size_t i = 0; i < ports->count; i++) {
		json_object *row = hs_json_append_object(array);

		hs_json_add_u64(row, "port", ports->ports[i].number);
		hs_json_add_u64(row, "received", ports->ports[i].received);
		hs_json_add_u64(row, "refused", ports->ports[i].refused);
		hs_json_add_u64(row, "dropped", ports->ports[i].dropped);
	}
}

void hs_ports_print(const struct hs_ports *ports)
{
	for (size_t i = 0; i < ports->count; i++)
		printf("port %u: received %" PRIu64 ", refused %" PRIu64 ", found no room %" PRIu32 "\n",
		       ports->ports[i].number, ports->ports[i].received, ports->ports[i].refused,
		       ports->ports[i].dropped);
}
