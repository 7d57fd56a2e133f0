// SPDX-License-Identifier: GPL-2.0-only
/* The common part of reports: head, losses, names, tables in three formats. */
#include "analysis/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/keyed.h"
#include "base/log.h"
#include "base/unit.h"

#define NAME_BYTES 96
#define BAR_MAX 40
#define LOSSES_IN_DOCUMENT 1000 /* the first; the sums count them all */

int hs_report_add_loss(struct hs_report *report, const struct hs_ctf_loss *loss)
{
	struct hs_ctf_loss *losses = report->losses;

	/* Room doubles whenever the number of losses is a power of two. */
	if (!(report->loss_nr & (report->loss_nr - 1)))
		losses = reallocarray(losses, report->loss_nr ? report->loss_nr * 2 : 1, sizeof(*losses));
	if (!losses)
		return -ENOMEM;
	report->losses = losses;
	losses[report->loss_nr++] = *loss;
	return 0;
}

uint64_t hs_report_run_ns(const struct hs_report *report)
{
	return report->end_ns > report->start_ns ? report->end_ns - report->start_ns : 0;
}

double hs_report_rate(const struct hs_report *report, uint64_t count)
{
	uint64_t run_ns = hs_report_run_ns(report);

	return run_ns ? (double)count * 1e9 / (double)run_ns : 0;
}

double hs_report_share(uint64_t part, double whole)
{
	return whole > 0 ? (double)part * 100 / whole : 0;
}

/* ---- head -------------------------------------------------------------------------------------- */
static double offset_seconds(const struct hs_report *report, uint64_t ns)
{
	if (ns > report->end_ns)
		ns = report->end_ns;
	return ns > report->origin_ns ? (double)(ns - report->origin_ns) / 1e9 : 0;
}

/* What one CPU lost, or all of them. */
struct loss_sum {
	uint64_t places, begin_ns, end_ns, events, packets, bytes;
};

static void add_to_sum(struct loss_sum *sum, const struct hs_ctf_loss *loss)
{
	if (!sum->places++ || loss->begin_ns < sum->begin_ns)
		sum->begin_ns = loss->begin_ns;
	sum->end_ns = loss->end_ns > sum->end_ns ? loss->end_ns : sum->end_ns;
	sum->events += loss->events;
	sum->packets += loss->packets;
	sum->bytes += loss->bytes;
}

static struct loss_sum sum_losses(const struct hs_report *report)
{
	struct loss_sum sum = { 0 };

	for (size_t i = 0; i < report->loss_nr; i++)
		add_to_sum(&sum, &report->losses[i]);
	return sum;
}

static void print_sum(const struct loss_sum *sum, FILE *out)
{
	fprintf(out, "%" PRIu64 " events", sum->events);
	if (sum->packets)
		fprintf(out, ", %" PRIu64 " packets", sum->packets);
	if (sum->bytes)
		fprintf(out, ", %" PRIu64 " damaged bytes", sum->bytes);
}

/* How much each CPU lost, and where; malloc'd. */
static char *describe_losses(const struct hs_report *report)
{
	struct hs_keyed cpus = { .value_bytes = sizeof(struct loss_sum) };
	struct loss_sum all = sum_losses(report);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (size_t i = 0; i < report->loss_nr; i++) {
		struct loss_sum *sum = hs_keyed_get(&cpus, (struct hs_key){ .code = report->losses[i].cpu });

		if (sum)
			add_to_sum(sum, &report->losses[i]);
	}
	fputs("LOST in this stretch: ", out);
	print_sum(&all, out);
	for (size_t i = 0; i < cpus.count; i++) {
		const struct loss_sum *sum = (const void *)cpus.entries[i]->value;

		fprintf(out, "; CPU %u: ", cpus.entries[i]->key.code);
		print_sum(sum, out);
		fprintf(out, " in %" PRIu64 " place%s between %.6f s and %.6f s", sum->places,
			sum->places == 1 ? "" : "s", offset_seconds(report, sum->begin_ns),
			offset_seconds(report, sum->end_ns));
	}
	fclose(out);
	hs_keyed_clear(&cpus);
	return text;
}

