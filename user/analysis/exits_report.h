/* SPDX-License-Identifier: GPL-2.0-only */
/* The report on VM exits: tables of an analysis. One thread. */
#ifndef HS_ANALYSIS_EXITS_REPORT_H
#define HS_ANALYSIS_EXITS_REPORT_H

#include "analysis/exits.h"
#include "analysis/report.h"

/* A reason by name: "HLT", "npf", "userspace io"; by number when it has none. Returns text. */
const char *hs_exits_reason(char *text, size_t size, uint32_t kind, uint32_t code);

/* Prints the whole report of a finished analysis. 0 or -ENOMEM. */
int hs_exits_report(const struct hs_exits *exits, const struct hs_report *report, FILE *out);

#endif
