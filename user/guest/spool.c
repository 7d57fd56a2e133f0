// SPDX-License-Identifier: GPL-2.0-only
/*
 * A ring in memory and behind it a file. What is in the ring is always older than what is in the file: once a
 * record went to the file all do, until the file has been read to its end. One lock covers everything.
 */
#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"

#define PUNCH_BYTES (8u << 20) /* of the file that were read are given back this many at a time */

struct hs_spool {
	pthread_mutex_t lock;
	uint64_t ring_bytes, disk_bytes;
	char *ring;
	uint64_t ring_head, ring_tail; /* total bytes ever put and taken */
	char *dir;
	int fd;
	uint64_t file_head, file_tail, punched; /* offsets */
	uint64_t file_records;
	bool file_failed;
	struct hs_spool_counts counts;
};

int hs_spool_open(const struct hs_spool_config *config, struct hs_spool **out)
{
	scoped(hs_spool) struct hs_spool *spool = calloc(1, sizeof(*spool));

	if (!spool)
		return -ENOMEM;
	pthread_mutex_init(&spool->lock, NULL);
	spool->fd = -1;
	spool->ring_bytes = config->memory_bytes;
	spool->disk_bytes = config->disk_bytes;
	spool->dir = strdup(config->dir);
	/* Pages of an untouched mapping cost nothing: most guests never need theirs. */
	spool->ring = mmap(NULL, spool->ring_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (spool->ring == MAP_FAILED)
		spool->ring = NULL;
	if (!spool->dir || !spool->ring)
		return hs_fail(-ENOMEM, "no memory for a guest's queue of %llu bytes",
			       (unsigned long long)spool->ring_bytes);
	*out = take(spool);
	return 0;
}

void hs_spool_free(struct hs_spool *spool)
{
	if (!spool)
		return;
	if (spool->ring)
		munmap(spool->ring, spool->ring_bytes);
	if (spool->fd >= 0)
		close(spool->fd);
	pthread_mutex_destroy(&spool->lock);
	free(spool->dir);
	free(spool);
}

static void ring_write(struct hs_spool *spool, const void *bytes, size_t len)
{
	uint64_t at = spool->ring_head % spool->ring_bytes, first = spool->ring_bytes - at;

	if (first > len)
		first = len;
	memcpy(spool->ring + at, bytes, first);
	memcpy(spool->ring, (const char *)bytes + first, len - first);
	spool->ring_head += len;
}

static void ring_read(struct hs_spool *spool, uint64_t from, void *bytes, size_t len)
{
	uint64_t at = from % spool->ring_bytes, first = spool->ring_bytes - at;

	if (first > len)
		first = len;
	memcpy(bytes, spool->ring + at, first);
	memcpy((char *)bytes + first, spool->ring, len - first);
}

static bool file_is_open(struct hs_spool *spool)
{
	if (spool->fd < 0 && !spool->file_failed)
		spool->fd = open(spool->dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	return spool->fd >= 0;
}

/* The whole record or nothing: what was written of one that failed lies behind the head and is written over. */
static int file_put(struct hs_spool *spool, uint32_t len, const struct iovec *parts, unsigned parts_nr)
{
	uint64_t at = spool->file_head;

	if (!file_is_open(spool) || pwrite(spool->fd, &len, sizeof(len), (off_t)at) != sizeof(len))
		return -EIO;
	at += sizeof(len);
	for (unsigned i = 0; i < parts_nr; i++) {
		if (pwrite(spool->fd, parts[i].iov_base, parts[i].iov_len, (off_t)at) != (ssize_t)parts[i].iov_len)
			return -EIO;
		at += parts[i].iov_len;
	}
	spool->file_head = at;
	spool->file_records++;
	spool->counts.spilled_records++;
	spool->counts.spilled_bytes += len;
	return 0;
}

static int put_locked(struct hs_spool *spool, uint32_t len, const struct iovec *parts, unsigned parts_nr)
{
	uint64_t need = sizeof(len) + (uint64_t)len;
	int err;

	if (!spool->file_records && spool->ring_head - spool->ring_tail + need <= spool->ring_bytes) {
		ring_write(spool, &len, sizeof(len));
		for (unsigned i = 0; i < parts_nr; i++)
			ring_write(spool, parts[i].iov_base, parts[i].iov_len);
		return 0;
	}
	if (spool->file_head - spool->file_tail + need > spool->disk_bytes)
		return -ENOBUFS;
	err = file_put(spool, len, parts, parts_nr);
	if (err && !spool->file_failed)
		hs_err("cannot queue a guest's trace in a file in %s: %s; what finds no room in memory is lost",
		       spool->dir, strerror(errno));
	spool->file_failed = err != 0;
	return err ? -ENOBUFS : 0;
}

int hs_spool_put(struct hs_spool *spool, const struct iovec *parts, unsigned parts_nr)
{
	uint64_t len = 0;
	int err;

	for (unsigned i = 0; i < parts_nr; i++)
		len += parts[i].iov_len;
	if (!len || len > UINT32_MAX)
		return -EINVAL;
	pthread_mutex_lock(&spool->lock);
	err = put_locked(spool, (uint32_t)len, parts, parts_nr);
	if (err) {
		spool->counts.dropped_records++;
		spool->counts.dropped_bytes += len;
	} else {
		spool->counts.records++;
		spool->counts.bytes += len;
	}
	pthread_mutex_unlock(&spool->lock);
	return err;
}

/* The blocks that were read go back to the file system; where it cannot do that they go back at the end. */
static void file_forget(struct hs_spool *spool)
{
	if (spool->file_tail == spool->file_head) {
		spool->file_head = spool->file_tail = spool->punched = 0;
		if (ftruncate(spool->fd, 0) < 0)
			hs_dbg("a guest's queue file was not cut: %s", strerror(errno));
	} else if (spool->file_tail - spool->punched >= PUNCH_BYTES) {
		fallocate(spool->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)spool->punched,
			  (off_t)(spool->file_tail - spool->punched));
		spool->punched = spool->file_tail;
	}
}

static ssize_t file_take(struct hs_spool *spool, void *bytes, size_t size)
{
	uint32_t len = 0;
	bool ok = pread(spool->fd, &len, sizeof(len), (off_t)spool->file_tail) == sizeof(len);

	if (ok && len > size)
		return -EMSGSIZE;
	if (!ok || pread(spool->fd, bytes, len, (off_t)(spool->file_tail + sizeof(len))) != (ssize_t)len) {
		hs_err("cannot read a guest's queue back from its file in %s: %s; %llu records are lost", spool->dir,
		       strerror(errno), (unsigned long long)spool->file_records);
		spool->counts.dropped_records += spool->file_records;
		spool->counts.dropped_bytes += spool->file_head - spool->file_tail - spool->file_records * sizeof(len);
		spool->file_tail = spool->file_head;
		spool->file_records = 0;
		file_forget(spool);
		return -EIO;
	}
	spool->file_tail += sizeof(len) + len;
	spool->file_records--;
	file_forget(spool);
	return (ssize_t)len;
}

static ssize_t take_locked(struct hs_spool *spool, void *bytes, size_t size)
{
	uint32_t len;

	if (spool->ring_head == spool->ring_tail)
		return spool->file_records ? file_take(spool, bytes, size) : 0;
	ring_read(spool, spool->ring_tail, &len, sizeof(len));
	if (len > size)
		return -EMSGSIZE;
	ring_read(spool, spool->ring_tail + sizeof(len), bytes, len);
	spool->ring_tail += sizeof(len) + len;
	return (ssize_t)len;
}

ssize_t hs_spool_take(struct hs_spool *spool, void *bytes, size_t size)
{
	ssize_t len;

	pthread_mutex_lock(&spool->lock);
	len = take_locked(spool, bytes, size);
	pthread_mutex_unlock(&spool->lock);
	return len;
}

void hs_spool_counts(struct hs_spool *spool, struct hs_spool_counts *counts)
{
	pthread_mutex_lock(&spool->lock);
	*counts = spool->counts;
	pthread_mutex_unlock(&spool->lock);
}