static void losses_to_json(const struct hs_report *report, json_object *document)
{
	json_object *loss = hs_json_add_object(document, "loss"), *places;
	struct loss_sum all = sum_losses(report);

	hs_json_add_u64(loss, "events", all.events);
	hs_json_add_u64(loss, "packets", all.packets);
	hs_json_add_u64(loss, "bytes", all.bytes);
	places = hs_json_add_array(loss, "places");
	for (size_t i = 0; i < report->loss_nr && i < LOSSES_IN_DOCUMENT; i++) {
		json_object *place = hs_json_append_object(places);

		hs_json_add_u64(place, "cpu", report->losses[i].cpu);
		hs_json_add_u64(place, "begin_ns", report->losses[i].begin_ns);
		hs_json_add_u64(place, "end_ns", report->losses[i].end_ns);
		hs_json_add_u64(place, "events", report->losses[i].events);
	}
}

static json_object *start_json(const struct hs_report *report)
{
	json_object *document = json_object_new_object(), *stretch;

	hs_json_add_string(document, "schema", "hsbpf.report/1");
	hs_json_add_string(document, "kind", report->kind);
	hs_json_add_string(document, "machine", report->machine);
	hs_json_add_u64(document, "records", report->records);
	stretch = hs_json_add_object(document, "stretch");
	hs_json_add_string(stretch, "clock", "boottime");
	hs_json_add_u64(stretch, "start_ns", report->start_ns);
	hs_json_add_u64(stretch, "end_ns", report->end_ns);
	hs_json_add_u64(stretch, "run_ns", hs_report_run_ns(report));
	losses_to_json(report, document);
	hs_json_add_array(document, "notes");
	return document;
}

/* acrnalyze's first two rows; its cycles are ns here, so its frequency is 1000 MHz. */
static void start_csv(const struct hs_report *report, FILE *out)
{
	uint64_t run_ns = hs_report_run_ns(report);

	if (!strcmp(report->kind, "vm_exit"))
		fprintf(out, "Run time(cycles),Run time(Sec),Freq(MHz)\n%" PRIu64 ",%.3f,1000.0\n", run_ns,
			(double)run_ns / 1e9);
	else if (!strcmp(report->kind, "cpu"))
		fprintf(out, "Total run time(tsc cycles),Total run time(sec),Freq(MHz)\n%" PRIu64 ",%.3f,1000.0\n",
			run_ns, (double)run_ns / 1e9);
}

json_object *hs_report_start(const struct hs_report *report, FILE *out)
{
	scoped(mem) char *losses = report->loss_nr ? describe_losses(report) : NULL;
	char text[32];

	if (report->format == HS_REPORT_JSON)
		return start_json(report);
	if (report->format == HS_REPORT_CSV) {
		if (losses)
			hs_warn("%s", losses);
		start_csv(report, out);
		return NULL;
	}
	if (losses)
		fprintf(out, "%s\n", losses);
	fprintf(out, "%s: %s from %.6f s to %.6f s of the trace, %" PRIu64 " records\n", report->machine,
		hs_format_ns(text, sizeof(text), hs_report_run_ns(report)), offset_seconds(report, report->start_ns),
		offset_seconds(report, report->end_ns), report->records);
	return NULL;
}

void hs_report_sort(const struct hs_report *report, struct hs_sheet *sheet)
{
	hs_sheet_sort(sheet, "count");
	hs_sheet_sort(sheet, report->sort);
}

json_object *hs_report_sheet(const struct hs_report *report, const struct hs_sheet *sheet, const char *title,
			     const char *key, json_object *document, FILE *out)
{
	if (report->format == HS_REPORT_JSON)
		return hs_sheet_to_json(sheet, document, key);
	if (report->format == HS_REPORT_CSV) {
		hs_sheet_print_csv(sheet, out);
	} else if (sheet->row_nr) {
		fprintf(out, "\n%s\n", title);
		hs_sheet_print_text(sheet, out);
	}
	return NULL;
}

void hs_report_note(const struct hs_report *report, json_object *document, FILE *out, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (report->format == HS_REPORT_JSON)
		json_object_array_add(hs_json_get(document, "notes"), json_object_new_string(text));
	else if (report->format == HS_REPORT_CSV)
		hs_info("%s", text);
	else
		fprintf(out, "\n%s\n", text);
}

