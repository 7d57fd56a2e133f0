// SPDX-License-Identifier: GPL-2.0-only
/* Pages of mm_dirty: whatever a migration could do to one is told apart, and contents are as compressible as they say.
 */
#include "cm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "migtools/mm_page.h"

#define PAGE 4096
#define SEED 12345

static const char *const fills[] = { "stamp", "zero", "random", "compressible=50%" };
static uint64_t page[PAGE / 8], other[PAGE / 8];

static struct hs_page_format format_of(const char *fill)
{
	struct hs_page_format format;

	assert_int_equal(hs_page_format_parse(fill, PAGE, SEED, &format), 0);
	return format;
}

static void expect(const struct hs_page_format *format, enum hs_page_state state)
{
	struct hs_page_verdict verdict;

	assert_int_equal(hs_page_check(format, page, 7, 3, &verdict), state == HS_PAGE_GOOD);
	assert_string_equal(hs_page_state_name(verdict.state), hs_page_state_name(state));
	assert_int_equal(verdict.number, 7);
}

static void test_a_page_is_good_as_it_was_made_and_touched(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(fills) / sizeof(*fills); i++) {
		struct hs_page_format format = format_of(fills[i]);

		hs_page_make(&format, page, 7, 3);
		expect(&format, HS_PAGE_GOOD);
		hs_page_make(&format, page, 7, 0);
		for (uint32_t generation = 0; generation < 3; generation++)
			assert_true(hs_page_touch(&format, page, 7, generation));
		expect(&format, HS_PAGE_GOOD);
	}
}

static void test_generations_wrap(void **state)
{
	struct hs_page_format format = format_of("stamp");
	struct hs_page_verdict verdict;

	(void)state;
	hs_page_make(&format, page, 7, UINT32_MAX);
	memcpy(other, page, PAGE);
	assert_true(hs_page_touch(&format, page, 7, UINT32_MAX));
	assert_true(hs_page_check(&format, page, 7, 0, &verdict));
	assert_false(hs_page_check(&format, other, 7, 0, &verdict));
	assert_int_equal(verdict.state, HS_PAGE_STALE);
}

static void test_what_happened_to_a_page_is_named(void **state)
{
	static const char *const stamped[] = { "stamp", "random", "compressible=50%" };

	(void)state;
	for (size_t i = 0; i < sizeof(stamped) / sizeof(*stamped); i++) {
		struct hs_page_format format = format_of(stamped[i]);

		memset(page, 0, PAGE);
		expect(&format, HS_PAGE_LOST);
		hs_page_make(&format, page, 8, 3);
		expect(&format, HS_PAGE_SWAPPED);
		hs_page_make(&format, page, 7, 2);
		expect(&format, HS_PAGE_STALE);
		hs_page_make(&format, page, 7, 4);
		expect(&format, HS_PAGE_AHEAD);
		memset(page, 0x55, PAGE);
		expect(&format, HS_PAGE_DAMAGED);
	}
}

static void test_a_page_of_another_run_is_not_ours(void **state)
{
	struct hs_page_format format = format_of("stamp"), earlier = format;

	(void)state;
	earlier.seed++;
	hs_page_make(&earlier, page, 7, 3);
	expect(&format, HS_PAGE_DAMAGED);
}

static void test_any_wrong_byte_is_found_and_told(void **state)
{
	struct hs_page_verdict verdict;

	(void)state;
	for (size_t i = 0; i < sizeof(fills) / sizeof(*fills); i++) {
		struct hs_page_format format = format_of(fills[i]);

		hs_page_make(&format, page, 7, 3);
		for (size_t byte = 0; byte < PAGE; byte++) {
			((uint8_t *)page)[byte] ^= 0x10;
			assert_false(hs_page_check(&format, page, 7, 3, &verdict));
			assert_int_equal(verdict.state, HS_PAGE_DAMAGED);
			if (byte >= sizeof(struct hs_page_stamp))
				assert_int_equal(verdict.offset, byte);
			((uint8_t *)page)[byte] ^= 0x10;
		}
		expect(&format, HS_PAGE_GOOD);
	}
}

