/* SPDX-License-Identifier: GPL-2.0-only */
/* What agent.c (CPUs, ports, sessions) and orders.c (the host's orders) share. */
#ifndef HS_AGENT_AGENT_INTERNAL_H
#define HS_AGENT_AGENT_INTERNAL_H

#include "agent/agent.h"
#include "agent/control.h"
#include "agent/log_port.h"
#include "agent/session.h"
#include "agent/texts.h"
#include "agent/watch.h"
#include "base/cpulist.h"

struct hs_tracing_agent {
	struct hs_agent_config config;
	struct hs_loop *loop;
	uint64_t id; /* random */
	struct hs_control *control;
	struct hs_log_port *log_port;
	struct hs_port_watch *port_watch;
	struct hs_watch tell; /* movers: a port is gone, a session is over */
	pthread_mutex_t turns;
	struct hs_movers movers;
	struct hs_cpulist online;

	struct hs_agent_session *session; /* NULL: none */
	uint32_t session_nr;
	struct hs_wire_frame stop_order; /* to be answered when the session is over; magic 0: none */
	bool must_start;		 /* a `1` that came while the last session ended */
	bool must_end;
	int err;		/* why it ended by itself */
	struct hs_texts *texts; /* NULL: none are being sent */
};

/* Control events, ctx being the agent. */
void hs_agent_on_order(void *ctx, const struct hs_wire_frame *frame, const void *payload);
void hs_agent_on_plain_order(void *ctx, bool start);
void hs_agent_on_room(void *ctx);

/* Answers an order with RESULT: agent id, error, the text where there is one, and what `more` holds (or NULL). */
void hs_agent_answer(struct hs_tracing_agent *agent, const struct hs_wire_frame *order, int err, const char *text,
		     const struct hs_wire_payload *more);
/* Frees the session, which is over, and answers the STOP that ended it. */
void hs_agent_close_session(struct hs_tracing_agent *agent);

/* The kernel agent's session: the ring as it is, raw or framed. 0 or -errno (said). */
int hs_agent_start_plain(struct hs_tracing_agent *agent, bool framed);

#endif
