// SPDX-License-Identifier: GPL-2.0-only
/* Frames of the agent's protocol: they arrive whole however they are cut, and what is no frame costs only itself. */
#include "cm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/wire.h"

#define PAGE 4096

struct bytes {
	uint8_t data[8 * PAGE];
	size_t len;
};

struct skipped {
	char text[256];
	size_t len;
};

static void on_skipped(void *ctx, const void *bytes, size_t len)
{
	struct skipped *skipped = ctx;

	if (skipped->len + len < sizeof(skipped->text))
		memcpy(skipped->text + skipped->len, bytes, len);
	skipped->len += len;
}

static void append(struct bytes *bytes, const void *data, size_t len)
{
	assert_true(bytes->len + len <= sizeof(bytes->data));
	memcpy(bytes->data + bytes->len, data, len);
	bytes->len += len;
}

static void append_frame(struct bytes *bytes, enum hs_wire_type type, uint32_t seq, const void *payload, size_t len)
{
	struct hs_wire_frame frame = { .type = (uint16_t)type, .seq = seq, .cpu = 3, .id = 7, .session = 9 };

	hs_wire_seal(&frame, type == HS_WIRE_PAGES ? NULL : payload, len);
	append(bytes, &frame, sizeof(frame));
	append(bytes, payload, len);
}

static void give(struct hs_wire_decoder *decoder, const void *data, size_t len)
{
	size_t room;
	void *at = hs_wire_decoder_room(decoder, &room);

	assert_true(room >= len);
	memcpy(at, data, len);
	hs_wire_decoder_added(decoder, len);
}

static void expect(struct hs_wire_decoder *decoder, enum hs_wire_type type, uint32_t seq)
{
	struct hs_wire_frame frame = { 0 };
	const void *payload = NULL;

	assert_int_equal(hs_wire_decoder_next(decoder, &frame, &payload), 1);
	assert_int_equal(frame.type, type);
	assert_int_equal(frame.seq, seq);
	assert_int_equal((uintptr_t)payload % 8, 0);
}

static void expect_none(struct hs_wire_decoder *decoder)
{
	struct hs_wire_frame frame;
	const void *payload;

	assert_int_equal(hs_wire_decoder_next(decoder, &frame, &payload), 0);
}

static struct hs_wire_decoder *open_decoder(struct skipped *skipped)
{
	struct hs_wire_decoder *decoder;

	assert_int_equal(hs_wire_decoder_open(skipped ? on_skipped : NULL, skipped, &decoder), 0);
	return decoder;
}

static void test_frames_cut_at_every_byte_arrive_whole(void **state)
{
	static const struct hs_wire_ping ping = { .host_ns = 12345 };
	static struct bytes bytes;

	(void)state;
	bytes.len = 0;
	append_frame(&bytes, HS_WIRE_PING, 1, &ping, sizeof(ping));
	append_frame(&bytes, HS_WIRE_STOP, 2, "", 0);
	for (size_t cut = 0; cut <= bytes.len; cut++) {
		scoped(hs_wire_decoder) struct hs_wire_decoder *decoder = open_decoder(NULL);
		size_t first = sizeof(struct hs_wire_frame) + sizeof(ping);

		give(decoder, bytes.data, cut);
		if (cut >= first)
			expect(decoder, HS_WIRE_PING, 1);
		if (cut == bytes.len)
			expect(decoder, HS_WIRE_STOP, 2);
		expect_none(decoder);
		give(decoder, bytes.data + cut, bytes.len - cut);
		if (cut < first)
			expect(decoder, HS_WIRE_PING, 1);
		if (cut < bytes.len)
			expect(decoder, HS_WIRE_STOP, 2);
		expect_none(decoder);
		assert_int_equal(hs_wire_decoder_counts(decoder)->skipped_bytes, 0);
	}
}

static void test_the_kernels_orders_are_told_at_once_between_frames(void **state)
{
	static struct bytes bytes;
	struct skipped skipped = { 0 };
	scoped(hs_wire_decoder) struct hs_wire_decoder *decoder = open_decoder(&skipped);

	(void)state;
	bytes.len = 0;
	give(decoder, "1", 1);
	expect_none(decoder);
	assert_int_equal(skipped.len, 1);
	append(&bytes, "\n0\n", 3);
	append_frame(&bytes, HS_WIRE_STATUS, 1, "", 0);
	append(&bytes, "1\n", 2);
	give(decoder, bytes.data, bytes.len);
	expect(decoder, HS_WIRE_STATUS, 1);
	assert_memory_equal(skipped.text, "1\n0\n", 4);
	expect_none(decoder);
	assert_memory_equal(skipped.text, "1\n0\n1\n", 6);
	assert_int_equal(skipped.len, 6);
}