static void test_a_wrong_page_is_not_touched(void **state)
{
	struct hs_page_format format = format_of("random"), zero = format_of("zero");

	(void)state;
	hs_page_make(&format, page, 7, 2);
	memcpy(other, page, PAGE);
	assert_false(hs_page_touch(&format, page, 7, 3));
	assert_memory_equal(page, other, PAGE);
	page[0] = 1;
	assert_false(hs_page_touch(&zero, page, 7, 3));
	assert_int_equal(page[0], 1);
}

static void test_zero_pages_are_zeros(void **state)
{
	struct hs_page_format format = format_of("zero");

	(void)state;
	hs_page_make(&format, page, 7, 0);
	assert_true(hs_page_touch(&format, page, 7, 0));
	memset(other, 0, PAGE);
	assert_memory_equal(page, other, PAGE);
}

/* In percent of what it was, for 256 pages at once. */
static int compressed_pct(const char *fill)
{
	struct hs_page_format format = format_of(fill);
	uLongf room = compressBound(256 * PAGE), size = room;
	uint8_t *pages = malloc(256 * PAGE), *compressed = malloc(room);

	for (uint64_t i = 0; i < 256; i++)
		hs_page_make(&format, pages + i * PAGE, i, 0);
	assert_int_equal(compress(compressed, &size, pages, 256 * PAGE), Z_OK);
	free(pages);
	free(compressed);
	return (int)(size * 100 / (256 * PAGE));
}

static void test_contents_compress_as_they_say(void **state)
{
	(void)state;
	assert_in_range(compressed_pct("zero"), 0, 1);
	assert_in_range(compressed_pct("stamp"), 0, 2);
	assert_in_range(compressed_pct("random"), 99, 101);
	assert_in_range(compressed_pct("compressible=50%"), 49, 52);
	assert_in_range(compressed_pct("compressible=90"), 9, 12);
}

static void test_unknown_contents_are_refused(void **state)
{
	static const char *const bad[] = { "",
					   "zeros",
					   "compressible",
					   "compressible=",
					   "compressible=x%",
					   "compressible=101%",
					   "compressible=50%%",
					   "compressible=-1%" };
	struct hs_page_format format = { .seed = 99 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(hs_page_format_parse(bad[i], PAGE, SEED, &format), -EINVAL);
	assert_int_equal(format.seed, 99);
}

static void test_descriptions_name_the_page(void **state)
{
	struct hs_page_verdict verdict = {
		.state = HS_PAGE_STALE, .number = 7, .generation = 3, .found_generation = 2
	};
	char text[128], little[8];

	(void)state;
	assert_string_equal(hs_page_describe(&verdict, text, sizeof(text)),
			    "page 7 is stale: generation 2 where 3 was written");
	verdict.state = HS_PAGE_SWAPPED;
	verdict.found_number = 9;
	assert_string_equal(hs_page_describe(&verdict, text, sizeof(text)),
			    "page 7 is swapped: it holds page 9 of generation 2");
	verdict.state = HS_PAGE_LOST;
	assert_string_equal(hs_page_describe(&verdict, text, sizeof(text)),
			    "page 7 is lost: zeros where generation 3 was written");
	verdict = (struct hs_page_verdict){ .state = HS_PAGE_DAMAGED, .number = 7, .offset = 100 };
	assert_string_equal(hs_page_describe(&verdict, text, sizeof(text)), "page 7 is damaged from byte 100 on");
	assert_string_equal(hs_page_describe(&verdict, little, sizeof(little)), "page 7 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_page_is_good_as_it_was_made_and_touched),
		cmocka_unit_test(test_generations_wrap),
		cmocka_unit_test(test_what_happened_to_a_page_is_named),
		cmocka_unit_test(test_a_page_of_another_run_is_not_ours),
		cmocka_unit_test(test_any_wrong_byte_is_found_and_told),
		cmocka_unit_test(test_a_wrong_page_is_not_touched),
		cmocka_unit_test(test_zero_pages_are_zeros),
		cmocka_unit_test(test_contents_compress_as_they_say),
		cmocka_unit_test(test_unknown_contents_are_refused),
		cmocka_unit_test(test_descriptions_name_the_page),
	};

	return RUN_TESTS("mm_page", tests);
}
