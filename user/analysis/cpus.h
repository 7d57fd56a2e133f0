/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CPU use of vCPUs, and of the host's CPUs by them, from decoded records in the order of time. Each vCPU thread is at
 * any time in guest mode, in KVM, in user space, halted, or kept waiting for a CPU; what a record does not tell is not
 * guessed, it stays unseen, as does a period that touches a loss. A pure function of its input but for memory; one
 * analysis belongs to one thread.
 */
#ifndef HS_ANALYSIS_CPUS_H
#define HS_ANALYSIS_CPUS_H

#include "analysis/bound.h"
#include "analysis/keyed.h"
#include "analysis/scope.h"
#include "analysis/threads.h"
#include "trace_events/events.h"

/* Where time went. */
enum hs_cpus_use {
	HS_CPUS_GUEST,	/* kvm_entry to kvm_exit */
	HS_CPUS_HOST,	/* kvm_exit to kvm_entry, in the kernel */
	HS_CPUS_USER,	/* kvm_userspace_exit to the next of those: the VMM */
	HS_CPUS_HALTED, /* waits for something to do */
	HS_CPUS_STEAL,	/* could run, but another thread has the CPU */
	HS_CPUS_USE_NR,
};

struct hs_cpus_row {
	uint64_t ns[HS_CPUS_USE_NR];
	uint64_t migrations; /* the thread was seen on another CPU than before */
	uint64_t lost_ns;    /* periods that touch a loss */
	uint64_t records;
};

/* Read-only for others; final after hs_cpus_finish(). */
struct hs_cpus {
	struct hs_scope scope;
	struct hs_threads threads;
	struct hs_keyed vcpus; /* struct hs_cpus_row by tgid and vcpu (or HS_KEY_ALL, see hs_scope.by) */
	struct hs_keyed pcpus; /* struct hs_cpus_row by tgid and code = CPU: never HALTED nor STEAL */
	struct hs_keyed states;
	struct hs_holes holes;
	struct hs_bound sched_switch, sched_wakeup;
	uint64_t stepped_back; /* periods that end before they begin */
	bool has_sched;	       /* the trace tells when threads are off their CPU */
};

/* `scope` is copied, what it points to and `vms` (may be NULL) are borrowed. 0 or -ENOMEM; clear in either case. */
int hs_cpus_start(struct hs_cpus *cpus, const struct hs_scope *scope, const struct hs_vm_list *vms);

/* The next record (a whole one of its event). 0 or -ENOMEM. */
int hs_cpus_add(struct hs_cpus *cpus, const struct hs_event_header *record, uint32_t cpu);

/* To be said before the first record behind loss->begin_ns. */
void hs_cpus_add_loss(struct hs_cpus *cpus, const struct hs_ctf_loss *loss);

/* No record follows. 0 or -ENOMEM. */
int hs_cpus_finish(struct hs_cpus *cpus);

void hs_cpus_clear(struct hs_cpus *cpus);

#endif