/* Flips every bit of a frame between two others: they arrive whatever happens to it, and it does not arrive changed. */
static void test_a_damaged_frame_costs_only_itself(void **state)
{
	static struct bytes good, bad;
	static const char text[] = "what the payload says";
	size_t size = sizeof(struct hs_wire_frame) + sizeof(text);

	(void)state;
	good.len = 0;
	for (uint32_t seq = 0; seq < 3; seq++)
		append_frame(&good, HS_WIRE_TEXT, seq, text, sizeof(text));
	for (size_t bit = 0; bit < size * 8; bit++) {
		scoped(hs_wire_decoder) struct hs_wire_decoder *decoder = open_decoder(NULL);

		bad = good;
		bad.data[size + bit / 8] ^= (uint8_t)(1 << bit % 8);
		give(decoder, bad.data, bad.len);
		expect(decoder, HS_WIRE_TEXT, 0);
		expect(decoder, HS_WIRE_TEXT, 2);
		expect_none(decoder);
		assert_int_equal(hs_wire_decoder_counts(decoder)->skipped_bytes, size);
	}
}

static void test_pages_cut_short_are_not_handed_out_and_hide_nothing(void **state)
{
	static struct bytes bytes, pages;

	(void)state;
	for (size_t cut = 0; cut < 2 * PAGE; cut += 61) {
		scoped(hs_wire_decoder) struct hs_wire_decoder *decoder = open_decoder(NULL);

		bytes.len = pages.len = 0;
		memset(pages.data, 'x', sizeof(pages.data));
		append_frame(&bytes, HS_WIRE_PAGES, 1, pages.data, 2 * PAGE);
		bytes.len -= 2 * PAGE - cut;
		append_frame(&bytes, HS_WIRE_PAGES, 2, pages.data, PAGE);
		append_frame(&bytes, HS_WIRE_PAGES, 3, pages.data, PAGE);
		append_frame(&bytes, HS_WIRE_HELLO, 4, "", 0);
		give(decoder, bytes.data, bytes.len);
		expect(decoder, HS_WIRE_PAGES, 2);
		expect(decoder, HS_WIRE_PAGES, 3);
		expect(decoder, HS_WIRE_HELLO, 4);
		expect_none(decoder);
		assert_int_equal(hs_wire_decoder_counts(decoder)->torn, 1);
		assert_int_equal(hs_wire_decoder_counts(decoder)->skipped_bytes, sizeof(struct hs_wire_frame) + cut);
	}
}

static void test_what_a_killed_agent_left_half_written_does_not_hold_up_the_next(void **state)
{
	static struct bytes bytes, pages;

	(void)state;
	for (size_t cut = 0; cut < PAGE; cut += 61) {
		scoped(hs_wire_decoder) struct hs_wire_decoder *decoder = open_decoder(NULL);
		struct hs_wire_frame frame = { .type = HS_WIRE_PAGES, .seq = 5, .session = 8 };

		bytes.len = pages.len = 0;
		hs_wire_seal(&frame, NULL, HS_WIRE_PAYLOAD_MAX);
		append(&bytes, &frame, sizeof(frame));
		append(&bytes, pages.data, cut);
		give(decoder, bytes.data, bytes.len);
		expect_none(decoder);
		bytes.len = 0;
		append_frame(&bytes, HS_WIRE_PACKET, 1, "a packet", 8);
		append_frame(&bytes, HS_WIRE_PAGES, 2, pages.data, PAGE);
		append_frame(&bytes, HS_WIRE_PACKET, 3, "a packet", 8);
		for (size_t at = 0; at < 20; at++) {
			give(decoder, bytes.data + at, 1);
			expect_none(decoder);
		}
		give(decoder, bytes.data + 20, bytes.len - 20);
		expect(decoder, HS_WIRE_PACKET, 1);
		expect(decoder, HS_WIRE_PAGES, 2);
		expect(decoder, HS_WIRE_PACKET, 3);
		expect_none(decoder);
		assert_int_equal(hs_wire_decoder_counts(decoder)->torn, 1);
		assert_int_equal(hs_wire_decoder_counts(decoder)->skipped_bytes, sizeof(frame) + cut);
	}
}