/* ---- cells ------------------------------------------------------------------------------------- */
void hs_report_set_whose(const struct hs_report *report, struct hs_cell *row, uint64_t row_number, uint32_t tgid,
			 uint32_t vcpu)
{
	const struct hs_vm *vm = hs_vms_find(report->vms, (pid_t)tgid);
	char text[NAME_BYTES];

	hs_cell_set_number(&row[HS_WHOSE_ROW], row_number);
	if (tgid == HS_KEY_ALL) {
		hs_cell_set_text(&row[HS_WHOSE_VM], "all");
	} else {
		snprintf(text, sizeof(text), "%u", tgid);
		hs_cell_set_text(&row[HS_WHOSE_VM], vm && *vm->name ? vm->name : text);
		hs_cell_set_number(&row[HS_WHOSE_TGID], tgid);
	}
	if (vcpu == HS_KEY_ALL) {
		hs_cell_set_text(&row[HS_WHOSE_VCPU_TEXT], "all");
		return;
	}
	if (vcpu & HS_VCPU_OF_TID) {
		snprintf(text, sizeof(text), "tid %u", vcpu & ~HS_VCPU_OF_TID);
		hs_cell_set_number(&row[HS_WHOSE_TID], vcpu & ~HS_VCPU_OF_TID);
	} else {
		snprintf(text, sizeof(text), "%u", vcpu);
		hs_cell_set_number(&row[HS_WHOSE_VCPU], vcpu);
	}
	hs_cell_set_text(&row[HS_WHOSE_VCPU_TEXT], text);
}

void hs_report_set_time(struct hs_cell *cells, const struct hs_histogram *time, double whole_ns)
{
	if (!time->count)
		return;
	hs_cell_set_number(&cells[HS_TIME_TOTAL], time->sum);
	hs_cell_set_real(&cells[HS_TIME_SHARE], hs_report_share(time->sum, whole_ns));
	hs_cell_set_number(&cells[HS_TIME_AVG], hs_histogram_average(time));
	hs_cell_set_number(&cells[HS_TIME_P50], hs_histogram_quantile(time, 0.5));
	hs_cell_set_number(&cells[HS_TIME_P99], hs_histogram_quantile(time, 0.99));
	hs_cell_set_number(&cells[HS_TIME_MAX], time->max);
}

/* ---- histograms -------------------------------------------------------------------------------- */
void hs_report_print_histogram(const struct hs_histogram *time, const char *label, FILE *out)
{
	static const char bar[BAR_MAX + 1] = "########################################";
	uint64_t largest = 1, from, to, count;

	if (!time->count)
		return;
	fprintf(out, "\n%s\n", label);
	for (unsigned int i = 0; i < HS_HISTOGRAM_OCTAVES; i++) {
		count = hs_histogram_octave(time, i, &from, &to);
		largest = count > largest ? count : largest;
	}
	for (unsigned int i = 0; i < HS_HISTOGRAM_OCTAVES; i++) {
		char low[32], high[32];

		count = hs_histogram_octave(time, i, &from, &to);
		if (count)
			fprintf(out, "%10s to %10s %12" PRIu64 " %.*s\n", hs_format_ns(low, sizeof(low), from),
				hs_format_ns(high, sizeof(high), to), count,
				(int)((double)count / (double)largest * BAR_MAX), bar);
	}
}

void hs_report_histogram_to_json(const struct hs_histogram *time, json_object *row)
{
	json_object *array = hs_json_add_array(row, "histogram");

	for (unsigned int i = 0; i < HS_HISTOGRAM_OCTAVES; i++) {
		uint64_t from, to, count = hs_histogram_octave(time, i, &from, &to);
		json_object *octave;

		if (!count)
			continue;
		octave = hs_json_append_object(array);
		hs_json_add_u64(octave, "from_ns", from);
		hs_json_add_u64(octave, "to_ns", to);
		hs_json_add_u64(octave, "count", count);
	}
}

void hs_report_clear(struct hs_report *report)
{
	free(report->losses);
	report->losses = NULL;
	report->loss_nr = 0;
}
