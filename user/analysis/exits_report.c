// SPDX-License-Identifier: GPL-2.0-only
/* VM exits as tables: exits by reason, stays in user space by reason, guest and host time of each vCPU. */
#include "analysis/exits_report.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "trace_events/exit_reason.h"

enum { REASON = HS_WHOSE_NR, KIND, COUNT, RATE, TIME, UNTIMED = TIME + HS_TIME_NR };

/* CSV: acrnalyze's columns under its names and in its order, then ours. */
static const struct hs_column reason_columns[] = {
	HS_REPORT_WHOSE_COLUMNS(6),
	{ "reason", "reason", "Exit_Reason", 1, HS_CELL_TEXT },
	{ "kind", NULL, "Kind", 10, HS_CELL_TEXT },
	{ "count", "count", "NR_Exit", 2, HS_CELL_COUNT },
	{ "rate", "rate/s", "NR_Exit/Sec", 3, HS_CELL_RATE },
	{ "time_ns", "time", "Time Consumed(cycles)", 4, HS_CELL_NS },
	{ "share_pct", "share", "Time Percentage", 5, HS_CELL_SHARE },
	{ "avg_ns", "avg", "Avg(ns)", 11, HS_CELL_NS },
	{ "p50_ns", "p50", "P50(ns)", 12, HS_CELL_NS },
	{ "p99_ns", "p99", "P99(ns)", 13, HS_CELL_NS },
	{ "max_ns", "max", "Max(ns)", 14, HS_CELL_NS },
	{ "untimed", "untimed", "Untimed", 15, HS_CELL_COUNT },
};

enum { EXITS = HS_WHOSE_NR, GUEST, GUEST_SHARE, HOST, HOST_SHARE, USER, USER_SHARE, LONE_ENTRIES, LONE_EXITS };

static const struct hs_column vcpu_columns[] = {
	HS_REPORT_WHOSE_COLUMNS(1),
	{ "count", "exits", NULL, 0, HS_CELL_COUNT },
	{ "guest_ns", "guest time", NULL, 0, HS_CELL_NS },
	{ "guest_pct", "guest", NULL, 0, HS_CELL_SHARE },
	{ "host_ns", "host time", NULL, 0, HS_CELL_NS },
	{ "host_pct", "host", NULL, 0, HS_CELL_SHARE },
	{ "user_ns", "user space", NULL, 0, HS_CELL_NS },
	{ "user_pct", "user", NULL, 0, HS_CELL_SHARE },
	{ "lone_entries", NULL, NULL, 0, HS_CELL_COUNT },
	{ "lone_exits", NULL, NULL, 0, HS_CELL_COUNT },
};

const char *hs_exits_reason(char *text, size_t size, uint32_t kind, uint32_t code)
{
	const struct hs_field *reason = &hs_event_find(HS_EVENT_kvm_userspace_exit)->fields[0];
	const char *isa = kind == 1 ? "vmx" : kind == 2 ? "svm" : "isa", *name;

	if (kind == HS_EXITS_USERSPACE)
		name = hs_enum_text(reason->list, code);
	else
		name = hs_exit_reason_text(kind, code);
	if (name)
		snprintf(text, size, "%s", name);
	else if (kind == HS_EXITS_USERSPACE)
		snprintf(text, size, "%u", code);
	else
		snprintf(text, size, "%s 0x%x", isa, code);
	return text;
}

/* Of how many vCPUs the row speaks: their run time is what its time is a share of. */
static uint64_t count_vcpus(const struct hs_exits *exits, uint32_t tgid, uint32_t vcpu)
{
	uint64_t count = 0;

	if (vcpu != HS_KEY_ALL)
		return 1;
	for (size_t i = 0; i < exits->vcpus.count; i++) {
		const struct hs_exits_vcpu *state = (const void *)exits->vcpus.entries[i]->value;

		if ((state->exits || state->user_ns) &&
		    (tgid == HS_KEY_ALL || exits->vcpus.entries[i]->key.tgid == tgid))
			count++;
	}
	return count;
}

static int fill_reason_row(const struct hs_exits *exits, const struct hs_report *report, struct hs_sheet *sheet,
			   size_t number)
{
	const struct hs_key *key = &exits->rows.entries[number]->key;
	const struct hs_exits_row *row = (const void *)exits->rows.entries[number]->value;
	struct hs_cell *cells = hs_sheet_add_row(sheet);
	char text[64];

	if (!cells)
		return -ENOMEM;
	hs_report_set_whose(report, cells, number, key->tgid, key->vcpu);
	hs_cell_set_text(&cells[REASON], hs_exits_reason(text, sizeof(text), key->kind, key->code));
	hs_cell_set_text(&cells[KIND], key->kind == HS_EXITS_USERSPACE ? "userspace" : "exit");
	hs_cell_set_number(&cells[COUNT], row->count);
	hs_cell_set_real(&cells[RATE], hs_report_rate(report, row->count));
	hs_report_set_time(&cells[TIME], &row->time,
			   (double)hs_report_run_ns(report) * (double)count_vcpus(exits, key->tgid, key->vcpu));
	hs_cell_set_number(&cells[UNTIMED], row->count - row->time.count);
	return 0;
}

