/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A queue between one who must never wait (the thread that drains a guest's ports) and one who may be slow (the
 * thread that writes its trace): records in order, in memory up to a limit, then in a file up to a limit, then
 * dropped and counted. One thread puts, one takes; they may be different ones.
 */
#ifndef HS_GUEST_SPOOL_H
#define HS_GUEST_SPOOL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/scoped.h"

struct hs_spool;

struct hs_spool_config {
	const char *dir;       /* the file is made there when it is needed, and has no name; an existing folder */
	uint64_t memory_bytes; /* records and 4 bytes each */
	uint64_t disk_bytes;   /* that were not taken yet; 0: no file */
};

struct hs_spool_counts {
	uint64_t records, bytes;		 /* put and kept */
	uint64_t spilled_records, spilled_bytes; /* of these, through the file */
	uint64_t dropped_records, dropped_bytes;
};

int hs_spool_open(const struct hs_spool_config *config, struct hs_spool **out);
void hs_spool_free(struct hs_spool *spool);
HS_SCOPED(hs_spool, struct hs_spool *, hs_spool_free)

/*
 * Adds one record made of the parts. 0; -ENOBUFS when it was dropped for want of room, or because the file could
 * not be written (said once). An empty record is -EINVAL.
 */
int hs_spool_put(struct hs_spool *spool, const struct iovec *parts, unsigned parts_nr);

/*
 * Copies the oldest record out and forgets it: its length; 0 when there is none; -EMSGSIZE when it is longer than
 * `size` (it stays); -EIO when the file cannot be read back (said; what it held is counted as dropped).
 */
ssize_t hs_spool_take(struct hs_spool *spool, void *bytes, size_t size);

void hs_spool_counts(struct hs_spool *spool, struct hs_spool_counts *counts);

#endif
