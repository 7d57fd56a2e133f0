// SPDX-License-Identifier: GPL-2.0-only
/*
 * A log's file through libarchive, which unpacks it and hands plain text through as it is; the hash is made of what
 * libarchive reads. Called by the reader of logs. One thread.
 */
#include "hyper/ingest_file.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <string.h>

#include "base/log.h"
#include "base/scoped.h"

#define BLOCK_BYTES (256 * 1024)

HS_SCOPED(archive_reader, struct archive *, archive_read_free)

struct input {
	int fd, err;
	struct sha256_ctx hash;
	uint64_t bytes;
	struct hs_gen_watch *watch;
	char *block;
};

static la_ssize_t read_block(struct archive *reader, void *ctx, const void **block)
{
	struct input *input = ctx;
	ssize_t got;

	do {
		got = read(input->fd, input->block, BLOCK_BYTES);
	} while (got < 0 && errno == EINTR);
	if (got < 0) {
		input->err = -errno;
		archive_set_error(reader, errno, "%s", strerror(errno));
		return -1;
	}
	sha256_update(&input->hash, (size_t)got, (const uint8_t *)input->block);
	input->bytes += (uint64_t)got;
	hs_gen_watch_add(input->watch, (uint64_t)got);
	*block = input->block;
	return got;
}

static struct archive *new_reader(void)
{
	struct archive *reader = archive_read_new();

	if (!reader)
		return NULL;
	archive_read_support_filter_gzip(reader);
	archive_read_support_filter_xz(reader);
	archive_read_support_filter_zstd(reader);
	archive_read_support_format_raw(reader);
	archive_read_support_format_empty(reader);
	return reader;
}

static int bad_file(const char *path, struct archive *reader, const struct input *input)
{
	if (input->err)
		return hs_fail(input->err, "cannot read the log %s:", path);
	return hs_fail(-EBADMSG, "the log %s is truncated or damaged: %s", path, archive_error_string(reader));
}

static int read_text(const char *path, struct archive *reader, struct input *input, hs_ingest_block_fn on_block,
		     void *ctx, uint64_t *text_bytes)
{
	struct archive_entry *entry;
	const void *block;
	la_int64_t offset;
	size_t len;
	int got = archive_read_next_header(reader, &entry), err;

	if (got == ARCHIVE_EOF)
		return 0; /* an empty file */
	if (got != ARCHIVE_OK)
		return bad_file(path, reader, input);
	while ((got = archive_read_data_block(reader, &block, &len, &offset)) == ARCHIVE_OK) {
		*text_bytes += len;
		err = on_block(ctx, block, len);
		if (err)
			return err;
	}
	return got == ARCHIVE_EOF ? 0 : bad_file(path, reader, input);
}

int hs_ingest_file_read(const char *path, struct hs_gen_watch *watch, hs_ingest_block_fn on_block, void *ctx,
			struct hs_ingest_file *out)
{
	scoped(archive_reader) struct archive *reader = new_reader();
	scoped(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	scoped(mem) char *block = malloc(BLOCK_BYTES);
	struct input input = { .fd = fd, .watch = watch, .block = block };
	struct hs_ingest_file file = { 0 };
	const void *rest;
	int err;

	if (!reader || !block)
		return -ENOMEM;
	if (fd < 0)
		return hs_fail(-errno, "cannot open the log %s:", path);
	sha256_init(&input.hash);
	if (archive_read_open(reader, &input, NULL, read_block, NULL) != ARCHIVE_OK)
		return bad_file(path, reader, &input);
	err = read_text(path, reader, &input, on_block, ctx, &file.text_bytes);
	if (err)
		return err;
	while (read_block(reader, &input, &rest) > 0) /* what follows a packed stream: the hash is of all */
		continue;
	if (input.err)
		return bad_file(path, reader, &input);
	sha256_digest(&input.hash, sizeof(file.sha256), file.sha256);
	file.file_bytes = input.bytes;
	*out = file;
	return 0;
}
