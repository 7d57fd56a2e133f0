// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a translation meets: the device's TLB and prefetch buffer; over PCIe the IOMMU's context cache and its caches of
 * pages, all looked into together; the reads of tables that are left; the way back and what is kept on it. An
 * answer that was under way when its tenant invalidated something is given, but not kept.
 */
#include "hyper/sim_internal.h"

#include <errno.h>

#define REGION_SHIFT 21 /* sets of the device's TLB are chosen by regions of 2 MiB or, for larger pages, by page */

static inline uint32_t page_shift(unsigned int level)
{
	return 12 + 9 * (level - 1);
}

/* Size and place: a page of 4 KiB is none of 2 MiB, though both begin at the same address. */
static inline struct hs_sim_key device_key(uint32_t rank, uint64_t iova, unsigned int size_class)
{
	unsigned int shift = page_shift(size_class + 1);

	return (struct hs_sim_key){
		.page = iova >> shift << (shift - 10) | size_class,
		.region = iova >> (shift > REGION_SHIFT ? shift : REGION_SHIFT),
		.tenant = rank,
	};
}

static inline struct hs_sim_key request_key(const struct hs_sim_request *request)
{
	return device_key(request->rank, request->iova, request->size_class);
}

static inline struct hs_sim_key context_key(uint32_t rank)
{
	return (struct hs_sim_key){ .region = rank, .tenant = rank };
}

static inline struct hs_sim_key level_key(const struct hs_sim_request *request, unsigned int level)
{
	uint64_t page = request->iova >> page_shift(level);

	return (struct hs_sim_key){ .page = page, .region = page, .tenant = request->rank };
}

/* Levels are counted from the last: 1 has the 4 KiB leaves. */
static inline unsigned int leaf_level(const struct hs_sim_request *request)
{
	unsigned int leaf = request->size_class + 1u;

	return leaf < request->levels ? leaf : request->levels;
}

static inline unsigned int top_cached(const struct hs_sim_request *request)
{
	return request->levels < HS_SIM_LEVELS ? request->levels : HS_SIM_LEVELS;
}

static inline void send(struct hs_sim *sim, unsigned int lane, uint64_t after_ns, uint32_t number)
{
	if (hs_sim_lanes_add(&sim->lanes, lane, sim->now_ps + after_ns * PS_PER_NS, number))
		sim->err = -ENOMEM;
}

static inline void keep(struct hs_sim *sim, struct hs_sim_cache *cache, struct hs_sim_key key, uint32_t next_use)
{
	if (hs_sim_cache_fill(cache, &key, next_use))
		sim->err = -ENOMEM;
}

/* ---- in the device ---- */

static void prefetch_page(struct hs_sim *sim, uint32_t rank, struct hs_sim_page *page)
{
	struct hs_sim_key key = device_key(rank, page->iova, page->size_class);
	uint32_t number;

	/* That the TLB has it now says little: its turn to go may come before its turn to be used. */
	if (page->is_coming || hs_sim_cache_has(&sim->buffer, &key)) {
		sim->result->prefetches_spared++;
		return;
	}
	number = hs_sim_request_take(sim);
	if (number == HS_SIM_NO_REQUEST)
		return;
	sim->requests[number] = (struct hs_sim_request){
		.iova = page->iova,
		.tenant = sim->tenant_of[rank],
		.rank = rank,
		.epoch = sim->epoch[rank],
		.size_class = page->size_class,
		.levels = sim->trace->tenants[sim->tenant_of[rank]].levels,
		.is_prefetch = true,
	};
	sim->result->prefetches++;
	page->is_coming = true;
	send(sim, HS_SIM_LANE_PREFETCH_ARRIVED, sim->config.pcie_ns + sim->config.memory_ns, number);
}

static void prefetch(struct hs_sim *sim, uint32_t rank, uint64_t iova, uint8_t size_class)
{
	unsigned int shift = page_shift(size_class + 1u);
	const struct hs_sim_page page = { .iova = iova >> shift << shift, .size_class = size_class };
	struct hs_sim_prefetch *prefetcher = &sim->prefetch;
	uint32_t expected = hs_sim_prefetch_observe(prefetcher, rank, &page);

	/* The translations of one packet expect the same: its pages were asked for by the first of them. */
	if (expected == HS_SIM_NO_TENANT || expected == sim->expected)
		return;
	sim->expected = expected;
	for (unsigned int i = 0; !sim->err && i < prefetcher->page_nr[expected]; i++)
		prefetch_page(sim, expected, &prefetcher->pages[(size_t)expected * prefetcher->history + i]);
}

