// SPDX-License-Identifier: GPL-2.0-only
/* Names and numbers of a lab, memory plans, and QEMU's command lines made from them. */
#include "cm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "orchestrate/labdir.h"
#include "orchestrate/qemu.h"
#include "orchestrate/topology.h"

static void test_a_pair_has_its_number_everywhere(void **state)
{
	struct hs_pair pair = hs_pair_of(23);

	(void)state;
	assert_string_equal(pair.l2, "l2-23");
	assert_string_equal(pair.client, "client-23");
	assert_string_equal(pair.bridge, "br23");
	assert_string_equal(pair.l2_tap, "tap23");
	assert_string_equal(pair.client_tap, "tapc23");
	assert_string_equal(pair.bridge_ip, "172.16.23.10");
	assert_string_equal(pair.l2_ip, "172.16.23.20");
	assert_string_equal(pair.client_ip, "172.16.23.21");
	assert_int_equal(pair.slot, 0x1b);
	assert_int_equal(pair.sid, 0xd8);
	assert_int_equal(hs_pair_of(0).sid, 0x20); /* the first NIC of the sample log */
}

static void test_pairs_out_of_range_are_refused_with_the_reason(void **state)
{
	(void)state;
	assert_int_equal(hs_pairs_check(1), 0);
	assert_int_equal(hs_pairs_check(24), 0);
	assert_int_equal(hs_pairs_check(0), -ERANGE);
	assert_int_equal(hs_pairs_check(25), -ERANGE);
	assert_non_null(strstr(hs_log_last_error(), "slots 0x4 to 0x1b of L1's root bus"));
}

static void test_machines_are_numbered_and_found_by_name(void **state)
{
	(void)state;
	assert_int_equal(hs_machine_count(4), 9);
	assert_int_equal(hs_machine_number(4, "l1"), 0);
	assert_int_equal(hs_machine_number(4, "l2-3"), 4);
	assert_int_equal(hs_machine_number(4, "client-0"), 5);
	assert_int_equal(hs_machine_number(4, "client-3"), 8);
	assert_int_equal(hs_machine_number(4, "l2-4"), -ENOENT);
	assert_int_equal(hs_machine_number(4, ""), -ENOENT);
}

static void test_memory_grows_with_the_pairs_and_what_is_given_stays(void **state)
{
	struct hs_memory one = { 0 }, many = { 0 }, plain = { 0 }, given = { .l1_bytes = 3ull << 30 };

	(void)state;
	hs_memory_plan(&one, 1, 1);
	hs_memory_plan(&many, 24, 1);
	hs_memory_plan(&plain, 24, 0);
	hs_memory_plan(&given, 2, 1);
	assert_true(many.l1_bytes - one.l1_bytes == 23 * (330ull << 20));
	assert_true(many.total_bytes < 24ull << 30); /* 24 pairs were seen to run in 24 GiB */
	assert_true(plain.total_bytes < many.total_bytes);
	assert_int_equal(plain.client_bytes, 0);
	assert_true(given.l1_bytes == 3ull << 30);
}

static void test_lab_names_become_paths_safely(void **state)
{
	(void)state;
	assert_int_equal(hs_lab_name_check("lab_2.a"), 0);
	assert_int_equal(hs_lab_name_check(""), -EINVAL);
	assert_int_equal(hs_lab_name_check("../x"), -EINVAL);
	assert_int_equal(hs_lab_name_check(".lock"), -EINVAL);
	assert_int_equal(hs_lab_name_check("a-c1"), -EINVAL); /* would look like a client's namespace of lab "a" */
	assert_int_equal(hs_lab_name_check("a234567890123456789012345"), -EINVAL);
}

static char *l1_command(const char *nic, unsigned pairs)
{
	struct hs_qemu_l1 l1 = {
		.common = { .kernel = "K",
			    .initramfs = "I",
			    .run_dir = "/run/x",
			    .console = "C",
			    .memory_bytes = 1ull << 30 },
		.pairs = pairs,
		.cpus = 2,
		.nic = nic,
		.boot_dir = "/b",
		.events_file = "E",
		.log_file = "L",
	};
	struct hs_argv argv = { 0 };
	char *text;

	hs_qemu_l1_argv(&argv, &l1);
	assert_int_equal(argv.err, 0);
	text = hs_argv_quote(argv.words);
	hs_argv_clear(&argv);
	return text;
}

