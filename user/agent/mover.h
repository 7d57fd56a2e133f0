/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One CPU's data on its way to its port: a thread pinned to that CPU moves ring pages by splice, ring to pipe to port,
 * and sends packets that others give it. It never waits for the port: what the host does not take stays in the ring,
 * whose oldest pages the kernel then writes over and counts. All functions are for the control thread except where
 * said.
 */
#ifndef HS_AGENT_MOVER_H
#define HS_AGENT_MOVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/tracer.h"
#include "agent/wire.h"
#include "base/scoped.h"

struct hs_mover;

struct hs_mover_config {
	uint32_t cpu;
	size_t pipe_bytes;	/* whole pages; what can be under way at once */
	pthread_mutex_t *turns; /* held while a frame is written, for movers that share an output; NULL: own ports */
	int tell_fd;		/* eventfd, gets 1 when the port is gone or a session has ended */
};

/* Starts the thread; nothing moves yet. 0 or -errno (said). */
int hs_mover_open(const struct hs_mover_config *config, struct hs_mover **out);

/* Pins the thread (again): its CPU is (back) online. */
void hs_mover_pin(struct hs_mover *mover);

/* The port to use from now on, which the mover takes and closes; what was under way to the old one is dropped. */
void hs_mover_set_port(struct hs_mover *mover, int fd);
/* False once it hung up for good: give it another. */
bool hs_mover_has_port(const struct hs_mover *mover);
/* The -errno of the write that ended the last port; 0: it hung up, or there is one. */
int hs_mover_port_error(const struct hs_mover *mover);

struct hs_mover_session {
	const struct hs_tracer *tracer; /* NULL: packets only; must live until the session is over */
	bool framed;			/* frames of the protocol, else raw pages */
	uint32_t session;		/* in each frame */
};

/* Begins a session; the last one must be over. 0 or -errno: the ring cannot be opened. Not said. */
int hs_mover_start(struct hs_mover *mover, const struct hs_mover_session *session);

/*
 * No more is produced (or, of a ring that stays on, wanted): sends what is there, the last page though it is not full,
 * and END. When the port takes nothing for a while, or deadline_ns (CLOCK_BOOTTIME) is over, the rest is given up and
 * counted. Over when hs_mover_is_over() says so.
 */
void hs_mover_finish(struct hs_mover *mover, uint64_t deadline_ns);
bool hs_mover_is_over(const struct hs_mover *mover);

/* Any thread, in a session: a CTF packet, copied. 0 or -ENOMEM. */
int hs_mover_add_packet(struct hs_mover *mover, const void *packet, size_t bytes);
/* Any thread: bytes of packets that wait. */
size_t hs_mover_queued_bytes(struct hs_mover *mover);

/* Any thread. Of the session, or of the last one; without bpf_ring_lost. */
void hs_mover_status(struct hs_mover *mover, struct hs_wire_cpu_status *status);

/* Ends the thread at once. */
void hs_mover_free(struct hs_mover *mover);
HS_SCOPED(hs_mover, struct hs_mover *, hs_mover_free)

#endif
