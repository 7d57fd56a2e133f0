// SPDX-License-Identifier: GPL-2.0-only
/* Sweeps: ranges, points, what is known of them on disk, and the local engine over a small trace. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/loop.h"
#include "cm.h"
#include "explore/figures.h"
#include "explore/plan.h"
#include "explore/point.h"
#include "explore/progress.h"
#include "explore/range.h"
#include "explore/store.h"
#include "explore/sweep.h"
#include "hyper/dmatrace.h"

#define TENANTS 8
#define PACKETS 40

static char dir[] = "/tmp/hsbpf-explore.XXXXXX";

struct config {
	struct hs_explore_options options;
	const char *other;
};

static const struct hs_opt rows[] = {
	HS_OPT(struct config, options.axes[HS_AXIS_TRACE], "trace", 0, HS_OPT_LIST, "FILE", NULL, "traces"),
	HS_OPT(struct config, options.axes[HS_AXIS_CONFIG], "config", 0, HS_OPT_LIST, "FILE", NULL, "configurations"),
	HS_OPT(struct config, options.axes[HS_AXIS_TENANTS], "tenants", 0, HS_OPT_LIST, "N", NULL, "tenants"),
	HS_OPT(struct config, options.axes[HS_AXIS_QUEUE], "queue", 0, HS_OPT_LIST, "N", NULL, "queue"),
	HS_OPT(struct config, options.axes[HS_AXIS_LINK], "link", 0, HS_OPT_LIST, "RATE", NULL, "link"),
	HS_OPT(struct config, other, "other", 0, HS_OPT_STR, "X", NULL, "no part of a plan"),
	HS_OPT_END,
};

/* ---- what tests begin with --------------------------------------------------------------------- */

static void in_dir(char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/%s", dir, name);
}

static void write_text(const char *name, const char *text)
{
	char path[128];

	in_dir(path, sizeof(path), name);
	assert_int_equal(hs_write_file_atomic(path, text, strlen(text)), 0);
}

/* Round robin, three translations a packet, each tenant with a ring page and data pages of its own. */
static void write_trace(const char *name, uint64_t seed, uint32_t tenant_nr)
{
	const struct hs_dmatrace_header header = { .source_nr = 1, .tenant_nr = tenant_nr, .burst = 1, .seed = seed };
	struct hs_dmatrace_source source = { .name = "log" };
	struct hs_dmatrace_tenant tenants[TENANTS] = { 0 };
	struct hs_dmatrace_writer *writer;
	char path[128];

	in_dir(path, sizeof(path), name);
	assert_int_equal(hs_dmatrace_writer_open(path, &header, &writer), 0);
	for (uint32_t i = 0; i < tenant_nr; i++)
		tenants[i] = (struct hs_dmatrace_tenant){ .copy_of = i, .levels = 3, .epochs = 1 };
	for (uint32_t i = 0; i < tenant_nr * PACKETS * 3; i++) {
		uint32_t tenant = i / 3 % tenant_nr, packet = i / 3 / tenant_nr;
		uint64_t iova = i % 3 == 1 ? (uint64_t)(packet % 5 + 1) << 21 : 0x1000;
		struct hs_dmatrace_record record =
			hs_dmatrace_make_translation(tenant, iova, 0x83, 1, i % 3 == 0, i % 3 != 0);

		hs_dmatrace_writer_put(writer, &record);
	}
	assert_int_equal(hs_dmatrace_writer_finish(writer, &source, tenants, NULL), 0);
	hs_dmatrace_writer_free(writer);
}

/* Exit code of a plan of these lines, behind a line for the trace. */
static int make(const char *text, struct hs_explore_plan **plan)
{
	static struct config config;
	char path[128], lines[512];

	snprintf(lines, sizeof(lines), "trace = %s/a.dma\n%s", dir, text);
	write_text("x.plan", lines);
	in_dir(path, sizeof(path), "x.plan");
	memset(&config, 0, sizeof(config));
	return hs_explore_plan_make(rows, &config, &config.options, path, plan);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	write_trace("a.dma", 1, TENANTS);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return hs_remove_tree(dir);
}

/* ---- ranges ------------------------------------------------------------------------------------ */

static int append(void *ctx, const char *word)
{
	char *text = ctx;

	snprintf(text + strlen(text), 256 - strlen(text), "%s ", word);
	return 0;
}

