// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that outlived a kernel. tests/data/ramoops_panic.xz is what Debian's 6.1 kernel left in a client of ours when
 * it panicked (sysrq c, sched_switch in its ftrace ring); its parity is the kernel's own, so a decoder that finds no
 * error in it agrees with the kernel. Other zones are made here.
 */
#include "cm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "journal/ecc.h"
#include "journal/ramoops.h"
#include "tests/data/sample.h"

#define PANIC "tests/data/ramoops_panic.xz"
#define PANIC_TEXT_BYTES 31468u
#define PANIC_TEXT_CRC 0x1119542du /* of what Python's zlib unpacks */
#define PANIC_BYTES 10816u
#define ZONE 0x20000u
#define HEADER 12

static const struct hs_ramoops_layout lab_layout = { ZONE, ZONE, ZONE, ZONE, 0 };

static uint8_t *load_panic(void)
{
	size_t len = 0;
	char *region = sample_load(PANIC, &len);

	assert_non_null(region);
	assert_int_equal(len, 1 << 20);
	return (uint8_t *)region;
}

static struct hs_ramoops *decode(const void *region, size_t bytes, const struct hs_ramoops_layout *layout)
{
	struct hs_ramoops *ramoops = NULL;

	assert_int_equal(hs_ramoops_decode(region, bytes, layout, &ramoops), 0);
	return ramoops;
}

static void test_a_real_panic_comes_back_whole(void **state)
{
	scoped(mem) uint8_t *region = load_panic();
	scoped(hs_ramoops) struct hs_ramoops *ramoops = decode(region, 1 << 20, &lab_layout);
	const struct hs_ramoops_record *record = ramoops->record;

	(void)state;
	assert_int_equal(ramoops->nr, 1);
	assert_int_equal(ramoops->damaged_zones, 0);
	assert_int_equal(record->kind, HS_RAMOOPS_DUMP);
	assert_int_equal(record->number, 0);
	assert_true(record->was_packed);
	assert_int_equal(record->corrected_bytes + record->damaged_blocks + record->lost_bytes, 0);
	assert_int_equal(record->blocks, (PANIC_BYTES + 127) / 128);
	assert_int_equal(record->real_ns, 1795273469449392000ull);
	assert_int_equal(record->len, PANIC_TEXT_BYTES);
	assert_int_equal(crc32(0, (const uint8_t *)record->text, (uInt)record->len), PANIC_TEXT_CRC);
	assert_int_equal(strncmp(record->text, "Panic#1 Part1\n<5>[    0.000000] Linux version", 44), 0);
	assert_non_null(strstr(record->text, "Kernel panic - not syncing: sysrq triggered crash"));
	assert_non_null(strstr(record->text, "sched_switch: prev_comm=ls")); /* the last of its ftrace ring */
}

/* Eight wrong bytes in each block, another eight in the header: all that the parity can mend. */
static void test_eight_wrong_bytes_of_each_block_are_put_right_and_counted(void **state)
{
	scoped(mem) uint8_t *region = load_panic();
	unsigned blocks = (PANIC_BYTES + 127) / 128, seed = 1;

	(void)state;
	for (unsigned block = 0; block < blocks; block++)
		for (unsigned i = 0; i < 8; i++) {
			seed = seed * 1103515245 + 12345;
			region[HEADER + block * 128 + i * 16 + (seed >> 16) % 16] ^= (uint8_t)(1 + (seed >> 24) % 255);
		}
	for (unsigned i = 0; i < 8; i++)
		region[i] ^= 0x5a;
	{
		scoped(hs_ramoops) struct hs_ramoops *ramoops = decode(region, 1 << 20, &lab_layout);

		assert_int_equal(ramoops->nr, 1);
		assert_int_equal(ramoops->record->corrected_bytes, 8 * (blocks + 1));
		assert_int_equal(ramoops->record->damaged_blocks, 0);
		assert_int_equal(crc32(0, (const uint8_t *)ramoops->record->text, (uInt)ramoops->record->len),
				 PANIC_TEXT_CRC);
	}
}

static void test_a_packed_dump_is_right_up_to_the_damage_and_says_what_is_lost(void **state)
{
	scoped(mem) uint8_t *region = load_panic();
	scoped(mem) uint8_t *whole = load_panic();
	unsigned bad_block = 40;
	size_t good;

	(void)state;
	memset(region + HEADER + bad_block * 128, 0xff, 128);
	{
		scoped(hs_ramoops) struct hs_ramoops *ramoops = decode(region, 1 << 20, &lab_layout);
		scoped(hs_ramoops) struct hs_ramoops *before = decode(whole, 1 << 20, &lab_layout);
		char *mark = strstr(ramoops->record->text, "\n[the rest, ");

		assert_int_equal(ramoops->nr, 1);
		assert_int_equal(ramoops->record->damaged_blocks, 1);
		assert_int_equal(ramoops->record->lost_bytes, PANIC_BYTES - bad_block * 128);
		assert_non_null(mark);
		good = (size_t)(mark - ramoops->record->text);
		assert_true(good > bad_block * 128);
		assert_memory_equal(ramoops->record->text, before->record->text, good);
	}
}

