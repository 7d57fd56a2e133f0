// SPDX-License-Identifier: GPL-2.0-only
/* Groups trials by mode, dirty rate and bandwidth, in their order. Only completed ones are averaged. */
#include "migrate/figures.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/scoped.h"
#include "base/unit.h"

const struct hs_measure hs_measures[] = {
	{ "qemu.total_ms", "QEMU: total" },
	{ "qemu.setup_ms", NULL },
	{ "qemu.downtime_ms", "QEMU: downtime" },
	{ "qemu.expected_downtime_ms", NULL },
	{ "qemu.rounds", "QEMU: rounds" },
	{ "qemu.transferred_bytes", NULL },
	{ "qemu.precopy_bytes", NULL },
	{ "qemu.downtime_bytes", NULL },
	{ "qemu.postcopy_bytes", NULL },
	{ "qemu.multifd_bytes", NULL },
	{ "qemu.normal_pages", NULL },
	{ "qemu.zero_pages", NULL },
	{ "qemu.xbzrle_pages", NULL },
	{ "qemu.compressed_pages", NULL },
	{ "qemu.dirty_pages_rate", NULL },
	{ "qemu.postcopy_requests", NULL },
	{ "qemu.postcopy_blocktime_ms", NULL },
	{ "qemu.cpu_throttle_pct", NULL },
	{ "seen.stop_resume_ms", "STOP to RESUME" },
	{ "seen.tap_gap_ms", "tap gap" },
	{ "seen.network_gap_ms", "network gap" },
	{ "seen.network_longest_ms", "network, longest" },
	{ "seen.guest_blackout_ms", "guest blackout" },
	{ "seen.guest_stall_ms", "guest's own stall" },
	{ "seen.brownout_ms", "brown-out" },
	{ "seen.stop_to_first_packet_ms", "STOP to packet" },
	{ "seen.stop_to_announcement_ms", "STOP to RARP" },
	{ "seen.stop_to_guest_arp_ms", NULL },
	{ "seen.postcopy_waits", NULL },
	{ "seen.postcopy_wait_p50_ms", NULL },
	{ "seen.postcopy_wait_p99_ms", "page wait p99" },
	{ "seen.postcopy_wait_max_ms", NULL },
	{ "seen.guest_wrong_pages", NULL },
	{ NULL, NULL },
};

static const char *const kind_keys[] = { "mode", "dirty_mib_per_s", "bandwidth_bps" };

static bool is_same_kind(json_object *a, json_object *b)
{
	for (size_t i = 0; i < HS_ARRAY_SIZE(kind_keys); i++)
		if (!json_object_equal(hs_json_get(a, kind_keys[i]), hs_json_get(b, kind_keys[i])))
			return false;
	return true;
}

static bool is_valid(json_object *trial)
{
	return !strcmp(hs_json_get_string(trial, "outcome"), "completed");
}

