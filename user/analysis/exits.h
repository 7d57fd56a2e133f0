/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VM exits by reason, VM and vCPU, and where the time of each vCPU went, from decoded records in the order of time.
 *
 * The time of an exit is the kvm_entry minus the kvm_exit of the same vCPU (tgid and vcpu_id) and belongs to that
 * exit's reason alone. Whatever cannot be known is not guessed: an exit whose entry is missing counts without a time,
 * guest time counts when both its ends were seen, and a period that touches a hole of the trace is left out. A pure
 * function of its input but for memory; one analysis belongs to one thread.
 */
#ifndef HS_ANALYSIS_EXITS_H
#define HS_ANALYSIS_EXITS_H

#include "analysis/bound.h"
#include "base/histogram.h"
#include "analysis/keyed.h"
#include "analysis/scope.h"
#include "analysis/threads.h"
#include "trace_events/events.h"

/* The `kind` of a row's key beside the processors' (1: VMX, 2: SVM): its code is kvm_run.exit_reason. */
#define HS_EXITS_USERSPACE 0x10000u

/* Why an exit, or a stay in user space, has no time. */
struct hs_exits_untimed {
	uint64_t no_entry;     /* the next record of the vCPU was another exit */
	uint64_t at_end;       /* the records ended before */
	uint64_t lost;	       /* events were lost meanwhile */
	uint64_t stepped_back; /* the entry has an earlier time than its exit */
};

struct hs_exits_row {
	uint64_t count;
	struct hs_histogram time; /* ns, of those that have one */
};

struct hs_exits_vcpu {
	uint64_t exits;
	uint64_t guest_ns;		   /* entry to exit */
	uint64_t host_ns;		   /* exit to entry, without user_ns */
	uint64_t user_ns;		   /* kvm_userspace_exit to the thread's next kvm_entry or kvm_exit */
	uint64_t lone_entries, lone_exits; /* guest periods of which only one end was seen */
	/* Not for readers: what is going on. */
	struct hs_exits_row *open; /* the exit's; NULL: it is not asked for */
	uint64_t since_ns, token, user_in_exit_ns;
	uint32_t tid;
	uint8_t phase;
};

/* Read-only for others; rows and vcpus are final after hs_exits_finish(). Rows that count 0 are to be skipped. */
struct hs_exits {
	struct hs_scope scope;
	struct hs_threads threads;
	struct hs_keyed rows;  /* struct hs_exits_row by tgid, vcpu (or HS_KEY_ALL), kind and reason */
	struct hs_keyed vcpus; /* struct hs_exits_vcpu by tgid and vcpu */
	struct hs_keyed threads_in_user;
	struct hs_holes holes;
	struct hs_bound exit_long;
	struct hs_exits_untimed untimed, user_untimed;
	uint64_t exits, user_exits;
	uint64_t long_exits; /* of exits: from a recording of those above a length only */
};

/* `scope` is copied, what it points to and `vms` (may be NULL) are borrowed. 0 or -ENOMEM; clear in either case. */
int hs_exits_start(struct hs_exits *exits, const struct hs_scope *scope, const struct hs_vm_list *vms);

/* The next record (a whole one of its event). 0 or -ENOMEM. */
int hs_exits_add(struct hs_exits *exits, const struct hs_event_header *record, uint32_t cpu);

/* To be said before the first record behind loss->begin_ns. */
void hs_exits_add_loss(struct hs_exits *exits, const struct hs_ctf_loss *loss);

/* No record follows. 0 or -ENOMEM. */
int hs_exits_finish(struct hs_exits *exits);

void hs_exits_clear(struct hs_exits *exits);

#endif
