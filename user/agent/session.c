// SPDX-License-Identifier: GPL-2.0-only
/* Order of things: sources are ready, movers run, then tracing goes on; tracing goes off, then movers send the rest. */
#include "agent/session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* Packets that wait for their port; more stay in the BPF ring, which counts what it has no room for. */
#define QUEUED_BYTES_MAX (512u << 10)

struct hs_agent_session {
	struct hs_agent_session_config config; /* without lists */
	struct hs_movers *movers;
	struct hs_tracer *tracer; /* NULL: no ftrace */
	struct hs_bpf *bpf;	  /* NULL: no BPF */
	bool is_finishing;
};

static struct hs_mover *mover_of(const struct hs_agent_session *session, uint32_t cpu)
{
	return cpu < HS_WIRE_CPU_MAX ? __atomic_load_n(&session->movers->by_cpu[cpu], __ATOMIC_ACQUIRE) : NULL;
}

static int put_packet(void *ctx, uint32_t cpu, const void *packet, size_t bytes)
{
	struct hs_mover *mover = mover_of(ctx, cpu);

	return mover ? hs_mover_add_packet(mover, packet, bytes) : -ENODEV;
}

static bool is_ready(void *ctx, uint32_t cpu)
{
	struct hs_mover *mover = mover_of(ctx, cpu);

	return mover && hs_mover_queued_bytes(mover) < QUEUED_BYTES_MAX;
}

static int open_sources(struct hs_agent_session *session, const struct hs_agent_session_config *config,
			struct hs_argv *missing)
{
	struct hs_bpf_config bpf = { .events = config->bpf_events,
				     .buffer_kib = config->buffer_kib,
				     .output = { .put = put_packet, .is_ready = is_ready, .ctx = session } };
	int err = 0, bpf_err = 0;

	if (config->sources & HS_WIRE_SOURCE_FTRACE)
		err = hs_tracer_open(&config->tracer, missing, &session->tracer);
	if (err == -EINVAL) /* the order is wrong, not this kernel */
		return err;
	if (err)
		hs_argv_add(missing, "ftrace: %s", hs_log_last_error());
	if (config->sources & HS_WIRE_SOURCE_BPF)
		bpf_err = hs_bpf_open(&bpf, missing, &session->bpf);
	if (bpf_err)
		hs_argv_add(missing, "bpf: %s", hs_log_last_error());
	if (session->tracer || session->bpf)
		return 0;
	err = err ? err : bpf_err;
	return err ? err : hs_fail(-EINVAL, "nothing is to be recorded");
}

static int start_mover(const struct hs_agent_session *session, uint32_t cpu)
{
	struct hs_mover_session start = {
		.tracer = session->tracer,
		.framed = session->config.framed,
		.session = session->config.number,
	};
	int err = hs_mover_start(session->movers->by_cpu[cpu], &start);

	return err ? hs_fail(err, "cannot read the ring of CPU %u:", cpu) : 0;
}

int hs_agent_session_open(const struct hs_agent_session_config *config, struct hs_movers *movers,
			  struct hs_argv *missing, struct hs_agent_session **out)
{
	scoped(hs_agent_session) struct hs_agent_session *session = calloc(1, sizeof(*session));
	int err;

	if (!session)
		return -ENOMEM;
	session->movers = movers;
	session->config = *config;
	err = open_sources(session, config, missing);
	if (err)
		return err;
	for (uint32_t cpu = 0; cpu < HS_WIRE_CPU_MAX; cpu++)
		if (movers->by_cpu[cpu])
			start_mover(session, cpu);
	err = session->tracer ? hs_tracer_switch(session->tracer, true) : 0;
	if (err) /* it goes on to its end, without ftrace's events */
		hs_argv_add(missing, "ftrace: %s", hs_log_last_error());
	*out = take(session);
	return 0;
}

void hs_agent_session_add(struct hs_agent_session *session, uint32_t cpu)
{
	if (!session->is_finishing)
		start_mover(session, cpu);
}

void hs_agent_session_finish(struct hs_agent_session *session, uint64_t deadline_ns)
{
	if (!session->is_finishing && session->tracer)
		hs_tracer_switch(session->tracer, false);
	if (!session->is_finishing && session->bpf)
		hs_bpf_stop(session->bpf);
	session->is_finishing = true;
	for (uint32_t cpu = 0; cpu < HS_WIRE_CPU_MAX; cpu++)
		if (session->movers->by_cpu[cpu])
			hs_mover_finish(session->movers->by_cpu[cpu], deadline_ns);
}

bool hs_agent_session_is_finishing(const struct hs_agent_session *session)
{
	return session->is_finishing;
}

bool hs_agent_session_is_over(const struct hs_agent_session *session)
{
	for (uint32_t cpu = 0; cpu < HS_WIRE_CPU_MAX; cpu++)
		if (session->movers->by_cpu[cpu] && !hs_mover_is_over(session->movers->by_cpu[cpu]))
			return false;
	return true;
}

bool hs_agent_session_is_framed(const struct hs_agent_session *session)
{
	return session->config.framed;
}

uint32_t hs_agent_session_number(const struct hs_agent_session *session)
{
	return session->config.number;
}

const struct hs_tracer *hs_agent_session_tracer(const struct hs_agent_session *session)
{
	return session->tracer;
}

void hs_agent_session_put_status(const struct hs_agent_session *session, struct hs_wire_payload *payload)
{
	hs_wire_put_number(payload, HS_WIRE_SESSION, session->config.number);
	for (uint32_t cpu = 0; cpu < HS_WIRE_CPU_MAX; cpu++) {
		struct hs_wire_cpu_status status;

		if (!session->movers->by_cpu[cpu])
			continue;
		hs_mover_status(session->movers->by_cpu[cpu], &status);
		if (session->bpf)
			status.bpf_ring_lost = hs_bpf_ring_lost(session->bpf, cpu);
		hs_wire_put(payload, HS_WIRE_CPU_STATUS, &status, sizeof(status));
	}
	if (session->bpf)
		hs_bpf_put_counts(session->bpf, payload);
}

void hs_agent_session_say(const struct hs_agent_session *session)
{
	struct hs_wire_cpu_status sum = { 0 };

	for (uint32_t cpu = 0; cpu < HS_WIRE_CPU_MAX; cpu++) {
		struct hs_wire_cpu_status status;

		if (!session->movers->by_cpu[cpu])
			continue;
		hs_mover_status(session->movers->by_cpu[cpu], &status);
		sum.sent_pages += status.sent_pages;
		sum.sent_packets += status.sent_packets;
		sum.dropped_pages += status.dropped_pages;
		sum.dropped_packets += status.dropped_packets;
		sum.ring_overrun += status.ring_overrun + status.ring_dropped_events;
		sum.ring_entries += status.ring_entries;
		sum.bpf_ring_lost += session->bpf ? hs_bpf_ring_lost(session->bpf, cpu) : 0;
	}
	hs_info("recorded: %" PRIu64 " pages and %" PRIu64 " packets sent, %" PRIu64 " and %" PRIu64
		" dropped; the rings lost %" PRIu64 " events of ftrace and %" PRIu64 " of BPF, %" PRIu64
		" are left in them",
		sum.sent_pages, sum.sent_packets, sum.dropped_pages, sum.dropped_packets, sum.ring_overrun,
		sum.bpf_ring_lost, sum.ring_entries);
}

void hs_agent_session_free(struct hs_agent_session *session)
{
	if (!session)
		return;
	hs_bpf_free(session->bpf);
	hs_tracer_free(session->tracer);
	free(session);
}
