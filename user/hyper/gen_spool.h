/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The streams of tenants between the reading of logs and the writing of a trace: one unnamed file on disk, into which
 * all streams are appended in chunks, so that memory does not grow with the logs (but for 24 bytes for each 64 KiB).
 * Written log by log, then read by as many cursors as there are tenants. One thread.
 */
#ifndef HS_HYPER_GEN_SPOOL_H
#define HS_HYPER_GEN_SPOOL_H

#include "base/scoped.h"
#include "hyper/dmatrace.h"

#define HS_GEN_CHUNK_RECORDS 4096

struct hs_gen_spool;

/* The file lies in the folder of `near`, has no name and is gone with the process. Message on failure. */
int hs_gen_spool_open(const char *near, struct hs_gen_spool **out);
void hs_gen_spool_free(struct hs_gen_spool *spool);
HS_SCOPED(hs_gen_spool, struct hs_gen_spool *, hs_gen_spool_free)

/* A new, empty stream. Message on failure. */
int hs_gen_spool_add(struct hs_gen_spool *spool, uint32_t *stream);
/* Appends to it. What fails is told by hs_gen_spool_seal(). */
void hs_gen_spool_put(struct hs_gen_spool *spool, uint32_t stream, const struct hs_dmatrace_record *record);
/* Nothing more comes for this stream: it can be read. 0, or what failed since the spool was opened, told. */
int hs_gen_spool_seal(struct hs_gen_spool *spool, uint32_t stream);

/* Where one reader is in a sealed stream. */
struct hs_gen_cursor {
	struct hs_gen_spool *spool;
	uint32_t stream;
	uint32_t chunk;	       /* that the buffer is of */
	uint32_t read;	       /* records of the chunk that went into the buffer, up to now */
	uint32_t at, nr, size; /* in the buffer */
	struct hs_dmatrace_record *buffer;
};

/* A cursor at the stream's begin with a buffer of `size` records. */
int hs_gen_cursor_open(struct hs_gen_cursor *cursor, struct hs_gen_spool *spool, uint32_t stream, uint32_t size);
void hs_gen_cursor_close(struct hs_gen_cursor *cursor);
/* To the first record of packet number `packet`, to the end when there are not as many; 0: to the stream's begin. */
void hs_gen_cursor_seek(struct hs_gen_cursor *cursor, uint64_t packet);
/* Reads on; false at the end, or after an error, which hs_gen_spool_error() tells. */
bool hs_gen_cursor_fill(struct hs_gen_cursor *cursor);

/* The record at which the cursor is, NULL at the end; it is passed by cursor->at++. */
static inline const struct hs_dmatrace_record *hs_gen_cursor_peek(struct hs_gen_cursor *cursor)
{
	if (cursor->at == cursor->nr && !hs_gen_cursor_fill(cursor))
		return NULL;
	return &cursor->buffer[cursor->at];
}

/* 0, or what failed in reading or writing, which has been told. */
int hs_gen_spool_error(const struct hs_gen_spool *spool);

#endif