void hs_sim_path_begin(struct hs_sim *sim, uint32_t number)
{
	struct hs_sim_request *request = &sim->requests[number];
	const struct hs_sim_config *config = &sim->config;
	struct hs_sim_key key = request_key(request);
	uint64_t iova = request->iova;
	uint32_t rank = request->rank;
	uint8_t size_class = request->size_class;
	bool in_buffer = false;

	request->epoch = sim->epoch[rank];
	if (hs_sim_cache_lookup(&sim->dtlb, &key, request->next_use)) {
		sim->result->dtlb.hits++;
		sim->result->tenants[request->tenant].dtlb_hits++;
		send(sim, HS_SIM_LANE_DTLB_HIT, config->dtlb_hit_ns, number);
	} else {
		sim->result->dtlb.misses++;
		if (config->prefetch_entries) {
			/* What is used goes on to the TLB: its place is free. */
			in_buffer = hs_sim_cache_drop(&sim->buffer, &key);
			sim->result->prefetch.hits += in_buffer;
			sim->result->prefetch.misses += !in_buffer;
		}
		request->asked_iommu = !in_buffer;
		if (in_buffer)
			send(sim, HS_SIM_LANE_PREFETCH_HIT, config->prefetch_hit_ns, number);
		else
			send(sim, HS_SIM_LANE_ARRIVED, config->pcie_ns, number);
	}
	if (config->prefetch_entries)
		prefetch(sim, rank, iova, size_class); /* may move the requests */
}

/* ---- in the IOMMU ---- */

static inline void count(struct hs_sim_structure *structure, bool is_prefetch, bool is_hit)
{
	if (is_prefetch) {
		structure->prefetch_hits += is_hit;
		structure->prefetch_misses += !is_hit;
	} else {
		structure->hits += is_hit;
		structure->misses += !is_hit;
	}
}

/* The lowest level whose entry is cached, 0: none. All that could be are looked up. */
static unsigned int look_up_levels(struct hs_sim *sim, const struct hs_sim_request *request)
{
	unsigned int found = 0;

	for (unsigned int level = leaf_level(request); level <= top_cached(request); level++) {
		struct hs_sim_key key = level_key(request, level);
		bool is_hit;

		if (!sim->config.page[level - 1].entries)
			continue;
		is_hit = hs_sim_cache_lookup(&sim->page[level - 1], &key, 0);
		count(&sim->result->page[level - 1], request->is_prefetch, is_hit);
		if (is_hit && !found)
			found = level;
	}
	return found;
}

/*
 * Reads of memory that are left when the entry of level `found` is known (0: none is). With nested tables an entry's
 * address, and the page's in the end, is the guest's: each goes through the host's levels; that of the root as well,
 * but what a cache holds was translated before. Four levels in four take (4 + 1) * (4 + 1) - 1 = 24.
 */
static unsigned int reads_left(unsigned int levels, unsigned int leaf, unsigned int found, unsigned int nested)
{
	if (found)
		return (found - leaf) * (nested + 1);
	return (levels - leaf + 1) * (nested + 1) + nested;
}

static void on_arrived(struct hs_sim *sim, uint32_t number)
{
	struct hs_sim_request *request = &sim->requests[number];
	const struct hs_sim_config *config = &sim->config;
	struct hs_sim_key key = context_key(request->rank);
	bool knows = hs_sim_cache_lookup(&sim->context, &key, 0);
	unsigned int found = look_up_levels(sim, request), reads;

	if (config->context.entries)
		count(&sim->result->context, request->is_prefetch, knows);
	request->epoch = sim->epoch[request->rank];
	request->knew_context = knows;
	request->found = (uint8_t)found;
	request->context_reads = (uint8_t)(knows ? 0 : config->context_reads);
	request->walk_reads = (uint8_t)reads_left(request->levels, leaf_level(request), found, config->nested_levels);
	reads = request->context_reads + request->walk_reads;
	sim->result->context_reads += request->context_reads;
	if (request->is_prefetch)
		sim->result->prefetch_reads += request->walk_reads;
	else
		sim->result->walk_reads += request->walk_reads;
	send(sim, HS_SIM_LANE_WALK + reads, config->context_hit_ns + config->page_hit_ns + reads * config->memory_ns,
	     number);
}

