/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One recording for the host, from START to STOP or from `1` to `0`: ftrace, BPF, and the movers that carry what they
 * make. Control thread.
 */
#ifndef HS_AGENT_SESSION_H
#define HS_AGENT_SESSION_H

#include "agent/bpf.h"
#include "agent/mover.h"
#include "agent/tracer.h"

struct hs_agent_session;

/* The CPUs' movers, NULL where there is none. Grows while a session runs; read by the BPF thread. */
struct hs_movers {
	struct hs_mover *by_cpu[HS_WIRE_CPU_MAX];
};

struct hs_agent_session_config {
	uint32_t number; /* not 0 */
	uint32_t sources;
	bool framed;
	struct hs_tracer_config tracer;
	struct hs_event_set bpf_events;
	uint64_t buffer_kib; /* of each CPU and source; 0: their defaults */
};

/*
 * Starts recording and moving. What cannot be had goes into `missing`; a source that cannot be had at all too, while
 * there is another. -errno (said) when there is none.
 */
int hs_agent_session_open(const struct hs_agent_session_config *config, struct hs_movers *movers,
			  struct hs_argv *missing, struct hs_agent_session **out);

/* A CPU came while it runs. */
void hs_agent_session_add(struct hs_agent_session *session, uint32_t cpu);

/* Ends recording at once; what is there is sent until deadline_ns (CLOCK_BOOTTIME). */
void hs_agent_session_finish(struct hs_agent_session *session, uint64_t deadline_ns);
bool hs_agent_session_is_finishing(const struct hs_agent_session *session);
bool hs_agent_session_is_over(const struct hs_agent_session *session);

bool hs_agent_session_is_framed(const struct hs_agent_session *session);
uint32_t hs_agent_session_number(const struct hs_agent_session *session);
/* NULL without ftrace. */
const struct hs_tracer *hs_agent_session_tracer(const struct hs_agent_session *session);
/* SESSION, CPU_STATUS and BPF_COUNTS fields. */
void hs_agent_session_put_status(const struct hs_agent_session *session, struct hs_wire_payload *payload);

/* Tells the user what came of it. */
void hs_agent_session_say(const struct hs_agent_session *session);

/* It must be over, or the movers end first. */
void hs_agent_session_free(struct hs_agent_session *session);
HS_SCOPED(hs_agent_session, struct hs_agent_session *, hs_agent_session_free)

#endif
