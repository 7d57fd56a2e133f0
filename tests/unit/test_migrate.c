// SPDX-License-Identifier: GPL-2.0-only
/* Plans and the measures of migrations: what needs no machine. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cm.h"
#include "migrate/experiment.h"
#include "migrate/figures.h"
#include "migrate/plan.h"
#include "migrate/seen.h"
#include "migrate/sources.h"

struct config {
	struct hs_plan_options options;
	const char *other;
};

static const struct hs_opt rows[] = {
	HS_PLAN_OPTIONS(struct config, options),
	HS_OPT(struct config, other, "other", 0, HS_OPT_STR, "X", NULL, "no part of a plan"),
	HS_OPT_END,
};

static int make(struct config *config, const char *text, struct hs_plan **plan)
{
	char path[] = "/tmp/hsbpf-plan.XXXXXX";
	int fd = mkstemp(path), err;

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	err = hs_plan_make(rows, config, &config->options, path, plan);
	unlink(path);
	return err;
}

static void test_options_weigh_more_than_the_plan_and_the_plan_more_than_defaults(void **state)
{
	struct config config = { .options = { .trials = 7 } };
	scoped(hs_plan) struct hs_plan *plan = NULL;

	(void)state;
	assert_int_equal(make(&config,
			      "# words\ntrials = 2\nmode = precopy, postcopy # two\ndirty = 0,50,200\n\nmem = 512\n",
			      &plan),
			 0);
	assert_int_equal(plan->options.trials, 7);
	assert_int_equal(plan->mode_nr, 2);
	assert_string_equal(plan->modes[1]->name, "postcopy");
	assert_int_equal(plan->dirty_nr, 3);
	assert_int_equal(plan->dirty[2], 200);
	assert_int_equal(plan->options.mem_bytes, 512u << 20);
	assert_int_equal(plan->options.dirty_mem_bytes, 128u << 20);
	assert_int_equal(plan->bandwidth_nr, 1);
	assert_int_equal(plan->bandwidth_bps[0], 1000000000u);
	assert_int_equal(plan->options.limit_ns, 60000000000u);
}

static void test_a_plan_that_makes_no_sense_is_a_usage_error(void **state)
{
	static const char *const bad[] = { "mode = faster\n", "trials 3\n", "other = 1\n", "dirty = x\n",
					   "bandwidth = 0\n", "trials =\n", "mem = 64M\n", "dirty-mem = 250M\n",
					   "mode = ,\n", "limit = two\n", "delay = 2s\n",
					   /* 0 is not "as it is unless given", nor "no limit" */
					   "trials = 0\n", "interval = 0\n", "settle = 0\n", "cpus = 0\n",
					   "downtime-limit = 0\n", "max-net-downtime = 0\n", "max-total = 0s\n" };

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(bad); i++) {
		struct config config = { 0 };
		struct hs_plan *plan = NULL;

		assert_int_equal(make(&config, bad[i], &plan), HS_EXIT_USAGE);
		assert_null(plan);
	}
}

static void test_bandwidths_are_decimal(void **state)
{
	uint64_t bps = 1;

	(void)state;
	assert_int_equal(hs_plan_parse_bandwidth("100M", &bps), 0);
	assert_int_equal(bps, 100000000);
	assert_int_equal(hs_plan_parse_bandwidth("2.5G", &bps), 0);
	assert_true(bps == 2500000000ull);
	assert_int_equal(hs_plan_parse_bandwidth("", &bps), -EINVAL);
	assert_int_equal(hs_plan_parse_bandwidth("1T", &bps), -EINVAL);
	assert_int_equal(hs_plan_parse_bandwidth("nan", &bps), -EINVAL);
	assert_int_equal(hs_plan_parse_bandwidth("17G", &bps), -EINVAL);
	assert_int_equal(hs_plan_parse_bandwidth("-1G", &bps), -EINVAL);
	assert_true(bps == 2500000000ull);
}

static void test_lines_of_probes_and_of_the_log_are_read(void **state)
{
	char entry_line[] = "115@1795228323.000068:postcopy_page_req_add new page req 0x7f0 total 1\n",
	     words[] = "qemu: hello\n";
	struct hs_seen_probe probe;
	struct hs_seen_entry entry;
	uint64_t us;

	(void)state;
	assert_true(hs_sources_parse_probe("12,1000,250,late\n", &probe));
	assert_int_equal(probe.seq, 12);
	assert_int_equal(probe.sent_ns, 1000);
	assert_int_equal(probe.rtt_ns, 250);
	assert_string_equal(probe.what, "late");
	assert_true(hs_sources_parse_probe("13,1100,,lost\n", &probe));
	assert_int_equal(probe.rtt_ns, 0);
	assert_string_equal(probe.what, "lost");
	assert_false(hs_sources_parse_probe("seq,sent_boottime_ns,rtt_ns,what\n", &probe));
	assert_false(hs_sources_parse_probe("14,11", &probe));
	assert_true(hs_sources_parse_entry(entry_line, &us, &entry));
	assert_true(us == 1795228323000068ull);
	assert_string_equal(entry.event, "postcopy_page_req_add");
	assert_string_equal(entry.text, "new page req 0x7f0 total 1");
	assert_false(hs_sources_parse_entry(words, &us, &entry));
}

