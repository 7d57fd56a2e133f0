// SPDX-License-Identifier: GPL-2.0-only
/* What `vm` sends and reads byte by byte, what two ends agree on, limits, rounds and forecasts. */
#include "cm.h"

#include <errno.h>
#include <string.h>

#include "base/scoped.h"
#include "migtools/stream_forecast.h"
#include "migtools/stream_guest.h"
#include "migtools/stream_latency.h"
#include "migtools/stream_pace.h"
#include "migtools/stream_parser.h"

#define MIB (1ull << 20)
#define SECOND_NS 1000000000ull

/* ---- bytes ---- */

static void test_headers_are_mig_mons_bytes(void **state)
{
	/* As they were seen on a wire between two of mig_mon's. */
	static const uint8_t handshake[] = { 0x25, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	static const uint8_t request[] = { 0x24, 0x01, 0, 0, 0, 0, 0, 0, 0x13, 0xeb, 0x64, 0x07, 0, 0, 0, 0 };
	static const uint8_t page[] = { 0x23, 0x01, 0, 0, 0, 0, 0, 0, 0x13, 0xeb, 0x64, 0x07, 0, 0, 0, 0 };
	uint8_t bytes[HS_STREAM_HEADER_BYTES];
	uint64_t magic, number;

	(void)state;
	hs_stream_put_header(bytes, HS_STREAM_HANDSHAKE, 0);
	assert_memory_equal(bytes, handshake, sizeof(handshake));
	hs_stream_put_header(bytes, HS_STREAM_REQUEST, 0x764eb13);
	assert_memory_equal(bytes, request, sizeof(request));
	hs_stream_put_header(bytes, HS_STREAM_PAGE, 0x764eb13);
	assert_memory_equal(bytes, page, sizeof(page));
	hs_stream_get_header(request, &magic, &number);
	assert_int_equal(magic, 0x124);
	assert_int_equal(number, 0x764eb13);
}

static const struct hs_stream_hello example = {
	.offer = { .version = 1, .page_bytes = 4096, .page_size_fixed = true, .vm_bytes = 1ull << 40 },
	.session = 0x1122334455667788,
	.stream = 2,
	.streams = 3,
};

static void test_a_hello_comes_back_as_it_was(void **state)
{
	static const uint8_t expected[HS_STREAM_HELLO_BYTES] = {
		'H', 'S', 'B', 'P',  'F',  '-',	 'V',  'M',  1,	   0,	 0,    0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0,
		1,   0,	  0,   0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 2, 0, 0,	   0, 3, 0, 0, 0, 1,
	};
	uint8_t bytes[HS_STREAM_HELLO_BYTES];
	struct hs_stream_hello hello;

	(void)state;
	hs_stream_put_hello(bytes, &example);
	assert_memory_equal(bytes, expected, sizeof(expected));
	assert_int_equal(hs_stream_get_hello(bytes, &hello), 0);
	assert_int_equal(hello.offer.vm_bytes, 1ull << 40);
	assert_int_equal(hello.offer.page_bytes, 4096);
	assert_true(hello.offer.page_size_fixed);
	assert_int_equal(hello.session, example.session);
	assert_int_equal(hello.stream, 2);
	assert_int_equal(hello.streams, 3);
	memset(bytes, 0, 8);
	assert_int_equal(hs_stream_get_hello(bytes, &hello), -ENOENT);
}

static void expect_bad_hello(size_t offset, uint8_t value)
{
	uint8_t bytes[HS_STREAM_HELLO_BYTES];
	struct hs_stream_hello hello;

	hs_stream_put_hello(bytes, &example);
	bytes[offset] = value;
	assert_int_equal(hs_stream_get_hello(bytes, &hello), -EPROTO);
}

static void test_a_hello_that_makes_no_sense_is_refused(void **state)
{
	(void)state;
	expect_bad_hello(8, 0);	 /* version 0 */
	expect_bad_hello(12, 1); /* a page of 4097 bytes */
	expect_bad_hello(15, 1); /* one of 16 MiB and 4 KiB */
	expect_bad_hello(21, 0); /* memory below a page */
	expect_bad_hello(32, 3); /* stream 3 of 3 */
}

static void test_an_acceptance_comes_back_as_it_was(void **state)
{
	struct hs_stream_accept accept = { HS_STREAM_TOO_LARGE, 1, 65536, 3 * MIB }, got;
	uint8_t bytes[HS_STREAM_HEADER_BYTES + HS_STREAM_ACCEPT_BYTES];
	uint64_t magic, number;

	(void)state;
	hs_stream_put_accept(bytes, &accept);
	hs_stream_get_header(bytes, &magic, &number);
	assert_int_equal(magic, HS_STREAM_ACCEPT);
	assert_int_equal(hs_stream_get_accept(number, bytes + HS_STREAM_HEADER_BYTES, &got), 0);
	assert_int_equal(got.refusal, HS_STREAM_TOO_LARGE);
	assert_int_equal(got.page_bytes, 65536);
	assert_int_equal(got.vm_bytes, 3 * MIB);
	assert_int_equal(hs_stream_get_accept(HS_STREAM_REFUSAL_NR, bytes + HS_STREAM_HEADER_BYTES, &got), -EPROTO);
}

static struct hs_stream_accept negotiate(uint32_t source_page, bool source_fixed, uint32_t own_page, bool own_fixed)
{
	struct hs_stream_offer source = { 1, source_page, source_fixed, MIB }, own = { 1, own_page, own_fixed, MIB };

	return hs_stream_negotiate(&source, &own);
}

static void test_the_larger_page_size_is_taken_unless_an_end_insists(void **state)
{
	struct hs_stream_offer small = { 1, 4096, false, MIB }, large = { 1, 4096, false, MIB + 4096 };

	(void)state;
	assert_int_equal(negotiate(4096, false, 65536, false).page_bytes, 65536);
	assert_int_equal(negotiate(65536, false, 4096, false).page_bytes, 65536);
	assert_int_equal(negotiate(4096, true, 65536, false).page_bytes, 4096);
	assert_int_equal(negotiate(65536, false, 4096, true).page_bytes, 4096);
	assert_int_equal(negotiate(16384, true, 16384, true).refusal, HS_STREAM_ACCEPTED);
	assert_int_equal(negotiate(16384, true, 4096, true).refusal, HS_STREAM_BAD_PAGE_SIZE);
	assert_int_equal(hs_stream_negotiate(&small, &large).refusal, HS_STREAM_ACCEPTED);
	assert_int_equal(hs_stream_negotiate(&large, &small).refusal, HS_STREAM_TOO_LARGE);
	large.version = 7;
	assert_int_equal(hs_stream_negotiate(&small, &large).version, 1);
}

/* ---- the parser ---- */

struct feed {
	uint8_t bytes[1 << 16];
	size_t len;
};

static void feed_header(struct feed *feed, enum hs_stream_magic magic, uint64_t number)
{
	hs_stream_put_header(feed->bytes + feed->len, magic, number);
	feed->len += HS_STREAM_HEADER_BYTES;
}

static void feed_page(struct feed *feed, enum hs_stream_magic magic, uint64_t number, size_t bytes)
{
	feed_header(feed, magic, number);
	if (magic == HS_STREAM_ANSWER) {
		hs_stream_put_times(feed->bytes + feed->len, &(struct hs_stream_times){ number, 2 * number });
		feed->len += HS_STREAM_TIMES_BYTES;
	}
	memset(feed->bytes + feed->len, 0x23, bytes); /* contents look like anything, headers too */
	feed->len += bytes;
}

/* Feeds pieces of that size; writes "magic:number " of every message. 0, or what the parser says. */
static int parse(struct hs_stream_parser *parser, const struct feed *feed, size_t piece, char *text, size_t size)
{
	size_t used = 0;

	for (size_t start = 0; start < feed->len; start += piece) {
		const uint8_t *at = feed->bytes + start;
		const uint8_t *limit = feed->bytes + (start + piece < feed->len ? start + piece : feed->len);
		struct hs_stream_message message;
		int err;

		while ((err = hs_stream_parser_next(parser, &at, limit, &message)) > 0) {
			used += (size_t)snprintf(text + used, size - used, "%s%llx:%llu ",
						 message.is_hello ? "hello " : "", (unsigned long long)message.magic,
						 (unsigned long long)message.number);
			parser->is_ours = parser->is_ours || message.is_hello;
		}
		if (err)
			return err;
		assert_ptr_equal(at, limit);
	}
	return 0;
}

static void test_messages_are_found_in_pieces_of_any_size(void **state)
{
	static const size_t pieces[] = { 1, 2, 7, 15, 16, 17, 63, 80, 81, 511, 528, 529, 4096, 1 << 16 };
	struct feed feed = { .len = 0 };

	(void)state;
	feed_header(&feed, HS_STREAM_PAGE, 0);
	hs_stream_put_hello(feed.bytes + feed.len,
			    &(struct hs_stream_hello){ .offer = { 1, 512, false, MIB }, .streams = 1 });
	feed.len += 512;
	feed_header(&feed, HS_STREAM_HANDSHAKE, 0);
	feed_page(&feed, HS_STREAM_PAGE, 7, 512);
	feed_page(&feed, HS_STREAM_PAGE, 0, 512);
	feed_header(&feed, HS_STREAM_AGREED, 1024);
	feed_page(&feed, HS_STREAM_ANSWER, 9, 1024);
	feed_header(&feed, HS_STREAM_FLUSH, 3);
	feed_page(&feed, HS_STREAM_PAGE, 1023, 1024);
	for (size_t i = 0; i < HS_ARRAY_SIZE(pieces); i++) {
		struct hs_stream_parser parser;
		char text[512] = "";

		hs_stream_parser_begin(&parser, HS_STREAM_DESTINATION, 512, MIB);
		assert_int_equal(parse(&parser, &feed, pieces[i], text, sizeof(text)), 0);
		assert_string_equal(text,
				    "hello 123:0 125:0 123:7 123:0 68730002:1024 68730003:9 68730004:3 123:1023 ");
		assert_false(hs_stream_parser_is_inside(&parser));
	}
}

static void test_times_travel_with_answers(void **state)
{
	struct hs_stream_parser parser;
	struct hs_stream_message message;
	struct feed feed = { .len = 0 };
	const uint8_t *at = feed.bytes;

	(void)state;
	feed_page(&feed, HS_STREAM_ANSWER, 9, 512);
	hs_stream_parser_begin(&parser, HS_STREAM_DESTINATION, 512, MIB);
	parser.is_ours = true;
	assert_int_equal(hs_stream_parser_next(&parser, &at, feed.bytes + feed.len, &message), 1);
	assert_int_equal(message.times.program_ns, 9);
	assert_int_equal(message.times.socket_ns, 18);
}

static int parse_one(enum hs_stream_end end, bool is_ours, uint64_t magic, uint64_t number)
{
	struct hs_stream_parser parser;
	struct hs_stream_message message;
	uint8_t bytes[HS_STREAM_HEADER_BYTES];
	const uint8_t *at = bytes;

	hs_stream_put_header(bytes, (enum hs_stream_magic)magic, number);
	hs_stream_parser_begin(&parser, end, 4096, MIB);
	parser.is_ours = is_ours;
	return hs_stream_parser_next(&parser, &at, bytes + sizeof(bytes), &message);
}

static void test_each_end_takes_only_what_the_other_may_send(void **state)
{
	(void)state;
	assert_int_equal(parse_one(HS_STREAM_SOURCE, false, HS_STREAM_REQUEST, 1ull << 60), 1); /* as mig_mon does */
	assert_int_equal(parse_one(HS_STREAM_SOURCE, true, HS_STREAM_PAGE, 1), -EPROTO);
	assert_int_equal(parse_one(HS_STREAM_SOURCE, false, HS_STREAM_FLUSHED, 1), -EPROTO);
	assert_int_equal(parse_one(HS_STREAM_SOURCE, true, HS_STREAM_FLUSHED, 1), 1);
	assert_int_equal(parse_one(HS_STREAM_DESTINATION, true, HS_STREAM_REQUEST, 1), -EPROTO);
	assert_int_equal(parse_one(HS_STREAM_DESTINATION, false, HS_STREAM_HANDSHAKE, 0), 1);
	assert_int_equal(parse_one(HS_STREAM_DESTINATION, false, HS_STREAM_FLUSH, 1), -EPROTO);
	assert_int_equal(parse_one(HS_STREAM_DESTINATION, false, HS_STREAM_ANSWER, 1), -EPROTO);
	assert_int_equal(parse_one(HS_STREAM_DESTINATION, true, HS_STREAM_AGREED, 4097), -EPROTO);
	assert_int_equal(parse_one(HS_STREAM_DESTINATION, false, HS_STREAM_PAGE, 255), 0);
	assert_int_equal(parse_one(HS_STREAM_DESTINATION, false, HS_STREAM_PAGE, 256), -ERANGE);
	assert_int_equal(parse_one(HS_STREAM_DESTINATION, false, HS_STREAM_PAGE, UINT64_MAX), -ERANGE);
	assert_int_equal(parse_one(HS_STREAM_DESTINATION, false, 0, 0), -EPROTO);
}

static void test_only_the_first_page_can_be_a_hello(void **state)
{
	struct hs_stream_parser parser;
	struct feed feed = { .len = 0 };
	char text[128];

	(void)state;
	for (int i = 0; i < 2; i++) {
		feed_header(&feed, HS_STREAM_PAGE, 0);
		hs_stream_put_hello(feed.bytes + feed.len, &example);
		feed.len += 4096;
	}
	hs_stream_parser_begin(&parser, HS_STREAM_DESTINATION, 4096, 1ull << 40);
	assert_int_equal(parse(&parser, &feed, 1000, text, sizeof(text)), 0);
	assert_string_equal(text, "hello 123:0 123:0 ");
}

/* ---- limits ---- */

static void test_a_limit_is_kept_and_a_stop_is_not_made_up_for(void **state)
{
	struct hs_stream_pace pace;
	uint64_t now_ns = 5 * SECOND_NS, sent = 0;

	(void)state;
	hs_stream_pace_begin(&pace, 10 * MIB, MIB, now_ns);
	for (uint64_t t = 0; t < 1000; t++, now_ns += SECOND_NS / 1000)
		sent += 4112 * hs_stream_pace_take(&pace, now_ns, 4112, 1000);
	assert_true(sent <= 11 * MIB);
	assert_true(sent > 11 * MIB - 20 * 4112);
	now_ns += 3 * SECOND_NS;
	sent = 4112 * hs_stream_pace_take(&pace, now_ns, 4112, UINT64_MAX);
	assert_true(sent <= MIB);
	assert_int_equal(hs_stream_pace_take(&pace, now_ns, 4112, 1), 0);
	assert_true(hs_stream_pace_wait_ns(&pace, 4112) > SECOND_NS / 10 / 2 - SECOND_NS / 1000);
}

static void test_without_a_limit_everything_may_leave(void **state)
{
	struct hs_stream_pace pace;

	(void)state;
	hs_stream_pace_begin(&pace, 0, 0, 0);
	assert_int_equal(hs_stream_pace_take(&pace, 0, 4112, 128), 128);
	assert_int_equal(hs_stream_pace_wait_ns(&pace, 4112), 0);
}

/* ---- memory and rounds ---- */

static uint64_t take_all(struct hs_stream_guest *guest, uint64_t pages, uint32_t parts, uint8_t *seen)
{
	uint64_t count = 0, page;

	for (uint32_t part = 0; part < parts; part++) {
		uint64_t from = hs_stream_part(pages, part, parts), to = hs_stream_part(pages, part + 1, parts);
		uint64_t begin = from;

		while (hs_stream_guest_take(guest, &from, to, &page)) {
			assert_in_range(page, begin, to - 1);
			seen[page]++;
			count++;
		}
	}
	return count;
}

static void test_every_page_is_sent_once_then_what_was_written(void **state)
{
	static const uint64_t sizes[] = { 1, 63, 64, 65, 1000, 4096 };

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(sizes); i++)
		for (uint32_t parts = 1; parts <= 3; parts++) {
			scoped(hs_stream_guest) struct hs_stream_guest *guest = NULL;
			uint64_t pages = sizes[i], working = (pages + 1) / 2, written;
			uint8_t seen[4096] = { 0 };

			assert_int_equal(hs_stream_guest_open(pages, working, 42, &guest), 0);
			assert_int_equal(take_all(guest, pages, parts, seen), pages);
			for (uint64_t page = 0; page < pages; page++)
				assert_int_equal(seen[page], 1);
			written = hs_stream_guest_write(guest, 3 * pages);
			assert_int_equal(hs_stream_guest_dirty_pages(guest), written);
			assert_in_range(written, 1, working);
			assert_int_equal(take_all(guest, pages, parts, seen), 0); /* not before the round ends */
			hs_stream_guest_next_round(guest);
			memset(seen, 0, sizeof(seen));
			assert_int_equal(take_all(guest, pages, parts, seen), written);
			for (uint64_t page = working; page < pages; page++)
				assert_int_equal(seen[page], 0);
			hs_stream_guest_next_round(guest);
			assert_int_equal(take_all(guest, pages, parts, seen), 0);
		}
}

