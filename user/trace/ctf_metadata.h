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
#define HS_CTF_CLOCK_BYTES 16
#define HS_CTF_CLOCK "boot" /* of all that we record ourselves */

struct hs_ctf_info {
	char machine[HS_CTF_MACHINE_BYTES]; /* host, l1, l2-0, ...; no quotes or backslashes */
	uint8_t uuid[HS_CTF_UUID_BYTES];
	char clock[HS_CTF_CLOCK_BYTES]; /* which clock of that machine; "" is written as HS_CTF_CLOCK */
	int64_t clock_offset_ns;	/* CLOCK_REALTIME - that clock when the trace began */
	uint32_t schema;		/* HS_EVENTS_SCHEMA of the writer */
};

/* Of a new trace, with a UUID of its own. `clock` is an identifier. -EINVAL: no such machine can be (said); -errno. */
int hs_ctf_info_init(struct hs_ctf_info *out, const char *machine, const char *clock, int64_t clock_offset_ns);

void hs_ctf_metadata_print(FILE *file, const struct hs_ctf_info *info);

/* Its parts: all in front of the first stream class, and the declaration of one; `header` and `context`: the fields of its
 * events. */
void hs_ctf_metadata_print_head(FILE *file, const struct hs_ctf_info *info);
void hs_ctf_metadata_print_stream(FILE *file, unsigned int id, const char *header, const char *context);

/* Reads back what hs_ctf_metadata_print() wrote. -EBADMSG: not a trace of ours. */
int hs_ctf_metadata_parse(const char *text, struct hs_ctf_info *info);

#endif