static bool is_userspace(const struct hs_keyed_entry *entry)
{
	return entry->key.kind == HS_EXITS_USERSPACE;
}

/* The sum of all rows of one sort. */
static int add_total(const struct hs_exits *exits, const struct hs_report *report, bool userspace, uint64_t count,
		     struct hs_sheet *sheet)
{
	struct hs_histogram time = { 0 };
	struct hs_cell *cells = hs_sheet_add_row(sheet);
	int err = cells ? 0 : -ENOMEM;

	for (size_t i = 0; i < exits->rows.count && !err; i++)
		if (is_userspace(exits->rows.entries[i]) == userspace)
			err = hs_histogram_merge(&time, &((struct hs_exits_row *)exits->rows.entries[i]->value)->time);
	if (!err) {
		hs_report_set_whose(report, cells, UINT64_MAX, HS_KEY_ALL, HS_KEY_ALL);
		hs_cell_set_text(&cells[REASON], "Total");
		hs_cell_set_text(&cells[KIND], userspace ? "userspace" : "exit");
		hs_cell_set_number(&cells[COUNT], count);
		hs_cell_set_real(&cells[RATE], hs_report_rate(report, count));
		hs_report_set_time(&cells[TIME], &time,
				   (double)hs_report_run_ns(report) *
					   (double)count_vcpus(exits, HS_KEY_ALL, HS_KEY_ALL));
		hs_cell_set_number(&cells[UNTIMED], count - time.count);
	}
	hs_histogram_clear(&time);
	return err;
}

/* Below its table or in its rows. */
static void show_histograms(const struct hs_exits *exits, const struct hs_report *report, const struct hs_sheet *sheet,
			    json_object *rows, FILE *out)
{
	for (size_t i = 0; i < sheet->row_nr; i++) {
		const struct hs_cell *cells = &sheet->cells[i * sheet->column_nr];
		uint64_t number = cells[HS_WHOSE_ROW].number;
		const struct hs_exits_row *row;
		char label[256];

		if (number >= exits->rows.count)
			continue; /* the total */
		row = (const void *)exits->rows.entries[number]->value;
		snprintf(label, sizeof(label), "%s, VM %s, vCPU %s", cells[REASON].text, cells[HS_WHOSE_VM].text,
			 cells[HS_WHOSE_VCPU_TEXT].text);
		if (report->format == HS_REPORT_JSON)
			hs_report_histogram_to_json(&row->time, json_object_array_get_idx(rows, i));
		else
			hs_report_print_histogram(&row->time, label, out);
	}
}

static int report_reasons(const struct hs_exits *exits, const struct hs_report *report, bool userspace,
			  json_object *document, FILE *out)
{
	scoped(hs_sheet) struct hs_sheet sheet = HS_SHEET(reason_columns);
	uint64_t count = userspace ? exits->user_exits : exits->exits;
	json_object *rows;
	int err = 0;

	for (size_t i = 0; i < exits->rows.count && !err; i++)
		if (is_userspace(exits->rows.entries[i]) == userspace &&
		    ((struct hs_exits_row *)exits->rows.entries[i]->value)->count)
			err = fill_reason_row(exits, report, &sheet, i);
	if (err)
		return err;
	hs_report_sort(report, &sheet);
	sheet.continues = userspace;
	if (report->format != HS_REPORT_JSON && count)
		err = add_total(exits, report, userspace, count, &sheet);
	if (err)
		return err;
	rows = hs_report_sheet(report, &sheet,
			       userspace ? "exits to user space (time: until the thread is in KVM again)"
					 : "VM exits (time: until the vCPU's next entry)",
			       userspace ? "userspace_exits" : "exits", document, out);
	if (report->with_histograms && report->format != HS_REPORT_CSV)
		show_histograms(exits, report, &sheet, rows, out);
	return 0;
}

