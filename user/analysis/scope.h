/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every analysis of KVM records shares: which records are asked about, how rows are put together, and where the
 * trace has holes. Plain data and pure functions; any thread.
 */
#ifndef HS_ANALYSIS_SCOPE_H
#define HS_ANALYSIS_SCOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpulist.h"
#include "trace/ctf_reader.h"

/* A row of one VM or vCPU, or of all of them together. */
enum hs_by { HS_BY_VCPU, HS_BY_VM, HS_BY_ALL };
#define HS_KEY_ALL UINT32_MAX

/* The vCPU number that stands for a thread of which no record says which vCPU it runs. */
#define HS_VCPU_OF_TID 0x80000000u

/* What is asked about; NULL or 0: everything. Borrowed. */
struct hs_scope {
	enum hs_by by;
	const uint32_t *tgids;
	size_t tgid_nr;
	const struct hs_cpulist *vcpus, *cpus;
};

/*
 * Keeps times apart that a hole may have made wrong: a period that touches a hole, on whatever CPU (its thread may
 * have moved there and back), is not to be believed. Each period keeps the token of its start.
 */
struct hs_holes {
	uint64_t generation, until_ns;
};

static inline bool hs_scope_has_vm(const struct hs_scope *scope, uint32_t tgid)
{
	for (size_t i = 0; i < scope->tgid_nr; i++)
		if (scope->tgids[i] == tgid)
			return true;
	return !scope->tgid_nr;
}

static inline bool hs_scope_has(const struct hs_scope *scope, uint32_t tgid, uint32_t vcpu, uint32_t cpu)
{
	return (!scope->cpus || hs_cpulist_has(scope->cpus, cpu)) &&
	       (!scope->vcpus || hs_cpulist_has(scope->vcpus, vcpu)) && hs_scope_has_vm(scope, tgid);
}

static inline void hs_holes_add(struct hs_holes *holes, const struct hs_ctf_loss *loss)
{
	holes->generation++;
	if (loss->end_ns > holes->until_ns)
		holes->until_ns = loss->end_ns;
}

/* The token of a period that starts at ts_ns; 0 when that lies in a hole. */
static inline uint64_t hs_holes_start(const struct hs_holes *holes, uint64_t ts_ns)
{
	return holes->generation && ts_ns <= holes->until_ns ? 0 : holes->generation + 1;
}

/* Whether a period that has this token has met no hole up to now. */
static inline bool hs_holes_none_since(const struct hs_holes *holes, uint64_t token)
{
	return token == holes->generation + 1;
}

#endif