static void test_a_header_beyond_repair_costs_only_itself(void **state)
{
	scoped(mem) uint8_t *region = load_panic();

	(void)state;
	memset(region, 0xa5, HEADER);
	{
		scoped(hs_ramoops) struct hs_ramoops *ramoops = decode(region, 1 << 20, &lab_layout);

		assert_int_equal(ramoops->nr, 1);
		assert_true(ramoops->record->has_bad_header);
		assert_int_equal(ramoops->record->len, PANIC_TEXT_BYTES);
		assert_int_equal(crc32(0, (const uint8_t *)ramoops->record->text, (uInt)ramoops->record->len),
				 PANIC_TEXT_CRC);
	}
}

static void test_what_nothing_is_left_of_is_counted(void **state)
{
	scoped(mem) uint8_t *region = load_panic();

	(void)state;
	for (size_t i = 0; i < ZONE; i++)
		region[i] = (uint8_t)(i * 7 + (i >> 8) * 31 + 1);
	{
		scoped(hs_ramoops) struct hs_ramoops *ramoops = decode(region, 1 << 20, &lab_layout);

		assert_int_equal(ramoops->nr, 0);
		assert_int_equal(ramoops->damaged_zones, 1);
	}
}

/* ---- zones made here, as fs/pstore/ram_core.c writes them ---- */

static size_t capacity_of(size_t zone_bytes)
{
	size_t blocks = (zone_bytes - HEADER - 16 + 143) / 144;

	return zone_bytes - HEADER - (blocks + 1) * 16;
}

static void put_word(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
}

/* Writes `text` into the ring of an empty zone as a kernel does that writes it in one go or in many. */
static void fill_zone(uint8_t *zone, size_t zone_bytes, uint32_t signature, const void *text, size_t len)
{
	size_t capacity = capacity_of(zone_bytes), size = len < capacity ? len : capacity;
	uint8_t *data = zone + HEADER, *parity = data + capacity;
	struct hs_ecc ecc;

	hs_ecc_init(&ecc);
	for (size_t i = 0; i < len; i++)
		data[i % capacity] = ((const uint8_t *)text)[i];
	for (size_t at = 0, block = 0; at < size; at += 128, block++)
		hs_ecc_encode(&ecc, data + at, capacity - at < 128 ? capacity - at : 128, parity + block * 16);
	put_word(zone, signature);
	put_word(zone + 4, (uint32_t)(len % capacity));
	put_word(zone + 8, (uint32_t)size);
	hs_ecc_encode(&ecc, zone, HEADER, zone + zone_bytes - 16);
}

#define SIGNATURE 0x43474244u
#define SMALL 4096u

static const struct hs_ramoops_layout small_layout = { SMALL, SMALL, SMALL, SMALL, 0 };

static void test_rings_are_turned_and_every_kind_of_zone_is_read(void **state)
{
	static const char plain[] = "====1700000000.000123-D\nOops#2 Part1\n<3>[    1.000000] a line\n",
			  old[] = "====9.5\nold\n";
	struct {
		uint64_t ip, parent, count;
	} calls[2] = { { 0xffffffff81000010, 0xffffffff81000020, 7 << 8 | 1 }, { 0x11, 0x22, 8 << 8 | 1 } };
	scoped(mem) uint8_t *region = calloc(6, SMALL);
	scoped(mem) char *console = malloc(3 * SMALL);
	scoped(hs_ramoops) struct hs_ramoops *ramoops = NULL;
	size_t capacity = capacity_of(SMALL);

	(void)state;
	for (size_t i = 0; i < 3 * SMALL; i++)
		console[i] = i % 16 == 15 ? '\n' : (char)('a' + i / 16 % 26);
	fill_zone(region, SMALL, SIGNATURE, plain, sizeof(plain) - 1);
	fill_zone(region + SMALL, SMALL, SIGNATURE, old, sizeof(old) - 1);
	fill_zone(region + 3 * SMALL, SMALL, SIGNATURE, console, 3 * SMALL);
	fill_zone(region + 4 * SMALL, SMALL / 2, SIGNATURE ^ 0x60100, "", 0); /* a kernel with two CPUs */
	fill_zone(region + 4 * SMALL + SMALL / 2, SMALL / 2, SIGNATURE ^ 0x60100, calls, sizeof(calls));
	fill_zone(region + 5 * SMALL, SMALL, SIGNATURE, "from a program\n", 15);
	ramoops = decode(region, 6 * SMALL, &small_layout);
	assert_int_equal(ramoops->nr, 5);
	assert_string_equal(ramoops->record[0].text, "old\n"); /* dumps by time, not by place */
	assert_int_equal(ramoops->record[0].number, 1);
	assert_int_equal(ramoops->record[1].real_ns, 1700000000000123000ull);
	assert_string_equal(ramoops->record[1].text, plain + 24);
	assert_false(ramoops->record[1].was_packed);
	assert_int_equal(ramoops->record[2].kind, HS_RAMOOPS_CONSOLE);
	assert_int_equal(ramoops->record[2].len, capacity);
	assert_memory_equal(ramoops->record[2].text, console + 3 * SMALL - capacity, capacity);
	assert_int_equal(ramoops->record[3].kind, HS_RAMOOPS_FTRACE);
	assert_int_equal(ramoops->record[3].number, 1);
	assert_string_equal(ramoops->record[3].text, "7 cpu1 ffffffff81000010 <- ffffffff81000020\n"
						     "8 cpu1 0000000000000011 <- 0000000000000022\n");
	assert_string_equal(ramoops->record[4].text, "from a program\n");
}

