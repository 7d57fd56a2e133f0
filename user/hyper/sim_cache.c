// SPDX-License-Identifier: GPL-2.0-only
/*
 * A set is a few circular lists through its ways: LRU and FIFO have one in order of use or of arrival, LFU has one
 * for each value of its four-bit counters, and what was taken out waits in a list of its own. Halving all
 * counters joins lists and notes that it happened: a way's counter is halved when it is looked at next.
 * Sets of few ways are searched by a byte of each key's hash, eight at a time, those of many through a hash of the
 * whole cache.
 */
#include "hyper/sim_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SEARCHED_WAYS 16 /* up to so many: two words of marks */
#define MARK_WORDS 2
#define FIRST_ROOM 64 /* ways of a set that grows */
#define LFU_LISTS 16
#define LFU_MAX 15
#define NONE UINT32_MAX

static uint64_t mix(uint64_t value)
{
	value ^= value >> 31;
	value *= 0x7fb5d329728ea185ull;
	value ^= value >> 27;
	value *= 0x81dadef4bc2dd44dull;
	return value ^ value >> 33;
}

static uint64_t next_random(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15ull;
	return mix(*state);
}

static inline uint32_t hash(uint64_t page, uint32_t tenant)
{
	return (uint32_t)(((page ^ tenant * 0xd6e8feb86659fd93ull) * 0x9e3779b97f4a7c15ull) >> 32);
}

/* ---- lists: nodes of a set are its heads, then its ways; the last head is that of the free ways ---- */

static inline uint32_t lists_of(const struct hs_sim_cache *cache)
{
	return cache->config.policy == HS_SIM_LFU ? LFU_LISTS : 1;
}

static inline uint32_t first_way(const struct hs_sim_cache *cache)
{
	return lists_of(cache) + 1;
}

static inline struct hs_sim_link *links_of(const struct hs_sim_cache *cache, uint32_t set)
{
	return cache->link + (uint64_t)set * cache->stride;
}

static inline void list_remove(struct hs_sim_link *links, uint32_t node)
{
	links[links[node].before].after = links[node].after;
	links[links[node].after].before = links[node].before;
}

static inline void list_append(struct hs_sim_link *links, uint32_t head, uint32_t node)
{
	uint32_t last = links[head].before;

	links[node] = (struct hs_sim_link){ .before = last, .after = head };
	links[last].after = node;
	links[head].before = node;
}

/* All of `from` behind what `to` holds. */
static void list_splice(struct hs_sim_link *links, uint32_t to, uint32_t from)
{
	uint32_t first = links[from].after, last = links[from].before, tail = links[to].before;

	if (first == from)
		return;
	links[tail].after = first;
	links[first].before = tail;
	links[last].after = to;
	links[to].before = last;
	links[from] = (struct hs_sim_link){ from, from };
}

/* ---- the hash of caches with large sets: linear probing, holes are closed at once ---- */

static inline uint32_t slot_find(const struct hs_sim_cache *cache, uint64_t page, uint32_t tenant)
{
	uint32_t slot = hash(page, tenant) & cache->slot_mask;

	while (cache->slot[slot]) {
		const struct hs_sim_way *way = &cache->way[cache->slot[slot] - 1];

		if (way->page == page && way->tenant == tenant)
			break;
		slot = (slot + 1) & cache->slot_mask;
	}
	return slot;
}

static void slot_remove(struct hs_sim_cache *cache, uint32_t hole)
{
	uint32_t slot = hole;

	for (;;) {
		const struct hs_sim_way *way;
		uint32_t home;

		slot = (slot + 1) & cache->slot_mask;
		if (!cache->slot[slot])
			break;
		way = &cache->way[cache->slot[slot] - 1];
		home = hash(way->page, way->tenant) & cache->slot_mask;
		if (((slot - home) & cache->slot_mask) >= ((slot - hole) & cache->slot_mask)) {
			cache->slot[hole] = cache->slot[slot];
			hole = slot;
		}
	}
	cache->slot[hole] = 0;
}

