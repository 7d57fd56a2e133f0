/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The text that describes a trace to any CTF viewer, made from the event table. Pure functions.
 */
#ifndef HS_TRACE_CTF_METADATA_H
#define HS_TRACE_CTF_METADATA_H

#include <stdint.h>
#include <stdio.h>

#include "trace/ctf.h"

#define HS_CTF_MACHINE_BYTES 64

struct hs_ctf_info {
	char machine[HS_CTF_MACHINE_BYTES]; /* host, l1, l2-0, ...; no quotes or backslashes */
	uint8_t uuid[HS_CTF_UUID_BYTES];
	int64_t clock_offset_ns; /* CLOCK_REALTIME - CLOCK_BOOTTIME when the trace began */
	uint32_t schema;	 /* HS_EVENTS_SCHEMA of the writer */
};

void hs_ctf_metadata_print(FILE *file, const struct hs_ctf_info *info);

/* Reads back what hs_ctf_metadata_print() wrote. -EBADMSG: not a trace of ours. */
int hs_ctf_metadata_parse(const char *text, struct hs_ctf_info *info);

#endif
