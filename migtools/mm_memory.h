/* SPDX-License-Identifier: GPL-2.0-only */
/* The memory that mm_dirty writes to: private anonymous pages, small or huge. Mapped and heated by the main thread. */
#ifndef HS_MIGTOOLS_MM_MEMORY_H
#define HS_MIGTOOLS_MM_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/scoped.h"
#include "migtools/mm_page.h"

struct hs_memory {
	uint8_t *base; /* NULL: not mapped */
	uint64_t bytes;
	uint64_t pages;		/* of page_bytes: what is dirtied at a time */
	uint64_t page_bytes;	/* the kernel's */
	uint64_t backing_bytes; /* of the page table: page_bytes, 2 MiB or 1 GiB */
};

/*
 * Maps `bytes` (a multiple of backing_bytes; backing_bytes 0: the kernel's pages). -EINVAL: no multiple; -ENOMEM: not
 * enough memory or huge pages free. Message on failure, with what would help.
 */
int hs_memory_map(uint64_t bytes, uint64_t backing_bytes, struct hs_memory *out);
void hs_memory_unmap(struct hs_memory *memory);

static inline void memory_scoped(struct hs_memory *memory)
{
	hs_memory_unmap(memory);
}

/*
 * Writes every page, generation 0, with one thread on each CPU that this process may use; on_gib is called from any of
 * them, one at a time, after each full GiB. 0 or -errno after a message.
 */
int hs_memory_heat(const struct hs_memory *memory, const struct hs_page_format *format, void (*on_gib)(void));

/* Keeps it from being swapped out. Message on failure. */
int hs_memory_lock(const struct hs_memory *memory);

static inline void *hs_memory_page(const struct hs_memory *memory, uint64_t number)
{
	return memory->base + number * memory->page_bytes;
}

#endif
