/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The BPF recording of this machine inside the agent: the capture engine with packets that go to the host instead of
 * files. A thread of its own drains the rings; the functions are for the control thread.
 */
#ifndef HS_AGENT_BPF_H
#define HS_AGENT_BPF_H

#include "agent/wire.h"
#include "base/argv.h"
#include "base/scoped.h"
#include "trace/ctf_writer.h"
#include "trace_events/event_set.h"

struct hs_bpf;

struct hs_bpf_config {
	struct hs_event_set events;
	uint64_t buffer_kib;	     /* ring of each CPU; 0: what `hsbpf record` takes */
	struct hs_ctf_output output; /* called from the draining thread, and from hs_bpf_stop() */
};

/*
 * Records KVM, scheduler and vhost events of everybody here, and packets on the taps of this network namespace, new
 * ones within a second. Events that cannot be had go into `missing`. -EPERM, -EOPNOTSUPP: nothing can. Errors are said.
 */
int hs_bpf_open(const struct hs_bpf_config *config, struct hs_argv *missing, struct hs_bpf **out);

/* Detaches and gives the last packets to the output. The counts are final. */
void hs_bpf_stop(struct hs_bpf *bpf);

uint64_t hs_bpf_ring_lost(const struct hs_bpf *bpf, uint32_t cpu);
/* A BPF_COUNTS field for every chosen event. */
void hs_bpf_put_counts(const struct hs_bpf *bpf, struct hs_wire_payload *payload);

void hs_bpf_free(struct hs_bpf *bpf);
HS_SCOPED(hs_bpf, struct hs_bpf *, hs_bpf_free)

#endif
