// SPDX-License-Identifier: GPL-2.0-only
/* Links: frames arrive whole however they are cut, nonsense ends the link, callbacks may free it. */
#include "cm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "orchestrate/frame.h"

struct ends {
	struct hs_loop *loop;
	struct hs_link *link;
	int peer;
	unsigned frames;
	struct hs_frame last;
	char payload[64];
	const char *closed;
	bool free_on_frame;
};

static void on_frame(void *ctx, const struct hs_frame *frame, const char *payload)
{
	struct ends *ends = ctx;

	ends->frames++;
	ends->last = *frame;
	assert_int_equal(payload[frame->len], '\0');
	if (frame->len < sizeof(ends->payload))
		memcpy(ends->payload, payload, frame->len + 1);
	if (ends->free_on_frame) {
		hs_link_free(ends->link);
		ends->link = NULL;
	}
}

static void on_close(void *ctx, const char *reason)
{
	((struct ends *)ctx)->closed = reason;
}

static void open_ends(struct ends *ends)
{
	int pair[2];

	*ends = (struct ends){ 0 };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(hs_loop_open(&ends->loop), 0);
	assert_int_equal(hs_link_open(ends->loop, pair[0], on_frame, on_close, ends, &ends->link), 0);
	ends->peer = pair[1];
}

static void close_ends(struct ends *ends)
{
	hs_link_free(ends->link);
	hs_loop_free(ends->loop);
	close(ends->peer);
}

static size_t make_frame(char *bytes, const char *text)
{
	struct hs_frame frame = { .magic = HS_FRAME_MAGIC, .len = (uint32_t)strlen(text), .type = HS_FRAME_STATE, .id = 7 };

	memcpy(bytes, &frame, sizeof(frame));
	memcpy(bytes + sizeof(frame), text, frame.len);
	return sizeof(frame) + frame.len;
}

static void test_frames_cut_at_every_byte_arrive_whole(void **state)
{
	char bytes[128];
	size_t len = make_frame(bytes, "hello");

	(void)state;
	for (size_t cut = 1; cut < len; cut++) {
		struct ends ends;

		open_ends(&ends);
		assert_int_equal(write(ends.peer, bytes, cut), (ssize_t)cut);
		hs_loop_step(ends.loop, 0);
		assert_int_equal(ends.frames, 0);
		assert_int_equal(write(ends.peer, bytes + cut, len - cut), (ssize_t)(len - cut));
		hs_loop_step(ends.loop, 0);
		assert_int_equal(ends.frames, 1);
		assert_string_equal(ends.payload, "hello");
		assert_int_equal(ends.last.id, 7);
		close_ends(&ends);
	}
}

static void test_two_frames_in_one_read_are_two(void **state)
{
	struct ends ends;
	char bytes[256];
	size_t len = make_frame(bytes, "one");

	(void)state;
	open_ends(&ends);
	len += make_frame(bytes + len, "two");
	assert_int_equal(write(ends.peer, bytes, len), (ssize_t)len);
	hs_loop_step(ends.loop, 0);
	assert_int_equal(ends.frames, 2);
	assert_string_equal(ends.payload, "two");
	close_ends(&ends);
}

static void expect_refused(struct hs_frame frame)
{
	struct ends ends;

	open_ends(&ends);
	assert_int_equal(write(ends.peer, &frame, sizeof(frame)), sizeof(frame));
	hs_loop_step(ends.loop, 0);
	assert_int_equal(ends.frames, 0);
	assert_string_equal(ends.closed, "the other end sent a malformed frame");
	assert_int_equal(hs_link_send(ends.link, frame, NULL, 0), -EPIPE);
	close_ends(&ends);
}

static void test_nonsense_ends_the_link(void **state)
{
	(void)state;
	expect_refused((struct hs_frame){ .magic = 1, .type = HS_FRAME_STATE });
	expect_refused((struct hs_frame){ .magic = HS_FRAME_MAGIC, .type = 0 });
	expect_refused((struct hs_frame){ .magic = HS_FRAME_MAGIC, .type = HS_FRAME_TYPE_NR });
	expect_refused((struct hs_frame){ .magic = HS_FRAME_MAGIC, .type = HS_FRAME_STATE, .len = HS_FRAME_MAX_PAYLOAD + 1 });
	expect_refused((struct hs_frame){ .magic = HS_FRAME_MAGIC, .type = HS_FRAME_STATE, .len = ~0u });
}

