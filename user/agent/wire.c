// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames into bytes and back. Used by the agent for its ports and by the host for those of its guests. Every byte is
 * looked at a bounded number of times, whatever it says: a guest cannot keep its host busy longer than by sending.
 */
#include "agent/wire.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <zlib.h>

#define HEADER_BYTES sizeof(struct hs_wire_frame)
/* The largest frame, the header that confirms it, and room so that reads are large. */
#define BUFFER_BYTES (HS_WIRE_PAYLOAD_MAX + 2 * HEADER_BYTES + 65536)
#define FIELD_ALIGN 8
#define PAGE_BYTES_MIN 4096

_Static_assert(HEADER_BYTES == 32, "what is on the wire");

struct field_header {
	uint16_t key;
	uint16_t zero;
	uint32_t len;
};

struct hs_wire_decoder {
	hs_wire_on_skipped on_skipped;
	void *ctx;
	struct hs_wire_decoder_counts counts;
	bool is_finished;
	size_t start, end; /* of what is in the buffer and not handed out */
	size_t given;	   /* bytes of the frame that the caller holds, at start */
	size_t searched;   /* from start: where no other session's frame begins */
	uint8_t *buffer;
};

static uint32_t crc_of(const void *bytes, size_t len)
{
	return (uint32_t)crc32(0, bytes, (uInt)len);
}

static uint32_t header_crc_of(const struct hs_wire_frame *frame)
{
	return crc_of(frame, offsetof(struct hs_wire_frame, header_crc));
}

void hs_wire_seal(struct hs_wire_frame *frame, const void *payload, size_t len)
{
	frame->magic = HS_WIRE_MAGIC;
	frame->len = (uint32_t)len;
	frame->payload_crc = payload ? crc_of(payload, len) : 0;
	frame->header_crc = header_crc_of(frame);
}

/* ---- fields ---- */

static int make_room(struct hs_wire_payload *payload, size_t more)
{
	size_t size = payload->size ? payload->size : 256;
	uint8_t *grown;

	if (payload->len + more > HS_WIRE_PAYLOAD_MAX)
		return -EMSGSIZE;
	while (size < payload->len + more)
		size *= 2;
	if (size == payload->size)
		return 0;
	grown = realloc(payload->bytes, size);
	if (!grown)
		return -ENOMEM;
	payload->bytes = grown;
	payload->size = size;
	return 0;
}

static size_t padded(size_t len)
{
	return (len + FIELD_ALIGN - 1) & ~(size_t)(FIELD_ALIGN - 1);
}

void hs_wire_put(struct hs_wire_payload *payload, enum hs_wire_key key, const void *bytes, size_t len)
{
	struct field_header header = { .key = (uint16_t)key, .len = (uint32_t)len };
	uint8_t *at;

	if (!payload->err)
		payload->err = len > HS_WIRE_PAYLOAD_MAX ? -EMSGSIZE : make_room(payload, sizeof(header) + padded(len));
	if (payload->err)
		return;
	at = payload->bytes + payload->len;
	memcpy(at, &header, sizeof(header));
	memset(at + sizeof(header), 0, padded(len));
	if (len)
		memcpy(at + sizeof(header), bytes, len);
	payload->len += sizeof(header) + padded(len);
}

void hs_wire_put_number(struct hs_wire_payload *payload, enum hs_wire_key key, uint64_t number)
{
	hs_wire_put(payload, key, &number, sizeof(number));
}

void hs_wire_put_text(struct hs_wire_payload *payload, enum hs_wire_key key, const char *text)
{
	hs_wire_put(payload, key, text, strlen(text));
}

void hs_wire_payload_clear(struct hs_wire_payload *payload)
{
	free(payload->bytes);
	*payload = (struct hs_wire_payload){ 0 };
}

int hs_wire_next_field(const void *payload, size_t len, size_t *at, struct hs_wire_field *field)
{
	struct field_header header;

	if (*at == len)
		return 0;
	if (*at > len || len - *at < sizeof(header))
		return -EBADMSG;
	memcpy(&header, (const uint8_t *)payload + *at, sizeof(header));
	if (header.zero || padded(header.len) < header.len || padded(header.len) > len - *at - sizeof(header))
		return -EBADMSG;
	*field = (struct hs_wire_field){
		.key = header.key,
		.len = header.len,
		.bytes = (const uint8_t *)payload + *at + sizeof(header),
	};
	*at += sizeof(header) + padded(header.len);
	return 1;
}

int hs_wire_field_number(const struct hs_wire_field *field, uint64_t *number)
{
	return hs_wire_field_struct(field, number, sizeof(*number));
}