static int slots_make(struct hs_sim_cache *cache)
{
	uint64_t places = (uint64_t)cache->sets * cache->room, wanted = 64;

	while (wanted < 2 * places)
		wanted *= 2;
	if (wanted > 1ull << 31)
		return -ENOMEM;
	free(cache->slot);
	cache->slot_mask = (uint32_t)wanted - 1;
	cache->slot = calloc(wanted, sizeof(*cache->slot));
	if (!cache->slot)
		return -ENOMEM;
	/* Only a set that grows comes here with keys: it is full, and alone. */
	for (uint32_t i = 0; i < cache->used[0]; i++)
		cache->slot[slot_find(cache, cache->way[i].page, cache->way[i].tenant)] = i + 1;
	return 0;
}

/* ---- making ---- */

static int resize(void *array, uint64_t count, size_t size)
{
	void *grown = realloc(*(void **)array, count * size);

	if (!grown)
		return -ENOMEM;
	*(void **)array = grown;
	return 0;
}

static int make_room(struct hs_sim_cache *cache, uint32_t room)
{
	uint64_t ways = (uint64_t)cache->sets * room, nodes = (uint64_t)cache->sets * (room + first_way(cache));
	bool is_lfu = cache->config.policy == HS_SIM_LFU;

	if (resize(&cache->way, ways, sizeof(*cache->way)) || resize(&cache->link, nodes, sizeof(*cache->link)) ||
	    (is_lfu && (resize(&cache->uses, ways, 1) || resize(&cache->aged, ways, sizeof(*cache->aged)))))
		return -ENOMEM;
	cache->room = room;
	cache->stride = room + first_way(cache);
	return cache->ways > SEARCHED_WAYS ? slots_make(cache) : 0;
}

static int make(struct hs_sim_cache *cache)
{
	const struct hs_sim_cache_config *config = &cache->config;
	bool grows = !config->ways;
	int err;

	cache->ways = grows ? config->entries : config->ways;
	cache->sets = config->entries / cache->ways;
	cache->partitions = config->partitions ? config->partitions : 1;
	cache->partition_sets = cache->sets / cache->partitions;
	cache->used = calloc(cache->sets, sizeof(*cache->used));
	cache->age = calloc(cache->sets, sizeof(*cache->age));
	if (cache->ways <= SEARCHED_WAYS)
		cache->marks = calloc((size_t)cache->sets * MARK_WORDS, sizeof(*cache->marks));
	if (!cache->used || !cache->age || (cache->ways <= SEARCHED_WAYS && !cache->marks))
		return -ENOMEM;
	err = make_room(cache, grows && cache->ways > FIRST_ROOM ? FIRST_ROOM : cache->ways);
	for (uint32_t set = 0; !err && set < cache->sets; set++)
		for (uint32_t head = 0; head < first_way(cache); head++)
			links_of(cache, set)[head] = (struct hs_sim_link){ head, head };
	return err;
}

int hs_sim_cache_open(const struct hs_sim_cache_config *config, uint64_t seed, struct hs_sim_cache *cache)
{
	int err;

	*cache = (struct hs_sim_cache){ .config = *config, .random = seed };
	if (!config->entries)
		return 0;
	err = make(cache);
	if (err)
		hs_sim_cache_close(cache);
	return err;
}

void hs_sim_cache_close(struct hs_sim_cache *cache)
{
	free(cache->way);
	free(cache->marks);
	free(cache->link);
	free(cache->used);
	free(cache->uses);
	free(cache->aged);
	free(cache->age);
	free(cache->slot);
	*cache = (struct hs_sim_cache){ 0 };
}

/* ---- use ---- */

static inline uint32_t set_of(const struct hs_sim_cache *cache, const struct hs_sim_key *key)
{
	uint64_t index = key->region;
	uint32_t partition = 0;

	if (cache->sets == 1)
		return 0;
	if (cache->config.index == HS_SIM_INDEX_HASH)
		index = hash(key->page, key->tenant);
	if (cache->partitions & (cache->partitions - 1))
		partition = key->tenant % cache->partitions;
	else
		partition = key->tenant & (cache->partitions - 1);
	if (cache->partition_sets & (cache->partition_sets - 1))
		index %= cache->partition_sets;
	else
		index &= cache->partition_sets - 1;
	return partition * cache->partition_sets + (uint32_t)index;
}

static inline uint8_t mark_of(uint64_t page, uint32_t tenant)
{
	return (uint8_t)((page * 0x9e3779b97f4a7c15ull ^ tenant * 0xd6e8feb86659fd93ull) >> 56);
}

