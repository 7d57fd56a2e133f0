// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as what comes out of a guest's port, with frames that are right put between them: the decoder stays inside
 * the bytes, and hands out or skips each of them once. Run for N seconds:
 *     build/tests/fuzz/fuzz_wire -max_total_time=N
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t given, out, skipped;

static void on_skipped(void *ctx, const void *bytes, size_t len)
{
	(void)ctx, (void)bytes;
	skipped += len;
}

static void read_fields(const void *payload, size_t len)
{
	struct hs_wire_cpu_status status;
	struct hs_wire_field field;
	uint64_t number;
	size_t at = 0;

	while (hs_wire_next_field(payload, len, &at, &field) == 1) {
		scoped(mem) char *text = NULL;

		hs_wire_field_text(&field, &text);
		hs_wire_field_number(&field, &number);
		hs_wire_field_struct(&field, &status, sizeof(status));
	}
	if (at > len)
		abort();
}

static void take_frames(struct hs_wire_decoder *decoder)
{
	struct hs_wire_frame frame;
	const void *payload;

	while (hs_wire_decoder_next(decoder, &frame, &payload)) {
		out += sizeof(frame) + frame.len;
		if ((uintptr_t)payload % 8)
			abort();
		read_fields(payload, frame.len);
	}
}

static void give(struct hs_wire_decoder *decoder, const void *bytes, size_t len)
{
	while (len) {
		size_t room;
		void *at = hs_wire_decoder_room(decoder, &room);
		size_t piece = len < room ? len : room;

		if (!room)
			abort();
		memcpy(at, bytes, piece);
		hs_wire_decoder_added(decoder, piece);
		take_frames(decoder);
		bytes = (const uint8_t *)bytes + piece;
		len -= piece;
		given += piece;
	}
}

/* A header that is right, for whatever length and type the input says. */
static void give_header(struct hs_wire_decoder *decoder, const uint8_t *data)
{
	struct hs_wire_frame frame = { .type = data[0], .cpu = data[1], .seq = data[2] };

	hs_wire_seal(&frame, NULL, data[3] & 1 ? (size_t)data[4] * 4096 : (size_t)data[4] | (size_t)data[5] << 8);
	give(decoder, &frame, sizeof(frame));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hs_wire_frame hello = { .type = HS_WIRE_HELLO };
	struct hs_wire_decoder *decoder;

	given = out = skipped = 0;
	if (hs_wire_decoder_open(on_skipped, NULL, &decoder))
		abort();
	read_fields(data, size);
	hs_wire_seal(&hello, "", 0);
	while (size >= 8) {
		size_t len = data[7] < size - 8 ? data[7] : size - 8;

		if (data[6] & 1)
			give_header(decoder, data);
		if (data[6] & 2)
			give(decoder, &hello, sizeof(hello));
		give(decoder, data + 8, len);
		if (data[6] & 4) {
			hs_wire_decoder_finish(decoder);
			take_frames(decoder);
			if (given != out + skipped)
				abort();
		}
		data += 8 + len;
		size -= 8 + len;
	}
	hs_wire_decoder_finish(decoder);
	take_frames(decoder);
	if (given != out + skipped)
		abort();
	give(decoder, &hello, sizeof(hello));
	if (given != out + skipped)
		abort();
	hs_wire_decoder_free(decoder);
	return 0;
}