static void test_damage_in_a_plain_text_is_named_where_it_is(void **state)
{
	scoped(mem) uint8_t *region = calloc(5, SMALL);
	scoped(mem) char *text = malloc(1024);
	scoped(hs_ramoops) struct hs_ramoops *ramoops = NULL;

	(void)state;
	memset(text, 'x', 1024);
	fill_zone(region + 2 * SMALL, SMALL, SIGNATURE, text, 1024);
	memset(region + 2 * SMALL + HEADER + 256, 'y', 2 * 128);
	ramoops = decode(region, 5 * SMALL, &small_layout);
	assert_int_equal(ramoops->nr, 1);
	assert_int_equal(ramoops->record->damaged_blocks, 2);
	assert_int_equal(ramoops->record->lost_bytes, 256);
	assert_int_equal(strspn(ramoops->record->text, "x"), 256);
	assert_int_equal(strncmp(ramoops->record->text + 256, "\n[256 bytes are damaged here]\nxxx", 33), 0);
	assert_int_equal(ramoops->record->len, 768 + 30);
}

static void test_memory_that_was_never_used_has_no_records(void **state)
{
	scoped(mem) uint8_t *region = calloc(5, SMALL);
	scoped(hs_ramoops) struct hs_ramoops *ramoops = decode(region, 5 * SMALL, &small_layout);

	(void)state;
	assert_int_equal(ramoops->nr + ramoops->damaged_zones, 0);
	fill_zone(region, SMALL, SIGNATURE, "", 0);
	hs_ramoops_free(take(ramoops));
	ramoops = decode(region, 5 * SMALL, &small_layout);
	assert_int_equal(ramoops->nr + ramoops->damaged_zones, 0);
}

static void test_sizes_that_make_no_layout_are_refused(void **state)
{
	static const struct hs_ramoops_layout layouts[] = { { 128, 0, 0, 0, 0 },
							    { SMALL, 2 * SMALL, 0, 0, 0 },
							    { 0, SMALL, SMALL, 0, 0 } };
	scoped(mem) uint8_t *region = calloc(1, SMALL);
	struct hs_ramoops *ramoops = NULL;

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(layouts); i++)
		assert_int_equal(hs_ramoops_decode(region, SMALL, &layouts[i], &ramoops), -EINVAL);
}

static void test_more_than_eight_wrong_bytes_never_pass_for_right(void **state)
{
	struct hs_ecc ecc;
	unsigned seed = 7, refused = 0;

	(void)state;
	hs_ecc_init(&ecc);
	for (unsigned round = 0; round < 2000; round++) {
		uint8_t data[128], right[128], parity[HS_ECC_PARITY];
		unsigned wrong = 9 + round % 40;

		for (unsigned i = 0; i < 128; i++)
			right[i] = (uint8_t)((seed = seed * 1103515245 + 12345) >> 16);
		hs_ecc_encode(&ecc, right, 128, parity);
		memcpy(data, right, 128);
		for (unsigned i = 0; i < wrong; i++)
			data[i * 128 / wrong] ^= (uint8_t)(1 + (seed = seed * 1103515245 + 12345) / 65536 % 255);
		if (hs_ecc_decode(&ecc, data, 128, parity) == -EBADMSG)
			refused++;
		else
			assert_int_not_equal(memcmp(data, right, 128),
					     0); /* another word of the code: not to be told from */
	}
	assert_true(refused >= 1995); /* one in some 40 000 is another word of the code (1/8!) */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_real_panic_comes_back_whole),
		cmocka_unit_test(test_eight_wrong_bytes_of_each_block_are_put_right_and_counted),
		cmocka_unit_test(test_a_packed_dump_is_right_up_to_the_damage_and_says_what_is_lost),
		cmocka_unit_test(test_a_header_beyond_repair_costs_only_itself),
		cmocka_unit_test(test_what_nothing_is_left_of_is_counted),
		cmocka_unit_test(test_rings_are_turned_and_every_kind_of_zone_is_read),
		cmocka_unit_test(test_damage_in_a_plain_text_is_named_where_it_is),
		cmocka_unit_test(test_memory_that_was_never_used_has_no_records),
		cmocka_unit_test(test_sizes_that_make_no_layout_are_refused),
		cmocka_unit_test(test_more_than_eight_wrong_bytes_never_pass_for_right),
	};

	return RUN_TESTS("ramoops", tests);
}