static void test_ranges_double_multiply_and_add(void **state)
{
	static const char *const ranges[][2] = {
		{ "4..64", "4 8 16 32 64 " },
		{ "4..100", "4 8 16 32 64 " },
		{ "1..81*3", "1 3 9 27 81 " },
		{ "100G..400G+100G", "100G 200G 300G 400G " },
		{ "100..300G+100", "100G 200G 300G " },
		{ "0..4+2", "0 2 4 " },
		{ "7..7", "7 " },
		{ "12", "12 " },
		{ "../a..b", "../a..b " },
		{ "18446744073709551615..18446744073709551615", "18446744073709551615 " },
	};

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(ranges); i++) {
		char text[256] = "";

		assert_int_equal(hs_range_each(ranges[i][0], append, text), 0);
		assert_string_equal(text, ranges[i][1]);
	}
}

static void test_ranges_that_never_arrive_are_refused(void **state)
{
	static const char *const bad[] = { "4..2",   "0..8",	"4..8*1", "4..8+0",  "4..8-1",
					   "1K..2M", "4..8*2G", "4..8+",  "4..8..9", "99999999999999999999..1" };
	char text[256] = "";

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(bad); i++)
		assert_int_equal(hs_range_each(bad[i], append, text), -EINVAL);
	assert_string_equal(text, "");
	assert_int_equal(hs_range_each("1..10000+1", append, text), -E2BIG);
}

/* ---- plans and points -------------------------------------------------------------------------- */

static void test_every_combination_is_a_point_and_the_last_axis_changes_fastest(void **state)
{
	scoped(hs_explore_plan) struct hs_explore_plan *plan = NULL;

	(void)state;
	assert_int_equal(make("tenants = 2..8, 4 # twice the same\nqueue = 1,32\nconfig = base\n", &plan), 0);
	assert_string_equal(plan->name, "x");
	assert_int_equal(plan->point_nr, 6);
	for (size_t point = 0; point < 6; point++) {
		static const char *const tenants[] = { "2", "4", "8" }, *const queues[] = { "1", "32" };

		assert_string_equal(hs_explore_plan_word(plan, point, HS_AXIS_QUEUE), queues[point / 3]);
		assert_string_equal(hs_explore_plan_word(plan, point, HS_AXIS_TENANTS), tenants[point % 3]);
		assert_null(hs_explore_plan_word(plan, point, HS_AXIS_LINK));
		assert_int_equal(hs_point_work(plan, point), (2 << point % 3) * PACKETS * 3);
	}
}

static void test_the_name_of_a_trace_may_have_blanks(void **state)
{
	scoped(hs_explore_plan) struct hs_explore_plan *plan = NULL;
	char lines[256];

	(void)state;
	write_trace("its name.dma", 1, TENANTS);
	snprintf(lines, sizeof(lines), "trace = %s/its name.dma ,  %s/a.dma\nqueue = 4 , 8\n", dir, dir);
	assert_int_equal(make(lines, &plan), 0);
	assert_int_equal(plan->point_nr, 2 * 2);
	assert_non_null(strstr(hs_explore_plan_word(plan, 2, HS_AXIS_TRACE), "/its name.dma"));
}

static void test_a_plan_that_makes_no_sense_is_a_usage_error(void **state)
{
	static const char *const bad[] = {
		"queue = deep\n", "tenants = 9999999\n", "tenants = x\n",
		"other = 1\n",	  "queue 3\n",		 "queue = ,\n",
		"link = fast\n",  "tenants = 8..4\n",	 "queue = 1..4000+1\ntenants = 1..4000+1\n"
	};

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(bad); i++) {
		struct hs_explore_plan *plan = NULL;

		assert_int_equal(make(bad[i], &plan), HS_EXIT_USAGE);
		assert_null(plan);
	}
}

static void test_a_point_is_known_by_what_is_simulated(void **state)
{
	scoped(hs_explore_plan) struct hs_explore_plan *plan = NULL, *same = NULL, *other = NULL;
	char *ids[4], text[128];

	(void)state;
	snprintf(text, sizeof(text), "trace = %s/a.dma\n", dir);
	write_trace("b.dma", 1, TENANTS);
	write_trace("c.dma", 2, TENANTS);
	assert_int_equal(make("tenants = 8,4\n", &plan), 0);
	/* A list goes on with each line: trace 0 is a.dma, 1 the other one. */
	snprintf(text, sizeof(text), "trace = %s/b.dma\n", dir);
	assert_int_equal(make(text, &same), 0);
	snprintf(text, sizeof(text), "trace = %s/c.dma\n", dir);
	assert_int_equal(make(text, &other), 0);
	ids[0] = hs_point_id(plan, 0);
	ids[1] = hs_point_id(same, 1);
	ids[2] = hs_point_id(other, 1);
	ids[3] = hs_point_id(plan, 1);
	assert_string_equal(ids[0], ids[1]); /* the file has another name, all of its tenants are eight */
	assert_string_not_equal(ids[0], ids[2]);
	assert_string_not_equal(ids[0], ids[3]);
	for (size_t i = 0; i < HS_ARRAY_SIZE(ids); i++)
		free(ids[i]);
}