int hs_wire_field_text(const struct hs_wire_field *field, char **text)
{
	char *copy;

	if (memchr(field->bytes, '\0', field->len))
		return -EBADMSG;
	copy = malloc(field->len + 1ul);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, field->bytes, field->len);
	copy[field->len] = '\0';
	for (uint8_t *c = (uint8_t *)copy; *c; c++)
		if (*c < ' ' || *c == 0x7f)
			*c = '?';
	*text = copy;
	return 0;
}

int hs_wire_field_struct(const struct hs_wire_field *field, void *out, size_t bytes)
{
	if (field->len != bytes)
		return -EBADMSG;
	memcpy(out, field->bytes, bytes);
	return 0;
}

int hs_wire_find(const void *payload, size_t len, enum hs_wire_key key, struct hs_wire_field *field)
{
	struct hs_wire_field found;
	size_t at = 0;

	while (hs_wire_next_field(payload, len, &at, &found) == 1) {
		if (found.key != key)
			continue;
		*field = found;
		return 0;
	}
	return -ENOENT;
}

uint64_t hs_wire_find_number(const void *payload, size_t len, enum hs_wire_key key)
{
	struct hs_wire_field field;
	uint64_t number;

	return hs_wire_find(payload, len, key, &field) || hs_wire_field_number(&field, &number) ? 0 : number;
}

/* ---- the decoder ---- */

int hs_wire_decoder_open(hs_wire_on_skipped on_skipped, void *ctx, struct hs_wire_decoder **out)
{
	scoped(hs_wire_decoder) struct hs_wire_decoder *decoder = calloc(1, sizeof(*decoder));

	if (!decoder)
		return -ENOMEM;
	decoder->on_skipped = on_skipped;
	decoder->ctx = ctx;
	decoder->buffer = malloc(BUFFER_BYTES);
	if (!decoder->buffer)
		return -ENOMEM;
	*out = take(decoder);
	return 0;
}

void hs_wire_decoder_free(struct hs_wire_decoder *decoder)
{
	if (!decoder)
		return;
	free(decoder->buffer);
	free(decoder);
}

static void release_given(struct hs_wire_decoder *decoder)
{
	decoder->start += decoder->given;
	decoder->searched = decoder->given ? 0 : decoder->searched;
	decoder->given = 0;
}

static void move_to_front(struct hs_wire_decoder *decoder)
{
	memmove(decoder->buffer, decoder->buffer + decoder->start, decoder->end - decoder->start);
	decoder->end -= decoder->start;
	decoder->start = 0;
}

void *hs_wire_decoder_room(struct hs_wire_decoder *decoder, size_t *bytes)
{
	release_given(decoder);
	/* Not at every read: only when the room gets small, or moving costs nothing. */
	if (decoder->start == decoder->end || BUFFER_BYTES - decoder->end < 65536)
		move_to_front(decoder);
	*bytes = BUFFER_BYTES - decoder->end;
	return decoder->buffer + decoder->end;
}

void hs_wire_decoder_added(struct hs_wire_decoder *decoder, size_t bytes)
{
	decoder->end += bytes;
}

static void skip(struct hs_wire_decoder *decoder, size_t bytes)
{
	if (bytes && decoder->on_skipped)
		decoder->on_skipped(decoder->ctx, decoder->buffer + decoder->start, bytes);
	decoder->counts.skipped_bytes += bytes;
	decoder->start += bytes;
	decoder->searched = bytes ? 0 : decoder->searched;
}

/* What a frame of that type can be; types of the other direction are fine. */
static bool is_sane(const struct hs_wire_frame *frame)
{
	if (frame->len > HS_WIRE_PAYLOAD_MAX || frame->cpu >= HS_WIRE_CPU_MAX)
		return false;
	switch (frame->type) {
	case HS_WIRE_HELLO:
	case HS_WIRE_FORMATS:
	case HS_WIRE_START:
	case HS_WIRE_STOP:
	case HS_WIRE_STATUS:
	case HS_WIRE_LOG:
	case HS_WIRE_RECORDS:
	case HS_WIRE_RESULT:
	case HS_WIRE_TEXT:
		return true;
	case HS_WIRE_PING:
		return frame->len == sizeof(struct hs_wire_ping);
	case HS_WIRE_PONG:
		return frame->len == sizeof(struct hs_wire_pong);
	case HS_WIRE_PAGES:
		return frame->len && frame->len % PAGE_BYTES_MIN == 0;
	case HS_WIRE_PACKET:
		return frame->len;
	case HS_WIRE_END:
		return frame->len == sizeof(struct hs_wire_cpu_status);
	}
	return false;
}

static bool read_header(const struct hs_wire_decoder *decoder, size_t at, struct hs_wire_frame *frame)
{
	memcpy(frame, decoder->buffer + at, sizeof(*frame));
	return frame->magic == HS_WIRE_MAGIC && frame->header_crc == header_crc_of(frame) && is_sane(frame);
}

