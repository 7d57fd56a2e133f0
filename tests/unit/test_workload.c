// SPDX-License-Identifier: GPL-2.0-only
/* What the tests' own outputs say: real reports of iperf3 3.12 and of two pings, cut ones and nonsense. */
#include "cm.h"

#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "orchestrate/workload.h"

static char *read_sample(const char *name)
{
	char *path = hs_format("tests/data/%s", name), *text = NULL;

	assert_int_equal(hs_read_file(path, 1 << 20, &text, NULL), 0);
	free(path);
	return text;
}

static void test_tcp_report_gives_the_receivers_bytes(void **state)
{
	struct hs_workload_result result = { 0 };
	char *text = read_sample("iperf3_tcp.json");

	(void)state;
	assert_true(hs_workload_parse_iperf3(text, &result));
	assert_true(result.bytes == 2916220928u);
	assert_int_equal(result.retransmits, 8);
	assert_true(result.bits_per_second > 23e9 && result.bits_per_second < 24e9);
	free(text);
}

static void test_udp_report_is_read(void **state)
{
	struct hs_workload_result result = { 0 };
	char *text = read_sample("iperf3_udp.json");

	(void)state;
	assert_true(hs_workload_parse_iperf3(text, &result));
	assert_true(result.bits_per_second > 9e6 && result.bits_per_second < 11e6);
	free(text);
}

static void test_an_error_is_told_in_iperf3s_words(void **state)
{
	struct hs_workload_result result = { 0 };
	char *text = read_sample("iperf3_error.json");

	(void)state;
	assert_false(hs_workload_parse_iperf3(text, &result));
	assert_string_equal(result.error, "iperf3: unable to connect to server: Connection refused");
	free(text);
}

static void test_a_report_cut_anywhere_is_no_result(void **state)
{
	char *text = read_sample("iperf3_tcp.json");
	size_t len = strlen(text);

	(void)state;
	while (len && strchr("}\n \t", text[len - 1]))
		len--; /* without its last brace it is cut, whatever white space follows */
	for (size_t cut = 0; cut <= len; cut += 7) {
		struct hs_workload_result result = { 0 };
		char *part = strndup(text, cut);

		assert_false(hs_workload_parse_iperf3(part, &result));
		assert_string_not_equal(result.error, "");
		free(part);
	}
	free(text);
}

static void test_other_json_is_no_result(void **state)
{
	static const char *const texts[] = { "[]", "1", "\"x\"", "{}", "{\"end\":1}", "{\"end\":{\"sum_sent\":{}}}", "" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct hs_workload_result result = { 0 };

		assert_false(hs_workload_parse_iperf3(texts[i], &result));
		assert_string_equal(result.error, "iperf3's report is not whole");
	}
}

static void test_both_pings_are_read(void **state)
{
	static const char busybox[] = "--- 172.16.0.20 ping statistics ---\n"
				      "4 packets transmitted, 3 packets received, 25% packet loss\n"
				      "round-trip min/avg/max = 0.812/1.055/1.361 ms\n";
	static const char iputils[] = "4 packets transmitted, 4 received, 0% packet loss, time 3004ms\n"
				      "rtt min/avg/max/mdev = 0.029/0.041/0.053/0.008 ms\n";
	struct hs_workload_result result = { 0 };

	(void)state;
	assert_true(hs_workload_parse_ping(busybox, &result));
	assert_true(result.rtt_min_ms > 0.811 && result.rtt_avg_ms < 1.056 && result.rtt_max_ms > 1.36);
	assert_int_equal(result.retransmits, 1);
	result = (struct hs_workload_result){ 0 };
	assert_true(hs_workload_parse_ping(iputils, &result));
	assert_true(result.rtt_avg_ms > 0.040 && result.rtt_avg_ms < 0.042);
	assert_int_equal(result.retransmits, 0);
	assert_false(hs_workload_parse_ping("4 packets transmitted, 0 packets received, 100% packet loss\n", &result));
	assert_false(hs_workload_parse_ping("", &result));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp_report_gives_the_receivers_bytes),
		cmocka_unit_test(test_udp_report_is_read),
		cmocka_unit_test(test_an_error_is_told_in_iperf3s_words),
		cmocka_unit_test(test_a_report_cut_anywhere_is_no_result),
		cmocka_unit_test(test_other_json_is_no_result),
		cmocka_unit_test(test_both_pings_are_read),
	};

	return RUN_TESTS("workload", tests);
}
