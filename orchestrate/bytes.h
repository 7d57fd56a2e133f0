/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whole files in memory, and what they hold once unpacked. Used for kernels and modules, which are at most
 * some tens of megabytes; every call takes the largest size that it will accept. No state, thread-safe.
 */
#ifndef HS_ORCHESTRATE_BYTES_H
#define HS_ORCHESTRATE_BYTES_H

#include <stddef.h>

#include "base/scoped.h"

struct hs_bytes {
	unsigned char *data; /* owned; NULL when empty */
	size_t len;
};

static inline void hs_bytes_release(struct hs_bytes bytes)
{
	free(bytes.data);
}

HS_SCOPED(bytes, struct hs_bytes, hs_bytes_release)

/* Reads all of `path`. -EFBIG when it is larger than max_bytes. A failure has been told. */
int hs_bytes_read(const char *path, size_t max_bytes, struct hs_bytes *out);

/*
 * Unpacks gzip, bzip2, xz, lzma, lz4 or zstd, whichever `data` holds; `name` is what messages call it.
 * -ENOTSUP (silently) when it is none of these, -EBADMSG when it is damaged, -EFBIG when it holds more
 * than max_bytes; the last two have been told.
 */
int hs_bytes_unpack(const char *name, const void *data, size_t len, size_t max_bytes, struct hs_bytes *out);

#endif
