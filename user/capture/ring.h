/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The slot rings of all CPUs, mapped: the kernel's CPUs produce, one thread here consumes. bpf/shared.h says how a slot
 * is published.
 */
#ifndef HS_CAPTURE_RING_H
#define HS_CAPTURE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/shared.h"

struct hs_rings {
	uint8_t *slots;			  /* of CPU 0, then of CPU 1, ... */
	struct hs_ring_control *controls; /* one per CPU */
	uint32_t cpu_nr;
	unsigned int slot_bits; /* a ring has 2^slot_bits slots */
};

/*
 * Maps the maps `slots` and `controls`; they stay the caller's. 0 or -errno (not said). To read a dead recorder's
 * rings it is enough to map them.
 */
int hs_rings_map(int slots_fd, int controls_fd, uint32_t cpu_nr, unsigned int slot_bits, struct hs_rings *rings);
void hs_rings_unmap(struct hs_rings *rings);

/* The record is HS_SLOT_BYTES long and stays as it is until the call returns. */
typedef int (*hs_ring_record_fn)(void *ctx, const struct hs_event_header *record);

/*
 * Hands every complete record of that CPU to on_record and frees their room. Stops before a record that is still being
 * filled, and at the first non-zero answer, which it returns (that record is consumed).
 */
int hs_ring_consume(struct hs_rings *rings, uint32_t cpu, hs_ring_record_fn on_record, void *ctx);

/*
 * An overwriting ring: hands what it holds now, oldest first, to on_record as copies; the kernel may go on writing.
 * *overwritten is how many records of this CPU were there before those and are gone. The answer as above.
 */
int hs_ring_snapshot(const struct hs_rings *rings, uint32_t cpu, hs_ring_record_fn on_record, void *ctx,
		     uint64_t *overwritten);

bool hs_ring_is_empty(const struct hs_rings *rings, uint32_t cpu);

#endif
