/* SPDX-License-Identifier: GPL-2.0-only */
/* Names of VM exits, as the kernel spells them in its traces. Constant data; any thread. */
#ifndef HS_TRACE_EVENTS_EXIT_REASON_H
#define HS_TRACE_EVENTS_EXIT_REASON_H

#include <stdint.h>

#define HS_ISA_VMX 1
#define HS_ISA_SVM 2

/* NULL when unknown. `reason` as kvm_exit has it; of VMX the low 16 bits count, the others are flags. */
const char *hs_exit_reason_text(uint32_t isa, uint32_t reason);

/* The reason of that name (upper or lower case) or number. -ENOENT: this instruction set has none. */
int hs_exit_reason_find(uint32_t isa, const char *text, uint32_t *reason);

#endif