static void test_the_gap_at_the_switch_is_the_one_around_it(void **state)
{
	uint64_t times[] = { 10, 20, 90, 100, 300, 310 };
	struct hs_arrivals_seen arrivals = { .ns = times, .nr = HS_ARRAY_SIZE(times) };

	(void)state;
	assert_int_equal(hs_seen_gap_at(&arrivals, 50), 70);
	assert_int_equal(hs_seen_gap_at(&arrivals, 90), 70);
	assert_int_equal(hs_seen_gap_at(&arrivals, 400), 0);
	assert_int_equal(hs_seen_longest_gap(&arrivals, 0, 1000), 200);
	assert_int_equal(hs_seen_longest_gap(&arrivals, 0, 250), 70);
}

static void test_brownout_counts_windows_below_half(void **state)
{
	scoped(json) json_object *dirty = json_tokener_parse(
		"{\"windows\":{\"length_ns\":100000000,\"due_pages\":[100,100,100,100],\"done_pages\":[100,50,49,0]}}");
	scoped(json) json_object *no_rate =
		json_tokener_parse("{\"windows\":{\"length_ns\":100000000,\"due_pages\":null,\"done_pages\":[1]}}");

	(void)state;
	assert_true(hs_seen_brownout_ms(dirty, 0) == 200);
	assert_true(hs_seen_brownout_ms(dirty, 299999999) == 200);
	assert_true(hs_seen_brownout_ms(dirty, 300000000) == 100);
	assert_true(hs_seen_brownout_ms(dirty, 9000000000) == 0);
	assert_true(hs_seen_brownout_ms(no_rate, 0) < 0);
}

#define TRIAL(number, outcome, gap)                                                                                    \
	"{\"mode\":\"precopy\",\"dirty_mib_per_s\":5,\"bandwidth_bps\":9,\"trial\":" number ",\"outcome\":\"" outcome  \
	"\",\"seen\":{\"tap_gap_ms\":" gap "}}"

static void test_invalid_trials_are_listed_and_not_averaged(void **state)
{
	scoped(json) json_object *document = json_tokener_parse(
		"{\"trials\":[" TRIAL("1", "completed", "10.0") "," TRIAL("2", "cancelled", "9000.0") "," TRIAL(
			"3", "completed", "30.0") "," TRIAL("4", "completed", "20.0") "," TRIAL("5", "completed",
												"null") "]}");
	json_object *cells, *figures, *gap = NULL;

	(void)state;
	hs_figures_derive(document);
	hs_figures_derive(document); /* again is the same */
	cells = hs_json_get(document, "cells");
	assert_int_equal(json_object_array_length(cells), 1);
	assert_string_equal(json_object_to_json_string_ext(hs_json_get(json_object_array_get_idx(cells, 0), "invalid"),
							   JSON_C_TO_STRING_PLAIN),
			    "[2]");
	figures = hs_json_get(json_object_array_get_idx(cells, 0), "figures");
	assert_true(json_object_object_get_ex(figures, "seen.tap_gap_ms", &gap));
	assert_int_equal(hs_json_get_u64(gap, "count"), 3);
	assert_true(hs_json_get_double(gap, "min") == 10 && hs_json_get_double(gap, "median") == 20 &&
		    hs_json_get_double(gap, "max") == 30 && hs_json_get_double(gap, "stddev") == 10);
}

static void test_thresholds_count_what_is_over_and_what_cannot_be_told(void **state)
{
	scoped(json) json_object *document = json_tokener_parse(
		"{\"trials\":[" TRIAL("1", "completed", "10.0") "," TRIAL("2", "completed", "10.1") "," TRIAL(
			"3", "cancelled", "1.0") "," TRIAL("4", "completed", "null") "]}");
	struct hs_plan_options options = { .max_tap_gap_ns = 10000000 };

	(void)state;
	assert_int_equal(hs_experiment_check(document, &options), 3);
	options = (struct hs_plan_options){ .max_tap_gap_ns = 11000000 };
	assert_int_equal(hs_experiment_check(document, &options), 2);
	options = (struct hs_plan_options){ 0 };
	assert_int_equal(hs_experiment_check(document, &options), 0);
}

static void test_a_failure_counts_unless_something_was_broken(void **state)
{
	scoped(json) json_object *document = json_tokener_parse(
		"{\"trials\":[{\"outcome\":\"failed\",\"fault\":\"none\"},{\"outcome\":\"failed\",\"fault\":\"link-"
		"down\"},"
		"{\"outcome\":\"cancelled\",\"fault\":\"none\"},{\"outcome\":\"completed\",\"fault\":\"none\"}]}");

	(void)state;
	assert_int_equal(hs_experiment_failures(document), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_weigh_more_than_the_plan_and_the_plan_more_than_defaults),
		cmocka_unit_test(test_a_plan_that_makes_no_sense_is_a_usage_error),
		cmocka_unit_test(test_bandwidths_are_decimal),
		cmocka_unit_test(test_lines_of_probes_and_of_the_log_are_read),
		cmocka_unit_test(test_the_gap_at_the_switch_is_the_one_around_it),
		cmocka_unit_test(test_brownout_counts_windows_below_half),
		cmocka_unit_test(test_invalid_trials_are_listed_and_not_averaged),
		cmocka_unit_test(test_thresholds_count_what_is_over_and_what_cannot_be_told),
		cmocka_unit_test(test_a_failure_counts_unless_something_was_broken),
	};

	return RUN_TESTS("migrate", tests);
}
