/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One cache of translations: sets of ways with a replacement policy, or one set that grows up to its size. The
 * time of a use does not depend on the size, but for the victim of the optimum. Knows neither pages nor levels: a key
 * is a number and the tenant that it belongs to. One cache belongs to one run.
 */
#ifndef HS_HYPER_SIM_CACHE_H
#define HS_HYPER_SIM_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/scoped.h"
#include "hyper/sim_config.h"

#define HS_SIM_NEVER UINT32_MAX /* no next use */

struct hs_sim_key {
	uint64_t page;	 /* whatever names it within the tenant */
	uint64_t region; /* of the address: what the set is chosen by */
	uint32_t tenant; /* in order of first appearance */
};

struct hs_sim_way {
	uint64_t page;
	uint32_t tenant;
	uint32_t next_use; /* index of the record that uses it next; of the optimum alone */
};

struct hs_sim_link {
	uint32_t before, after;
};

struct hs_sim_cache {
	struct hs_sim_cache_config config;
	uint32_t partitions;			   /* 1 or more */
	uint32_t sets, partition_sets, ways, room; /* room: ways that a set has memory for */
	uint32_t stride;			   /* nodes of a set: its list heads, then its ways */
	struct hs_sim_way *way;			   /* by set and way */
	uint64_t *marks;	  /* of sets with few ways: a byte of each key's hash, two words a set */
	struct hs_sim_link *link; /* by set and node */
	uint32_t *used;		  /* by set: ways that were ever taken */
	uint8_t *uses;		  /* by set and way: LFU's counter as of `aged` */
	uint32_t *aged, *age;	  /* by set and way; by set: how often the counters were halved */
	uint32_t *slot;		  /* of sets with many ways: hash of keys, 1 + place, 0: none */
	uint32_t slot_mask;
	uint64_t random;
	uint64_t held; /* keys that are in it */
	uint64_t fills, evictions;
};

/* Without entries nothing is ever found or kept. 0 or -ENOMEM. */
int hs_sim_cache_open(const struct hs_sim_cache_config *config, uint64_t seed, struct hs_sim_cache *cache);
void hs_sim_cache_close(struct hs_sim_cache *cache);

/* Whether it is there; counts as a use of it. */
bool hs_sim_cache_lookup(struct hs_sim_cache *cache, const struct hs_sim_key *key, uint32_t next_use);
/* The same without being a use. */
bool hs_sim_cache_has(const struct hs_sim_cache *cache, const struct hs_sim_key *key);
/* Puts it in, in the place of another one if need be. 0 or -ENOMEM. */
int hs_sim_cache_fill(struct hs_sim_cache *cache, const struct hs_sim_key *key, uint32_t next_use);
/* Takes it out: 1 if it was there, else 0. */
uint64_t hs_sim_cache_drop(struct hs_sim_cache *cache, const struct hs_sim_key *key);
/* Takes out the keys of a tenant that `is_one` says so of (NULL: all): how many. Looks at all that is in it. */
uint64_t hs_sim_cache_drop_tenant(struct hs_sim_cache *cache, uint32_t tenant,
				  bool (*is_one)(uint64_t page, const void *ctx), const void *ctx);

#endif
