/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the reports of all analyses have in common: the stretch of the trace that they speak of, the names of its VMs,
 * what is missing from it, and how to print. Used by `hsbpf report`; one thread.
 */
#ifndef HS_ANALYSIS_REPORT_H
#define HS_ANALYSIS_REPORT_H

#include "base/histogram.h"
#include "analysis/scope.h"
#include "analysis/sheet.h"
#include "capture/vm.h"
#include "trace_events/events.h"

enum hs_report_format { HS_REPORT_TEXT, HS_REPORT_CSV, HS_REPORT_JSON };

/* Filled while the trace is read; what it points to is borrowed but for losses. Starts as zeros. */
struct hs_report {
	const char *kind, *machine;
	enum hs_report_format format;
	const char *sort; /* key of a column */
	bool with_histograms;
	const struct hs_vm_list *vms;
	uint64_t origin_ns;	       /* time of the trace's first record, BOOTTIME */
	uint64_t start_ns, end_ns;     /* of the stretch, BOOTTIME */
	uint64_t records;	       /* in the stretch */
	uint64_t seen[HS_EVENT_ID_NR]; /* records of each event in the stretch */
	struct hs_ctf_loss *losses;    /* that touch the stretch */
	size_t loss_nr;
};

/* Notes a loss. 0 or -ENOMEM. */
int hs_report_add_loss(struct hs_report *report, const struct hs_ctf_loss *loss);

uint64_t hs_report_run_ns(const struct hs_report *report);
/* Per second of the stretch; part of `whole` in percent; 0 of nothing. */
double hs_report_rate(const struct hs_report *report, uint64_t count);
double hs_report_share(uint64_t part, double whole);

/*
 * Starts the output: for text what the report speaks of and what is lost, for JSON the document with the same
 * (NULL for the others), for CSV the losses on stderr and acrnalyze's rows on the run time.
 */
json_object *hs_report_start(const struct hs_report *report, FILE *out);

/* Sorts as the user asked, the same by count; a sheet without such a column stays as it is. */
void hs_report_sort(const struct hs_report *report, struct hs_sheet *sheet);

/* Prints the sheet under the title, or adds it to the document as `key`. No rows: nothing, or []. */
json_object *hs_report_sheet(const struct hs_report *report, const struct hs_sheet *sheet, const char *title,
			     const char *key, json_object *document, FILE *out);

/* A sentence for people: below the tables, in the document's "notes", or on stderr. */
void hs_report_note(const struct hs_report *report, json_object *document, FILE *out, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* The columns that say whose row it is, and what fills them. They come first in every sheet. */
enum hs_report_whose {
	HS_WHOSE_ROW,
	HS_WHOSE_VM,
	HS_WHOSE_TGID,
	HS_WHOSE_VCPU_TEXT,
	HS_WHOSE_VCPU,
	HS_WHOSE_TID,
	HS_WHOSE_NR
};
#define HS_REPORT_WHOSE_COLUMNS(vm_place)                                                                              \
	{ .kind = HS_CELL_COUNT }, { "vm", "VM", "VM", (vm_place), HS_CELL_TEXT },                                     \
		{ "tgid", "PID", "PID", (vm_place) + 1, HS_CELL_COUNT }, { NULL, "vCPU", NULL, 0, HS_CELL_TEXT },      \
		{ "vcpu", NULL, "vCPU", (vm_place) + 2, HS_CELL_COUNT },                                               \
	{                                                                                                              \
		"tid", NULL, "TID", (vm_place) + 3, HS_CELL_COUNT                                                      \
	}
void hs_report_set_whose(const struct hs_report *report, struct hs_cell *row, uint64_t row_number, uint32_t tgid,
			 uint32_t vcpu);

/* The columns of a histogram of times: total, share of whole_ns, average, quantiles, largest. */
enum hs_report_time { HS_TIME_TOTAL, HS_TIME_SHARE, HS_TIME_AVG, HS_TIME_P50, HS_TIME_P99, HS_TIME_MAX, HS_TIME_NR };
void hs_report_set_time(struct hs_cell *cells, const struct hs_histogram *time, double whole_ns);

/* The histogram as bars under `label` (text), or as the row's member "histogram" (JSON). */
void hs_report_print_histogram(const struct hs_histogram *time, const char *label, FILE *out);
void hs_report_histogram_to_json(const struct hs_histogram *time, json_object *row);

void hs_report_clear(struct hs_report *report);

#endif
