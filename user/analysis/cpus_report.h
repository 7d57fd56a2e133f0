/* SPDX-License-Identifier: GPL-2.0-only */
/* The report on CPU use: tables of an analysis. One thread. */
#ifndef HS_ANALYSIS_CPUS_REPORT_H
#define HS_ANALYSIS_CPUS_REPORT_H

#include "analysis/cpus.h"
#include "analysis/report.h"

/* Prints the whole report of a finished analysis. 0 or -ENOMEM. */
int hs_cpus_report(const struct hs_cpus *cpus, const struct hs_report *report, FILE *out);

#endif
