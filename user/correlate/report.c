// SPDX-License-Identifier: GPL-2.0-only
/* Tables of what was correlated. Called by `hsbpf correlate` at its end. */
#include "correlate/report.h"

#include "analysis/sheet.h"
#include "base/unit.h"
#include "correlate/path.h"

static const char *const direction_titles[] = { [HS_TO_L2] = "to the L2", [HS_FROM_L2] = "from the L2" };
static const char *const direction_keys[] = { [HS_TO_L2] = "to_l2", [HS_FROM_L2] = "from_l2" };
static const char *const kind_keys[HS_DMA_KIND_NR] = { "descriptor_reads", "data", "write_backs", "status_writes",
						       "contexts" };

enum hop_column { HOP_FROM, HOP_TO, HOP_COUNT, HOP_P50, HOP_P99, HOP_MAX, HOP_NR };
static const struct hs_column hop_columns[HOP_NR] = {
	{ "from", "from", NULL, 0, HS_CELL_TEXT },	  { "to", "to", NULL, 0, HS_CELL_TEXT },
	{ "packets", "packets", NULL, 0, HS_CELL_COUNT }, { "p50_ns", "p50", NULL, 0, HS_CELL_NS },
	{ "p99_ns", "p99", NULL, 0, HS_CELL_NS },	  { "max_ns", "max", NULL, 0, HS_CELL_NS },
};

