/* SPDX-License-Identifier: GPL-2.0-only */
/* The bytes of a log, plain or packed by gzip, xz or zstd, in blocks, and the SHA-256 of its file. One thread. */
#ifndef HS_HYPER_INGEST_FILE_H
#define HS_HYPER_INGEST_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "hyper/gen_watch.h"

#define HS_INGEST_SHA256_BYTES 32

struct hs_ingest_file {
	uint8_t sha256[HS_INGEST_SHA256_BYTES]; /* of the file as it lies there: what sha256sum prints */
	uint64_t file_bytes, text_bytes;
};

/* Takes a block of text that is there until it returns; anything but 0 ends the reading and is returned. */
typedef int (*hs_ingest_block_fn)(void *ctx, const void *bytes, size_t len);

/* Reads all of it once, with memory for a block, and tells the watch the file's bytes. Message on failure; -EBADMSG for
 * a damaged or truncated file. */
int hs_ingest_file_read(const char *path, struct hs_gen_watch *watch, hs_ingest_block_fn on_block, void *ctx,
			struct hs_ingest_file *out);

#endif