/* From `at` on: the first place where a header may begin, the end when there is none. */
static size_t find_magic(const struct hs_wire_decoder *decoder, size_t at)
{
	const uint32_t magic = HS_WIRE_MAGIC;

	for (; at < decoder->end; at++) {
		const uint8_t *found = memchr(decoder->buffer + at, magic & 0xff, decoder->end - at);
		size_t left;

		if (!found)
			return decoder->end;
		at = (size_t)(found - decoder->buffer);
		left = decoder->end - at;
		if (!memcmp(found, &magic, left < sizeof(magic) ? left : sizeof(magic)))
			return at;
	}
	return at;
}

/* Whether the frame at start, all of whose bytes are here, is whole: 1, 0 (not) or -EAGAIN (to be seen). */
static int is_whole(const struct hs_wire_decoder *decoder, const struct hs_wire_frame *frame)
{
	size_t end = decoder->start + HEADER_BYTES + frame->len, behind = decoder->end - end;
	struct hs_wire_frame next;

	if (frame->type != HS_WIRE_PAGES)
		return frame->payload_crc == crc_of(decoder->buffer + decoder->start + HEADER_BYTES, frame->len);
	if (behind >= HEADER_BYTES)
		return read_header(decoder, end, &next);
	if (!decoder->is_finished)
		return -EAGAIN;
	return !behind || find_magic(decoder, end) == end;
}

static void skip_torn(struct hs_wire_decoder *decoder, size_t bytes)
{
	decoder->counts.torn++;
	skip(decoder, bytes);
}

static void give(struct hs_wire_decoder *decoder, const struct hs_wire_frame *frame, const void **payload)
{
	if (decoder->start % FIELD_ALIGN)
		move_to_front(decoder);
	decoder->given = HEADER_BYTES + frame->len;
	decoder->counts.frames++;
	*payload = decoder->buffer + decoder->start + HEADER_BYTES;
}

/*
 * Where in the payload of `frame`, which is not all here, a frame of another session begins: its writer is gone, and
 * the next one has come. 0: nowhere yet.
 */
static size_t find_next_session(struct hs_wire_decoder *decoder, const struct hs_wire_frame *frame)
{
	size_t at = decoder->start + (decoder->searched ? decoder->searched : HEADER_BYTES);
	struct hs_wire_frame next;

	for (;; at++) {
		at = find_magic(decoder, at);
		if (decoder->end - at < HEADER_BYTES)
			break;
		if (read_header(decoder, at, &next) && next.session != frame->session)
			return at;
	}
	decoder->searched = at - decoder->start;
	return 0;
}

/* 1: `frame` is at start, whole; 0: not to be known yet; -EBADMSG: none is there, something was skipped. */
static int look(struct hs_wire_decoder *decoder, struct hs_wire_frame *frame)
{
	size_t have = decoder->end - decoder->start;
	int whole;

	if (have < HEADER_BYTES) {
		if (decoder->is_finished)
			skip(decoder, have);
		return 0;
	}
	if (!read_header(decoder, decoder->start, frame)) {
		skip(decoder, 1);
		return -EBADMSG;
	}
	if (have - HEADER_BYTES < frame->len) {
		size_t next = find_next_session(decoder, frame);

		if (!next && !decoder->is_finished)
			return 0;
		skip_torn(decoder, next ? next - decoder->start : HEADER_BYTES);
		return -EBADMSG;
	}
	whole = is_whole(decoder, frame);
	if (whole == -EAGAIN)
		return 0;
	if (whole)
		return 1;
	/* A changed payload is not searched: it could be made so that every byte of it needs another checksum. */
	skip_torn(decoder, frame->type == HS_WIRE_PAGES ? HEADER_BYTES : HEADER_BYTES + frame->len);
	return -EBADMSG;
}

int hs_wire_decoder_next(struct hs_wire_decoder *decoder, struct hs_wire_frame *frame, const void **payload)
{
	struct hs_wire_frame found;
	int got;

	release_given(decoder);
	do {
		skip(decoder, find_magic(decoder, decoder->start) - decoder->start);
		got = look(decoder, &found);
	} while (got < 0);
	if (got) {
		give(decoder, &found, payload);
		*frame = found;
	} else if (decoder->is_finished) {
		decoder->is_finished = false;
		decoder->start = decoder->end = 0;
	}
	return got;
}

void hs_wire_decoder_finish(struct hs_wire_decoder *decoder)
{
	decoder->is_finished = true;
}

const struct hs_wire_decoder_counts *hs_wire_decoder_counts(const struct hs_wire_decoder *decoder)
{
	return &decoder->counts;
}
