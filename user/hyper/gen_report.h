/* SPDX-License-Identifier: GPL-2.0-only */
/* What a trace says of itself: header, logs, tenants; as a document and for people. Pure; any thread. */
#ifndef HS_HYPER_GEN_REPORT_H
#define HS_HYPER_GEN_REPORT_H

#include <stdio.h>

#include "base/json.h"
#include "hyper/dmatrace.h"

/* A document of schema hsbpf.trace-gen/1; `path` is what it calls the file. */
json_object *hs_gen_report_to_json(const struct hs_dmatrace *trace, const char *path);

void hs_gen_report_print(const struct hs_dmatrace *trace, const char *path, FILE *out);

#endif
