/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which thread runs which vCPU, as the recording's document and the records say it. One table belongs to one thread.
 */
#ifndef HS_ANALYSIS_THREADS_H
#define HS_ANALYSIS_THREADS_H

#include "analysis/keyed.h"
#include "analysis/scope.h"
#include "capture/vm.h"

struct hs_threads {
	struct hs_keyed vcpus; /* of a tid */
};

/* Takes what the list knows (may be NULL). 0 or -ENOMEM. */
int hs_threads_start(struct hs_threads *threads, const struct hs_vm_list *vms);

/* A record says that the thread runs that vCPU. 0 or -ENOMEM. */
int hs_threads_learn(struct hs_threads *threads, uint32_t tid, uint32_t vcpu_id);

/* The vCPU that the thread runs; HS_VCPU_OF_TID | tid as long as nothing said it. */
uint32_t hs_threads_vcpu(const struct hs_threads *threads, uint32_t tid);

/* The vCPU number, or if it stands for a thread that is known by now, that thread's. */
uint32_t hs_threads_resolve(const struct hs_threads *threads, uint32_t vcpu);

void hs_threads_clear(struct hs_threads *threads);

#endif