static void test_the_last_pages_are_handed_out_when_nothing_follows(void **state)
{
	static struct bytes bytes, pages;
	scoped(hs_wire_decoder) struct hs_wire_decoder *decoder = open_decoder(NULL);

	(void)state;
	bytes.len = 0;
	append_frame(&bytes, HS_WIRE_PAGES, 1, pages.data, PAGE);
	give(decoder, bytes.data, bytes.len);
	expect_none(decoder);
	hs_wire_decoder_finish(decoder);
	expect(decoder, HS_WIRE_PAGES, 1);
	expect_none(decoder);
	assert_int_equal(hs_wire_decoder_counts(decoder)->torn, 0);
	/* And a new connection begins with a new stream. */
	give(decoder, bytes.data, bytes.len);
	expect_none(decoder);
	hs_wire_decoder_finish(decoder);
	expect(decoder, HS_WIRE_PAGES, 1);
	expect_none(decoder);
}

static void test_what_is_half_there_when_the_connection_ends_does_not_hide_the_next(void **state)
{
	static struct bytes bytes;
	scoped(hs_wire_decoder) struct hs_wire_decoder *decoder = open_decoder(NULL);

	(void)state;
	bytes.len = 0;
	append_frame(&bytes, HS_WIRE_TEXT, 1, "lost for ever", 13);
	give(decoder, bytes.data, bytes.len - 1);
	expect_none(decoder);
	hs_wire_decoder_finish(decoder);
	expect_none(decoder);
	give(decoder, bytes.data, bytes.len);
	expect(decoder, HS_WIRE_TEXT, 1);
	assert_int_equal(hs_wire_decoder_counts(decoder)->torn, 1);
}

static void test_what_no_type_can_be_is_no_frame(void **state)
{
	static const struct {
		uint16_t type, cpu;
		uint32_t len;
	} bad[] = {
		{ 0, 0, 0 },
		{ 99, 0, 0 },
		{ HS_WIRE_HELLO, HS_WIRE_CPU_MAX, 0 },
		{ HS_WIRE_HELLO, 0, HS_WIRE_PAYLOAD_MAX + 1 },
		{ HS_WIRE_PAGES, 0, 0 },
		{ HS_WIRE_PAGES, 0, PAGE + 8 },
		{ HS_WIRE_PING, 0, 0 },
		{ HS_WIRE_END, 0, 8 },
	};

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(bad); i++) {
		scoped(hs_wire_decoder) struct hs_wire_decoder *decoder = open_decoder(NULL);
		struct hs_wire_frame frame = { .type = bad[i].type, .cpu = bad[i].cpu };

		hs_wire_seal(&frame, NULL, bad[i].len);
		give(decoder, &frame, sizeof(frame));
		hs_wire_seal(&frame, NULL, 0);
		expect_none(decoder);
		assert_int_equal(hs_wire_decoder_counts(decoder)->skipped_bytes, sizeof(frame));
	}
}

static void test_the_largest_frame_passes_after_garbage(void **state)
{
	scoped(hs_wire_decoder) struct hs_wire_decoder *decoder = open_decoder(NULL);
	scoped(mem) uint8_t *all = calloc(1, HS_WIRE_PAYLOAD_MAX + 4 * PAGE);
	struct hs_wire_frame frame = { .type = HS_WIRE_PAGES, .seq = 5 }, got;
	size_t len = 1001, sent = 0;
	const void *payload;
	int frames = 0;

	(void)state;
	hs_wire_seal(&frame, NULL, HS_WIRE_PAYLOAD_MAX);
	memcpy(all + len, &frame, sizeof(frame));
	all[len + sizeof(frame)] = 'a';
	len += sizeof(frame) + HS_WIRE_PAYLOAD_MAX;
	frame.type = HS_WIRE_HELLO;
	hs_wire_seal(&frame, "", 0);
	memcpy(all + len, &frame, sizeof(frame));
	len += sizeof(frame);
	while (sent < len) {
		size_t room;
		void *at = hs_wire_decoder_room(decoder, &room);
		size_t piece = len - sent < 100000 ? len - sent : 100000;

		assert_true(room > 0);
		piece = piece < room ? piece : room;
		memcpy(at, all + sent, piece);
		hs_wire_decoder_added(decoder, piece);
		sent += piece;
		while (hs_wire_decoder_next(decoder, &got, &payload)) {
			frames++;
			if (got.type == HS_WIRE_PAGES)
				assert_int_equal(*(const char *)payload, 'a');
		}
	}
	assert_int_equal(frames, 2);
	assert_int_equal(hs_wire_decoder_counts(decoder)->skipped_bytes, 1001);
}

