/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One BPF ring buffer, mapped: the kernel's CPUs produce, one thread here consumes.
 */
#ifndef HS_CAPTURE_RING_H
#define HS_CAPTURE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hs_ring {
	int fd;
	size_t bytes;	    /* of data, a power of two */
	uint64_t *consumed; /* positions only grow; modulo `bytes` they are places in `data` */
	const uint64_t *produced;
	const uint8_t *data; /* mapped twice in a row, so that no record is cut */
};

/* Makes and maps a ring; `bytes` a power of two, at least a page. 0 or -errno (not said). */
int hs_ring_open(size_t bytes, struct hs_ring *ring);
void hs_ring_close(struct hs_ring *ring);

typedef int (*hs_ring_record_fn)(void *ctx, const void *record, uint32_t bytes);

/*
 * Hands every complete record to on_record and frees their room. Stops before a record that is still being
 * filled, and at the first non-zero answer, which it returns (that record is consumed).
 */
int hs_ring_consume(struct hs_ring *ring, hs_ring_record_fn on_record, void *ctx);

bool hs_ring_is_empty(const struct hs_ring *ring);

#endif
