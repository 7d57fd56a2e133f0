/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whose thread is it? L1 runs the L2 of tenant N as a process whose threads are called l2-N, which L1's scheduler
 * events tell. Plain data, starts as zeros; one thread.
 */
#ifndef HS_CORRELATE_OWNER_H
#define HS_CORRELATE_OWNER_H

#include <stdint.h>

#define HS_OWNER_THREADS 4096 /* that are remembered; the newest of two that share a place */

struct hs_owners {
	unsigned int tenant_nr; /* of the run; set by whoever has it. Of one everything is his */
	struct {
		uint32_t tid;
		uint32_t tenant;
	} threads[HS_OWNER_THREADS]; /* by tid */
};

/* The thread `tid` is called `name`; a name of another kind says that it is nobody's. */
void hs_owners_name(struct hs_owners *owners, uint32_t tid, const char *name);

/* -1: not known. */
int hs_owners_tenant(const struct hs_owners *owners, uint32_t tid);

#endif
