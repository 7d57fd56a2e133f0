// SPDX-License-Identifier: GPL-2.0-only
/*
 * The consumer side of the slot rings. What makes it quick: a record is one cache line at a known place, so that the
 * walk needs no lengths, and the next lines can be fetched ahead. One thread per ring.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture/ring.h"

static void *map(int fd, size_t bytes, int protection)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return mmap(NULL, (bytes + page - 1) / page * page, protection, MAP_SHARED, fd, 0);
}

static void unmap(void *at, size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	munmap(at, (bytes + page - 1) / page * page);
}

static size_t slots_bytes(const struct hs_rings *rings)
{
	return ((size_t)rings->cpu_nr * HS_SLOT_BYTES) << rings->slot_bits;
}

int hs_rings_map(int slots_fd, int controls_fd, uint32_t cpu_nr, unsigned int slot_bits, struct hs_rings *rings)
{
	struct hs_rings made = { .cpu_nr = cpu_nr, .slot_bits = slot_bits };
	void *at = map(slots_fd, slots_bytes(&made), PROT_READ);

	if (at == MAP_FAILED)
		return -errno;
	made.slots = at;
	at = map(controls_fd, cpu_nr * sizeof(*made.controls), PROT_READ | PROT_WRITE);
	if (at == MAP_FAILED) {
		int err = -errno;

		unmap(made.slots, slots_bytes(&made));
		return err;
	}
	made.controls = at;
	*rings = made;
	return 0;
}

void hs_rings_unmap(struct hs_rings *rings)
{
	if (rings->slots)
		unmap(rings->slots, slots_bytes(rings));
	if (rings->controls)
		unmap(rings->controls, rings->cpu_nr * sizeof(*rings->controls));
	*rings = (struct hs_rings){ 0 };
}

static const struct hs_event_header *slot_at(const struct hs_rings *rings, uint32_t cpu, uint64_t position)
{
	uint64_t place = ((uint64_t)cpu << rings->slot_bits) | (position & ((1ull << rings->slot_bits) - 1));

	return (const void *)(rings->slots + place * HS_SLOT_BYTES);
}

/* Whether the slot holds the record of that position, complete. id and lap were stored together. */
static bool is_published(const struct hs_rings *rings, const struct hs_event_header *slot, uint64_t position)
{
	uint32_t mark = __atomic_load_n((const uint32_t *)&slot->id, __ATOMIC_ACQUIRE);

	return (mark & 0xffff) && mark >> 16 == ((position >> rings->slot_bits) & 0xffff);
}

int hs_ring_consume(struct hs_rings *rings, uint32_t cpu, hs_ring_record_fn on_record, void *ctx)
{
	struct hs_ring_control *control = &rings->controls[cpu];
	uint64_t at = control->consumed, end = __atomic_load_n(&control->head, __ATOMIC_ACQUIRE);
	int answer = 0;

	for (; at < end && !answer; at++) {
		const struct hs_event_header *slot = slot_at(rings, cpu, at);

		__builtin_prefetch((const uint8_t *)slot + 8 * HS_SLOT_BYTES);
		if (!is_published(rings, slot, at))
			break;
		answer = on_record(ctx, slot);
	}
	__atomic_store_n(&control->consumed, at, __ATOMIC_RELEASE);
	return answer;
}

int hs_ring_snapshot(const struct hs_rings *rings, uint32_t cpu, hs_ring_record_fn on_record, void *ctx,
		     uint64_t *overwritten)
{
	uint64_t slot_nr = 1ull << rings->slot_bits, taken_nr = 0;
	uint64_t end = __atomic_load_n(&rings->controls[cpu].head, __ATOMIC_ACQUIRE);
	uint64_t at = end > slot_nr ? end - slot_nr : 0;
	int answer = 0;

	for (; at < end && !answer; at++) {
		const struct hs_event_header *slot = slot_at(rings, cpu, at);
		uint64_t copy[HS_SLOT_BYTES / sizeof(uint64_t)];

		if (!is_published(rings, slot, at))
			continue; /* written over, or being written */
		memcpy(copy, slot, sizeof(copy));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!is_published(rings, slot, at))
			continue;
		answer = on_record(ctx, (const void *)copy);
		taken_nr++;
	}
	*overwritten = end - taken_nr;
	return answer;
}

bool hs_ring_is_empty(const struct hs_rings *rings, uint32_t cpu)
{
	return rings->controls[cpu].consumed == __atomic_load_n(&rings->controls[cpu].head, __ATOMIC_ACQUIRE);
}
