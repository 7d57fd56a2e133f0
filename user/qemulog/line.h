/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One line of the log that QEMU writes with `-trace ... -msg timestamp=on -D FILE`, up to 10.1 and from 10.2 on:
 *     11574@1795228323.395068:vtd_iotlb_page_hit IOTLB page hit sid 0x20 iova 0x2bff8c0 slpte 0xf200083 ...
 *     2026-11-21T02:32:03.395068Z vtd_iotlb_page_hit IOTLB page hit sid 0x20 iova 0x2bff8c0 slpte 0xf200083 ...
 * that is [prefix]name SPACE text, CLOCK_REALTIME, with the formats of QEMU's trace-events files; still newer ones may
 * add `PROGRAM: (tid:THREAD): ` behind the time.
 * The decoder is pure and trusts nothing: any bytes may be given. Thread-safe.
 */
#ifndef HS_QEMULOG_LINE_H
#define HS_QEMULOG_LINE_H

#include <stddef.h>
#include <stdint.h>

/*
 * The four events that make up nearly all of a log have a checked shape: every word, every number and its
 * width, and the end of the line. All others are HS_QEMULOG_OTHER, known by name and, where they say it, sid.
 */
enum hs_qemulog_event {
	HS_QEMULOG_PAGE_HIT,
	HS_QEMULOG_PAGE_UPDATE,
	HS_QEMULOG_CC_HIT,
	HS_QEMULOG_CC_UPDATE,
	HS_QEMULOG_OTHER,
	HS_QEMULOG_EVENT_NR
};

enum hs_qemulog_verdict {
	HS_QEMULOG_DECODED,
	HS_QEMULOG_FOREIGN, /* not a trace event line: QEMU's own words, empty, anything else */
	HS_QEMULOG_TORN, /* begins as a trace event line but is cut, merged with another, or damaged */
};

/* Which members of struct hs_qemulog_line are present; the others mean nothing. */
enum {
	HS_QEMULOG_HAS_TIME = 1 << 0, /* time_ns */
	HS_QEMULOG_HAS_SID = 1 << 1,
	HS_QEMULOG_HAS_PAGE = 1 << 2, /* iova, slpte, domain */
	HS_QEMULOG_HAS_CONTEXT = 1 << 3, /* high, low, gen */
	HS_QEMULOG_HAS_NEW_GEN = 1 << 4,
};

struct hs_qemulog_line {
	const char *name; /* into the line that was given, not terminated; NULL when there is none */
	uint32_t name_len;
	uint32_t fields; /* HS_QEMULOG_HAS_... */
	enum hs_qemulog_event event;
	uint32_t tid; /* 0: the line does not say */
	uint64_t time_ns; /* CLOCK_REALTIME, in steps of 1000 */
	uint64_t iova; /* as the device gave it */
	uint64_t slpte; /* second-level page table entry, the leaf */
	uint64_t high; /* context entry; bits 2:0 AGAW, 23:8 domain */
	uint64_t low;
	uint32_t gen; /* context cache generation; of an update: the old one */
	uint32_t new_gen;
	uint16_t sid; /* bus << 8 | devfn */
	uint16_t domain;
};

/*
 * Decodes the `len` bytes of a line without its newline (one '\r' at the end is allowed) and reads nothing
 * beyond them. Writes *line in every case; after TORN only time, name and event can be there, as far as they
 * could be read, after FOREIGN nothing.
 *
 * A line without tid@sec.usec: counts as an event only if its first word, behind the newer prefixes, is a name with
 * an underscore, as all but one of QEMU's 5000 have. An OTHER event is torn if its text holds a NUL or another line's
 * prefix; a cut in its text cannot be seen, because any text is possible there.
 */
enum hs_qemulog_verdict hs_qemulog_decode(const char *text, size_t len, struct hs_qemulog_line *line);

/* "vtd_iotlb_page_hit" ...; NULL for HS_QEMULOG_OTHER. */
const char *hs_qemulog_event_name(enum hs_qemulog_event event);

#endif
