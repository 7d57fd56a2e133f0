/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sets of hypersio's caches whose victim depends on the order in which std::unordered_map lists its keys: LFU takes a
 * random one of the least used, its oracle the first of those that are used last. So the order is part of what is to be
 * reproduced: that of GNU libstdc++, whose maps are one list with the keys of a bucket side by side. One run's own.
 */
#ifndef HS_HYPER_SIM_ROWS_H
#define HS_HYPER_SIM_ROWS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* rand() of the C library after srand(1), for one run alone. */
struct hs_sim_rand {
	struct random_data data;
	char state[128];
};

void hs_sim_rand_open(struct hs_sim_rand *rand);

struct hs_sim_row_node {
	uint64_t address;
	uint64_t value; /* uses, or the next use */
	uint32_t tenant, next;
};

struct hs_sim_row {
	struct hs_sim_row_node *nodes; /* 0 is the one before the first */
	uint32_t *buckets;	       /* the node before the bucket's first; NONE: it is empty */
	uint32_t bucket_nr, resize_at, count, free, ways;
};

enum hs_sim_row_policy { HS_SIM_ROW_LFU, HS_SIM_ROW_ORACLE };

/* 0 or -ENOMEM. */
int hs_sim_row_open(uint32_t ways, struct hs_sim_row *row);
void hs_sim_row_close(struct hs_sim_row *row);

/* Whether it is there. That is a use: counted by LFU; next_use is what the oracle remembers. */
bool hs_sim_row_lookup(struct hs_sim_row *row, enum hs_sim_row_policy policy, uint64_t address, uint32_t tenant,
		       uint64_t next_use);
/* Puts in what is not there: *conflict tells whether another one had to go. 0 or -ENOMEM. */
int hs_sim_row_add(struct hs_sim_row *row, enum hs_sim_row_policy policy, uint64_t address, uint32_t tenant,
		   uint64_t next_use, struct hs_sim_rand *rand, bool *conflict);

#endif
