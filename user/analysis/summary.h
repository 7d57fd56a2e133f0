/* SPDX-License-Identifier: GPL-2.0-only */
/* The table that a person reads after a run, made from the run's document and nothing else. Pure printing. */
#ifndef HS_ANALYSIS_SUMMARY_H
#define HS_ANALYSIS_SUMMARY_H

#include <stdio.h>

#include "base/json.h"

/* Missing parts (an interrupted run, no trace, no log) show as "-". */
void hs_summary_print(FILE *out, json_object *document);

#endif