static inline void set_mark(struct hs_sim_cache *cache, uint32_t set, uint32_t i, const struct hs_sim_key *key)
{
	uint64_t *word = &cache->marks[(size_t)set * MARK_WORDS + i / 8];
	unsigned int shift = i % 8 * 8;

	*word = (*word & ~(0xffull << shift)) | (uint64_t)mark_of(key->page, key->tenant) << shift;
}

/* By marks: bytes of the words that equal the key's, then the ways themselves. */
static inline uint32_t search(const struct hs_sim_cache *cache, uint32_t set, const struct hs_sim_key *key)
{
	const struct hs_sim_way *way = cache->way + (uint64_t)set * cache->room;
	uint64_t wanted = mark_of(key->page, key->tenant) * 0x0101010101010101ull;

	for (uint32_t first = 0; first < cache->used[set]; first += 8) {
		uint64_t differs = cache->marks[(size_t)set * MARK_WORDS + first / 8] ^ wanted;
		/* The lowest bit that is set is that of a byte that is equal; those above it may be others. */
		uint64_t equal = (differs - 0x0101010101010101ull) & ~differs & 0x8080808080808080ull;

		for (; equal; equal &= equal - 1) {
			uint32_t i = first + (uint32_t)__builtin_ctzll(equal) / 8;

			if (i < cache->used[set] && way[i].page == key->page && way[i].tenant == key->tenant)
				return i;
		}
	}
	return NONE;
}

/* Its way in the set, or NONE. */
static inline uint32_t find(const struct hs_sim_cache *cache, uint32_t set, const struct hs_sim_key *key)
{
	uint32_t place;

	if (!cache->slot)
		return search(cache, set, key);
	place = cache->slot[slot_find(cache, key->page, key->tenant)];
	return place ? place - 1 - set * cache->room : NONE;
}

/* Every counter of the set is halved: list n goes to list n / 2. */
static void age_set(struct hs_sim_cache *cache, uint32_t set)
{
	for (uint32_t list = 1; list < LFU_LISTS; list++)
		list_splice(links_of(cache, set), list / 2, list);
	cache->age[set]++;
}

static void count_use(struct hs_sim_cache *cache, uint32_t set, uint32_t i)
{
	uint64_t at = (uint64_t)set * cache->room + i;
	uint32_t halvings = cache->age[set] - cache->aged[at];
	uint32_t uses = halvings < 8 ? cache->uses[at] >> halvings : 0;

	uses++;
	list_remove(links_of(cache, set), first_way(cache) + i);
	list_append(links_of(cache, set), uses, first_way(cache) + i);
	cache->uses[at] = (uint8_t)uses;
	cache->aged[at] = cache->age[set];
	if (uses == LFU_MAX)
		age_set(cache, set);
}

static inline void touch(struct hs_sim_cache *cache, uint32_t set, uint32_t i, uint32_t next_use)
{
	struct hs_sim_link *links = links_of(cache, set);

	switch (cache->config.policy) {
	case HS_SIM_LRU:
		if (!links[first_way(cache) + i].after)
			break; /* the newest already */
		list_remove(links, first_way(cache) + i);
		list_append(links, 0, first_way(cache) + i);
		break;
	case HS_SIM_LFU:
		count_use(cache, set, i);
		break;
	case HS_SIM_OPTIMUM:
		cache->way[(uint64_t)set * cache->room + i].next_use = next_use;
		break;
	default: /* FIFO and random do not care */
		break;
	}
}

bool hs_sim_cache_lookup(struct hs_sim_cache *cache, const struct hs_sim_key *key, uint32_t next_use)
{
	uint32_t set, i;

	if (!cache->sets)
		return false;
	set = set_of(cache, key);
	i = find(cache, set, key);
	if (i == NONE)
		return false;
	touch(cache, set, i, next_use);
	return true;
}

bool hs_sim_cache_has(const struct hs_sim_cache *cache, const struct hs_sim_key *key)
{
	return cache->sets && find(cache, set_of(cache, key), key) != NONE;
}

static uint32_t latest_next_use(const struct hs_sim_cache *cache, uint32_t set)
{
	const struct hs_sim_way *way = cache->way + (uint64_t)set * cache->room;
	uint32_t latest = 0;

	for (uint32_t i = 1; i < cache->ways; i++)
		if (way[i].next_use > way[latest].next_use)
			latest = i;
	return latest;
}

