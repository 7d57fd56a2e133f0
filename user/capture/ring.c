// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping the slot rings, and reading a slot while it may be written over. A record is one cache line at a known place:
 * a walk needs no lengths, and the next lines can be fetched ahead. One thread per ring.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture/ring.h"

static size_t whole_pages(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (bytes + page - 1) / page * page;
}

static size_t slots_bytes(const struct hs_rings *rings)
{
	return whole_pages((size_t)rings->slot_nr * HS_SLOT_BYTES);
}

static size_t controls_bytes(const struct hs_rings *rings)
{
	return whole_pages(rings->cpu_nr * sizeof(*rings->controls));
}

static size_t lost_bytes(const struct hs_rings *rings)
{
	return whole_pages((size_t)HS_LOST_PART_NR * rings->cpu_nr * HS_EVENT_ID_NR * sizeof(*rings->lost));
}

static int map(int fd, size_t bytes, int protection, void *out)
{
	void *at = mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		return -errno;
	*(void **)out = at;
	return 0;
}

int hs_rings_map(int slots_fd, uint32_t slot_nr, int controls_fd, int lost_fd, uint32_t cpu_nr, struct hs_rings *rings)
{
	struct hs_rings made = { .cpu_nr = cpu_nr, .slot_nr = slot_nr };
	int err = map(slots_fd, slots_bytes(&made), PROT_READ, &made.slots);

	if (!err)
		err = map(controls_fd, controls_bytes(&made), PROT_READ | PROT_WRITE, &made.controls);
	if (!err)
		err = map(lost_fd, lost_bytes(&made), PROT_READ | PROT_WRITE, &made.lost);
	if (err)
		hs_rings_unmap(&made);
	else
		*rings = made;
	return err;
}

void hs_rings_unmap(struct hs_rings *rings)
{
	if (rings->slots)
		munmap(rings->slots, slots_bytes(rings));
	if (rings->controls)
		munmap(rings->controls, controls_bytes(rings));
	if (rings->lost)
		munmap(rings->lost, lost_bytes(rings));
	*rings = (struct hs_rings){ 0 };
}

uint64_t hs_rings_lost_sum(const struct hs_rings *rings, enum hs_lost_part part, uint32_t cpu)
{
	const uint64_t *lost = hs_rings_lost(rings, part, cpu);
	uint64_t sum = 0;

	for (uint16_t id = 0; id < HS_EVENT_ID_NR; id++)
		sum += __atomic_load_n(&lost[id], __ATOMIC_RELAXED);
	return sum;
}

/* Why the slot does not hold the record of that position. */
static int missing_record(const struct hs_rings *rings, uint32_t cpu, uint64_t position)
{
	return hs_ring_head(rings, cpu) > position + rings->controls[cpu].slot_nr ? -1 : 0;
}

int hs_ring_copy(const struct hs_rings *rings, uint32_t cpu, uint64_t position, void *record)
{
	const struct hs_event_header *slot = hs_ring_slot(rings, cpu, position);

	if (!hs_ring_is_published(rings, cpu, slot, position))
		return missing_record(rings, cpu, position);
	memcpy(record, slot, HS_SLOT_BYTES);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return hs_ring_is_published(rings, cpu, slot, position) ? 1 : missing_record(rings, cpu, position);
}
