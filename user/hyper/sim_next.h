/* SPDX-License-Identifier: GPL-2.0-only */
/* When each translation of a trace is used next: what Belady's optimum knows. 4 bytes a record while it is needed. */
#ifndef HS_HYPER_SIM_NEXT_H
#define HS_HYPER_SIM_NEXT_H

#include <stdint.h>

#include "hyper/dmatrace.h"

/*
 * *next is malloc'd, one for each record: the index of the next record with the same page of the same tenant, or
 * HS_SIM_NEVER. An invalidation in between does not count. by_size: pages of several
 * sizes at one address are not the same. 0, -ENOMEM, or -E2BIG from 2^32 - 1 records on; message.
 */
int hs_sim_next_make(const struct hs_dmatrace *trace, bool by_size, uint32_t **next);

#endif
