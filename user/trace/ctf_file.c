// SPDX-License-Identifier: GPL-2.0-only
/*
 * Appends packets to a stream file. What does not reach the disk whole is cut off again. Called from the thread of the
 * writer that owns the file.
 */
#include "trace/ctf_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

void hs_ctf_file_init(struct hs_ctf_file *file, int dir_fd, const char *prefix, uint32_t cpu)
{
	*file = (struct hs_ctf_file){ .dir_fd = dir_fd, .cpu = cpu, .fd = -1 };
	snprintf(file->name, sizeof(file->name), "%s%u", prefix, cpu);
}

static int open_file(struct hs_ctf_file *file)
{
	if (file->is_deleted)
		return -ENOENT;
	file->fd = openat(file->dir_fd, file->name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
	return file->fd < 0 ? -errno : 0;
}

static int write_at(int fd, const uint8_t *bytes, size_t byte_nr, uint64_t offset)
{
	while (byte_nr) {
		ssize_t written = pwrite(fd, bytes, byte_nr, offset);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written ? -errno : -ENOSPC;
		bytes += written;
		byte_nr -= written;
		offset += written;
	}
	return 0;
}

static int append(struct hs_ctf_file *file, const void *packet, size_t bytes)
{
	int err = file->fd < 0 ? open_file(file) : 0;

	if (err)
		return err;
	err = write_at(file->fd, packet, bytes, file->bytes);
	if (err && ftruncate(file->fd, file->bytes))
		hs_dbg("cannot cut off a torn packet of %s", file->name);
	return err;
}

int hs_ctf_file_put(struct hs_ctf_file *file, const void *packet, size_t bytes)
{
	int err = file->output ? file->output->put(file->output->ctx, file->cpu, packet, bytes)
			       : append(file, packet, bytes);

	if (err)
		return err;
	file->bytes += bytes;
	file->packets++;
	return 0;
}

int hs_ctf_file_put_first(struct hs_ctf_file *file, const struct hs_ctf_packet *next, uint64_t start_ns)
{
	struct hs_ctf_packet packet = *next;

	if (start_ns)
		packet.timestamp_begin = start_ns;
	packet.timestamp_end = packet.timestamp_begin;
	packet.content_bits = packet.packet_bits = sizeof(packet) * 8ull;
	packet.events_discarded = 0;
	return hs_ctf_file_put(file, &packet, sizeof(packet));
}

bool hs_ctf_file_was_deleted(struct hs_ctf_file *file)
{
	struct stat status;

	if (file->fd < 0 || (!fstat(file->fd, &status) && status.st_nlink))
		return false;
	hs_ctf_file_close(file);
	file->is_deleted = true;
	return true;
}

void hs_ctf_file_close(struct hs_ctf_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}
