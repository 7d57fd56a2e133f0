// SPDX-License-Identifier: GPL-2.0-only
/* What KVM tells of a guest's time stamp counter, in made-up folders; and what follows from it, with known clocks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/scoped.h"
#include "timeline/guest_tsc.h"

#include "cm.h"

#define SECOND 1000000000ull
#define TICKS_PER_NS 3

static char folder[] = "/tmp/hsbpf-tsc-XXXXXX";

static void put(const char *path, const char *text)
{
	scoped(mem) char *full = hs_format("%s/kvm/%s", folder, path), *dir = hs_format("%s/kvm/%s", folder, path);
	scoped(file) FILE *file = NULL;

	*strrchr(dir, '/') = '\0';
	assert_int_equal(hs_make_dirs(dir), 0);
	file = fopen(full, "w");
	assert_non_null(file);
	fputs(text, file);
}

static int start(void **state)
{
	(void)state;
	strcpy(folder + sizeof(folder) - 7, "XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	return hs_remove_tree(folder);
}

static void test_offset_and_scale_are_read(void **state)
{
	struct hs_guest_tsc tsc;

	(void)state;
	assert_int_equal(hs_guest_tsc_read(folder, 12, &tsc), -ENOENT);
	put("12-9/vcpu0/tsc-offset", "-76133783698322\n");
	put("12-9/vcpu1/tsc-offset", "-76133783698322\n");
	put("123-9/vcpu0/tsc-offset", "5\n");
	assert_int_equal(hs_guest_tsc_read(folder, 12, &tsc), 0);
	assert_int_equal(tsc.offset, -76133783698322);
	assert_int_equal(tsc.ratio, 1);
	assert_int_equal(tsc.ratio_bits, 0);
	assert_int_equal(tsc.vcpu_nr, 2);
	put("123-9/vcpu0/tsc-scaling-ratio", "6442450944\n");
	put("123-9/vcpu0/tsc-scaling-ratio-frac-bits", "32\n");
	assert_int_equal(hs_guest_tsc_read(folder, 123, &tsc), 0);
	assert_int_equal(tsc.ratio, 6442450944);
	assert_int_equal(tsc.ratio_bits, 32);
	assert_int_equal(hs_guest_tsc_read(folder, 1, &tsc), -ENOENT);
}

static void test_an_offset_of_zero_is_one(void **state)
{
	struct hs_guest_tsc tsc;

	(void)state;
	put("12-9/vcpu0/tsc-offset", "0\n");
	assert_int_equal(hs_guest_tsc_read(folder, 12, &tsc), 0);
	assert_int_equal(tsc.offset, 0);
	assert_int_equal(hs_guest_tsc_to_host(&tsc, 777, 1000), 777);
}

static void test_what_makes_no_sense_is_refused(void **state)
{
	struct hs_guest_tsc tsc;

	(void)state;
	put("12-9/vcpu0/tsc-offset", "7\n");
	put("12-9/vcpu1/tsc-offset", "8\n");
	assert_int_equal(hs_guest_tsc_read(folder, 12, &tsc), -EXDEV);
	put("13-9/vcpu0/tsc-offset", "many\n");
	assert_int_equal(hs_guest_tsc_read(folder, 13, &tsc), -EBADMSG);
	put("14-9/vcpu0/tsc-offset", "1\n");
	put("14-9/vcpu0/tsc-scaling-ratio", "5\n");
	put("14-9/vcpu0/tsc-scaling-ratio-frac-bits", "64\n");
	assert_int_equal(hs_guest_tsc_read(folder, 14, &tsc), -EBADMSG);
	put("14-9/vcpu0/tsc-scaling-ratio-frac-bits", "32\n");
	put("14-9/vcpu0/tsc-scaling-ratio", "0\n");
	assert_int_equal(hs_guest_tsc_read(folder, 14, &tsc), -EBADMSG);
}

static void test_counters_wrap_around_and_scale(void **state)
{
	static const struct hs_guest_tsc kinds[] = {
		{ .offset = 0, .ratio = 1 },
		{ .offset = -76133783698322ull, .ratio = 1 },
		{ .offset = UINT64_MAX - 5, .ratio = 1 },
		{ .offset = -76133783698322ull, .ratio = 3ull << 31, .ratio_bits = 32 }, /* 1.5 */
		{ .offset = 1ull << 63, .ratio = (1ull << 48) / 10 * 7, .ratio_bits = 48 },
	};

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(kinds); i++)
		for (uint64_t host = 70000000000000; host < 90000000000000; host += 1234567890123) {
			uint64_t guest = (uint64_t)((unsigned __int128)host * kinds[i].ratio >> kinds[i].ratio_bits) +
					 kinds[i].offset;
			int64_t off = (int64_t)(hs_guest_tsc_to_host(&kinds[i], guest, 80000000000000) - host);

			assert_in_range(llabs(off), 0, 2); /* ticks: a slower counter tells less */
		}
}

/* A counter of 3 ticks a ns that is 50 ppm fast, sampled every second. */
static void sample_host(struct hs_clock_list *list)
{
	for (uint64_t i = 0; i < 20; i++) {
		uint64_t boot_ns = (100 + i) * SECOND;
		struct hs_clock_sample sample = { .boot_ns = boot_ns, .width_ns = 100 };

		sample.tsc = 5000 + boot_ns * TICKS_PER_NS + boot_ns / 1000000 * 50 * TICKS_PER_NS;
		assert_int_equal(hs_clock_list_append(list, &sample), 0);
	}
}

static void test_a_ping_is_narrowed_to_what_the_counter_tells(void **state)
{
	scoped(hs_tsc_clock) struct hs_tsc_clock host = { 0 };
	struct hs_guest_tsc tsc = { .offset = -123456789ull, .ratio = 1 };
	struct hs_clock_list list = { 0 };

	(void)state;
	assert_int_equal(hs_tsc_clock_open(&list, &host), -ENODATA);
	sample_host(&list);
	assert_int_equal(hs_tsc_clock_open(&list, &host), 0);
	for (uint64_t at = 99 * SECOND; at < 125 * SECOND; at += 777777777) {
		uint64_t guest_tsc = 5000 + at * TICKS_PER_NS + at / 1000000 * 50 * TICKS_PER_NS + tsc.offset;
		struct hs_guest_sample ping = { at - 3000000, 7000, 9000, at + 4000000 }, same = ping;

		assert_int_equal(hs_guest_tsc_refine(&tsc, &host, guest_tsc, &ping), 0);
		assert_true(ping.host_send_ns <= at && ping.host_recv_ns >= at);
		assert_true(ping.host_recv_ns - ping.host_send_ns < 2 * 2000 + 2 * 500000);
		assert_true(at < 100 * SECOND || at > 119 * SECOND || ping.host_recv_ns - ping.host_send_ns < 40000);
		/* Eight ms later cannot be; the ping stays as it was. */
		ping = same;
		assert_int_equal(hs_guest_tsc_refine(&tsc, &host, guest_tsc + 8000000 * TICKS_PER_NS, &ping), -EDOM);
		assert_memory_equal(&ping, &same, sizeof(ping));
	}
	hs_clock_list_clear(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_offset_and_scale_are_read, start, stop),
		cmocka_unit_test_setup_teardown(test_an_offset_of_zero_is_one, start, stop),
		cmocka_unit_test_setup_teardown(test_what_makes_no_sense_is_refused, start, stop),
		cmocka_unit_test(test_counters_wrap_around_and_scale),
		cmocka_unit_test(test_a_ping_is_narrowed_to_what_the_counter_tells),
	};

	return RUN_TESTS("guest_tsc", tests);
}
