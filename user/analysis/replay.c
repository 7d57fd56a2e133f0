// SPDX-License-Identifier: GPL-2.0-only
/* From a trace to a report: reads it once, in the order of time, feeds one analysis and prints what it found. */
#include "analysis/replay.h"

#include <errno.h>
#include <string.h>

#include "analysis/exits_report.h"
#include "base/log.h"
#include "trace/ctf_reader.h"

union analysis {
	struct hs_exits exits;
};

struct kind {
	const char *name;
	int (*start)(union analysis *analysis, const struct hs_scope *scope, const struct hs_vm_list *vms);
	int (*add)(union analysis *analysis, const struct hs_event_header *record, uint32_t cpu);
	void (*add_hole)(union analysis *analysis, const struct hs_hole *hole);
	int (*finish)(union analysis *analysis);
	int (*print)(const union analysis *analysis, const struct hs_report *report, FILE *out);
	void (*clear)(union analysis *analysis);
};

#define KIND_FUNCTIONS(member)                                                                                         \
	static int start_##member(union analysis *analysis, const struct hs_scope *scope,                              \
				  const struct hs_vm_list *vms)                                                        \
	{                                                                                                              \
		return hs_##member##_start(&analysis->member, scope, vms);                                             \
	}                                                                                                              \
	static int add_##member(union analysis *analysis, const struct hs_event_header *record, uint32_t cpu)          \
	{                                                                                                              \
		return hs_##member##_add(&analysis->member, record, cpu);                                              \
	}                                                                                                              \
	static void add_hole_##member(union analysis *analysis, const struct hs_hole *hole)                            \
	{                                                                                                              \
		hs_##member##_add_hole(&analysis->member, hole);                                                       \
	}                                                                                                              \
	static int finish_##member(union analysis *analysis)                                                           \
	{                                                                                                              \
		return hs_##member##_finish(&analysis->member);                                                        \
	}                                                                                                              \
	static int print_##member(const union analysis *analysis, const struct hs_report *report, FILE *out)           \
	{                                                                                                              \
		return hs_##member##_report(&analysis->member, report, out);                                           \
	}                                                                                                              \
	static void clear_##member(union analysis *analysis)                                                           \
	{                                                                                                              \
		hs_##member##_clear(&analysis->member);                                                                \
	}
#define KIND(name, member)                                                                                             \
	{                                                                                                              \
		name, start_##member, add_##member, add_hole_##member, finish_##member, print_##member, clear_##member \
	}

KIND_FUNCTIONS(exits)

static const struct kind kinds[] = { KIND("vm_exit", exits) };

static const struct kind *find_kind(const char *name)
{
	for (size_t i = 0; i < HS_ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

/* ---- reading ----------------------------------------------------------------------------------- */
struct replay {
	const struct hs_replay_config *config;
	const struct kind *kind;
	union analysis analysis;
	struct hs_report report;
	struct hs_ctf_reader *reader;
	uint64_t last_ns, discarded;
};

static void replay_scoped(struct replay *replay)
{
	if (!replay->kind)
		return;
	replay->kind->clear(&replay->analysis);
	hs_report_clear(&replay->report);
	hs_ctf_reader_free(replay->reader);
}

static uint64_t add_saturated(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/* The first record says where the times of the stretch count from. */
static void place_stretch(struct replay *replay, uint64_t first_ns)
{
	const struct hs_replay_config *config = replay->config;

	replay->report.origin_ns = first_ns;
	replay->report.start_ns = add_saturated(first_ns, config->from_ns);
	replay->report.end_ns = config->to_ns ? add_saturated(first_ns, config->to_ns) : UINT64_MAX;
}

/* What the reader found missing since the last record. */
static int note_hole(struct replay *replay, uint32_t cpu, uint64_t now_ns)
{
	uint64_t discarded = hs_ctf_reader_counts(replay->reader)->discarded;
	struct hs_hole hole = { .cpu = cpu, .from_ns = replay->last_ns, .to_ns = now_ns };

	if (discarded == replay->discarded)
		return 0;
	hole.count = discarded - replay->discarded;
	replay->discarded = discarded;
	if (now_ns < replay->report.start_ns)
		return 0;
	replay->kind->add_hole(&replay->analysis, &hole);
	return hs_report_add_hole(&replay->report, &hole);
}

/* 1: taken; 0: behind the stretch; -errno. */
static int take_record(struct replay *replay, const struct hs_ctf_record *record)
{
	struct hs_report *report = &replay->report;
	uint64_t now_ns = record->header->ts;
	int err;

	if (!replay->last_ns)
		place_stretch(replay, now_ns);
	if (now_ns >= report->end_ns)
		return 0;
	err = note_hole(replay, record->cpu, now_ns);
	replay->last_ns = now_ns;
	if (err || now_ns < report->start_ns)
		return err ? err : 1;
	report->records++;
	report->seen[record->header->id]++;
	err = replay->kind->add(&replay->analysis, record->header, record->cpu);
	return err ? err : 1;
}

static int read_trace(struct replay *replay)
{
	struct hs_report *report = &replay->report;
	struct hs_ctf_record record = { 0 };
	int more, err;

	while ((more = hs_ctf_reader_next(replay->reader, &record)) > 0) {
		more = take_record(replay, &record);
		if (more <= 0)
			break;
	}
	if (more < 0)
		return more;
	err = note_hole(replay, record.cpu, replay->last_ns);
	if (err)
		return err;
	if (replay->last_ns < report->end_ns && (!replay->config->to_ns || report->end_ns == UINT64_MAX))
		report->end_ns = replay->last_ns;
	report->damaged = hs_ctf_reader_counts(replay->reader)->torn_packets +
			  hs_ctf_reader_counts(replay->reader)->corrupt_streams;
	return replay->kind->finish(&replay->analysis);
}

static int replay_trace(struct replay *replay, FILE *out)
{
	const struct hs_replay_config *config = replay->config;
	int err = replay->kind->start(&replay->analysis, &config->scope, &config->vms);

	if (!err)
		err = hs_ctf_reader_open(config->trace, &replay->reader);
	if (err)
		return err;
	replay->report.machine = hs_ctf_reader_info(replay->reader)->machine;
	err = read_trace(replay);
	return err ? err : replay->kind->print(&replay->analysis, &replay->report, out);
}

int hs_replay(const struct hs_replay_config *config, FILE *out)
{
	scoped(replay) struct replay replay = {
		.config = config,
		.kind = find_kind(config->kind),
		.report = { .kind = config->kind,
			    .format = config->format,
			    .sort = config->sort,
			    .with_histograms = config->with_histograms,
			    .vms = &config->vms },
	};
	int err;

	if (!replay.kind)
		return hs_fail(-EINVAL, "there is no report '%s'", config->kind);
	err = replay_trace(&replay, out);
	return err == -ENOMEM ? hs_fail(err, "not enough memory for the report on %s", config->trace) : err;
}