/* Of a full set. */
static uint32_t victim_of(struct hs_sim_cache *cache, uint32_t set)
{
	const struct hs_sim_link *links = links_of(cache, set);
	uint32_t list = 0;

	if (cache->config.policy == HS_SIM_RANDOM)
		return (uint32_t)(next_random(&cache->random) % cache->ways);
	if (cache->config.policy == HS_SIM_OPTIMUM)
		return latest_next_use(cache, set);
	while (links[list].after == list)
		list++;
	return links[list].after - first_way(cache);
}

/* The way is free then, and in no list. */
static void take_out(struct hs_sim_cache *cache, uint32_t set, uint32_t i)
{
	struct hs_sim_way *way = &cache->way[(uint64_t)set * cache->room + i];

	if (cache->slot)
		slot_remove(cache, slot_find(cache, way->page, way->tenant));
	list_remove(links_of(cache, set), first_way(cache) + i);
	cache->held--;
}

/* A way that nobody is in, made if need be: NONE without memory. */
static uint32_t free_way(struct hs_sim_cache *cache, uint32_t set)
{
	uint32_t freed = links_of(cache, set)[lists_of(cache)].after, i;

	if (freed != lists_of(cache)) {
		list_remove(links_of(cache, set), freed);
		return freed - first_way(cache);
	}
	if (cache->used[set] < cache->ways) {
		if (cache->used[set] == cache->room &&
		    make_room(cache, cache->room > cache->ways / 2 ? cache->ways : cache->room * 2))
			return NONE;
		return cache->used[set]++;
	}
	i = victim_of(cache, set);
	take_out(cache, set, i);
	cache->evictions++;
	return i;
}

int hs_sim_cache_fill(struct hs_sim_cache *cache, const struct hs_sim_key *key, uint32_t next_use)
{
	uint32_t set, i;

	if (!cache->sets)
		return 0;
	set = set_of(cache, key);
	i = find(cache, set, key);
	if (i != NONE) {
		touch(cache, set, i, next_use);
		return 0;
	}
	i = free_way(cache, set);
	if (i == NONE)
		return -ENOMEM;
	cache->way[(uint64_t)set * cache->room + i] = (struct hs_sim_way){ key->page, key->tenant, next_use };
	list_append(links_of(cache, set), 0, first_way(cache) + i);
	if (cache->config.policy == HS_SIM_LFU) {
		cache->uses[(uint64_t)set * cache->room + i] = 0;
		cache->aged[(uint64_t)set * cache->room + i] = cache->age[set];
	}
	if (cache->slot)
		cache->slot[slot_find(cache, key->page, key->tenant)] = set * cache->room + i + 1;
	else
		set_mark(cache, set, i, key);
	cache->held++;
	cache->fills++;
	return 0;
}

/* To the free ways. No key can be found there: a tenant NONE does not exist. */
static void set_free(struct hs_sim_cache *cache, uint32_t set, uint32_t i)
{
	take_out(cache, set, i);
	cache->way[(uint64_t)set * cache->room + i] = (struct hs_sim_way){ 0, NONE, 0 };
	list_append(links_of(cache, set), lists_of(cache), first_way(cache) + i);
}

uint64_t hs_sim_cache_drop(struct hs_sim_cache *cache, const struct hs_sim_key *key)
{
	uint32_t set, i;

	if (!cache->sets)
		return 0;
	set = set_of(cache, key);
	i = find(cache, set, key);
	if (i == NONE)
		return 0;
	set_free(cache, set, i);
	return 1;
}

uint64_t hs_sim_cache_drop_tenant(struct hs_sim_cache *cache, uint32_t tenant,
				  bool (*is_one)(uint64_t page, const void *ctx), const void *ctx)
{
	uint64_t dropped = 0;

	for (uint32_t set = 0; cache->held && set < cache->sets; set++)
		for (uint32_t i = 0; i < cache->used[set]; i++) {
			const struct hs_sim_way *way = &cache->way[(uint64_t)set * cache->room + i];

			if (way->tenant != tenant || (is_one && !is_one(way->page, ctx)))
				continue;
			set_free(cache, set, i);
			dropped++;
		}
	return dropped;
}