static void test_fields_go_and_come_back(void **state)
{
	scoped(hs_wire_payload) struct hs_wire_payload payload = { 0 };
	struct hs_wire_cpu_status status = { .cpu = 2, .ring_read = 77 }, back;
	scoped(mem) char *first = NULL;
	struct hs_wire_field field;
	size_t at = 0, events = 0;

	(void)state;
	hs_wire_put_text(&payload, HS_WIRE_EVENT, "kvm:*");
	hs_wire_put_number(&payload, HS_WIRE_BUFFER_KIB, 1u << 20);
	hs_wire_put_text(&payload, HS_WIRE_EVENT, "");
	hs_wire_put(&payload, HS_WIRE_CPU_STATUS, &status, sizeof(status));
	assert_int_equal(payload.err, 0);
	while (hs_wire_next_field(payload.bytes, payload.len, &at, &field) == 1)
		events += field.key == HS_WIRE_EVENT;
	assert_int_equal(at, payload.len);
	assert_int_equal(events, 2);
	assert_int_equal(hs_wire_find_number(payload.bytes, payload.len, HS_WIRE_BUFFER_KIB), 1u << 20);
	assert_int_equal(hs_wire_find_number(payload.bytes, payload.len, HS_WIRE_EVENT), 0);
	assert_int_equal(hs_wire_find(payload.bytes, payload.len, HS_WIRE_EVENT, &field), 0);
	assert_int_equal(hs_wire_field_text(&field, &first), 0);
	assert_string_equal(first, "kvm:*");
	assert_int_equal(hs_wire_find(payload.bytes, payload.len, HS_WIRE_CPU_STATUS, &field), 0);
	assert_int_equal(hs_wire_field_struct(&field, &back, sizeof(back)), 0);
	assert_memory_equal(&back, &status, sizeof(back));
	assert_int_equal(hs_wire_find(payload.bytes, payload.len, HS_WIRE_LAST, &field), -ENOENT);
}

static void test_fields_that_lie_are_refused(void **state)
{
	scoped(hs_wire_payload) struct hs_wire_payload payload = { 0 };
	scoped(mem) char *text = NULL;
	struct hs_wire_field field;
	uint32_t len;
	size_t at;

	(void)state;
	hs_wire_put(&payload, HS_WIRE_TEXT_KEY, "a\0b\n", 4);
	at = 0;
	assert_int_equal(hs_wire_next_field(payload.bytes, payload.len, &at, &field), 1);
	assert_int_equal(hs_wire_field_text(&field, &text), -EBADMSG);
	field.len = 1;
	assert_int_equal(hs_wire_field_text(&field, &text), 0);
	field = (struct hs_wire_field){ .bytes = "x\n\x1b[", .len = 4 };
	free(text);
	assert_int_equal(hs_wire_field_text(&field, &text), 0);
	assert_string_equal(text, "x??[");
	for (size_t cut = 1; cut < payload.len; cut++) {
		at = 0;
		assert_int_equal(hs_wire_next_field(payload.bytes, cut, &at, &field), -EBADMSG);
	}
	for (len = 9; len; len = len ? len * 16 + 15 : 0) {
		memcpy(payload.bytes + 4, &len, sizeof(len));
		at = 0;
		assert_int_equal(hs_wire_next_field(payload.bytes, payload.len, &at, &field), -EBADMSG);
		if (len == UINT32_MAX)
			break;
	}
	hs_wire_put(&payload, HS_WIRE_BYTES, payload.bytes, HS_WIRE_PAYLOAD_MAX + 1ul);
	assert_int_equal(payload.err, -EMSGSIZE);
	hs_wire_put_number(&payload, HS_WIRE_LAST, 1);
	assert_int_equal(payload.err, -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_cut_at_every_byte_arrive_whole),
		cmocka_unit_test(test_the_kernels_orders_are_told_at_once_between_frames),
		cmocka_unit_test(test_a_damaged_frame_costs_only_itself),
		cmocka_unit_test(test_pages_cut_short_are_not_handed_out_and_hide_nothing),
		cmocka_unit_test(test_what_a_killed_agent_left_half_written_does_not_hold_up_the_next),
		cmocka_unit_test(test_the_last_pages_are_handed_out_when_nothing_follows),
		cmocka_unit_test(test_what_is_half_there_when_the_connection_ends_does_not_hide_the_next),
		cmocka_unit_test(test_what_no_type_can_be_is_no_frame),
		cmocka_unit_test(test_the_largest_frame_passes_after_garbage),
		cmocka_unit_test(test_fields_go_and_come_back),
		cmocka_unit_test(test_fields_that_lie_are_refused),
	};

	return RUN_TESTS("wire", tests);
}
