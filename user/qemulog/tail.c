// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tailer: one descriptor, one offset, one buffer. Called by the collector thread only, while QEMU appends
 * to the same file: whatever pread returns is old enough never to change, and a line whose end is not there
 * yet stays in the parser.
 */
#include "qemulog/tail.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"

#define READ_BYTES (256 * 1024) /* larger ones leave the second-level cache and are slower */

struct hs_qemulog_tail {
	struct hs_qemulog *log;
	char *path;
	int fd; /* -1: not there yet */
	int err;
	uint64_t offset_bytes;
	char buffer[READ_BYTES];
};

int hs_qemulog_tail_open(const char *path, struct hs_qemulog *log, struct hs_qemulog_tail **out)
{
	scoped(hs_qemulog_tail) struct hs_qemulog_tail *tail = malloc(sizeof(*tail));

	if (!tail)
		return -ENOMEM;
	tail->log = log;
	tail->fd = -1;
	tail->err = 0;
	tail->offset_bytes = 0;
	tail->path = strdup(path);
	if (!tail->path)
		return -ENOMEM;
	*out = take(tail);
	return 0;
}

void hs_qemulog_tail_free(struct hs_qemulog_tail *tail)
{
	if (!tail)
		return;
	if (tail->fd >= 0)
		close(tail->fd);
	free(tail->path);
	free(tail);
}

/* Opens the file when it has come to exist. O_NONBLOCK: a FIFO is refused instead of waited for. */
static int find_file(struct hs_qemulog_tail *tail)
{
	scoped(fd) int fd = open(tail->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st))
		return hs_fail(-errno, "cannot open the IOMMU log %s:", tail->path);
	if (!S_ISREG(st.st_mode))
		return hs_fail(-EINVAL, "cannot follow the IOMMU log %s: it is not a regular file",
			       tail->path);
	tail->fd = take_fd(&fd);
	return 0;
}

static int check_size(const struct hs_qemulog_tail *tail)
{
	struct stat st;

	if (fstat(tail->fd, &st))
		return hs_fail(-errno, "cannot look at the IOMMU log %s:", tail->path);
	if ((uint64_t)st.st_size < tail->offset_bytes)
		return hs_fail(-ESTALE,
			       "the IOMMU log %s shrank from %llu to %lld bytes while it was read: its "
			       "counts are void; make sure that one QEMU alone writes it",
			       tail->path, (unsigned long long)tail->offset_bytes, (long long)st.st_size);
	return 0;
}

/* Bytes read, 0 at the end, -errno. */
static ssize_t read_some(struct hs_qemulog_tail *tail, size_t max_bytes)
{
	ssize_t got;

	do
		got = pread(tail->fd, tail->buffer, max_bytes, (off_t)tail->offset_bytes);
	while (got < 0 && errno == EINTR);
	return got < 0 ? hs_fail(-errno, "cannot read the IOMMU log %s:", tail->path) : got;
}

int64_t hs_qemulog_tail_poll(struct hs_qemulog_tail *tail, size_t budget_bytes)
{
	size_t fed = 0;

	if (!tail->err && tail->fd < 0)
		tail->err = find_file(tail);
	if (!tail->err && tail->fd >= 0)
		tail->err = check_size(tail);
	if (tail->err || tail->fd < 0)
		return tail->err;
	while (fed < budget_bytes) {
		size_t want = budget_bytes - fed < READ_BYTES ? budget_bytes - fed : READ_BYTES;
		ssize_t got = read_some(tail, want);

		if (got < 0)
			tail->err = (int)got;
		if (got <= 0)
			break;
		hs_qemulog_feed(tail->log, tail->buffer, (size_t)got);
		tail->offset_bytes += (size_t)got;
		fed += (size_t)got;
	}
	return tail->err ? tail->err : (int64_t)fed;
}
