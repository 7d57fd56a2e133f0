// SPDX-License-Identifier: GPL-2.0-only
/* Records of /dev/kmsg, and the clock that they carry. */
#include "cm.h"

#include <errno.h>
#include <string.h>

#include "base/loop.h"
#include "journal/kmsg.h"
#include "journal/record.h"
#include "timeline/sched_clock.h"

static char text[4096];

static int parse(const char *line, struct hs_kmsg *kmsg)
{
	int err = hs_kmsg_parse(line, strlen(line), text, kmsg);

	if (!err)
		text[kmsg->len] = '\0';
	return err;
}

static void test_a_record_is_taken_apart(void **state)
{
	struct hs_kmsg kmsg;

	(void)state;
	assert_int_equal(parse("30,18763,32689569931,-,caller=T55;systemd[1]: up\n SUBSYSTEM=pci\n", &kmsg), 0);
	assert_int_equal(kmsg.severity, 6);
	assert_int_equal(kmsg.facility, 3);
	assert_int_equal(kmsg.seq, 18763);
	assert_int_equal(kmsg.time_us, 32689569931);
	assert_int_equal(kmsg.tid, 55);
	assert_int_equal(kmsg.cpu, HS_JOURNAL_UNKNOWN);
	assert_false(kmsg.is_continuation);
	assert_string_equal(text, "systemd[1]: up");

	assert_int_equal(parse("6,1,2,c,new=x,caller=C12,more=y;and on", &kmsg), 0);
	assert_int_equal(kmsg.cpu, 12);
	assert_true(kmsg.is_continuation);
	assert_string_equal(text, "and on");
	assert_int_equal(parse("6,1,2,-;\n", &kmsg), 0);
	assert_int_equal(kmsg.len, 0);
}

static void test_the_kernels_escapes_are_undone_and_nothing_else(void **state)
{
	struct hs_kmsg kmsg;

	(void)state;
	assert_int_equal(parse("6,1,2,-;a\\x0ab\\x5cx41 \\xc3\\xbc \\xzz \\x4", &kmsg), 0);
	assert_string_equal(text, "a\nb\\x41 ü \\xzz \\x4");
}

static void test_what_is_no_record_is_refused(void **state)
{
	static const char *const lines[] = { "",
					     "6",
					     "6,",
					     "6,1,2;text",
					     "6,1,2,-",
					     "-1,1,2,-;x",
					     "6,1,2,-,a=b",
					     "x,1,2,-;x",
					     "6,99999999999999999999,2,-;x",
					     "6,1,18446744073709551615,-;x",
					     "6,18446744073709551615,1,-;x",
					     " 6,1,2,-;x",
					     "4294967296,1,2,-;x" };
	struct hs_kmsg kmsg;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(parse(lines[i], &kmsg), -EBADMSG);
}

static void test_the_logs_clock_is_mapped_within_its_bound(void **state)
{
	struct hs_sched_sample sample = { 1000000, 5000000, 1002000 };
	uint64_t error_ns;

	(void)state;
	assert_int_equal(hs_sched_to_boot(&sample, 5000000, &error_ns), 1001000);
	assert_int_equal(error_ns, 1000 + 1000); /* half of the width, and records are cut to us */
	assert_int_equal(hs_sched_to_boot(&sample, 10005000000, &error_ns), 10001001000);
	assert_int_equal(error_ns, 2000 + 10000 * 500);		      /* 10 s away, 500 ppm */
	assert_int_equal(hs_sched_to_boot(&sample, 1, &error_ns), 1); /* before the boot: as early as can be */
	sample = (struct hs_sched_sample){ UINT64_MAX - 5, 0, 3 };
	hs_sched_to_boot(&sample, UINT64_MAX, &error_ns); /* no fault, whatever a guest says */
}

static void test_the_clock_is_read_between_two_looks_at_the_boot_time(void **state)
{
	scoped(hs_sched_clock) struct hs_sched_clock *clock = NULL;
	struct hs_sched_sample first, second, guess = hs_sched_clock_guess();
	uint64_t error_ns, boot_ns;

	(void)state;
	if (hs_sched_clock_open(&clock)) {
		skip(); /* perf is forbidden here */
		return;
	}
	assert_int_equal(hs_sched_clock_sample(clock, &first), 0);
	assert_int_equal(hs_sched_clock_sample(clock, &second), 0);
	assert_true(first.before_ns <= first.after_ns && first.after_ns <= second.before_ns);
	assert_true(first.sched_ns < second.sched_ns);
	boot_ns = hs_sched_to_boot(&first, second.sched_ns, &error_ns);
	assert_true(boot_ns + error_ns >= second.before_ns && boot_ns - error_ns <= second.after_ns);
	boot_ns = hs_sched_to_boot(&guess, second.sched_ns, &error_ns);
	assert_true(boot_ns + error_ns >= second.before_ns && boot_ns - error_ns <= second.after_ns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_record_is_taken_apart),
		cmocka_unit_test(test_the_kernels_escapes_are_undone_and_nothing_else),
		cmocka_unit_test(test_what_is_no_record_is_refused),
		cmocka_unit_test(test_the_logs_clock_is_mapped_within_its_bound),
		cmocka_unit_test(test_the_clock_is_read_between_two_looks_at_the_boot_time),
	};

	return RUN_TESTS("journal_kmsg", tests);
}