static void test_l1s_command_line_has_a_nic_per_pair_and_the_log(void **state)
{
	char *text = l1_command("e1000e", 24);

	(void)state;
	assert_non_null(strstr(text, "-device intel-iommu,caching-mode=on"));
	assert_non_null(strstr(text, "ifname=tap23,script=no"));
	assert_non_null(strstr(text, "-device e1000e,netdev=net23,addr=1b,mac=52:54:00:12:17:20,romfile="));
	assert_null(strstr(text, "net24"));
	assert_non_null(strstr(text, "-trace events=E -D L -msg timestamp=on"));
	assert_non_null(strstr(text, "path=/usr,security_model=none,readonly=on"));
	assert_null(strstr(text, "path=/,"));
	assert_non_null(strstr(text, "no_timer_check"));
	free(text);
}

static void test_every_machine_has_crash_memory_in_a_slot_of_its_own(void **state)
{
	struct hs_qemu_l1 l1 = {
		.common = { .kernel = "K", .initramfs = "I", .run_dir = "/r", .console = "C", .crash_dir = "/c" },
		.pairs = 24,
		.cpus = 1,
		.nic = "e1000",
		.boot_dir = "/b"
	};
	struct hs_qemu_l2 l2 = { .kernel = "K", .initramfs = "I", .has_crash = true };
	struct hs_pair last = hs_pair_of(23);
	struct hs_argv argv = { 0 };
	char *text;

	(void)state;
	hs_qemu_l1_argv(&argv, &l1);
	text = hs_argv_quote(argv.words);
	assert_non_null(strstr(text,
			       "memory-backend-file,id=crash0,mem-path=/c/l1.ramoops,size=1048576,share=on -device "
			       "ivshmem-plain,memdev=crash0,addr=03.1"));
	assert_non_null(strstr(text, "mem-path=/c/l2-0.ramoops,size=1048576,share=on -device "
				     "ivshmem-plain,memdev=crash1,addr=1c.0,multifunction=on"));
	assert_non_null(strstr(text, "mem-path=/c/l2-23.ramoops,size=1048576,share=on -device "
				     "ivshmem-plain,memdev=crash24,addr=1e.7"));
	assert_non_null(strstr(text, "max_ports=2,addr=3,multifunction=on")); /* or 3.1 would not be seen */
	assert_non_null(strstr(text, " hsbpf.crash=03.1"));
	free(text);
	hs_argv_clear(&argv);
	hs_qemu_l2_argv(&argv, &last, &l2);
	text = hs_argv_quote(argv.words);
	assert_non_null(strstr(text, "mem-path=/sys/bus/pci/devices/0000:00:1e.7/resource2")); /* L1's device for it */
	assert_non_null(strstr(text, " hsbpf.crash=1e.0"));
	free(text);
	hs_argv_clear(&argv);
	l2.has_crash = false;
	hs_qemu_l2_argv(&argv, &last, &l2);
	text = hs_argv_quote(argv.words);
	assert_null(strstr(text, "crash"));
	free(text);
	hs_argv_clear(&argv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_pair_has_its_number_everywhere),
		cmocka_unit_test(test_pairs_out_of_range_are_refused_with_the_reason),
		cmocka_unit_test(test_machines_are_numbered_and_found_by_name),
		cmocka_unit_test(test_memory_grows_with_the_pairs_and_what_is_given_stays),
		cmocka_unit_test(test_lab_names_become_paths_safely),
		cmocka_unit_test(test_l1s_command_line_has_a_nic_per_pair_and_the_log),
		cmocka_unit_test(test_every_machine_has_crash_memory_in_a_slot_of_its_own),
	};

	return RUN_TESTS("topology", tests);
}
