/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What programs tell of a run (a QEMU's log, answers to probes, lines of a guest) as a CTF trace of its own, so that
 * every reader merges it with what the kernel did: stream class 1, in the file told_cpu0, declared as it comes. It is
 * kept in memory and written at the end, by time. All times are the host's CLOCK_BOOTTIME. One thread.
 */
#ifndef HS_TRACE_CTF_TOLD_H
#define HS_TRACE_CTF_TOLD_H

#include <stdint.h>

#include "base/scoped.h"

#define HS_CTF_TOLD_NUMBERS_MAX 4

/* An event: numbers of 64 bits, and one text behind them. */
struct hs_ctf_told_kind {
	const char *system, *name;
	const char *numbers[HS_CTF_TOLD_NUMBERS_MAX]; /* names of the fields; NULL behind the last */
	const char *text;			      /* the same; NULL: there is none */
};

struct hs_ctf_told;

int hs_ctf_told_open(struct hs_ctf_told **out);

/*
 * Keeps one record; tid: of the thread that told it, 0: not known. Two kinds of one system and name are the same kind.
 * Characters of the text that are not printable ASCII become '?'. 0; -EINVAL: system or name is no identifier; -E2BIG:
 * too many kinds; -ENOMEM. No message.
 */
int hs_ctf_told_add(struct hs_ctf_told *told, uint64_t boot_ns, uint32_t tid, const struct hs_ctf_told_kind *kind,
		    const uint64_t *numbers, const char *text);

/*
 * Writes DIR, which does not exist but whose parent does, as the trace of `machine`; clock_offset_ns: CLOCK_REALTIME -
 * CLOCK_BOOTTIME of the host. 0 or -errno after a message.
 */
int hs_ctf_told_write(struct hs_ctf_told *told, const char *dir, const char *machine, int64_t clock_offset_ns);

void hs_ctf_told_free(struct hs_ctf_told *told);
HS_SCOPED(hs_ctf_told, struct hs_ctf_told *, hs_ctf_told_free)

#endif
