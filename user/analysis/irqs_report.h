/* SPDX-License-Identifier: GPL-2.0-only */
/* The report on interrupts: tables of an analysis. One thread. */
#ifndef HS_ANALYSIS_IRQS_REPORT_H
#define HS_ANALYSIS_IRQS_REPORT_H

#include "analysis/irqs.h"
#include "analysis/report.h"

/* Prints the whole report of a finished analysis. 0 or -ENOMEM. */
int hs_irqs_report(const struct hs_irqs *irqs, const struct hs_report *report, FILE *out);

#endif
