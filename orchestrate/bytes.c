// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading and unpacking of whole files. libarchive's raw format is the one decompressor: it knows every
 * compression that kernels and modules come in. Called by vmlinux_image.c and modules.c.
 */
#include "bytes.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/log.h"

#define FIRST_BUFFER_BYTES (256 * 1024)

HS_SCOPED(archive_reader, struct archive *, archive_read_free)

/* The file's size when it is a regular file of acceptable size. */
static int sized_open(const char *path, size_t max_bytes, int *out_fd, size_t *out_len)
{
	scoped(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return hs_fail(-errno, "cannot read %s:", path);
	if (!S_ISREG(st.st_mode))
		return hs_fail(-EINVAL, "cannot read %s: not a regular file", path);
	if ((uint64_t)st.st_size > max_bytes)
		return hs_fail(-EFBIG, "cannot read %s: %lld bytes, more than the %zu expected at most", path,
			       (long long)st.st_size, max_bytes);
	*out_fd = take_fd(&fd);
	*out_len = (size_t)st.st_size;
	return 0;
}

int hs_bytes_read(const char *path, size_t max_bytes, struct hs_bytes *out)
{
	scoped(bytes) struct hs_bytes bytes = { 0 };
	scoped(fd) int fd = -1;
	size_t size = 0;
	int err = sized_open(path, max_bytes, &fd, &size);

	if (err)
		return err;
	bytes.data = malloc(size ? size : 1);
	if (!bytes.data)
		return hs_fail(-ENOMEM, "cannot read %s:", path);
	while (bytes.len < size) {
		ssize_t got = read(fd, bytes.data + bytes.len, size - bytes.len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return hs_fail(-errno, "cannot read %s:", path);
		if (got == 0)
			break; /* it shrank: what is left is the file now */
		bytes.len += (size_t)got;
	}
	out->len = bytes.len;
	out->data = take(bytes.data);
	return 0;
}

static struct archive *reader_new(void)
{
	scoped(archive_reader) struct archive *reader = archive_read_new();

	if (!reader)
		return NULL;
	/* Only the built-in filters: the others would start programs. */
	archive_read_support_filter_gzip(reader);
	archive_read_support_filter_bzip2(reader);
	archive_read_support_filter_xz(reader);
	archive_read_support_filter_lzma(reader);
	archive_read_support_filter_lz4(reader);
	archive_read_support_filter_zstd(reader);
	archive_read_support_format_raw(reader);
	return take(reader);
}

static int buffer_grow(struct hs_bytes *bytes, size_t *room, size_t max_bytes)
{
	/* One byte more than allowed, so that too much is noticed by reading it. */
	size_t larger = *room ? *room * 2 : FIRST_BUFFER_BYTES;
	void *data;

	if (larger > max_bytes + 1)
		larger = max_bytes + 1;
	data = realloc(bytes->data, larger);
	if (!data)
		return -ENOMEM;
	bytes->data = data;
	*room = larger;
	return 0;
}

int hs_bytes_unpack(const char *name, const void *data, size_t len, size_t max_bytes, struct hs_bytes *out)
{
	scoped(bytes) struct hs_bytes bytes = { 0 };
	scoped(archive_reader) struct archive *reader = reader_new();
	struct archive_entry *entry;
	size_t room = 0;

	if (len == 0)
		return hs_fail(-EBADMSG, "cannot unpack %s: it is empty", name);
	if (!reader)
		return hs_fail(-ENOMEM, "cannot unpack %s:", name);
	/* Opening looks at the data already. */
	if (archive_read_open_memory(reader, data, len) != ARCHIVE_OK ||
	    archive_read_next_header(reader, &entry) != ARCHIVE_OK)
		return hs_fail(-EBADMSG, "cannot unpack %s: it is damaged", name);
	if (archive_filter_code(reader, 0) == ARCHIVE_FILTER_NONE)
		return -ENOTSUP;
	for (;;) {
		ssize_t got;

		if (bytes.len == room && buffer_grow(&bytes, &room, max_bytes))
			return hs_fail(-ENOMEM, "cannot unpack %s:", name);
		got = archive_read_data(reader, bytes.data + bytes.len, room - bytes.len);
		if (got < 0)
			return hs_fail(-EBADMSG, "cannot unpack %s: it is damaged (%s)", name,
				       archive_error_string(reader));
		if (got == 0)
			break;
		bytes.len += (size_t)got;
		if (bytes.len > max_bytes)
			return hs_fail(-EFBIG, "cannot unpack %s: it holds more than %zu bytes", name,
				       max_bytes);
	}
	out->len = bytes.len;
	out->data = take(bytes.data);
	return 0;
}
