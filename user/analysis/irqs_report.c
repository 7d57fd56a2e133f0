// SPDX-License-Identifier: GPL-2.0-only
/* Interrupts as tables: vectors that were injected, with their latencies; lines and messages. */
#include "analysis/irqs_report.h"

#include <errno.h>
#include <inttypes.h>

enum {
	VECTOR_TEXT = HS_WHOSE_NR,
	VECTOR_CSV,
	VECTOR,
	COUNT,
	RATE,
	TIMED,
	SERVICE,
	DELIVERED = SERVICE + HS_TIME_NR,
	DELIVERY,
	REINJECTED = DELIVERY + HS_TIME_NR,
	SOFT,
	NO_EOI,
	LOST,
	LONE_EOIS
};

/* A time's columns in the order of hs_report_time; the share of run time is the time that interrupts are in service. */
#define TIME_COLUMNS(key, title, csv, place)                                                                           \
	{ key "time_ns", NULL, csv "Time(ns)", (place), HS_CELL_NS },                                                  \
		{ key "share_pct", NULL, csv "Share%", (place) + 1, HS_CELL_SHARE },                                   \
		{ key "avg_ns", title "avg", csv "Avg(ns)", (place) + 2, HS_CELL_NS },                                 \
		{ key "p50_ns", title "p50", csv "P50(ns)", (place) + 3, HS_CELL_NS },                                 \
		{ key "p99_ns", title "p99", csv "P99(ns)", (place) + 4, HS_CELL_NS },                                 \
	{                                                                                                              \
		key "max_ns", title "max", csv "Max(ns)", (place) + 5, HS_CELL_NS                                      \
	}

/* CSV: acrnalyze's columns under its names and in its order, then ours. */
static const struct hs_column vector_columns[] = {
	HS_REPORT_WHOSE_COLUMNS(4),
	{ NULL, "vector", NULL, 0, HS_CELL_TEXT },
	{ NULL, NULL, "Vector", 1, HS_CELL_TEXT },
	{ "vector", NULL, NULL, 0, HS_CELL_COUNT },
	{ "count", "count", "NR_Exit", 2, HS_CELL_COUNT },
	{ "rate", "rate/s", "NR_Exit/Sec", 3, HS_CELL_RATE },
	{ "timed", "with EOI", "Timed", 8, HS_CELL_COUNT },
	TIME_COLUMNS("", "", "", 9),
	{ "delivered", NULL, "Delivered", 15, HS_CELL_COUNT },
	TIME_COLUMNS("delivery_", "delivery ", "Delivery ", 16),
	{ "reinjected", NULL, "Reinjected", 22, HS_CELL_COUNT },
	{ "soft", NULL, "Soft", 23, HS_CELL_COUNT },
	{ "no_eoi", "no EOI", "No EOI", 24, HS_CELL_COUNT },
	{ "lost", NULL, "Lost", 25, HS_CELL_COUNT },
	{ "lone_eois", "lone EOIs", "Lone EOIs", 26, HS_CELL_COUNT },
};

enum { LINE_KIND = HS_WHOSE_NR, LINE_NUMBER, LINE_DESTINATION, LINE_COUNT, LINE_RATE, LINE_LOWERED };

static const struct hs_column line_columns[] = {
	HS_REPORT_WHOSE_COLUMNS(1),
	{ "kind", "kind", NULL, 0, HS_CELL_TEXT },
	{ "number", "number", NULL, 0, HS_CELL_COUNT },
	{ "destination", "to APIC", NULL, 0, HS_CELL_COUNT },
	{ "count", "count", NULL, 0, HS_CELL_COUNT },
	{ "rate", "rate/s", NULL, 0, HS_CELL_RATE },
	{ "lowered", "lowered", NULL, 0, HS_CELL_COUNT },
};

static int fill_vector(const struct hs_irqs *irqs, const struct hs_report *report, struct hs_sheet *sheet,
		       size_t number)
{
	const struct hs_key *key = &irqs->rows.entries[number]->key;
	const struct hs_irqs_row *row = (const void *)irqs->rows.entries[number]->value;
	struct hs_cell *cells = hs_sheet_add_row(sheet);
	char text[32];

	if (!cells)
		return -ENOMEM;
	hs_report_set_whose(report, cells, number, key->tgid, key->vcpu);
	snprintf(text, sizeof(text), "0x%02x", key->code);
	hs_cell_set_text(&cells[VECTOR_TEXT], text);
	snprintf(text, sizeof(text), "0x%08x", key->code);
	hs_cell_set_text(&cells[VECTOR_CSV], text);
	hs_cell_set_number(&cells[VECTOR], key->code);
	hs_cell_set_number(&cells[COUNT], row->count);
	hs_cell_set_real(&cells[RATE], hs_report_rate(report, row->count));
	hs_report_set_time(&cells[SERVICE], &row->service, (double)hs_report_run_ns(report));
	if (irqs->accepted)
		hs_cell_set_number(&cells[DELIVERED], row->delivery.count);
	hs_report_set_time(&cells[DELIVERY], &row->delivery, (double)hs_report_run_ns(report));
	hs_cell_set_number(&cells[REINJECTED], row->reinjected);
	hs_cell_set_number(&cells[SOFT], row->soft);
	if (irqs->eois) {
		hs_cell_set_number(&cells[TIMED], row->service.count);
		hs_cell_set_number(&cells[NO_EOI], row->no_eoi);
		hs_cell_set_number(&cells[LOST], row->lost);
	}
	hs_cell_set_number(&cells[LONE_EOIS], row->lone_eois);
	return 0;
}

