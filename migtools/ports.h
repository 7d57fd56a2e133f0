/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The UDP ports that a server listens on, and its life: until the time is up or somebody interrupts it. What server_rr
 * and server share. One thread.
 */
#ifndef HS_MIGTOOLS_PORTS_H
#define HS_MIGTOOLS_PORTS_H

#include "base/interrupt.h"
#include "base/json.h"
#include "base/opt.h"
#include "migtools/udp.h"

#define HS_PORTS_MAX 8

struct hs_ports;

struct hs_port {
	struct hs_watch watch; /* its descriptor is the socket */
	struct hs_ports *ports;
	uint16_t number;
	uint64_t received, refused; /* refused: the user of this counts what it does not serve */
	uint32_t dropped;	    /* found no room in the socket */
};

/* The port, what came, and the time in it; may be called thousands of times a second. */
typedef void (*hs_ports_fn)(void *ctx, struct hs_port *port, const struct hs_datagram *datagram);

struct hs_ports {
	struct hs_port ports[HS_PORTS_MAX];
	size_t count;
	bool is_done;
	int error; /* why it ended early */
	hs_ports_fn on_datagram;
	void *ctx;
};

/*
 * Listens on the ports that the texts name (none: both of mig_mon's) and calls back with every datagram until
 * duration_ns is over (0: never) or a signal comes. 0; an exit code or -errno after a message.
 */
int hs_ports_serve(struct hs_ports *ports, const struct hs_opt_list *numbers, uint64_t duration_ns,
		   hs_ports_fn on_datagram, void *ctx);

bool hs_ports_has(const struct hs_ports *ports, uint16_t number);

/* "ports": an array with each port's counts. */
void hs_ports_add_json(const struct hs_ports *ports, json_object *document);
/* The same on stdout, a line each. */
void hs_ports_print(const struct hs_ports *ports);

#endif
