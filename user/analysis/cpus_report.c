// SPDX-License-Identifier: GPL-2.0-only
/* CPU use as tables: of each vCPU, and of each CPU of the host by VM. */
#include "analysis/cpus_report.h"

#include <errno.h>
#include <inttypes.h>

enum {
	CPU = HS_WHOSE_NR,
	SECONDS,
	TIME,
	SHARE,
	GUEST,
	HALTED = GUEST + HS_CPUS_HALTED,
	STEAL,
	STEAL_SHARE,
	UNSEEN,
	LOST,
	MIGRATIONS
};
_Static_assert(STEAL == GUEST + HS_CPUS_STEAL, "a column for each use, in their order");

/* CSV: acrnalyze's columns under its names and in its order, then ours. */
#define COLUMNS(cpu_title, vcpu_title, halted_title, steal_title, steal_share_title, unseen_title, migrations_title)   \
	{                                                                                                              \
		{ .kind = HS_CELL_COUNT }, { "vm", "VM", "VM_ID", 2, HS_CELL_TEXT },                                   \
			{ "tgid", "PID", "PID", 6, HS_CELL_COUNT }, { NULL, vcpu_title, NULL, 0, HS_CELL_TEXT },       \
			{ "vcpu", NULL, "vCPU", 7, HS_CELL_COUNT }, { "tid", NULL, "TID", 8, HS_CELL_COUNT },          \
			{ "cpu", cpu_title, "PCPU ID", 1, HS_CELL_COUNT },                                             \
			{ NULL, NULL, "Time Consumed/sec", 3, HS_CELL_SECONDS },                                       \
			{ "time_ns", "on a CPU", "Time Consumed(tsc cycles)", 4, HS_CELL_NS },                         \
			{ "share_pct", "use", "CPU Usage%", 5, HS_CELL_SHARE },                                        \
			{ "guest_ns", "guest", "Guest(ns)", 9, HS_CELL_NS },                                           \
			{ "host_ns", "KVM", "Host(ns)", 10, HS_CELL_NS },                                              \
			{ "user_ns", "user space", "User(ns)", 11, HS_CELL_NS },                                       \
			{ "halted_ns", halted_title, "Halted(ns)", 12, HS_CELL_NS },                                   \
			{ "steal_ns", steal_title, "Steal(ns)", 13, HS_CELL_NS },                                      \
			{ "steal_pct", steal_share_title, "Steal%", 14, HS_CELL_SHARE },                               \
			{ "unseen_ns", unseen_title, "Unseen(ns)", 15, HS_CELL_NS },                                   \
			{ "lost_ns", NULL, "Lost(ns)", 16, HS_CELL_NS },                                               \
			{ "migrations", migrations_title, "Migrations", 17, HS_CELL_COUNT },                           \
	}

static const struct hs_column vcpu_columns[] =
	COLUMNS(NULL, "vCPU", "halted", "steal", "steal %", "unseen", "migrations");
static const struct hs_column pcpu_columns[] = COLUMNS("CPU", NULL, NULL, NULL, NULL, NULL, NULL);

static uint64_t on_cpu_ns(const struct hs_cpus_row *row)
{
	return row->ns[HS_CPUS_GUEST] + row->ns[HS_CPUS_HOST] + row->ns[HS_CPUS_USER];
}

static struct hs_cell *fill_row(const struct hs_report *report, struct hs_sheet *sheet, const struct hs_key *key,
				const struct hs_cpus_row *row, bool is_pcpu)
{
	struct hs_cell *cells = hs_sheet_add_row(sheet);
	uint64_t used_ns = on_cpu_ns(row);

	if (!cells)
		return NULL;
	hs_report_set_whose(report, cells, 0, key->tgid, is_pcpu ? HS_KEY_ALL : key->vcpu);
	if (!report->seen[HS_EVENT_kvm_entry])
		return cells; /* nothing tells what the threads did */
	hs_cell_set_real(&cells[SECONDS], (double)used_ns / 1e9);
	hs_cell_set_number(&cells[TIME], used_ns);
	hs_cell_set_real(&cells[SHARE], hs_report_share(used_ns, (double)hs_report_run_ns(report)));
	for (unsigned int use = 0; use < (is_pcpu ? HS_CPUS_HALTED : HS_CPUS_USE_NR); use++)
		hs_cell_set_number(&cells[GUEST + use], row->ns[use]);
	return cells;
}