static double share(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static double ratio(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : 0;
}

static uint64_t translations(const struct hs_tally *tally)
{
	uint64_t sum = 0;

	for (int i = 0; i < HS_DMA_KIND_NR; i++)
		sum += tally->kinds[i];
	return sum;
}

static void add_hop(struct hs_sheet *sheet, const char *from, const char *to, const struct hs_histogram *times)
{
	struct hs_cell *row = times->count ? hs_sheet_add_row(sheet) : NULL;

	if (!row)
		return;
	hs_cell_set_text(&row[HOP_FROM], from);
	hs_cell_set_text(&row[HOP_TO], to);
	hs_cell_set_number(&row[HOP_COUNT], times->count);
	hs_cell_set_number(&row[HOP_P50], hs_histogram_quantile(times, 0.5));
	hs_cell_set_number(&row[HOP_P99], hs_histogram_quantile(times, 0.99));
	hs_cell_set_number(&row[HOP_MAX], times->max);
}

static void fill_hops(struct hs_sheet *sheet, const struct hs_tally *tally, enum hs_direction direction)
{
	unsigned int layer_nr;
	const enum hs_layer *layers = hs_layers_of(direction, &layer_nr);

	for (unsigned int to = 1; to < layer_nr; to++)
		for (unsigned int from = to; from-- > 0;)
			add_hop(sheet, hs_layer_names[layers[from]], hs_layer_names[layers[to]],
				&tally->hops[layers[from]][layers[to]]);
	add_hop(sheet, "first", "last", &tally->total);
}

/* ---- for people ---- */

static void print_joined(const struct hs_tally *tally, FILE *out)
{
	const char *separator = "; not: ";

	if (!tally->scope.has_dma) {
		fprintf(out, "  no IOMMU log to join with\n");
	} else {
		fprintf(out, "  joined to translations: %.2f %%",
			share(tally->fates[HS_FATE_JOINED], tally->packet_nr));
		for (int i = HS_FATE_JOINED + 1; i < HS_FATE_NR; i++)
			if (tally->fates[i]) {
				fprintf(out, "%s%llu %s", separator, (unsigned long long)tally->fates[i],
					hs_fate_names[i]);
				separator = ", ";
			}
		fputc('\n', out);
	}
	separator = "; not: ";
	fprintf(out, "  followed to both ends: %.2f %%", share(tally->ends[HS_END_WHOLE], tally->packet_nr));
	if (!tally->scope.has_client || !tally->scope.has_l2)
		fprintf(out, " (as far as the run has traces: %s)",
			tally->scope.has_l2	  ? "none of the client"
			: tally->scope.has_client ? "none of the L2"
						  : "none of client and L2");
	for (int i = HS_END_WHOLE + 1; i < HS_END_NR; i++)
		if (tally->ends[i]) {
			fprintf(out, "%s%llu %s", separator, (unsigned long long)tally->ends[i], hs_end_names[i]);
			separator = ", ";
		}
	fputc('\n', out);
}

static void print_tally(const struct hs_correlate_report *report, unsigned int tenant, enum hs_direction direction,
			FILE *out)
{
	const struct hs_tally *tally = &report->tallies[tenant][direction];
	scoped(hs_sheet) struct hs_sheet sheet = HS_SHEET(hop_columns);
	char bytes[32];

	fprintf(out, "\ntenant %u, %s: %llu packets, %s\n", tenant, direction_titles[direction],
		(unsigned long long)tally->packet_nr, hs_format_bytes(bytes, sizeof(bytes), tally->bytes));
	if (!tally->packet_nr)
		return;
	print_joined(tally, out);
	if (tally->fates[HS_FATE_JOINED]) {
		fprintf(out, "  translations per packet: %.2f (",
			ratio(translations(tally), tally->fates[HS_FATE_JOINED]));
		fprintf(out, "descriptor read %.2f, data %.2f, write-back %.2f, status %.2f); misses %.3f %%\n",
			ratio(tally->kinds[HS_DMA_DESCRIPTOR_READ], tally->fates[HS_FATE_JOINED]),
			ratio(tally->kinds[HS_DMA_DATA], tally->fates[HS_FATE_JOINED]),
			ratio(tally->kinds[HS_DMA_WRITE_BACK], tally->fates[HS_FATE_JOINED]),
			ratio(tally->kinds[HS_DMA_STATUS], tally->fates[HS_FATE_JOINED]),
			share(tally->events[HS_QEMULOG_PAGE_UPDATE],
			      tally->events[HS_QEMULOG_PAGE_UPDATE] + tally->events[HS_QEMULOG_PAGE_HIT]));
	}
	if (tally->exit_packet_nr && report->result->tenants[tenant].counts.exit_nr)
		fprintf(out, "  exits of the L2 while a packet was between host and L2: %.2f per packet\n",
			ratio(tally->exit_nr, tally->exit_packet_nr));
	fill_hops(&sheet, tally, direction);
	hs_sheet_print_text(&sheet, out);
}

static void print_slowest(const struct hs_correlate_report *report, unsigned int tenant, FILE *out)
{
	for (int direction = 0; direction < HS_DIRECTION_NR; direction++) {
		const struct hs_tally *tally = &report->tallies[tenant][direction];

		for (int i = 0; i < HS_TALLY_SLOWEST && tally->slowest[i].number; i++) {
			if (!i)
				fprintf(out, "\nslowest packets of tenant %u %s:\n", tenant,
					direction_titles[direction]);
			hs_path_print(&tally->slowest[i], report->result->begin_ns, out);
		}
	}
}

static void print_clocks(const struct hs_correlate_result *result, FILE *out)
{
	fprintf(out, "\nclocks against the host's:");
	if (result->has_log)
		fprintf(out, " IOMMU log within %llu ns", (unsigned long long)result->log_bound_ns);
	for (size_t i = 1; i < result->machine_nr; i++)
		fprintf(out, "%s %s within %.1f us", i == 1 && !result->has_log ? "" : ",", result->machines[i].name,
			(double)result->machines[i].bound_ns / 1000);
	fputc('\n', out);
	for (int i = 0; i < HS_PAIR_NR; i++) {
		const struct hs_causality_count *count = &result->causality.pairs[i];

		if (!count->in_order && !count->within_bound && !count->beyond_bound)
			continue;
		fprintf(out, "  %s: %llu in order, %llu not, but within the bound, %llu beyond it\n",
			hs_causality_pair_names[i], (unsigned long long)count->in_order,
			(unsigned long long)count->within_bound, (unsigned long long)count->beyond_bound);
	}
}

static bool is_reported(const struct hs_correlate_report *report, unsigned int tenant)
{
	return report->result->tenants[tenant].has.on_packet != NULL;
}

void hs_correlate_print(const struct hs_correlate_report *report, FILE *out)
{
	const struct hs_correlate_result *result = report->result;
	double run_seconds = (double)(result->end_ns - result->begin_ns) / 1e9;

	fprintf(out, "%s: %llu packets on the L2s' taps in %.3f s, %llu translations\n", report->run,
		(unsigned long long)result->packet_nr, run_seconds, (unsigned long long)result->line_nr);
	for (unsigned int i = 0; i < result->tenant_nr; i++)
		for (int direction = 0; is_reported(report, i) && direction < HS_DIRECTION_NR; direction++)
			print_tally(report, i, (enum hs_direction)direction, out);
	for (unsigned int i = 0; i < result->tenant_nr; i++)
		if (is_reported(report, i))
			print_slowest(report, i, out);
	print_clocks(result, out);
	for (unsigned int i = 0; i < result->tenant_nr; i++)
		if (result->tenants[i].unparsed_lines || result->tenants[i].counts.dma_alone)
			fprintf(out,
				"tenant %u: %llu translations that belong to no packet's DMA, %llu DMAs without a "
				"packet\n",
				i, (unsigned long long)result->tenants[i].unparsed_lines,
				(unsigned long long)result->tenants[i].counts.dma_alone);
	if (result->lost_nr)
		fprintf(out, "the host's trace lost %llu events: packets are missing\n",
			(unsigned long long)result->lost_nr);
	fprintf(out, "correlated in %.2f s\n", report->seconds);
}

/* ---- as a document ---- */

static void add_counts(json_object *object, const char *key, const char *const *names, const uint64_t *counts, int nr)
{
	json_object *member = hs_json_add_object(object, key);

	for (int i = 0; i < nr; i++)
		hs_json_add_u64(member, names[i], counts[i]);
}

static void tally_to_json(const struct hs_tally *tally, enum hs_direction direction, bool has_exits,
			  json_object *object)
{
	scoped(hs_sheet) struct hs_sheet sheet = HS_SHEET(hop_columns);
	uint64_t joined = tally->fates[HS_FATE_JOINED];
	json_object *events, *slowest;

	hs_json_add_string(object, "direction", direction_keys[direction]);
	hs_json_add_u64(object, "packets", tally->packet_nr);
	hs_json_add_u64(object, "bytes", tally->bytes);
	hs_json_add_double(object, "joined_pct", share(joined, tally->packet_nr), 3);
	hs_json_add_double(object, "whole_pct", share(tally->ends[HS_END_WHOLE], tally->packet_nr), 3);
	add_counts(object, "fates", hs_fate_names, tally->fates, HS_FATE_NR);
	add_counts(object, "ends", hs_end_names, tally->ends, HS_END_NR);
	hs_json_add_u64(object, "translations", translations(tally));
	hs_json_add_double(object, "translations_per_packet", ratio(translations(tally), joined), 3);
	add_counts(object, "kinds", kind_keys, tally->kinds, HS_DMA_KIND_NR);
	events = hs_json_add_object(object, "events");
	for (int i = 0; i < HS_QEMULOG_OTHER; i++)
		hs_json_add_u64(events, hs_qemulog_event_name((enum hs_qemulog_event)i), tally->events[i]);
	if (tally->exit_packet_nr && has_exits)
		hs_json_add_double(object, "exits_per_packet", ratio(tally->exit_nr, tally->exit_packet_nr), 3);
	fill_hops(&sheet, tally, direction);
	hs_sheet_to_json(&sheet, object, "hops");
	slowest = hs_json_add_array(object, "slowest");
	for (int i = 0; i < HS_TALLY_SLOWEST && tally->slowest[i].number; i++)
		hs_path_to_json(&tally->slowest[i], hs_json_append_object(slowest));
}

static void tenant_to_json(const struct hs_correlate_report *report, unsigned int tenant, json_object *object)
{
	const struct hs_correlate_tenant *about = &report->result->tenants[tenant];
	json_object *directions;

	hs_json_add_u64(object, "tenant", tenant);
	hs_json_add_u64(object, "unparsed_translations", about->unparsed_lines);
	hs_json_add_u64(object, "dma_without_packet", about->counts.dma_alone);
	hs_json_add_u64(object, "interrupts", about->counts.interrupt_nr);
	hs_json_add_u64(object, "entries", about->counts.entry_nr);
	hs_json_add_u64(object, "exits", about->counts.exit_nr);
	directions = hs_json_add_array(object, "directions");
	for (int i = 0; i < HS_DIRECTION_NR; i++)
		tally_to_json(&report->tallies[tenant][i], (enum hs_direction)i, about->counts.exit_nr > 0,
			      hs_json_append_object(directions));
}

json_object *hs_correlate_to_json(const struct hs_correlate_report *report)
{
	const struct hs_correlate_result *result = report->result;
	json_object *document = json_object_new_object(), *rows;

	hs_json_add_string(document, "schema", HS_CORRELATE_SCHEMA);
	hs_json_add_string(document, "run", report->run);
	hs_json_add_string(document, "clock", "boottime");
	hs_json_add_u64(document, "begin_ns", result->begin_ns);
	hs_json_add_u64(document, "end_ns", result->end_ns);
	hs_json_add_u64(document, "from_ns", report->from_ns);
	hs_json_add_u64(document, "to_ns", report->to_ns);
	hs_json_add_u64(document, "packets", result->packet_nr);
	hs_json_add_u64(document, "translations", result->line_nr);
	hs_json_add_u64(document, "lost", result->lost_nr);
	hs_json_add_double(document, "seconds", report->seconds, 3);
	hs_json_add_u64(document, "log_bound_ns", result->log_bound_ns);
	rows = hs_json_add_array(document, "machines");
	for (size_t i = 0; i < result->machine_nr; i++) {
		json_object *row = hs_json_append_object(rows);

		hs_json_add_string(row, "machine", result->machines[i].name);
		hs_json_add_u64(row, "records", result->machines[i].record_nr);
		hs_json_add_u64(row, "bound_ns", result->machines[i].bound_ns);
	}
	hs_causality_to_json(&result->causality, document, "causality");
	rows = hs_json_add_array(document, "tenants");
	for (unsigned int i = 0; i < result->tenant_nr; i++)
		if (is_reported(report, i))
			tenant_to_json(report, i, hs_json_append_object(rows));
	return document;
}
