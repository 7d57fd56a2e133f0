/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The slot rings of all CPUs, mapped: the kernel's CPUs produce, one thread here consumes. bpf/shared.h says how a slot
 * is published. Of this capture or of one whose recorder is dead.
 */
#ifndef HS_CAPTURE_RING_H
#define HS_CAPTURE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/shared.h"

struct hs_rings {
	uint8_t *slots;
	uint32_t slot_nr;		  /* of all rings together */
	struct hs_ring_control *controls; /* by CPU */
	uint64_t *lost;			  /* see enum hs_lost_part */
	uint32_t cpu_nr;		  /* possible ones: highest number + 1 */
};

/* Maps `slots`, `controls` and `lost`; the maps stay the caller's. 0 or -errno (not said). */
int hs_rings_map(int slots_fd, uint32_t slot_nr, int controls_fd, int lost_fd, uint32_t cpu_nr, struct hs_rings *rings);
void hs_rings_unmap(struct hs_rings *rings);

/* The counters of one part and CPU, by event id. */
static inline uint64_t *hs_rings_lost(const struct hs_rings *rings, enum hs_lost_part part, uint32_t cpu)
{
	return rings->lost + ((size_t)part * rings->cpu_nr + cpu) * HS_EVENT_ID_NR;
}

/* Their sum. */
uint64_t hs_rings_lost_sum(const struct hs_rings *rings, enum hs_lost_part part, uint32_t cpu);

static inline uint64_t hs_ring_head(const struct hs_rings *rings, uint32_t cpu)
{
	return __atomic_load_n(&rings->controls[cpu].head, __ATOMIC_ACQUIRE);
}

static inline bool hs_ring_is_empty(const struct hs_rings *rings, uint32_t cpu)
{
	return rings->controls[cpu].consumed == hs_ring_head(rings, cpu);
}

/* The slot of that position of a CPU that has a ring, whatever it holds. */
static inline const struct hs_event_header *hs_ring_slot(const struct hs_rings *rings, uint32_t cpu, uint64_t position)
{
	const struct hs_ring_control *control = &rings->controls[cpu];
	uint64_t place = control->first_slot + (position & (control->slot_nr - 1));

	return (const void *)(rings->slots + place * HS_SLOT_BYTES);
}

/* Whether the slot holds the record of that position, complete. id and lap were stored together. */
static inline bool hs_ring_is_published(const struct hs_rings *rings, uint32_t cpu, const struct hs_event_header *slot,
					uint64_t position)
{
	uint32_t mark = __atomic_load_n((const uint32_t *)&slot->id, __ATOMIC_ACQUIRE);
	uint64_t lap = position >> __builtin_ctz(rings->controls[cpu].slot_nr);

	return (mark & 0xffff) && mark >> 16 == (lap & 0xffff);
}

/*
 * Copies the record of that position out of a ring that the kernel may write over meanwhile (HS_SLOT_BYTES, 8-aligned).
 * 1; 0 when it is still being written; -1 when it was written over.
 */
int hs_ring_copy(const struct hs_rings *rings, uint32_t cpu, uint64_t position, void *record);

#endif