static int fill_vcpu(const struct hs_cpus *cpus, const struct hs_report *report, struct hs_sheet *sheet, size_t number)
{
	const struct hs_cpus_row *row = (const void *)cpus->vcpus.entries[number]->value;
	uint64_t run_ns = hs_report_run_ns(report);
	uint64_t seen_ns = on_cpu_ns(row) + row->ns[HS_CPUS_HALTED] + row->ns[HS_CPUS_STEAL] + row->lost_ns;
	struct hs_cell *cells = fill_row(report, sheet, &cpus->vcpus.entries[number]->key, row, false);

	if (!cells)
		return -ENOMEM;
	if (cpus->has_sched) {
		hs_cell_set_number(&cells[STEAL], row->ns[HS_CPUS_STEAL]);
		hs_cell_set_real(&cells[STEAL_SHARE], hs_report_share(row->ns[HS_CPUS_STEAL], (double)run_ns));
	} else {
		cells[STEAL].is_known = false;
	}
	if (cpus->scope.by == HS_BY_VCPU && cells[TIME].is_known)
		hs_cell_set_number(&cells[UNSEEN], run_ns > seen_ns ? run_ns - seen_ns : 0);
	hs_cell_set_number(&cells[LOST], row->lost_ns);
	hs_cell_set_number(&cells[MIGRATIONS], row->migrations);
	return 0;
}

static int report_vcpus(const struct hs_cpus *cpus, const struct hs_report *report, json_object *document, FILE *out)
{
	scoped(hs_sheet) struct hs_sheet sheet = HS_SHEET(vcpu_columns);
	int err = 0;

	for (size_t i = 0; i < cpus->vcpus.count && !err; i++)
		if (((struct hs_cpus_row *)cpus->vcpus.entries[i]->value)->records)
			err = fill_vcpu(cpus, report, &sheet, i);
	if (err)
		return err;
	hs_report_sort(report, &sheet);
	sheet.continues = true;
	hs_report_sheet(report, &sheet, "vCPUs", "vcpus", document, out);
	return 0;
}

static int report_pcpus(const struct hs_cpus *cpus, const struct hs_report *report, json_object *document, FILE *out)
{
	scoped(hs_sheet) struct hs_sheet sheet = HS_SHEET(pcpu_columns);

	for (size_t i = 0; i < cpus->pcpus.count; i++) {
		const struct hs_key *key = &cpus->pcpus.entries[i]->key;
		struct hs_cell *cells =
			fill_row(report, &sheet, key, (const void *)cpus->pcpus.entries[i]->value, true);

		if (!cells)
			return -ENOMEM;
		hs_cell_set_number(&cells[CPU], key->code);
	}
	hs_report_sort(report, &sheet);
	hs_report_sheet(report, &sheet, "CPUs of the host, in use by vCPU threads", "pcpus", document, out);
	return 0;
}

static void add_notes(const struct hs_cpus *cpus, const struct hs_report *report, json_object *document, FILE *out)
{
	if (!report->seen[HS_EVENT_kvm_entry] || !report->seen[HS_EVENT_kvm_exit])
		hs_report_note(report, document, out,
			       "The trace lacks kvm_entry or kvm_exit: they were not recorded, or do not fire on that "
			       "kernel. Guest, KVM and user-space time cannot be told apart.");
	if (!cpus->has_sched)
		hs_report_note(
			report, document, out,
			"The trace has no scheduler events (record with -P sched): steal is unknown and counts as "
			"what the vCPU did meanwhile; exits for HLT count as halted, with their polling.");
	if (cpus->stepped_back)
		hs_report_note(report, document, out, "%" PRIu64 " periods that end before they begin are left out",
			       cpus->stepped_back);
}

int hs_cpus_report(const struct hs_cpus *cpus, const struct hs_report *report, FILE *out)
{
	scoped(json) json_object *document = hs_report_start(report, out);
	int err = report_pcpus(cpus, report, document, out);

	if (!err)
		err = report_vcpus(cpus, report, document, out);
	if (err)
		return err;
	add_notes(cpus, report, document, out);
	if (!document)
		return 0;
	hs_json_add_bool(document, "has_sched", cpus->has_sched);
	fprintf(out, "%s\n", json_object_to_json_string_ext(document, HS_JSON_PRINT_FLAGS));
	return 0;
}