static void test_writes_dirty_as_many_pages_as_the_model_says(void **state)
{
	struct hs_stream_model model = { .writes_per_s = 10000, .working_pages = 5000 };
	scoped(hs_stream_guest) struct hs_stream_guest *guest = NULL;
	double expected = hs_stream_dirty_after(&model, 0.7);
	uint64_t dirty;

	(void)state;
	assert_int_equal(hs_stream_guest_open(20000, 5000, 7, &guest), 0);
	dirty = hs_stream_guest_write(guest, 7000);
	assert_in_range(dirty, expected * 0.97, expected * 1.03);
}

static const struct hs_stream_model slow_guest = { .bytes_per_s = 1000 * 4112,
						   .writes_per_s = 100,
						   .working_pages = 1e9, /* hardly any page is hit twice */
						   .frame_bytes = 4112,
						   .downtime_limit_ns = SECOND_NS / 10 };

static void test_a_slow_guest_is_foreseen_to_converge(void **state)
{
	/* 100 s of pages; each round leaves a tenth: 10 s, 1 s, 0.1 s. */
	struct hs_stream_forecast forecast = hs_stream_forecast(&slow_guest, 100000);

	(void)state;
	assert_true(forecast.converges);
	assert_in_range(forecast.rounds, 3, 4);
	assert_in_range(forecast.stop_ns, SECOND_NS / 101, SECOND_NS / 10);
	assert_in_range(forecast.total_ns, 111 * SECOND_NS, 112 * SECOND_NS);
	forecast = hs_stream_forecast(&slow_guest, 99);
	assert_true(forecast.converges);
	assert_int_equal(forecast.rounds, 0);
	assert_int_equal(forecast.stop_bytes / 4112, 99);
}

