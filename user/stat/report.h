/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The table as text, JSON and CSV: of the current interval or of all time. Pure; one thread.
 */
#ifndef HS_STAT_REPORT_H
#define HS_STAT_REPORT_H

#include <stdio.h>

#include "base/json.h"
#include "stat/monitor.h"

#define HS_STAT_SCHEMA "hsbpf.stat/1"

enum hs_stat_sort { HS_STAT_SORT_EXITS, HS_STAT_SORT_TIME, HS_STAT_SORT_KICKS, HS_STAT_SORT_PACKETS };

struct hs_stat_report {
	const struct hs_stat_monitor *monitor;
	bool is_total; /* of all time, not of the interval */
	enum hs_stat_sort sort;
};

/* Time that the report is about, ns; never 0. */
uint64_t hs_stat_report_duration_ns(const struct hs_stat_report *report);

/* What a line is about: "exit", "user exit", "pio", ...; and its reason into text, which is returned. */
const char *hs_stat_kind_text(uint16_t kind);
const char *hs_stat_reason_text(const struct hs_stat_key *key, char *text, size_t text_bytes);

void hs_stat_report_print(FILE *out, const struct hs_stat_report *report);

/* The caller's. Schema HS_STAT_SCHEMA. */
json_object *hs_stat_report_to_json(const struct hs_stat_report *report);

void hs_stat_report_print_csv_header(FILE *out);
void hs_stat_report_print_csv(FILE *out, const struct hs_stat_report *report);

#endif
