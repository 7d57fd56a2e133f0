/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The control port: orders in, of the protocol or the kernel agent's, answers out. It may hang up and come back, and
 * never blocks its thread, which is the control thread.
 */
#ifndef HS_AGENT_CONTROL_H
#define HS_AGENT_CONTROL_H

#include "agent/port.h"
#include "agent/wire.h"
#include "base/loop.h"
#include "base/scoped.h"

struct hs_control;

struct hs_control_events {
	void (*on_order)(void *ctx, const struct hs_wire_frame *frame, const void *payload);
	void (*on_plain_order)(void *ctx, bool start); /* `1` or `0` */
	void (*on_room)(void *ctx);		       /* what was sent is nearly all written: more can be sent */
	void (*on_gone)(void *ctx);		       /* the port is closed for good */
};

int hs_control_open(struct hs_loop *loop, const struct hs_control_events *events, void *ctx, struct hs_control **out);

/* Uses that port from now on and takes its descriptor. 0 or -errno (said; the descriptor is closed). */
int hs_control_set_port(struct hs_control *control, const struct hs_port *port);
bool hs_control_has_port(const struct hs_control *control);

/* Answers the order `to` with a frame of that type. What the host does not read is dropped when it gets too much. */
void hs_control_answer(struct hs_control *control, const struct hs_wire_frame *to, enum hs_wire_type type,
		       const void *payload, size_t len);
/* Not yet written. */
size_t hs_control_queued_bytes(const struct hs_control *control);

void hs_control_free(struct hs_control *control);
HS_SCOPED(hs_control, struct hs_control *, hs_control_free)

#endif
