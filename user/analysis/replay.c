// SPDX-License-Identifier: GPL-2.0-only
/* From a trace to a report: reads it once, in the order of time, feeds one analysis and prints what it found. */
#include "analysis/replay.h"

#include <errno.h>
#include <string.h>

#include "analysis/cpus_report.h"
#include "analysis/exits_report.h"
#include "analysis/irqs_report.h"
#include "base/log.h"
#include "trace/ctf_reader.h"

union analysis {
	struct hs_exits exits;
	struct hs_irqs irqs;
	struct hs_cpus cpus;
};

struct kind {
	const char *name;
	int (*start)(union analysis *analysis, const struct hs_scope *scope, const struct hs_vm_list *vms);
	int (*add)(union analysis *analysis, const struct hs_event_header *record, uint32_t cpu);
	void (*add_loss)(union analysis *analysis, const struct hs_ctf_loss *loss);
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
	static void add_loss_##member(union analysis *analysis, const struct hs_ctf_loss *loss)                        \
	{                                                                                                              \
		hs_##member##_add_loss(&analysis->member, loss);                                                       \
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
		name, start_##member, add_##member, add_loss_##member, finish_##member, print_##member, clear_##member \
	}

KIND_FUNCTIONS(exits)
KIND_FUNCTIONS(irqs)
KIND_FUNCTIONS(cpus)

static const struct kind kinds[] = { KIND("vm_exit", exits), KIND("irq", irqs), KIND("cpu", cpus) };

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
	int loss_err; /* of on_loss() */
};

static void replay_scoped(struct replay *replay)
{
	if (replay->kind)
		replay->kind->clear(&replay->analysis);
	hs_report_clear(&replay->report);
	hs_ctf_reader_free(replay->reader);
}

static uint64_t add_saturated(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static void on_loss(void *ctx, const struct hs_ctf_loss *loss)
{
	struct replay *replay = ctx;

	if (loss->begin_ns > replay->report.end_ns)
		return;
	replay->kind->add_loss(&replay->analysis, loss);
	if (hs_report_add_loss(&replay->report, loss))
		replay->loss_err = -ENOMEM;
}

static void set_stretch(struct replay *replay)
{
	const struct hs_replay_config *config = replay->config;
	struct hs_report *report = &replay->report;

	report->origin_ns = hs_ctf_reader_begin_ns(replay->reader);
	report->start_ns = add_saturated(report->origin_ns, config->from_ns);
	report->end_ns = config->to_ns ? add_saturated(report->origin_ns, config->to_ns) : UINT64_MAX;
	if (config->from_ns)
		hs_ctf_reader_set_range(replay->reader, report->start_ns, UINT64_MAX);
	hs_ctf_reader_on_loss(replay->reader, on_loss, replay);
}

static int read_trace(struct replay *replay)
{
	struct hs_report *report = &replay->report;
	struct hs_ctf_record record;
	uint64_t last_ns = report->start_ns;
	int more = 0, err = 0;

	while (!err && (more = hs_ctf_reader_next(replay->reader, &record)) > 0) {
		if (record.header->ts >= report->end_ns)
			break;
		report->records++;
		report->seen[record.header->id]++;
		last_ns = record.header->ts > last_ns ? record.header->ts : last_ns;
		err = replay->kind->add(&replay->analysis, record.header, record.cpu);
	}
	if (err || more < 0)
		return err ? err : more;
	if (!more) /* the trace ends first */
		report->end_ns = last_ns;
	err = replay->kind->finish(&replay->analysis);
	return err ? err : replay->loss_err;
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
	set_stretch(replay);
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