/* ---- results on disk --------------------------------------------------------------------------- */

static void test_a_row_that_was_not_finished_is_cut_off_and_a_newer_one_counts(void **state)
{
	scoped(hs_store) struct hs_store *store = NULL, *second = NULL;
	scoped(mem) char *text = NULL;
	char path[128];

	(void)state;
	in_dir(path, sizeof(path), "store");
	assert_int_equal(hs_make_dirs(path), 0);
	write_text("store/explore.jsonl",
		   "{\"id\":\"a\",\"n\":1}\nnonsense\n{\"id\":\"a\",\"n\":2}\n{\"id\":\"b\",\"n");
	assert_int_equal(hs_store_open(path, &store), 0);
	assert_int_equal(hs_json_get_u64(hs_store_find(store, "a"), "n"), 2);
	assert_null(hs_store_find(store, "b"));
	assert_int_equal(hs_store_open(path, &second), -EBUSY);
	assert_int_equal(hs_store_add(store, json_tokener_parse("{\"id\":\"b\",\"n\":3}")), 0);
	assert_int_equal(hs_json_get_u64(hs_store_find(store, "b"), "n"), 3);
	in_dir(path, sizeof(path), "store/explore.jsonl");
	assert_int_equal(hs_read_file(path, 4096, &text, NULL), 0);
	assert_string_equal(text, "{\"id\":\"a\",\"n\":1}\nnonsense\n{\"id\":\"a\",\"n\":2}\n{\"id\":\"b\",\"n\":3}\n");
}

static void test_progress_tells_the_time_left_by_work_not_by_points(void **state)
{
	struct hs_progress progress = { .points = 4, .work = 1000, .start_ns = 1000000000 };
	char text[160];

	(void)state;
	assert_string_equal(hs_progress_format(&progress, 2000000000, text, sizeof(text)), "0 of 4 points, 0 %");
	progress.ended = 3;
	progress.failed = 1;
	progress.done = 250;
	assert_string_equal(hs_progress_format(&progress, 41000000000, text, sizeof(text)),
			    "3 of 4 points, 1 failed, 25 %, about 2m 0s left");
}

static void test_csv_quotes_what_needs_it_and_leaves_out_what_is_not_there(void **state)
{
	scoped(json) json_object *document = json_tokener_parse(
		"{\"points\":[{\"point\":{\"trace\":\"a\",\"queue\":1},\"outcome\":\"failed\",\"why\":\"a, \\\"b\\\"\","
		"\"took_s\":0.5,\"result\":null}]}");
	static const char expected[] = "a,1,failed,\"a, \"\"b\"\"\",0.5";
	scoped(mem) char *text = NULL;
	char path[128], *line;

	(void)state;
	in_dir(path, sizeof(path), "x.csv");
	assert_int_equal(hs_explore_write_csv(document, path), 0);
	assert_int_equal(hs_read_file(path, 65536, &text, NULL), 0);
	assert_int_equal(strncmp(text, "trace,queue,outcome,why,took_s,", 31), 0);
	line = strchr(text, '\n') + 1;
	assert_int_equal(strncmp(line, expected, strlen(expected)), 0);
	for (line += strlen(expected); *line != '\n'; line++)
		assert_int_equal(*line, ',');
}

/* ---- sweeps ------------------------------------------------------------------------------------ */

static json_object *sweep(struct hs_explore_plan *plan, const char *out, unsigned jobs)
{
	scoped(hs_loop) struct hs_loop *loop = NULL;
	const bool is_interrupted = false;
	json_object *document = NULL;
	char path[128];

	in_dir(path, sizeof(path), out);
	assert_int_equal(hs_loop_open(&loop), 0);
	assert_int_equal(hs_sweep_run(&(struct hs_sweep_config){ .loop = loop,
								 .plan = plan,
								 .engine = &hs_engines[0],
								 .out = path,
								 .jobs = jobs,
								 .is_interrupted = &is_interrupted },
				      &document),
			 0);
	return document;
}