static void test_the_largest_frame_passes(void **state)
{
	struct hs_frame frame = { .magic = HS_FRAME_MAGIC, .type = HS_FRAME_CONSOLE, .len = HS_FRAME_MAX_PAYLOAD };
	char *bytes = calloc(1, HS_FRAME_MAX_PAYLOAD);
	struct ends ends;
	size_t sent = 0;

	(void)state;
	open_ends(&ends);
	assert_int_equal(write(ends.peer, &frame, sizeof(frame)), sizeof(frame));
	while (sent < HS_FRAME_MAX_PAYLOAD) {
		ssize_t done = send(ends.peer, bytes + sent, HS_FRAME_MAX_PAYLOAD - sent, MSG_DONTWAIT);

		sent += done > 0 ? (size_t)done : 0;
		hs_loop_step(ends.loop, 0);
	}
	while (!ends.frames && !ends.closed)
		hs_loop_step(ends.loop, 1000);
	assert_int_equal(ends.frames, 1);
	assert_int_equal(ends.last.len, HS_FRAME_MAX_PAYLOAD);
	free(bytes);
	close_ends(&ends);
}

static void test_a_callback_may_free_the_link(void **state)
{
	struct ends ends;
	char bytes[256];
	size_t len = make_frame(bytes, "one");

	(void)state;
	open_ends(&ends);
	ends.free_on_frame = true;
	len += make_frame(bytes + len, "two");
	assert_int_equal(write(ends.peer, bytes, len), (ssize_t)len);
	hs_loop_step(ends.loop, 0);
	assert_int_equal(ends.frames, 1);
	close_ends(&ends);
}

static void test_what_is_sent_arrives_even_when_it_must_wait(void **state)
{
	enum { FRAMES = 64, BYTES = 100000 };
	char *bytes = calloc(1, BYTES);
	struct ends sender, receiver = { 0 };

	(void)state;
	open_ends(&sender);
	assert_int_equal(hs_link_open(sender.loop, sender.peer, on_frame, on_close, &receiver, &receiver.link), 0);
	for (unsigned i = 0; i < FRAMES; i++)
		assert_int_equal(hs_link_send(sender.link, (struct hs_frame){ .type = HS_FRAME_CONSOLE }, bytes, BYTES), 0);
	while (receiver.frames < FRAMES && !receiver.closed)
		hs_loop_step(sender.loop, 1000);
	assert_int_equal(receiver.frames, FRAMES);
	assert_int_equal(hs_link_send(sender.link, (struct hs_frame){ .type = 1 }, bytes, HS_FRAME_MAX_PAYLOAD + 1), -EMSGSIZE);
	hs_link_free(receiver.link);
	sender.peer = -1;
	free(bytes);
	close_ends(&sender);
}

static void test_the_other_ends_close_is_told(void **state)
{
	struct ends ends;

	(void)state;
	open_ends(&ends);
	close(ends.peer);
	ends.peer = -1;
	hs_loop_step(ends.loop, 0);
	assert_string_equal(ends.closed, "the other end has closed");
	close_ends(&ends);
}

static void test_argv_goes_and_comes_back(void **state)
{
	char *argv[] = { "program", "", "two words", NULL }, packed[64];
	int len = hs_frame_pack_argv(packed, sizeof(packed), argv);
	char **back = hs_frame_unpack_argv(packed, (size_t)len);

	(void)state;
	assert_int_equal(len, 8 + 1 + 10);
	for (int i = 0; i < 3; i++)
		assert_string_equal(back[i], argv[i]);
	assert_null(back[3]);
	free(back);
	assert_int_equal(hs_frame_pack_argv(packed, 8, argv), -E2BIG);
	assert_null(hs_frame_unpack_argv(packed, 0));
	assert_null(hs_frame_unpack_argv("abc", 3)); /* not terminated */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_cut_at_every_byte_arrive_whole),
		cmocka_unit_test(test_two_frames_in_one_read_are_two),
		cmocka_unit_test(test_nonsense_ends_the_link),
		cmocka_unit_test(test_the_largest_frame_passes),
		cmocka_unit_test(test_a_callback_may_free_the_link),
		cmocka_unit_test(test_what_is_sent_arrives_even_when_it_must_wait),
		cmocka_unit_test(test_the_other_ends_close_is_told),
		cmocka_unit_test(test_argv_goes_and_comes_back),
	};

	return RUN_TESTS("frame", tests);
}