/* What was read is kept: the context entry, and the entries of the levels below the one that was found. */
static void on_walked(struct hs_sim *sim, uint32_t number)
{
	const struct hs_sim_request *request = &sim->requests[number];
	unsigned int top = request->found ? request->found - 1u : top_cached(request);

	if (request->epoch == sim->epoch[request->rank]) {
		if (!request->knew_context)
			keep(sim, &sim->context, context_key(request->rank), 0);
		for (unsigned int level = leaf_level(request); level <= top; level++)
			keep(sim, &sim->page[level - 1], level_key(request, level), 0);
	}
	send(sim, HS_SIM_LANE_BACK, sim->config.pcie_ns, number);
}

static uint32_t on_back(struct hs_sim *sim, uint32_t number)
{
	const struct hs_sim_request *request = &sim->requests[number];
	struct hs_sim_key key = request_key(request);
	bool is_fresh = request->epoch == sim->epoch[request->rank];

	if (!request->is_prefetch) {
		if (is_fresh)
			keep(sim, &sim->dtlb, key, request->next_use);
		return number;
	}
	hs_sim_prefetch_came(&sim->prefetch, request->rank, request->iova, request->size_class);
	if (is_fresh)
		keep(sim, &sim->buffer, key, 0);
	hs_sim_request_give(sim, number);
	return HS_SIM_NO_REQUEST;
}

uint32_t hs_sim_path_step(struct hs_sim *sim, unsigned int lane, uint32_t number)
{
	switch (lane) {
	case HS_SIM_LANE_DTLB_HIT:
		return number;
	case HS_SIM_LANE_PREFETCH_HIT:
		if (sim->requests[number].epoch == sim->epoch[sim->requests[number].rank])
			keep(sim, &sim->dtlb, request_key(&sim->requests[number]), sim->requests[number].next_use);
		return number;
	case HS_SIM_LANE_BACK:
		return on_back(sim, number);
	case HS_SIM_LANE_ARRIVED:
	case HS_SIM_LANE_PREFETCH_ARRIVED:
		on_arrived(sim, number);
		return HS_SIM_NO_REQUEST;
	default:
		on_walked(sim, number);
		return HS_SIM_NO_REQUEST;
	}
}

/* ---- invalidations ---- */

struct range {
	uint64_t first, last; /* pages of 4 KiB */
	unsigned int level;   /* of a cache of pages; 0: keys are the device's */
};

static bool is_in_range(uint64_t page, const void *ctx)
{
	const struct range *range = ctx;
	unsigned int shift = range->level ? page_shift(range->level) - 12 : 9 * (unsigned int)(page & 3);
	uint64_t first = range->level ? page << shift : page >> 2;

	return first <= range->last && first + (1ull << shift) > range->first;
}

static void drop(struct hs_sim *sim, uint32_t rank, const struct range *range)
{
	struct hs_sim_result *result = sim->result;
	bool (*is_one)(uint64_t page, const void *ctx) = range ? is_in_range : NULL;

	result->dtlb.invalidated += hs_sim_cache_drop_tenant(&sim->dtlb, rank, is_one, range);
	result->prefetch.invalidated += hs_sim_cache_drop_tenant(&sim->buffer, rank, is_one, range);
	for (unsigned int i = 0; i < HS_SIM_LEVELS; i++) {
		struct range of_level = range ? *range : (struct range){ 0 };

		of_level.level = i + 1;
		result->page[i].invalidated += hs_sim_cache_drop_tenant(&sim->page[i], rank, is_one, &of_level);
	}
}

void hs_sim_path_invalidate(struct hs_sim *sim, const struct hs_dmatrace_record *record)
{
	uint32_t rank = sim->rank[hs_dmatrace_tenant(record)];
	enum hs_dmatrace_kind kind = hs_dmatrace_kind(record);
	unsigned int order = hs_dmatrace_inv_order(record);
	bool is_range = kind == HS_DMATRACE_INV_PAGES && order < 45;
	uint64_t iova = hs_dmatrace_iova(record), first = iova >> 12;
	const struct range range = { .first = first, .last = is_range ? first + (1ull << order) - 1 : 0 };

	sim->result->invalidations++;
	sim->epoch[rank]++;
	drop(sim, rank, is_range ? &range : NULL);
	if (kind == HS_DMATRACE_INV_CONTEXT) {
		struct hs_sim_key key = context_key(rank);

		sim->result->context.invalidated += hs_sim_cache_drop(&sim->context, &key);
	}
	if (sim->config.prefetch_entries)
		hs_sim_prefetch_forget(&sim->prefetch, rank, iova >> 12 << 12, is_range ? 4096ull << order : 0);
}