static int by_value(const void *a, const void *b)
{
	const double *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

static void add_figure(json_object *figures, const char *path, double *values, size_t nr)
{
	json_object *figure = hs_json_add_object(figures, path);
	double sum = 0, squares = 0, mean;

	qsort(values, nr, sizeof(*values), by_value);
	for (size_t i = 0; i < nr; i++)
		sum += values[i];
	mean = sum / (double)nr;
	for (size_t i = 0; i < nr; i++)
		squares += (values[i] - mean) * (values[i] - mean);
	hs_json_add_u64(figure, "count", nr);
	hs_json_add_double(figure, "min", values[0], 3);
	hs_json_add_double(figure, "median", nr % 2 ? values[nr / 2] : (values[nr / 2 - 1] + values[nr / 2]) / 2, 3);
	hs_json_add_double(figure, "max", values[nr - 1], 3);
	hs_json_add_double(figure, "stddev", nr > 1 ? sqrt(squares / (double)(nr - 1)) : 0, 3);
}

static void add_figures(json_object *cell, json_object *trials)
{
	json_object *figures = hs_json_add_object(cell, "figures");
	size_t trial_nr = json_object_array_length(trials), nr;
	scoped(mem) double *values = calloc(trial_nr ? trial_nr : 1, sizeof(*values));

	for (const struct hs_measure *measure = hs_measures; values && measure->path; measure++) {
		nr = 0;
		for (size_t i = 0; i < trial_nr; i++) {
			json_object *trial = json_object_array_get_idx(trials, i);

			if (is_same_kind(trial, cell) && is_valid(trial) && hs_json_get(trial, measure->path))
				values[nr++] = hs_json_get_double(trial, measure->path);
		}
		if (nr)
			add_figure(figures, measure->path, values, nr);
	}
}

static json_object *find_cell(json_object *cells, json_object *trial)
{
	json_object *cell;

	for (size_t i = 0; i < json_object_array_length(cells); i++)
		if (is_same_kind(json_object_array_get_idx(cells, i), trial))
			return json_object_array_get_idx(cells, i);
	cell = hs_json_append_object(cells);
	for (size_t i = 0; i < HS_ARRAY_SIZE(kind_keys); i++)
		json_object_object_add(cell, kind_keys[i], json_object_get(hs_json_get(trial, kind_keys[i])));
	hs_json_add_array(cell, "valid");
	hs_json_add_array(cell, "invalid");
	return cell;
}

void hs_figures_derive(json_object *document)
{
	json_object *trials = hs_json_get(document, "trials"), *cells;

	json_object_object_del(document, "cells");
	cells = hs_json_add_array(document, "cells");
	for (size_t i = 0; i < json_object_array_length(trials); i++) {
		json_object *trial = json_object_array_get_idx(trials, i), *cell = find_cell(cells, trial);

		json_object_array_add(hs_json_get(cell, is_valid(trial) ? "valid" : "invalid"),
				      json_object_get(hs_json_get(trial, "trial")));
	}
	for (size_t i = 0; i < json_object_array_length(cells); i++)
		add_figures(json_object_array_get_idx(cells, i), trials);
}

/* ---- the table --------------------------------------------------------------------------------- */

/* Members of figures have dots in their names, which hs_json_get() would follow. */
static json_object *figure_of(json_object *cell, const char *path)
{
	json_object *figure = NULL;

	json_object_object_get_ex(hs_json_get(cell, "figures"), path, &figure);
	return figure;
}

static void print_cell(FILE *out, json_object *cell, uint64_t delay_ns)
{
	char rate[32], delay[32];

	fprintf(out, "%s, %" PRIu64 " MiB/s dirtied, link of %s%s%s: %zu valid, %zu not\n",
		hs_json_get_string(cell, "mode"), hs_json_get_u64(cell, "dirty_mib_per_s"),
		hs_format_rate(rate, sizeof(rate), (double)hs_json_get_u64(cell, "bandwidth_bps")),
		delay_ns ? " and " : "", delay_ns ? hs_format_ns(delay, sizeof(delay), delay_ns) : "",
		json_object_array_length(hs_json_get(cell, "valid")),
		json_object_array_length(hs_json_get(cell, "invalid")));
	if (!json_object_array_length(hs_json_get(cell, "valid")))
		return;
	fprintf(out, "  %-20s %10s %10s %10s %10s\n", "ms", "min", "median", "max", "stddev");
	for (const struct hs_measure *measure = hs_measures; measure->path; measure++) {
		json_object *figure = figure_of(cell, measure->path);

		if (figure && measure->title)
			fprintf(out, "  %-20s %10.1f %10.1f %10.1f %10.1f\n", measure->title,
				hs_json_get_double(figure, "min"), hs_json_get_double(figure, "median"),
				hs_json_get_double(figure, "max"), hs_json_get_double(figure, "stddev"));
	}
}

static void print_invalid(FILE *out, json_object *trial)
{
	const char *at = hs_json_get_string(trial, "guest_runs_at");

	fprintf(out, "%s: %s: %s; the guest %s%s\n", hs_json_get_string(trial, "folder"),
		hs_json_get_string(trial, "outcome"), hs_json_get_string(trial, "why"),
		*at ? "runs at the " : "is gone", at);
}

void hs_figures_print(FILE *out, json_object *document)
{
	json_object *cells = hs_json_get(document, "cells"), *trials = hs_json_get(document, "trials");

	for (size_t i = 0; i < json_object_array_length(cells); i++) {
		print_cell(out, json_object_array_get_idx(cells, i), hs_json_get_u64(document, "limits.link_delay_ns"));
		fputc('\n', out);
	}
	for (size_t i = 0; i < json_object_array_length(trials); i++)
		if (!is_valid(json_object_array_get_idx(trials, i)))
			print_invalid(out, json_object_array_get_idx(trials, i));
}

/* ---- CSV --------------------------------------------------------------------------------------- */

int hs_figures_write_csv(json_object *document, const char *path)
{
	json_object *trials = hs_json_get(document, "trials");
	scoped(file) FILE *file = fopen(path, "we");

	if (!file)
		return hs_fail(-errno, "cannot write %s:", path);
	fputs("mode,dirty_mib_per_s,bandwidth_bps,trial,folder,outcome", file);
	for (const struct hs_measure *measure = hs_measures; measure->path; measure++)
		fprintf(file, ",%s", measure->path);
	fputc('\n', file);
	for (size_t i = 0; i < json_object_array_length(trials); i++) {
		json_object *trial = json_object_array_get_idx(trials, i);

		fprintf(file, "%s,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%s,%s", hs_json_get_string(trial, "mode"),
			hs_json_get_u64(trial, "dirty_mib_per_s"), hs_json_get_u64(trial, "bandwidth_bps"),
			hs_json_get_u64(trial, "trial"), hs_json_get_string(trial, "folder"),
			hs_json_get_string(trial, "outcome"));
		for (const struct hs_measure *measure = hs_measures; measure->path; measure++) {
			json_object *value = hs_json_get(trial, measure->path);

			fprintf(file, ",%s", value ? json_object_to_json_string(value) : "");
		}
		fputc('\n', file);
	}
	return fflush(file) ? hs_fail(-EIO, "cannot write %s", path) : 0;
}
