/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interrupts by vector, VM and vCPU, from decoded records in the order of time: how often, from injection to the
 * guest's EOI, and from acceptance by the vCPU's APIC to injection. A vector's EOI belongs to the newest injection of
 * that vector into that vCPU, so interrupts may nest. What is missing is counted, not guessed. A pure function of its
 * input but for memory; one analysis belongs to one thread.
 */
#ifndef HS_ANALYSIS_IRQS_H
#define HS_ANALYSIS_IRQS_H

#include "analysis/bound.h"
#include "base/histogram.h"
#include "analysis/keyed.h"
#include "analysis/scope.h"
#include "analysis/threads.h"
#include "trace_events/events.h"

/* The `kind` of a row's key, and what its code is. */
enum hs_irqs_kind {
	HS_IRQS_VECTOR, /* vector, into a vCPU */
	HS_IRQS_LINE,	/* gsi, into the VM (vcpu: HS_KEY_ALL) */
	HS_IRQS_MSI,	/* destination << 8 | vector, into the VM */
};

struct hs_irqs_row {
	uint64_t count;		      /* injections; raised lines; messages */
	uint64_t reinjected;	      /* of an interrupt whose delivery was interrupted: not counted again */
	uint64_t soft;		      /* of them, by the guest's own instruction */
	uint64_t lowered;	      /* lines */
	uint64_t no_eoi;	      /* injected again, or the records ended, before an EOI was seen */
	uint64_t lost;		      /* events were lost before the EOI */
	uint64_t lone_eois;	      /* of which the injection was not seen */
	struct hs_histogram service;  /* ns, injection to EOI */
	struct hs_histogram delivery; /* ns, acceptance to injection */
};

/* Read-only for others; final after hs_irqs_finish(). */
struct hs_irqs {
	struct hs_scope scope;
	struct hs_threads threads;
	struct hs_keyed rows; /* struct hs_irqs_row by tgid, vcpu, kind and code, as hs_scope.by says */
	struct hs_keyed pending;
	struct hs_holes holes;
	struct hs_bound eoi, pv_eoi, accept;
	uint64_t injections, eois, accepted;
};

/* `scope` is copied, what it points to and `vms` (may be NULL) are borrowed. 0 or -ENOMEM; clear in either case. */
int hs_irqs_start(struct hs_irqs *irqs, const struct hs_scope *scope, const struct hs_vm_list *vms);

/* The next record (a whole one of its event). 0 or -ENOMEM. */
int hs_irqs_add(struct hs_irqs *irqs, const struct hs_event_header *record, uint32_t cpu);

/* To be said before the first record behind loss->begin_ns. */
void hs_irqs_add_loss(struct hs_irqs *irqs, const struct hs_ctf_loss *loss);

/* No record follows. 0 or -ENOMEM. */
int hs_irqs_finish(struct hs_irqs *irqs);

void hs_irqs_clear(struct hs_irqs *irqs);

#endif
