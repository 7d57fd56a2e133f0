/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The table as one line for each VM or vCPU, the busiest first: what `hsbpf top` shows. Pure; one thread.
 */
#ifndef HS_STAT_RANKING_H
#define HS_STAT_RANKING_H

#include "stat/report.h"

/* A VM, a vCPU of it, or (tgid 0) a tap that belongs to no VM here. Sums of the report's time. */
struct hs_stat_rank {
	char name[HS_VM_NAME_BYTES];
	uint32_t tgid, tid; /* tid 0: a whole VM */
	uint32_t vcpu_id;   /* or HS_STAT_VCPU_UNKNOWN */
	uint32_t vcpu_nr;   /* threads in the sums */
	bool has_entries;   /* exits and guest time are known */
	uint64_t exits, exit_ns, user_exits, accesses /* pio, mmio, msr */, interrupts;
	uint64_t guest_ns, cpu_ns, wait_ns;
	uint64_t kicks, packets, refused; /* of a whole VM only */
};

struct hs_stat_ranking {
	struct hs_stat_rank *ranks;
	size_t rank_nr;
	struct hs_stat_rank sum;
};

/* Those that did anything, sorted as the report says. 0 or -ENOMEM. */
int hs_stat_ranking_make(const struct hs_stat_report *report, bool by_vcpu, struct hs_stat_ranking *ranking);
void hs_stat_ranking_clear(struct hs_stat_ranking *ranking);

static inline void hs_stat_ranking_scoped(struct hs_stat_ranking *ranking)
{
	hs_stat_ranking_clear(ranking);
}

#define HS_STAT_RANK_TEXT_BYTES 192

/* The head of the columns; one rank; the sums in one sentence. Return text, one line without newline. */
const char *hs_stat_rank_head(char *text, size_t text_bytes);
const char *hs_stat_rank_format(const struct hs_stat_report *report, const struct hs_stat_rank *rank, char *text,
				size_t text_bytes);
const char *hs_stat_ranking_summary(const struct hs_stat_report *report, const struct hs_stat_ranking *ranking,
				    char *text, size_t text_bytes);

const char *hs_stat_sort_text(enum hs_stat_sort sort);

#endif