static int fill_vcpu_row(const struct hs_exits *exits, const struct hs_report *report, struct hs_sheet *sheet,
			 size_t number)
{
	const struct hs_key *key = &exits->vcpus.entries[number]->key;
	const struct hs_exits_vcpu *vcpu = (const void *)exits->vcpus.entries[number]->value;
	struct hs_cell *cells = hs_sheet_add_row(sheet);
	double run_ns = (double)hs_report_run_ns(report);

	if (!cells)
		return -ENOMEM;
	hs_report_set_whose(report, cells, number, key->tgid, key->vcpu);
	hs_cell_set_number(&cells[EXITS], vcpu->exits);
	hs_cell_set_number(&cells[GUEST], vcpu->guest_ns);
	hs_cell_set_real(&cells[GUEST_SHARE], hs_report_share(vcpu->guest_ns, run_ns));
	hs_cell_set_number(&cells[HOST], vcpu->host_ns);
	hs_cell_set_real(&cells[HOST_SHARE], hs_report_share(vcpu->host_ns, run_ns));
	hs_cell_set_number(&cells[USER], vcpu->user_ns);
	hs_cell_set_real(&cells[USER_SHARE], hs_report_share(vcpu->user_ns, run_ns));
	hs_cell_set_number(&cells[LONE_ENTRIES], vcpu->lone_entries);
	hs_cell_set_number(&cells[LONE_EXITS], vcpu->lone_exits);
	return 0;
}

static int report_vcpus(const struct hs_exits *exits, const struct hs_report *report, json_object *document, FILE *out)
{
	scoped(hs_sheet) struct hs_sheet sheet = HS_SHEET(vcpu_columns);
	int err = 0;

	if (report->format == HS_REPORT_CSV)
		return 0; /* one table a file */
	for (size_t i = 0; i < exits->vcpus.count && !err; i++) {
		const struct hs_exits_vcpu *vcpu = (const void *)exits->vcpus.entries[i]->value;

		if (vcpu->exits)
			err = fill_vcpu_row(exits, report, &sheet, i);
	}
	hs_report_sort(report, &sheet);
	if (!err)
		hs_report_sheet(report, &sheet, "time of each vCPU, in the guest, in KVM, in user space", "vcpus",
				document, out);
	return err;
}

static void note_untimed(const struct hs_exits_untimed *untimed, const struct hs_report *report, const char *what,
			 json_object *document, FILE *out)
{
	const struct {
		uint64_t count;
		const char *why;
	} reasons[] = {
		{ untimed->at_end, "still open at the end" },
		{ untimed->lost, "interrupted by loss" },
		{ untimed->no_entry, "followed by another without an entry" },
		{ untimed->stepped_back, "with an entry of an earlier time" },
	};
	char text[256];
	int len = 0;

	for (size_t i = 0; i < HS_ARRAY_SIZE(reasons); i++)
		if (reasons[i].count)
			len += snprintf(text + len, sizeof(text) - (size_t)len, "%s%" PRIu64 " %s", len ? ", " : "",
					reasons[i].count, reasons[i].why);
	if (len)
		hs_report_note(report, document, out, "%s without a time: %s", what, text);
}

static void untimed_to_json(const struct hs_exits_untimed *untimed, json_object *document, const char *key)
{
	json_object *object = hs_json_add_object(document, key);

	hs_json_add_u64(object, "at_end", untimed->at_end);
	hs_json_add_u64(object, "lost", untimed->lost);
	hs_json_add_u64(object, "no_entry", untimed->no_entry);
	hs_json_add_u64(object, "stepped_back", untimed->stepped_back);
}

static void add_notes(const struct hs_exits *exits, const struct hs_report *report, json_object *document, FILE *out)
{
	bool has_exits = exits->exits, has_entries = report->seen[HS_EVENT_kvm_entry];

	if (exits->long_exits)
		hs_report_note(report, document, out,
			       "%" PRIu64
			       " exits are from a recording of exits above a length (--min-exit): shorter ones "
			       "are not in it, nor is guest time.",
			       exits->long_exits);
	if (!has_exits && exits->user_exits)
		hs_report_note(
			report, document, out,
			"The trace has no kvm_exit: it was not recorded, or it does not fire on that kernel. Exits "
			"to user space are all that is known, and their times only where kvm_entry was recorded.");
	else if (has_exits && !has_entries && !exits->long_exits)
		hs_report_note(report, document, out,
			       "The trace has no kvm_entry, so no exit has a time; record both.");
	else if (!has_exits)
		hs_report_note(report, document, out, "The trace has no VM exits in this stretch.");
	note_untimed(&exits->untimed, report, "Exits", document, out);
	if (has_entries)
		note_untimed(&exits->user_untimed, report, "Stays in user space", document, out);
}

int hs_exits_report(const struct hs_exits *exits, const struct hs_report *report, FILE *out)
{
	scoped(json) json_object *document = hs_report_start(report, out);
	int err = report_reasons(exits, report, false, document, out);

	if (!err)
		err = report_reasons(exits, report, true, document, out);
	if (!err)
		err = report_vcpus(exits, report, document, out);
	if (err)
		return err;
	add_notes(exits, report, document, out);
	if (!document)
		return 0;
	hs_json_add_u64(document, "count", exits->exits);
	untimed_to_json(&exits->untimed, document, "untimed");
	untimed_to_json(&exits->user_untimed, document, "userspace_untimed");
	fprintf(out, "%s\n", json_object_to_json_string_ext(document, HS_JSON_PRINT_FLAGS));
	return 0;
}
