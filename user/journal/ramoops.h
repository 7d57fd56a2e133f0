/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a kernel that died left in memory through the module ramoops (fs/pstore/ram.c, ram_core.c): zones of a header
 * (signature, start, size), data and parity. The memory is a guest's: whatever is in it, no byte outside it is read.
 * Data that its parity can put right is; data that it cannot is left out and its place is named. Pure; any thread.
 */
#ifndef HS_JOURNAL_RAMOOPS_H
#define HS_JOURNAL_RAMOOPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/scoped.h"

/* Sizes of zones, the module's parameters (ecc=1); dumps fill what the others leave. A multiple of 128 at least. */
struct hs_ramoops_layout {
	size_t dump_bytes, console_bytes, ftrace_bytes, pmsg_bytes; /* of one zone; 0: none */
	size_t region_bytes; /* of all: a file that has less was cut off; 0: as many as it has */
};

enum hs_ramoops_kind {
	HS_RAMOOPS_DUMP,    /* the kernel's log at an oops or a panic; its first line says which: "Panic#1 Part1" */
	HS_RAMOOPS_CONSOLE, /* its newest end, kept all the time */
	HS_RAMOOPS_FTRACE,  /* the newest function calls of a CPU; text: a line for each */
	HS_RAMOOPS_PMSG,    /* what programs wrote to /dev/pmsg0 */
};
const char *hs_ramoops_kind_name(enum hs_ramoops_kind kind);

struct hs_ramoops_record {
	enum hs_ramoops_kind kind;
	unsigned number;  /* of the zone among those of its kind; of ftrace: the CPU */
	uint64_t real_ns; /* a dump's time by the CLOCK_REALTIME of the kernel that died; 0: not told, or damaged */
	char *text; /* as the kernel left it, unpacked; where bytes were lost it says so in [] on a line of its own */
	size_t len;
	bool was_packed;
	bool has_bad_header;	  /* where the record begins and ends is a guess */
	unsigned corrected_bytes; /* put right by parity */
	unsigned damaged_blocks;  /* beyond that; of blocks */
	unsigned blocks;
	size_t lost_bytes; /* of what lies in the zone; 0 unless something is damaged */
};

struct hs_ramoops {
	struct hs_ramoops_record *record; /* in the order of the zones, dumps by time */
	size_t nr;
	unsigned damaged_zones; /* of which nothing could be read */
};

/* Never fails because of what the region holds: 0, -ENOMEM, or -EINVAL for sizes that make no layout. */
int hs_ramoops_decode(const void *region, size_t bytes, const struct hs_ramoops_layout *layout,
		      struct hs_ramoops **out);
void hs_ramoops_free(struct hs_ramoops *ramoops);
HS_SCOPED(hs_ramoops, struct hs_ramoops *, hs_ramoops_free)

#endif
