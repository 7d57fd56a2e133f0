/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interrupts that L1's KVM injects into a tenant's L2, and the L2's handlers: cause and effect on two clocks. Nothing
 * but their intervals tells which is whose: WINDOW handlers in a row belong to those injections to which their distance
 * is nearly the same. Where no place fits alone (steady ticks, interrupts that KVM delivers without injecting them,
 * losses) nothing is counted. Memory is fixed. One thread.
 */
#ifndef HS_CORRELATE_INJECTION_H
#define HS_CORRELATE_INJECTION_H

#include "correlate/causality.h"

/* Linux on x86: LOCAL_TIMER_VECTOR; devices' vectors are below (arch/x86/include/asm/irq_vectors.h). */
#define HS_TIMER_VECTOR 0xec

enum hs_injection_kind { HS_INJECTION_TIMER, HS_INJECTION_DEVICE, HS_INJECTION_NR };

struct hs_injections;

/* Pairs are added to `causality`. 0 or -ENOMEM. */
int hs_injections_open(struct hs_causality *causality, struct hs_injections **out);

/* In L1: a vector was injected for the first time; of other kinds than these two nothing is known. */
void hs_injections_add(struct hs_injections *injections, uint32_t vector, const struct hs_sight *sight);

/* In the L2: its handler begins. */
void hs_injections_handled(struct hs_injections *injections, enum hs_injection_kind kind, const struct hs_sight *sight);

/* All that happened before now_ns was told; UINT64_MAX: all was told. */
void hs_injections_settle(struct hs_injections *injections, uint64_t now_ns);

void hs_injections_free(struct hs_injections *injections);
HS_SCOPED(hs_injections, struct hs_injections *, hs_injections_free)

#endif