/* Below its table or in its rows. */
static void show_histograms(const struct hs_irqs *irqs, const struct hs_report *report, const struct hs_sheet *sheet,
			    json_object *rows, FILE *out)
{
	for (size_t i = 0; i < sheet->row_nr; i++) {
		const struct hs_cell *cells = &sheet->cells[i * sheet->column_nr];
		const struct hs_irqs_row *row = (const void *)irqs->rows.entries[cells[HS_WHOSE_ROW].number]->value;
		char label[256];

		snprintf(label, sizeof(label), "vector %s, VM %s, vCPU %s: injection to EOI", cells[VECTOR_TEXT].text,
			 cells[HS_WHOSE_VM].text, cells[HS_WHOSE_VCPU_TEXT].text);
		if (report->format == HS_REPORT_JSON)
			hs_report_histogram_to_json(&row->service, json_object_array_get_idx(rows, i));
		else
			hs_report_print_histogram(&row->service, label, out);
	}
}

static int report_vectors(const struct hs_irqs *irqs, const struct hs_report *report, json_object *document, FILE *out)
{
	scoped(hs_sheet) struct hs_sheet sheet = HS_SHEET(vector_columns);
	json_object *rows;
	int err = 0;

	for (size_t i = 0; i < irqs->rows.count && !err; i++) {
		const struct hs_irqs_row *row = (const void *)irqs->rows.entries[i]->value;

		if (irqs->rows.entries[i]->key.kind == HS_IRQS_VECTOR &&
		    (row->count || row->lone_eois || row->reinjected))
			err = fill_vector(irqs, report, &sheet, i);
	}
	if (err)
		return err;
	hs_report_sort(report, &sheet);
	rows = hs_report_sheet(report, &sheet,
			       "interrupts (times: injection to EOI; delivery: acceptance by the APIC to injection)",
			       "vectors", document, out);
	if (report->with_histograms && report->format != HS_REPORT_CSV)
		show_histograms(irqs, report, &sheet, rows, out);
	return 0;
}

static int fill_line(const struct hs_report *report, struct hs_sheet *sheet, const struct hs_key *key,
		     const struct hs_irqs_row *row)
{
	struct hs_cell *cells = hs_sheet_add_row(sheet);

	if (!cells)
		return -ENOMEM;
	hs_report_set_whose(report, cells, 0, key->tgid, HS_KEY_ALL);
	if (key->kind == HS_IRQS_LINE) {
		hs_cell_set_text(&cells[LINE_KIND], "gsi");
		hs_cell_set_number(&cells[LINE_NUMBER], key->code);
		hs_cell_set_number(&cells[LINE_LOWERED], row->lowered);
	} else {
		hs_cell_set_text(&cells[LINE_KIND], "msi");
		hs_cell_set_number(&cells[LINE_NUMBER], key->code & 0xff);
		hs_cell_set_number(&cells[LINE_DESTINATION], key->code >> 8);
	}
	hs_cell_set_number(&cells[LINE_COUNT], row->count);
	hs_cell_set_real(&cells[LINE_RATE], hs_report_rate(report, row->count));
	return 0;
}

static int report_lines(const struct hs_irqs *irqs, const struct hs_report *report, json_object *document, FILE *out)
{
	scoped(hs_sheet) struct hs_sheet sheet = HS_SHEET(line_columns);
	int err = 0;

	if (report->format == HS_REPORT_CSV)
		return 0; /* one table a file */
	for (size_t i = 0; i < irqs->rows.count && !err; i++)
		if (irqs->rows.entries[i]->key.kind != HS_IRQS_VECTOR)
			err = fill_line(report, &sheet, &irqs->rows.entries[i]->key,
					(const void *)irqs->rows.entries[i]->value);
	if (err)
		return err;
	hs_report_sort(report, &sheet);
	hs_report_sheet(report, &sheet, "interrupt lines raised (gsi) and messages sent (msi: vector), by process",
			"lines", document, out);
	return 0;
}

static void add_notes(const struct hs_irqs *irqs, const struct hs_report *report, json_object *document, FILE *out)
{
	if (!irqs->injections)
		hs_report_note(
			report, document, out,
			"The trace has no kvm_inj_virq in this stretch: it was not recorded, does not fire on that "
			"kernel, or the processor delivers interrupts itself (APICv, AVIC).");
	else if (!irqs->eois)
		hs_report_note(
			report, document, out,
			"The trace has no kvm_eoi: it was not recorded, or the processor does EOIs itself. There are "
			"no times from injection to EOI.");
}

int hs_irqs_report(const struct hs_irqs *irqs, const struct hs_report *report, FILE *out)
{
	scoped(json) json_object *document = hs_report_start(report, out);
	int err = report_vectors(irqs, report, document, out);

	if (!err)
		err = report_lines(irqs, report, document, out);
	if (err)
		return err;
	add_notes(irqs, report, document, out);
	if (document)
		fprintf(out, "%s\n", json_object_to_json_string_ext(document, HS_JSON_PRINT_FLAGS));
	return 0;
}