static const char *result_text(json_object *document, size_t i)
{
	json_object *row = json_object_array_get_idx(hs_json_get(document, "points"), i);

	return json_object_to_json_string_ext(hs_json_get(row, "result"), JSON_C_TO_STRING_PLAIN);
}

static void test_workers_find_what_one_process_finds(void **state)
{
	scoped(hs_explore_plan) struct hs_explore_plan *plan = NULL;
	scoped(json) json_object *document = NULL;

	(void)state;
	assert_int_equal(make("tenants = 1..8\nqueue = 1,32\n", &plan), 0);
	document = sweep(plan, "eight", 3);
	assert_int_equal(hs_json_get_u64(document, "counts.ok"), 8);
	for (size_t point = 0; point < 8; point++) {
		scoped(json) json_object *result = NULL;

		assert_int_equal(hs_point_simulate(plan, point, &result), 0);
		assert_string_equal(result_text(document, point),
				    json_object_to_json_string_ext(result, JSON_C_TO_STRING_PLAIN));
	}
}

/* What a trace of eight tenants says of its first four is what a trace of these four says. */
static void test_the_first_tenants_of_a_trace_are_a_trace_of_those_tenants(void **state)
{
	scoped(hs_explore_plan) struct hs_explore_plan *plan = NULL;
	scoped(json) json_object *of_eight = NULL, *of_four = NULL;
	char text[128];

	(void)state;
	write_trace("four.dma", 1, 4);
	snprintf(text, sizeof(text), "trace = %s/four.dma\ntenants = 4\nqueue = 32\n", dir);
	assert_int_equal(make(text, &plan), 0);
	assert_int_equal(hs_point_simulate(plan, 0, &of_eight), 0);
	assert_int_equal(hs_point_simulate(plan, 1, &of_four), 0);
	assert_int_equal(hs_json_get_u64(of_eight, "translations"), 4 * PACKETS * 3);
	assert_string_equal(json_object_to_json_string(of_eight), json_object_to_json_string(of_four));
}

static void test_a_failed_point_is_a_row_and_is_tried_again_while_others_are_not(void **state)
{
	scoped(hs_explore_plan) struct hs_explore_plan *plan = NULL, *grown = NULL;
	scoped(json) json_object *first = NULL, *second = NULL;
	json_object *row;

	(void)state;
	assert_int_equal(make("tenants = 4,16\n", &plan), 0);
	first = sweep(plan, "failing", 1);
	assert_int_equal(hs_json_get_u64(first, "counts.ok"), 1);
	assert_int_equal(hs_json_get_u64(first, "counts.failed"), 1);
	row = json_object_array_get_idx(hs_json_get(first, "points"), 1);
	assert_string_equal(hs_json_get_string(row, "outcome"), "failed");
	assert_non_null(strstr(hs_json_get_string(row, "why"), "8 tenants"));
	assert_int_equal(make("tenants = 2,4,16\n", &grown), 0);
	second = sweep(grown, "failing", 1);
	assert_int_equal(hs_json_get_u64(second, "counts.simulated_now"), 2);
	assert_int_equal(hs_json_get_u64(second, "counts.ok"), 2);
	assert_string_equal(result_text(second, 1), result_text(first, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges_double_multiply_and_add),
		cmocka_unit_test(test_ranges_that_never_arrive_are_refused),
		cmocka_unit_test(test_every_combination_is_a_point_and_the_last_axis_changes_fastest),
		cmocka_unit_test(test_the_name_of_a_trace_may_have_blanks),
		cmocka_unit_test(test_a_plan_that_makes_no_sense_is_a_usage_error),
		cmocka_unit_test(test_a_point_is_known_by_what_is_simulated),
		cmocka_unit_test(test_a_row_that_was_not_finished_is_cut_off_and_a_newer_one_counts),
		cmocka_unit_test(test_progress_tells_the_time_left_by_work_not_by_points),
		cmocka_unit_test(test_csv_quotes_what_needs_it_and_leaves_out_what_is_not_there),
		cmocka_unit_test(test_workers_find_what_one_process_finds),
		cmocka_unit_test(test_the_first_tenants_of_a_trace_are_a_trace_of_those_tenants),
		cmocka_unit_test(test_a_failed_point_is_a_row_and_is_tried_again_while_others_are_not),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("explore", tests, set_up, tear_down);
}
