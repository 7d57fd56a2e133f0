/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A trace as the three files that hypersio-perf reads: packed little-endian records without a header. One thread.
 *   PREFIX_iotlb_trace.bin  48 bytes a translation: type (1), sid, did, iova, page mask, level, slpte, next access
 *   PREFIX_cc_data.bin      20 bytes a tenant: sid, high, low, gen (0)
 *   PREFIX_slpt_data.bin    42 bytes a page table entry: did, address, level, slpte, iova, address of its table
 * did and sid are the tenant's number: none meets another's. "next access" counts translations up to the next one of
 * the same page and tenant, which its Belady policy needs. Invalidations have no place in them.
 */
#ifndef HS_HYPER_GEN_HYPERSIO_H
#define HS_HYPER_GEN_HYPERSIO_H

#include "hyper/dmatrace.h"
#include "hyper/ingest_walk.h"

#define HS_GEN_HYPERSIO_TENANTS_MAX 65536 /* did has 16 bits */

/* Takes 4 bytes of memory for each record. Message on failure; no file is left then. */
int hs_gen_hypersio_write(const struct hs_dmatrace *trace, const struct hs_ingest_walks *walks, const char *prefix);

#endif