static void test_a_fast_guest_is_foreseen_not_to(void **state)
{
	struct hs_stream_model model = slow_guest;
	struct hs_stream_forecast forecast;

	(void)state;
	model.writes_per_s = 5000;
	model.working_pages = 2000;
	forecast = hs_stream_forecast(&model, 100000);
	assert_false(forecast.converges);
	/* W(1 - e^(-rt/W)) = bt has its fixed point at 0.8926 of 2000 pages: 1.985 s at r = 5 b. */
	assert_in_range(forecast.stop_ns, 19 * SECOND_NS / 10, 2 * SECOND_NS);
	assert_true(forecast.rounds < HS_STREAM_FORECAST_ROUNDS_MAX);
	model.writes_per_s = 0;
	assert_true(hs_stream_forecast(&model, 100000).converges);
	assert_int_equal(hs_stream_forecast(&model, 100000).rounds, 1);
}

/* ---- latency ---- */

static void test_parts_of_a_request_add_up_to_it(void **state)
{
	struct hs_stream_latency latency = { 0 };
	const struct hs_stream_times unknown = { UINT64_MAX, UINT64_MAX }, known = { 20, 30 }, absurd = { 900, 200 };

	(void)state;
	assert_int_equal(hs_stream_latency_split(&latency, &known), 0); /* of no request */
	assert_int_equal(hs_stream_latency_add(&latency, 1000, 50), 0);
	assert_int_equal(hs_stream_latency_split(&latency, &known), 0);
	assert_int_equal(latency.network.count, 1);
	assert_int_equal(latency.program.sum + latency.socket.sum + latency.network.sum + latency.receive.sum, 1000);
	assert_int_equal(latency.network.sum, 900);
	assert_int_equal(hs_stream_latency_split(&latency, &known), 0); /* nothing is counted twice */
	hs_stream_latency_add(&latency, 1000, 50);
	hs_stream_latency_split(&latency, &unknown);
	hs_stream_latency_add(&latency, 1000, UINT64_MAX);
	hs_stream_latency_split(&latency, &known);
	hs_stream_latency_add(&latency, 1000, 50);
	hs_stream_latency_split(&latency, &absurd); /* a clock was set */
	assert_int_equal(latency.network.count, 1);
	assert_int_equal(latency.total.count, 4);
	assert_int_equal(latency.interval_count, 4);
	hs_stream_latency_next(&latency);
	assert_int_equal(latency.interval_count, 0);
	hs_stream_latency_clear(&latency);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers_are_mig_mons_bytes),
		cmocka_unit_test(test_a_hello_comes_back_as_it_was),
		cmocka_unit_test(test_a_hello_that_makes_no_sense_is_refused),
		cmocka_unit_test(test_an_acceptance_comes_back_as_it_was),
		cmocka_unit_test(test_the_larger_page_size_is_taken_unless_an_end_insists),
		cmocka_unit_test(test_messages_are_found_in_pieces_of_any_size),
		cmocka_unit_test(test_times_travel_with_answers),
		cmocka_unit_test(test_each_end_takes_only_what_the_other_may_send),
		cmocka_unit_test(test_only_the_first_page_can_be_a_hello),
		cmocka_unit_test(test_a_limit_is_kept_and_a_stop_is_not_made_up_for),
		cmocka_unit_test(test_without_a_limit_everything_may_leave),
		cmocka_unit_test(test_every_page_is_sent_once_then_what_was_written),
		cmocka_unit_test(test_writes_dirty_as_many_pages_as_the_model_says),
		cmocka_unit_test(test_a_slow_guest_is_foreseen_to_converge),
		cmocka_unit_test(test_a_fast_guest_is_foreseen_not_to),
		cmocka_unit_test(test_parts_of_a_request_add_up_to_it),
	};

	return RUN_TESTS("stream", tests);
}
