/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The port of the kernel's log: sends what /dev/kmsg has and gets, record by record as it is, to whoever ordered it.
 * No faster than the host reads: what it does not take stays in the kernel's buffer, whose numbers then tell what was
 * overwritten. Control thread.
 */
#ifndef HS_AGENT_LOG_PORT_H
#define HS_AGENT_LOG_PORT_H

#include "agent/control.h"

struct hs_log_port;

/* dir as of hs_port_open(), borrowed. Nothing is read before a host asks. 0 or -ENOMEM. */
int hs_log_port_open(struct hs_loop *loop, const char *dir, uint64_t agent_id, struct hs_log_port **out);
/* Opens the port if it has come. */
void hs_log_port_look(struct hs_log_port *port);
void hs_log_port_free(struct hs_log_port *port);
HS_SCOPED(hs_log_port, struct hs_log_port *, hs_log_port_free)

/* Answers PING on that port: payload is struct hs_wire_ping, read at recv_ns. */
void hs_agent_answer_ping(uint64_t agent_id, struct hs_control *control, const struct hs_wire_frame *order,
			  const void *payload, uint64_t recv_ns);

#endif
