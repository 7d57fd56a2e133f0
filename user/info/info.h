/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is in a run or a recording, machine by machine: read from the traces themselves, with what the document beside
 * them says of clocks, losses and machines that are missing. For `hsbpf info`; one call at a time.
 */
#ifndef HS_INFO_INFO_H
#define HS_INFO_INFO_H

#include <stdio.h>

#include "base/json.h"
#include "trace/find.h"

#define HS_INFO_SCHEMA "hsbpf.info/1"

/* A new document of that schema, the caller's. 0 or -errno (said). */
int hs_info_read(const char *dir, const struct hs_trace_folders *folders, json_object **out);

/* As text. */
void hs_info_print(FILE *file, json_object *document);

/* Says every machine that was to be recorded and sent nothing, with the reason if it is known; how many there are. */
unsigned int hs_info_say_silent(json_object *document);

#endif
