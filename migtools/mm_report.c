// SPDX-License-Identifier: GPL-2.0-only
/* Text and JSON of mm_dirty's end. The lines of the latencies are mig_mon's, as its plot_mm_dirty.py reads them. */
#include "mm_report.h"

#include <errno.h>
#include <inttypes.h>

#include "base/json.h"
#include "base/log.h"
#include "base/unit.h"

#define STALLS_SHOWN 20
#define MIG_MON_BUCKETS 21
#define PAGES_PER_MIB(memory) ((double)(1 << 20) / (double)(memory)->page_bytes)

static const char *const verdict_names[HS_WINDOW_VERDICT_NR] = {
	[HS_WINDOW_HELD] = "held",
	[HS_WINDOW_STALLED] = "stalled",
	[HS_WINDOW_LIMITED] = "limited",
	[HS_WINDOW_OVER] = "over",
};

static const struct {
	const char *name;
	double quantile;
} quantiles[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p999", 0.999 }, { "p9999", 0.9999 } };

void hs_dirty_report_verdicts(const struct hs_engine *engine, uint64_t from, uint64_t nr,
			      struct hs_dirty_verdicts *verdicts)
{
	struct hs_dirty_window window;

	*verdicts = (struct hs_dirty_verdicts){ 0 };
	for (uint64_t i = from; i < from + nr; i++) {
		hs_engine_window(engine, i, &window);
		verdicts->nr[window.verdict]++;
	}
}

static double rate_of(const struct hs_dirty_report *report, uint64_t pages)
{
	uint64_t ns = hs_engine_elapsed_ns(report->engine);

	return ns ? (double)pages / PAGES_PER_MIB(report->memory) * 1e9 / (double)ns : 0;
}

/* ---- text -------------------------------------------------------------------------------------- */

static void print_windows(FILE *out, const struct hs_dirty_report *report)
{
	uint64_t nr = hs_engine_window_nr(report->engine);
	struct hs_dirty_verdicts verdicts;

	if (!report->config->pace.bytes_per_second)
		return;
	hs_dirty_report_verdicts(report->engine, 0, nr, &verdicts);
	fprintf(out, "windows of 100 ms: %" PRIu64 " of %" PRIu64 " held the rate within 1%%",
		verdicts.nr[HS_WINDOW_HELD], nr);
	if (verdicts.nr[HS_WINDOW_STALLED])
		fprintf(out, ", %" PRIu64 " short by stalls", verdicts.nr[HS_WINDOW_STALLED]);
	if (verdicts.nr[HS_WINDOW_LIMITED])
		fprintf(out, ", %" PRIu64 " short because the machine is no faster", verdicts.nr[HS_WINDOW_LIMITED]);
	if (verdicts.nr[HS_WINDOW_OVER])
		fprintf(out, ", %" PRIu64 " over it", verdicts.nr[HS_WINDOW_OVER]);
	fputc('\n', out);
}

static void print_stalls(FILE *out, const struct hs_dirty_report *report)
{
	struct hs_stall longest;
	uint64_t total;
	char length[32];

	if (!hs_engine_stalls(report->engine, &longest, 1, &total)) {
		fprintf(out, "stalls: none of 10 ms\n");
		return;
	}
	fprintf(out, "stalls: %" PRIu64 " of 10 ms or more, the longest %s from %.3f s on (thread %u)\n", total,
		hs_format_ns(length, sizeof(length), longest.length_ns), (double)longest.start_ns / 1e9,
		longest.thread);
}

/*
 * mig_mon's bucket N holds 2^(N-1) to 2^N - 1 us and is labelled 2^N; label 1 holds what is below 1 us, the last one
 * all the rest. Ours are finer, so each value goes by the middle of its bucket (off by 1.6 % at most).
 */
static void print_latency(FILE *out, const struct hs_dirty_report *report)
{
	uint64_t before = 0;
	char text[32];

	if (!report->config->latency)
		return;
	for (int i = 0; i < MIG_MON_BUCKETS; i++) {
		uint64_t until = i == MIG_MON_BUCKETS - 1 ? report->latency->count
							  : hs_histogram_count_below(report->latency, 1000ull << i);

		fprintf(out, "%12u (us): %" PRIu64 "\n", 1u << i, until - before);
		before = until;
	}
	fprintf(out, "latency of a write:");
	for (size_t i = 0; i < HS_ARRAY_SIZE(quantiles); i++)
		fprintf(out, " %s %s,", quantiles[i].name,
			hs_format_ns(text, sizeof(text),
				     hs_histogram_quantile(report->latency, quantiles[i].quantile)));
	fprintf(out, " max %s;", hs_format_ns(text, sizeof(text), report->latency->count ? report->latency->max : 0));
	fprintf(out, " the time stamp's own %s are in each\n", hs_format_ns(text, sizeof(text), report->stamp_ns));
}

void hs_dirty_report_print(FILE *out, const struct hs_dirty_report *report)
{
	struct hs_dirty_counts counts;
	char size[32];

	hs_engine_count(report->engine, &counts);
	fprintf(out, "dirtied: %" PRIu64 " pages (%s) in %.3f s, %.1f MB/s\n", counts.pages,
		hs_format_bytes(size, sizeof(size), counts.pages * report->memory->page_bytes),
		(double)hs_engine_elapsed_ns(report->engine) / 1e9, rate_of(report, counts.pages));
	print_windows(out, report);
	print_stalls(out, report);
	print_latency(out, report);
	if (counts.verified || counts.faults)
		fprintf(out, "verified: %" PRIu64 " pages read, %" PRIu64 " wrong\n", counts.verified, counts.faults);
}

/* ---- JSON -------------------------------------------------------------------------------------- */

static void add_config(json_object *document, const struct hs_dirty_report *report)
{
	const struct hs_dirty_config *config = report->config;
	json_object *object = hs_json_add_object(document, "config");

	hs_json_add_u64(object, "memory_bytes", report->memory->bytes);
	hs_json_add_u64(object, "page_bytes", report->memory->page_bytes);
	hs_json_add_u64(object, "backing_page_bytes", report->memory->backing_bytes);
	hs_json_add_u64(object, "rate_bytes_per_second", config->pace.bytes_per_second);
	hs_json_add_u64(object, "ramp_ns", config->pace.ramp_ns);
	hs_json_add_u64(object, "threads", config->pace.threads);
	hs_json_add_string(object, "pattern", report->pattern);
	hs_json_add_string(object, "fill", report->fill);
	hs_json_add_u64(object, "hot_pages_pct", config->hot_pages_pct);
	hs_json_add_u64(object, "hot_writes_pct", config->hot_writes_pct);
	hs_json_add_bool(object, "verify", config->verify);
}

static void append_u64(json_object *array, uint64_t value)
{
	json_object_array_add(array, json_object_new_int64((int64_t)value));
}

static void add_windows(json_object *document, const struct hs_dirty_report *report)
{
	json_object *object = hs_json_add_object(document, "windows"), *due, *done, *lost;
	uint64_t nr = hs_engine_window_nr(report->engine);
	bool has_rate = report->config->pace.bytes_per_second;
	struct hs_dirty_verdicts verdicts;

	hs_json_add_u64(object, "length_ns", HS_PACE_WINDOW_NS);
	hs_json_add_u64(object, "count", nr);
	hs_dirty_report_verdicts(report->engine, 0, nr, &verdicts);
	for (int i = 0; has_rate && i < HS_WINDOW_VERDICT_NR; i++)
		hs_json_add_u64(object, verdict_names[i], verdicts.nr[i]);
	due = has_rate ? hs_json_add_array(object, "due_pages") : NULL;
	done = hs_json_add_array(object, "done_pages");
	lost = hs_json_add_array(object, "lost_ns");
	for (uint64_t i = 0; i < nr; i++) {
		struct hs_dirty_window window;

		hs_engine_window(report->engine, i, &window);
		if (due)
			append_u64(due, window.due);
		append_u64(done, window.done);
		append_u64(lost, window.lost_ns);
	}
}

static void add_stalls(json_object *document, const struct hs_dirty_report *report)
{
	json_object *object = hs_json_add_object(document, "stalls"), *list;
	struct hs_stall stalls[STALLS_SHOWN];
	uint64_t total;
	size_t shown = hs_engine_stalls(report->engine, stalls, STALLS_SHOWN, &total);

	hs_json_add_u64(object, "at_least_ns", HS_DIRTY_STALL_NS);
	hs_json_add_u64(object, "count", total);
	hs_json_add_u64(object, "longest_ns", shown ? stalls[0].length_ns : 0);
	list = hs_json_add_array(object, "longest");
	for (size_t i = 0; i < shown; i++) {
		json_object *stall = hs_json_append_object(list);

		hs_json_add_u64(stall, "start_ns", stalls[i].start_ns);
		hs_json_add_u64(stall, "length_ns", stalls[i].length_ns);
		hs_json_add_u64(stall, "thread", stalls[i].thread);
	}
}

static void add_latency(json_object *document, const struct hs_dirty_report *report)
{
	const struct hs_histogram *latency = report->latency;
	json_object *object, *octaves;

	if (!report->config->latency)
		return;
	object = hs_json_add_object(document, "latency_ns");
	hs_json_add_u64(object, "count", latency->count);
	hs_json_add_u64(object, "average", hs_histogram_average(latency));
	for (size_t i = 0; i < HS_ARRAY_SIZE(quantiles); i++)
		hs_json_add_u64(object, quantiles[i].name, hs_histogram_quantile(latency, quantiles[i].quantile));
	hs_json_add_u64(object, "max", latency->count ? latency->max : 0);
	hs_json_add_u64(object, "time_stamp", report->stamp_ns);
	hs_json_add_double(object, "time_stamp_drift", report->drift, 6);
	octaves = hs_json_add_array(object, "histogram");
	for (unsigned int i = 0; i < HS_HISTOGRAM_OCTAVES; i++) {
		uint64_t from, to, count = hs_histogram_octave(latency, i, &from, &to);
		json_object *octave;

		if (!count)
			continue;
		octave = hs_json_append_object(octaves);
		hs_json_add_u64(octave, "from", from);
		hs_json_add_u64(octave, "to", to);
		hs_json_add_u64(octave, "count", count);
	}
}

static void add_verification(json_object *document, const struct hs_dirty_report *report,
			     const struct hs_dirty_counts *counts)
{
	json_object *object = hs_json_add_object(document, "verification"), *list;
	size_t kept;
	const struct hs_page_verdict *faults = hs_engine_faults(report->engine, &kept);

	hs_json_add_u64(object, "pages_read", counts->verified);
	hs_json_add_u64(object, "wrong", counts->faults);
	list = hs_json_add_array(object, "faults");
	for (size_t i = 0; i < kept; i++) {
		json_object *fault = hs_json_append_object(list);

		hs_json_add_u64(fault, "page", faults[i].number);
		hs_json_add_string(fault, "state", hs_page_state_name(faults[i].state));
		hs_json_add_u64(fault, "generation", faults[i].generation);
		hs_json_add_u64(fault, "found_page", faults[i].found_number);
		hs_json_add_u64(fault, "found_generation", faults[i].found_generation);
		hs_json_add_u64(fault, "offset", faults[i].offset);
	}
}

int hs_dirty_report_print_json(const struct hs_dirty_report *report)
{
	scoped(json) json_object *document = json_object_new_object();
	struct hs_dirty_counts counts;

	if (!document)
		return hs_fail(-ENOMEM, "no memory for the document");
	hs_engine_count(report->engine, &counts);
	hs_json_add_string(document, "schema", HS_DIRTY_SCHEMA);
	add_config(document, report);
	hs_json_add_u64(document, "start_boottime_ns", report->start_boottime_ns);
	hs_json_add_u64(document, "start_realtime_ns", report->start_realtime_ns);
	hs_json_add_u64(document, "duration_ns", hs_engine_elapsed_ns(report->engine));
	hs_json_add_u64(document, "dirtied_pages", counts.pages);
	hs_json_add_double(document, "dirty_rate_mib_per_second", rate_of(report, counts.pages), 3);
	hs_json_add_u64(document, "busy_ns", counts.busy_ns);
	add_windows(document, report);
	add_stalls(document, report);
	add_latency(document, report);
	add_verification(document, report, &counts);
	printf("%s\n", json_object_to_json_string_ext(document, HS_JSON_PRINT_FLAGS));
	return 0;
}
