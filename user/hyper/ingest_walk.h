/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The entries of the page tables that walks were seen to read: vtd_slpte_fetch of hypersio's QEMU has them, each step
 * of each walk. The newest of each entry is kept, so that memory grows with page tables, not with logs. One thread.
 */
#ifndef HS_HYPER_INGEST_WALK_H
#define HS_HYPER_INGEST_WALK_H

#include <stddef.h>
#include <stdint.h>

#include "base/scoped.h"

#define HS_INGEST_WALKS_MAX (1u << 21)

struct hs_ingest_walk {
	uint64_t table;	  /* address of the table */
	uint64_t address; /* of the entry in it */
	uint64_t iova, slpte;
	uint32_t source; /* index of the log */
	uint16_t domain;
	uint8_t level; /* 1: a leaf of 4 KiB */
};

struct hs_ingest_walks;

int hs_ingest_walks_open(struct hs_ingest_walks **out);
void hs_ingest_walks_free(struct hs_ingest_walks *walks);
HS_SCOPED(hs_ingest_walks, struct hs_ingest_walks *, hs_ingest_walks_free)

/* One step: address is computed here. 0, -ENOMEM, or -E2BIG beyond HS_INGEST_WALKS_MAX entries; no message. */
int hs_ingest_walks_put(struct hs_ingest_walks *walks, struct hs_ingest_walk walk);

/* All of them in the order in which each was seen first. */
const struct hs_ingest_walk *hs_ingest_walks_list(const struct hs_ingest_walks *walks, size_t *nr);

#endif
