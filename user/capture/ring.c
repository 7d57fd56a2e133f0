// SPDX-License-Identifier: GPL-2.0-only
/*
 * The consumer side of a BPF ring buffer. libbpf's own costs a callback behind an epoll per record and hides
 * where a walk ends; a collector that packs whole walks needs both. Layout: kernel/bpf/ringbuf.c. One thread
 * per ring.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture/ring.h"

#define RECORD_HEADER_BYTES BPF_RINGBUF_HDR_SZ

static size_t page_bytes(void)
{
	return sysconf(_SC_PAGESIZE);
}

int hs_ring_open(size_t bytes, struct hs_ring *ring)
{
	struct hs_ring made = { .bytes = bytes };
	void *map;

	made.fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "hs_ring", 0, 0, bytes, NULL);
	if (made.fd < 0)
		return made.fd;
	map = mmap(NULL, page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, made.fd, 0);
	if (map == MAP_FAILED) {
		close(made.fd);
		return -errno;
	}
	made.consumed = map;
	map = mmap(NULL, page_bytes() + 2 * bytes, PROT_READ, MAP_SHARED, made.fd, page_bytes());
	if (map == MAP_FAILED) {
		hs_ring_close(&made);
		return -ENOMEM;
	}
	made.produced = map;
	made.data = (const uint8_t *)map + page_bytes();
	*ring = made;
	return 0;
}

void hs_ring_close(struct hs_ring *ring)
{
	if (ring->consumed)
		munmap(ring->consumed, page_bytes());
	if (ring->produced)
		munmap((void *)ring->produced, page_bytes() + 2 * ring->bytes);
	close(ring->fd);
	*ring = (struct hs_ring){ .fd = -1 };
}

int hs_ring_consume(struct hs_ring *ring, hs_ring_record_fn on_record, void *ctx)
{
	uint64_t at = *ring->consumed, end = __atomic_load_n(ring->produced, __ATOMIC_ACQUIRE);
	int answer = 0;

	while (at < end && !answer) {
		const uint8_t *record = ring->data + (at & (ring->bytes - 1));
		uint32_t header = __atomic_load_n((const uint32_t *)record, __ATOMIC_ACQUIRE);
		uint32_t bytes = header & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

		if (header & BPF_RINGBUF_BUSY_BIT)
			break;
		if (!(header & BPF_RINGBUF_DISCARD_BIT))
			answer = on_record(ctx, record + RECORD_HEADER_BYTES, bytes);
		at += (RECORD_HEADER_BYTES + bytes + 7) & ~7ull;
	}
	__atomic_store_n(ring->consumed, at, __ATOMIC_RELEASE);
	return answer;
}

bool hs_ring_is_empty(const struct hs_ring *ring)
{
	return *ring->consumed == __atomic_load_n(ring->produced, __ATOMIC_ACQUIRE);
}
