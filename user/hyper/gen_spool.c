// SPDX-License-Identifier: GPL-2.0-only
/*
 * Streams in chunks of one unnamed file. Called by the readers of logs, which append, and by the interleaver, which has
 * a cursor for each tenant. One thread.
 */
#include "hyper/gen_spool.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/types.h>

#include "base/io.h"
#include "base/log.h"

struct chunk {
	uint64_t at;	       /* in the file */
	uint64_t first_packet; /* packets that begin before it */
	uint32_t record_nr;
};

struct stream {
	struct chunk *chunks;
	uint32_t chunk_nr, chunk_room;
	uint64_t packets;
	uint32_t used;			   /* of the buffer */
	uint64_t buffer_first;		   /* packets before the buffer */
	struct hs_dmatrace_record *buffer; /* NULL: sealed, or nothing was put yet */
};

struct hs_gen_spool {
	int fd, err;
	char *dir;
	uint64_t bytes;
	struct stream *streams;
	uint32_t stream_nr, stream_room;
};

int hs_gen_spool_open(const char *near, struct hs_gen_spool **out)
{
	scoped(hs_gen_spool) struct hs_gen_spool *spool = calloc(1, sizeof(*spool));
	scoped(mem) char *copy = strdup(near), *name = NULL;

	if (!spool || !copy)
		return -ENOMEM;
	spool->fd = -1;
	spool->dir = strdup(dirname(copy));
	if (!spool->dir)
		return -ENOMEM;
	spool->fd = open(spool->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (spool->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		name = hs_format("%s/.hsbpf-spool.XXXXXX", spool->dir);
		spool->fd = name ? mkostemp(name, O_CLOEXEC) : -1;
		if (spool->fd >= 0)
			unlink(name);
	}
	if (spool->fd < 0)
		return hs_fail(-errno, "cannot create a temporary file in %s:", spool->dir);
	*out = take(spool);
	return 0;
}

void hs_gen_spool_free(struct hs_gen_spool *spool)
{
	if (!spool)
		return;
	for (uint32_t i = 0; i < spool->stream_nr; i++) {
		free(spool->streams[i].chunks);
		free(spool->streams[i].buffer);
	}
	if (spool->fd >= 0)
		close(spool->fd);
	free(spool->streams);
	free(spool->dir);
	free(spool);
}

int hs_gen_spool_error(const struct hs_gen_spool *spool)
{
	return spool->err;
}

static void fail(struct hs_gen_spool *spool, int err, const char *what)
{
	if (!spool->err)
		spool->err = hs_fail(err, "cannot %s the temporary file in %s:", what, spool->dir);
}

/* ---- writing ------------------------------------------------------------------------------------- */

int hs_gen_spool_add(struct hs_gen_spool *spool, uint32_t *stream)
{
	if (spool->stream_nr == spool->stream_room) {
		uint32_t room = spool->stream_room ? spool->stream_room * 2 : 64;
		struct stream *grown = realloc(spool->streams, room * sizeof(*grown));

		if (!grown)
			return hs_fail(-ENOMEM, "no memory for more than %u streams", spool->stream_nr);
		spool->streams = grown;
		spool->stream_room = room;
	}
	spool->streams[spool->stream_nr] = (struct stream){ 0 };
	*stream = spool->stream_nr++;
	return 0;
}

static struct chunk *add_chunk(struct stream *stream)
{
	if (stream->chunk_nr == stream->chunk_room) {
		uint32_t room = stream->chunk_room ? stream->chunk_room * 2 : 4;
		struct chunk *grown = realloc(stream->chunks, room * sizeof(*grown));

		if (!grown)
			return NULL;
		stream->chunks = grown;
		stream->chunk_room = room;
	}
	return &stream->chunks[stream->chunk_nr++];
}

static void flush(struct hs_gen_spool *spool, struct stream *stream)
{
	size_t bytes = stream->used * sizeof(stream->buffer[0]);
	struct chunk *chunk;
	int err;

	if (!stream->used || spool->err)
		return;
	chunk = add_chunk(stream);
	err = chunk ? hs_write_all(spool->fd, stream->buffer, bytes) : -ENOMEM;
	if (err) {
		fail(spool, err, "write");
		return;
	}
	*chunk = (struct chunk){ .at = spool->bytes, .first_packet = stream->buffer_first, .record_nr = stream->used };
	spool->bytes += bytes;
	stream->buffer_first = stream->packets;
	stream->used = 0;
}

void hs_gen_spool_put(struct hs_gen_spool *spool, uint32_t number, const struct hs_dmatrace_record *record)
{
	struct stream *stream = &spool->streams[number];

	if (spool->err)
		return;
	if (!stream->buffer) {
		stream->buffer = malloc(HS_GEN_CHUNK_RECORDS * sizeof(stream->buffer[0]));
		if (!stream->buffer) {
			fail(spool, -ENOMEM, "buffer");
			return;
		}
	}
	stream->buffer[stream->used++] = *record;
	stream->packets += hs_dmatrace_is_first(record);
	if (stream->used == HS_GEN_CHUNK_RECORDS)
		flush(spool, stream);
}

int hs_gen_spool_seal(struct hs_gen_spool *spool, uint32_t number)
{
	struct stream *stream = &spool->streams[number];

	flush(spool, stream);
	free(take(stream->buffer));
	return spool->err;
}

/* ---- reading ------------------------------------------------------------------------------------- */

int hs_gen_cursor_open(struct hs_gen_cursor *cursor, struct hs_gen_spool *spool, uint32_t stream, uint32_t size)
{
	*cursor = (struct hs_gen_cursor){ .spool = spool, .stream = stream, .size = size };
	cursor->buffer = malloc(size * sizeof(cursor->buffer[0]));
	return cursor->buffer ? 0 : -ENOMEM;
}

void hs_gen_cursor_close(struct hs_gen_cursor *cursor)
{
	free(take(cursor->buffer));
}

static int read_all(int fd, void *bytes, size_t len, uint64_t at)
{
	char *next = bytes;

	while (len) {
		ssize_t got = pread(fd, next, len, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -errno : -EIO;
		next += got;
		at += (uint64_t)got;
		len -= (size_t)got;
	}
	return 0;
}

bool hs_gen_cursor_fill(struct hs_gen_cursor *cursor)
{
	const struct stream *stream = &cursor->spool->streams[cursor->stream];
	const struct chunk *chunk;
	uint32_t nr;
	int err;

	cursor->at = cursor->nr = 0;
	while (cursor->chunk < stream->chunk_nr && cursor->read == stream->chunks[cursor->chunk].record_nr) {
		cursor->chunk++;
		cursor->read = 0;
	}
	if (cursor->chunk >= stream->chunk_nr || cursor->spool->err)
		return false;
	chunk = &stream->chunks[cursor->chunk];
	nr = chunk->record_nr - cursor->read;
	nr = nr < cursor->size ? nr : cursor->size;
	err = read_all(cursor->spool->fd, cursor->buffer, nr * sizeof(cursor->buffer[0]),
		       chunk->at + cursor->read * sizeof(cursor->buffer[0]));
	if (err) {
		fail(cursor->spool, err, "read");
		return false;
	}
	cursor->read += nr;
	cursor->nr = nr;
	return true;
}

void hs_gen_cursor_seek(struct hs_gen_cursor *cursor, uint64_t packet)
{
	const struct stream *stream = &cursor->spool->streams[cursor->stream];
	const struct hs_dmatrace_record *record;
	uint32_t low = 0, high = stream->chunk_nr;
	uint64_t passed;

	cursor->chunk = cursor->read = cursor->at = cursor->nr = 0;
	if (!packet)
		return;
	/* The last chunk before which no more than `packet` packets begin: packet is in it or at its end. */
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (stream->chunks[middle].first_packet <= packet)
			low = middle;
		else
			high = middle;
	}
	cursor->chunk = low;
	passed = stream->chunk_nr ? stream->chunks[low].first_packet : 0;
	while ((record = hs_gen_cursor_peek(cursor))) {
		if (hs_dmatrace_is_first(record) && passed++ == packet)
			return;
		cursor->at++;
	}
}
