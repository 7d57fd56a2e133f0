// SPDX-License-Identifier: GPL-2.0-only
/*
 * The events of hypersio's model. It steps from ns to ns and looks at everything in each; nothing happens in most of
 * them, so this goes from one in which something does to the next: a slot of the link, or the head of a queue.
 */
#include "hyper/sim_compat.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "hyper/sim_cache.h"
#include "hyper/sim_compat_queue.h"
#include "hyper/sim_next.h"
#include "hyper/sim_rows.h"

/* Its times in ns, and what else is fixed when it is compiled. */
#define PCIE 450
#define MEMORY 50
#define CONTEXT_HIT 1
#define CONTEXT_MISS (2 * PCIE + 2 * MEMORY)
#define DEVICE_HIT 2
#define PAGE_HIT 5
#define PACKET_BYTES 1542
#define PACKET_TRANSLATIONS 3
#define SID_STEP 128 /* from log to log */
#define SIDS (1u << 16)
#define NONE UINT32_MAX

const char *const hs_sim_fault_names[] = { "walk",	"giant",  "prefetch", "successor", "arrival",
					   "page-size", "packet", "sid",      NULL };

struct request {
	uint64_t iova, next_use;
	uint32_t did, sid, next_free;
	uint8_t size_class;
	bool is_prefetch;
};

/* Any of its caches of addresses: LRU is a list of ours, the others are rows in the library's order. */
struct compat_cache {
	struct hs_sim_compat_cache *counts;
	struct hs_sim_cache lru;
	struct hs_sim_row *rows; /* NULL: LRU */
	uint32_t row_nr, groups;
	enum hs_sim_row_policy policy;
	unsigned int shift; /* of the address, for the set */
};

struct compat {
	const struct hs_dmatrace *trace;
	const struct hs_sim_config *config;
	struct hs_sim_compat_result *result;
	unsigned int faults;
	int err;
	uint64_t now_ns, record, slot, slot_ns;
	bool ended;
	uint32_t pending, *next_use;
	struct request *requests;
	uint32_t request_nr, free_request;
	struct hs_compat_queue context_queue, page_queue, page_fill_queue, done_queue;
	struct compat_cache context, dtlb, l2, l3;
	struct hs_sim_cache buffer;
	struct hs_sim_rand rand;
	/* its prefetcher, by sid */
	uint32_t *successor, *recent, recent_nr, recent_at, previous, predicted;
	struct request *history; /* by number of the sid, the oldest first */
	uint32_t *number_of, number_nr;
	uint8_t *history_nr;
};

static bool has_fault(const struct compat *sim, enum hs_sim_fault fault)
{
	return sim->faults >> fault & 1;
}

/* ---- caches ---- */

static uint32_t floor_power(uint32_t number)
{
	return number ? 1u << (31 - __builtin_clz(number)) : 0;
}

static int cache_open(struct compat_cache *cache, const struct hs_sim_cache_config *config, int policy,
		      unsigned int shift, struct hs_sim_compat_cache *counts)
{
	uint32_t ways = config->ways ? config->ways : config->entries, sets = ways ? config->entries / ways : 0;
	const struct hs_sim_cache_config lru = { .entries = floor_power(sets) * ways,
						 .ways = ways,
						 .partitions = floor_power(config->partitions) };
	int err = 0;

	*cache = (struct compat_cache){ .counts = counts, .shift = shift, .groups = floor_power(config->partitions) };
	if (!cache->groups)
		cache->groups = 1;
	if (policy == HS_SIM_LRU || !sets)
		return hs_sim_cache_open(&lru, 1, &cache->lru);
	cache->policy = policy == HS_SIM_LFU ? HS_SIM_ROW_LFU : HS_SIM_ROW_ORACLE;
	cache->row_nr = floor_power(sets);
	cache->rows = calloc(cache->row_nr, sizeof(*cache->rows));
	if (!cache->rows)
		return -ENOMEM;
	for (uint32_t i = 0; !err && i < cache->row_nr; i++)
		err = hs_sim_row_open(ways, &cache->rows[i]);
	return err;
}

static void cache_close(struct compat_cache *cache)
{
	for (uint32_t i = 0; cache->rows && i < cache->row_nr; i++)
		hs_sim_row_close(&cache->rows[i]);
	free(cache->rows);
	hs_sim_cache_close(&cache->lru);
}

static struct hs_sim_row *row_of(struct compat_cache *cache, uint64_t index, uint32_t tenant)
{
	uint32_t of_group = cache->row_nr / cache->groups;

	return &cache->rows[(tenant & (cache->groups - 1)) * of_group + (index & (of_group - 1))];
}

static bool cache_ask(struct compat_cache *cache, uint64_t address, uint64_t iova, uint32_t tenant, uint64_t next_use)
{
	const struct hs_sim_key key = { .page = address, .region = iova >> cache->shift, .tenant = tenant };

	if (!cache->rows)
		return hs_sim_cache_lookup(&cache->lru, &key, 0);
	return hs_sim_row_lookup(row_of(cache, key.region, tenant), cache->policy, address, tenant, next_use);
}

static void cache_fill(struct compat *sim, struct compat_cache *cache, uint64_t address, uint64_t iova, uint32_t tenant,
		       uint64_t next_use)
{
	const struct hs_sim_key key = { .page = address, .region = iova >> cache->shift, .tenant = tenant };
	bool conflict = false;
	uint64_t before = cache->lru.evictions;

	if (!cache->rows && !cache->lru.sets)
		return;
	if (cache_ask(cache, address, iova, tenant, next_use)) {
		cache->counts->hit++;
		return;
	}
	cache->counts->miss++;
	if (cache->rows)
		sim->err = hs_sim_row_add(row_of(cache, key.region, tenant), cache->policy, address, tenant, next_use,
					  &sim->rand, &conflict);
	else
		sim->err = hs_sim_cache_fill(&cache->lru, &key, 0);
	cache->counts->conflict += conflict || cache->lru.evictions != before;
}

static void count_asked(struct compat_cache *cache, const struct request *request, bool is_hit)
{
	if (request->is_prefetch)
		return;
	cache->counts->asked_hit += is_hit;
	cache->counts->asked_miss += !is_hit;
}

/* The page's begin, of 4 KiB at least; with its size where that fault is corrected. */
static uint64_t device_address(const struct compat *sim, const struct request *request)
{
	unsigned int shift = 12 + 9u * request->size_class;
	uint64_t page = request->iova >> shift << shift;

	return has_fault(sim, HS_SIM_FAULT_PAGE_SIZE) ? page : page | request->size_class;
}

/* ---- requests ---- */

static uint32_t request_take(struct compat *sim, const struct request *wanted)
{
	uint32_t taken;

	if (sim->free_request == NONE) {
		uint32_t count = sim->request_nr ? sim->request_nr * 2 : 256;
		struct request *grown = realloc(sim->requests, (size_t)count * sizeof(*grown));

		if (!grown) {
			sim->err = -ENOMEM;
			return NONE;
		}
		sim->requests = grown;
		for (uint32_t i = count; i-- > sim->request_nr; sim->free_request = i)
			grown[i].next_free = sim->free_request;
		sim->request_nr = count;
	}
	taken = sim->free_request;
	sim->free_request = sim->requests[taken].next_free;
	sim->requests[taken] = *wanted;
	return taken;
}

static void request_give(struct compat *sim, uint32_t number)
{
	sim->requests[number].next_free = sim->free_request;
	sim->free_request = number;
}

static void send(struct compat *sim, struct hs_compat_queue *queue, uint64_t after_ns, uint32_t number)
{
	if (hs_compat_queue_add(queue, sim->now_ns + after_ns, number))
		sim->err = -ENOMEM;
}

/* ---- the prefetcher ---- */

static uint32_t number_of(struct compat *sim, uint32_t sid)
{
	if (sim->number_of[sid] == NONE)
		sim->number_of[sid] = sim->number_nr++;
	return sim->number_of[sid];
}

static void remember(struct compat *sim, const struct request *request)
{
	uint32_t number = number_of(sim, request->sid), room = sim->config->prefetch_history;
	struct request *history = sim->history + (size_t)number * room;

	if (sim->history_nr[number] == room) {
		memmove(history, history + 1, (room - 1) * sizeof(*history));
		sim->history_nr[number]--;
	}
	history[sim->history_nr[number]++] = *request;
}

static void learn(struct compat *sim, uint32_t sid)
{
	if (sim->previous != NONE && sim->previous != sid &&
	    (sim->successor[sim->previous] == NONE || !has_fault(sim, HS_SIM_FAULT_SUCCESSOR))) {
		sim->result->mappings += sim->successor[sim->previous] == NONE;
		sim->successor[sim->previous] = sid;
	}
	if (sim->recent_nr == sim->config->prefetch_distance)
		sim->previous = sim->recent[sim->recent_at];
	else
		sim->recent_nr++;
	sim->recent[sim->recent_at] = sid;
	sim->recent_at = (sim->recent_at + 1) % sim->config->prefetch_distance;
}

static void prefetch(struct compat *sim, const struct request *request)
{
	uint32_t expected = sim->successor[request->sid], number;

	remember(sim, request);
	sim->result->predicted_right += sim->predicted == request->sid;
	sim->predicted = expected;
	learn(sim, request->sid);
	if (expected == NONE)
		return;
	sim->result->predictions++;
	number = number_of(sim, expected);
	for (unsigned int i = 0; !sim->err && i < sim->history_nr[number]; i++) {
		struct request page = sim->history[(size_t)number * sim->config->prefetch_history + i];
		uint32_t asked;

		page.is_prefetch = true;
		page.next_use = HS_SIM_NEVER;
		asked = request_take(sim, &page);
		if (asked == NONE)
			return;
		sim->result->prefetched++;
		send(sim, &sim->page_queue, PCIE + MEMORY, asked);
	}
}

/* ---- what happens in a ns, in this order ---- */

static void on_context(struct compat *sim, uint32_t number)
{
	const struct request request = sim->requests[number];
	const struct hs_sim_key key = { .page = device_address(sim, &request), .tenant = request.did };
	bool in_dtlb, in_buffer;

	cache_fill(sim, &sim->context, 0, 0, request.sid, 0);
	in_dtlb = cache_ask(&sim->dtlb, key.page, request.iova, request.did, request.next_use);
	in_buffer = hs_sim_cache_lookup(&sim->buffer, &key, 0);
	count_asked(&sim->dtlb, &request, in_dtlb);
	sim->result->buffer_hit += in_buffer;
	sim->result->buffer_miss += !in_buffer;
	if (in_dtlb || in_buffer)
		send(sim, &sim->done_queue, DEVICE_HIT - 1, number);
	else
		send(sim, &sim->page_queue, PCIE, number);
	if (sim->config->prefetch_entries || has_fault(sim, HS_SIM_FAULT_PREFETCH))
		prefetch(sim, &request);
}

/* The leaf is in the cache of that level: 2 for 2 MiB. Level 2 may have one of 1 GiB as well. */
static void on_leaf(struct compat *sim, uint32_t number, unsigned int level)
{
	bool is_giant = sim->requests[number].size_class == 2;

	if (is_giant && level == 2 && has_fault(sim, HS_SIM_FAULT_GIANT))
		return; /* it is lost: nothing is scheduled for it ever again */
	if (is_giant && has_fault(sim, HS_SIM_FAULT_GIANT))
		send(sim, &sim->done_queue, PAGE_HIT - 1, number);
	else
		send(sim, &sim->done_queue, PAGE_HIT + PCIE - 1, number);
}

static void on_page(struct compat *sim, uint32_t number)
{
	const struct request *request = &sim->requests[number];
	unsigned int leaf = request->size_class + 1u;
	bool in_l2 = cache_ask(&sim->l2, request->iova >> 21, request->iova, request->did, 0);
	bool in_l3 = cache_ask(&sim->l3, request->iova >> 30, request->iova, request->did, 0);

	count_asked(&sim->l2, request, in_l2);
	count_asked(&sim->l3, request, in_l3);
	if (in_l2 && leaf >= 2)
		on_leaf(sim, number, 2);
	else if (in_l2)
		send(sim, &sim->page_fill_queue, MEMORY - 1, number);
	else if (in_l3 && leaf == 3)
		on_leaf(sim, number, 3);
	else if (in_l3)
		send(sim, &sim->page_fill_queue, MEMORY * (3 - leaf) - 1, number);
	else if (!has_fault(sim, HS_SIM_FAULT_WALK))
		send(sim, &sim->page_fill_queue, MEMORY * (3 - leaf + 1) - 1, number);
	else
		send(sim, &sim->page_fill_queue, MEMORY * leaf - 1, number);
}

static void on_page_fill(struct compat *sim, uint32_t number)
{
	const struct request *request = &sim->requests[number];

	cache_fill(sim, &sim->l2, request->iova >> 21, request->iova, request->did, 0);
	cache_fill(sim, &sim->l3, request->iova >> 30, request->iova, request->did, 0);
	send(sim, &sim->done_queue, PCIE, number);
}

static void on_done(struct compat *sim, uint32_t number)
{
	const struct request *request = &sim->requests[number];
	const struct hs_sim_key key = { .page = device_address(sim, request), .tenant = request->did };

	if (request->is_prefetch) {
		sim->result->buffer_fill++;
		if (hs_sim_cache_lookup(&sim->buffer, &key, 0))
			sim->result->buffer_same++;
		else if (hs_sim_cache_fill(&sim->buffer, &key, 0))
			sim->err = -ENOMEM;
	} else {
		cache_fill(sim, &sim->dtlb, key.page, request->iova, request->did, request->next_use);
		sim->pending--;
	}
	request_give(sim, number);
}

static bool is_due(const struct compat *sim, const struct hs_compat_queue *queue)
{
	return hs_compat_queue_next(queue) <= sim->now_ns;
}

static void step(struct compat *sim)
{
	if (is_due(sim, &sim->context_queue))
		on_context(sim, hs_compat_queue_take(&sim->context_queue));
	if (is_due(sim, &sim->page_queue))
		on_page(sim, hs_compat_queue_take(&sim->page_queue));
	if (is_due(sim, &sim->page_fill_queue))
		on_page_fill(sim, hs_compat_queue_take(&sim->page_fill_queue));
	if (is_due(sim, &sim->done_queue))
		on_done(sim, hs_compat_queue_take(&sim->done_queue));
}

/* ---- the link ---- */

static void begin(struct compat *sim, const struct hs_dmatrace_record *record, uint64_t index)
{
	uint32_t tenant = hs_dmatrace_tenant(record);
	const struct hs_dmatrace_tenant *from = &sim->trace->tenants[tenant];
	const struct request wanted = {
		.iova = hs_dmatrace_iova(record),
		.next_use = sim->next_use ? sim->next_use[index] : 0,
		.did = tenant,
		.sid = has_fault(sim, HS_SIM_FAULT_SID) ? (from->sid + from->source * SID_STEP) % SIDS : tenant,
		.size_class = (uint8_t)hs_dmatrace_size_class(record),
	};
	uint32_t number = request_take(sim, &wanted);
	bool knows;

	if (number == NONE)
		return;
	knows = cache_ask(&sim->context, 0, 0, wanted.sid, 0);
	count_asked(&sim->context, &wanted, knows);
	send(sim, &sim->context_queue, knows ? CONTEXT_HIT : CONTEXT_MISS, number);
	sim->pending++;
	sim->result->translations++;
}

/* The next translation, NULL at the end. It knows no invalidations. */
static const struct hs_dmatrace_record *next_translation(struct compat *sim)
{
	while (sim->record < sim->trace->header->record_nr) {
		const struct hs_dmatrace_record *record = &sim->trace->records[sim->record];

		if (hs_dmatrace_kind(record) == HS_DMATRACE_TRANSLATION &&
		    (!sim->config->tenants || hs_dmatrace_tenant(record) < sim->config->tenants))
			return record;
		sim->record++;
	}
	return NULL;
}

static void arrive(struct compat *sim)
{
	bool by_log = !has_fault(sim, HS_SIM_FAULT_PACKET);

	for (unsigned int i = 0; !sim->err && (by_log || i < PACKET_TRANSLATIONS); i++) {
		const struct hs_dmatrace_record *record = next_translation(sim);

		if (!record && by_log && i)
			break;
		if (!record) {
			sim->ended = true;
			return;
		}
		if (by_log && i && hs_dmatrace_is_first(record))
			break;
		begin(sim, record, sim->record++);
	}
	sim->result->packets++;
}

static void next_slot(struct compat *sim)
{
	uint64_t gbps = sim->config->link_bps / 1000000000u;

	sim->slot++;
	if (!has_fault(sim, HS_SIM_FAULT_ARRIVAL))
		sim->slot_ns = (sim->slot * PACKET_BYTES * 8 + gbps - 1) / gbps;
	else
		sim->slot_ns += PACKET_BYTES * 8 / gbps;
}

static uint64_t next_event(const struct compat *sim)
{
	const struct hs_compat_queue *queues[] = { &sim->context_queue, &sim->page_queue, &sim->page_fill_queue,
						   &sim->done_queue };
	uint64_t next_ns = HS_COMPAT_NO_TIME;

	for (size_t i = 0; i < HS_ARRAY_SIZE(queues); i++)
		if (hs_compat_queue_next(queues[i]) < next_ns)
			next_ns = hs_compat_queue_next(queues[i]);
	return next_ns;
}

/* What is late because something else left its queue in that ns leaves in the next. */
static int run(struct compat *sim)
{
	uint64_t from_ns = 0; /* the first ns that has not been looked at */

	while (!sim->err && (!sim->ended || sim->pending)) {
		uint64_t event_ns = next_event(sim);

		if (event_ns != HS_COMPAT_NO_TIME && event_ns < from_ns)
			event_ns = from_ns;
		if (!sim->ended && sim->slot_ns <= event_ns) {
			if (sim->pending >= sim->config->queue && event_ns == HS_COMPAT_NO_TIME)
				return -EDEADLK;
			sim->now_ns = sim->slot_ns;
			if (sim->pending < sim->config->queue)
				arrive(sim);
			else
				sim->result->dropped++;
			next_slot(sim);
			continue;
		}
		if (event_ns == HS_COMPAT_NO_TIME)
			return -EDEADLK;
		sim->now_ns = event_ns;
		step(sim);
		from_ns = event_ns + 1;
	}
	sim->result->elapsed_ns = from_ns > sim->now_ns ? from_ns : sim->now_ns;
	return sim->err;
}

/* ---- opening and closing ---- */

static int check(const struct hs_dmatrace *trace, const struct hs_sim_config *config)
{
	static const int policies[] = { HS_SIM_LRU, HS_SIM_LFU, HS_SIM_OPTIMUM };
	bool knows = false;

	for (size_t i = 0; i < HS_ARRAY_SIZE(policies); i++)
		knows |= config->dtlb.policy == policies[i];
	if (!knows)
		return hs_fail(-EINVAL, "hypersio's device TLB is lru, lfu or optimum, not %s",
			       hs_sim_policies[config->dtlb.policy]);
	if (config->link_bps % 1000000000u || !config->link_bps || config->link_bps > 12336000000000ull)
		return hs_fail(-EINVAL, "hypersio's link has whole Gbit/s, from 1 to 12336");
	if (config->packet_bytes != PACKET_BYTES)
		return hs_fail(-EINVAL, "hypersio's packets have %d bytes", PACKET_BYTES);
	if (config->context.ways && config->context.ways != config->context.entries)
		return hs_fail(-EINVAL, "hypersio's context cache is fully associative");
	if (config->tenants > trace->header->tenant_nr)
		return hs_fail(-EINVAL, "the trace has %u tenants, not %u", trace->header->tenant_nr, config->tenants);
	if (trace->header->tenant_nr > SIDS)
		return hs_fail(-EINVAL, "hypersio numbers tenants in 16 bits; the trace has %u",
			       trace->header->tenant_nr);
	for (uint64_t i = 0; i < trace->header->record_nr; i++)
		if (hs_dmatrace_kind(&trace->records[i]) == HS_DMATRACE_TRANSLATION &&
		    hs_dmatrace_size_class(&trace->records[i]) > 2)
			return hs_fail(-EINVAL,
				       "hypersio has pages of up to 1 GiB; record %" PRIu64 " is of a larger one", i);
	return trace->header->translation_nr ? 0 : hs_fail(-ENODATA, "the trace has no translation");
}

static int open_prefetcher(struct compat *sim)
{
	uint32_t sids = has_fault(sim, HS_SIM_FAULT_SID) ? SIDS : sim->trace->header->tenant_nr;
	uint32_t known = sim->trace->header->tenant_nr < SIDS ? sim->trace->header->tenant_nr : sids;

	sim->successor = malloc(((size_t)sids + 1) * sizeof(*sim->successor));
	sim->number_of = malloc(((size_t)sids + 1) * sizeof(*sim->number_of));
	sim->recent = calloc(sim->config->prefetch_distance, sizeof(*sim->recent));
	sim->history = calloc(((size_t)known + 1) * sim->config->prefetch_history, sizeof(*sim->history));
	sim->history_nr = calloc((size_t)known + 1, 1);
	sim->previous = sim->predicted = NONE;
	if (!sim->successor || !sim->number_of || !sim->recent || !sim->history || !sim->history_nr)
		return -ENOMEM;
	memset(sim->successor, 0xff, ((size_t)sids + 1) * sizeof(*sim->successor));
	memset(sim->number_of, 0xff, ((size_t)sids + 1) * sizeof(*sim->number_of));
	return 0;
}

static int open_run(struct compat *sim)
{
	const struct hs_sim_config *config = sim->config;
	struct hs_sim_compat_result *result = sim->result;
	const struct hs_sim_cache_config buffer = { .entries = config->prefetch_entries };
	const struct hs_sim_cache_config context = { .entries = config->context.entries };
	struct hs_compat_queue *queues[] = { &sim->context_queue, &sim->page_queue, &sim->page_fill_queue,
					     &sim->done_queue };
	int err = 0;

	for (size_t i = 0; i < HS_ARRAY_SIZE(queues); i++)
		queues[i]->in_order = config->order == HS_SIM_IN_ORDER;
	sim->free_request = NONE;
	hs_sim_rand_open(&sim->rand);
	if (config->dtlb.policy == HS_SIM_OPTIMUM)
		err = hs_sim_next_make(sim->trace, !has_fault(sim, HS_SIM_FAULT_PAGE_SIZE), &sim->next_use);
	if (!err)
		err = cache_open(&sim->context, &context, HS_SIM_LFU, 0, &result->context);
	if (!err)
		err = cache_open(&sim->dtlb, &config->dtlb, config->dtlb.policy, 21, &result->dtlb);
	if (!err)
		err = cache_open(&sim->l2, &config->page[1], HS_SIM_LRU, 21, &result->l2);
	if (!err)
		err = cache_open(&sim->l3, &config->page[2], HS_SIM_LRU, 30, &result->l3);
	if (!err)
		err = hs_sim_cache_open(&buffer, 1, &sim->buffer);
	return err ? err : open_prefetcher(sim);
}

static void close_run(struct compat *sim)
{
	cache_close(&sim->context);
	cache_close(&sim->dtlb);
	cache_close(&sim->l2);
	cache_close(&sim->l3);
	hs_sim_cache_close(&sim->buffer);
	hs_compat_queue_clear(&sim->context_queue);
	hs_compat_queue_clear(&sim->page_queue);
	hs_compat_queue_clear(&sim->page_fill_queue);
	hs_compat_queue_clear(&sim->done_queue);
	free(sim->requests);
	free(sim->next_use);
	free(sim->successor);
	free(sim->number_of);
	free(sim->recent);
	free(sim->history);
	free(sim->history_nr);
}

int hs_sim_compat_run(const struct hs_dmatrace *trace, const struct hs_sim_config *config, unsigned int faults,
		      struct hs_sim_compat_result *result)
{
	struct hs_sim_compat_result made = { 0 };
	struct compat sim = { .trace = trace, .config = config, .faults = faults, .result = &made };
	int err = hs_sim_config_check(config);

	if (!err)
		err = check(trace, config);
	if (err)
		return err;
	err = open_run(&sim);
	if (!err)
		err = run(&sim);
	close_run(&sim);
	if (!err && !made.translations)
		return hs_fail(-ENODATA, "the first %u tenants of the trace have no translation", config->tenants);
	if (err == -EDEADLK)
		return hs_fail(err,
			       "hypersio never ends on this trace: a 1 GiB page that its cache of level 2 has is lost");
	if (err)
		return hs_fail(err, "the simulation of hypersio stopped:");
	/* Three translations are a packet; corrected, a packet is one. */
	if (faults >> HS_SIM_FAULT_PACKET & 1)
		made.packets = made.translations / PACKET_TRANSLATIONS;
	made.mbps = (uint64_t)((double)made.packets * PACKET_BYTES * 8 * 1000) / made.elapsed_ns;
	*result = made;
	return 0;
}

/* ---- printing ---- */

static void print_cache(FILE *out, const char *name, const struct hs_sim_compat_cache *cache)
{
	fprintf(out, "%-8s %12" PRIu64 " %12" PRIu64 " %12" PRIu64 " %14" PRIu64 " %14" PRIu64 "\n", name, cache->hit,
		cache->miss, cache->conflict, cache->asked_hit, cache->asked_miss);
}

void hs_sim_compat_print(const struct hs_sim_compat_result *result, FILE *out)
{
	fprintf(out, "[Mb/s] for %dB pkts: %" PRIu64 "\n", PACKET_BYTES, result->mbps);
	fprintf(out, "time elapsed %" PRIu64 " ns, requests translated %" PRIu64 ", packets dropped %" PRIu64 "\n\n",
		result->elapsed_ns, result->translations, result->dropped);
	fprintf(out, "%-8s %12s %12s %12s %14s %14s\n", "cache", "HIT", "MISS", "CONFLICT", "hits if asked",
		"misses if asked");
	print_cache(out, "CC", &result->context);
	print_cache(out, "IOTLB", &result->dtlb);
	print_cache(out, "L2PAGE", &result->l2);
	print_cache(out, "L3PAGE", &result->l3);
	fprintf(out,
		"\nprefetcher: %" PRIu64 " predictions, %" PRIu64 " right, %" PRIu64 " mappings; buffer: %" PRIu64
		" hits, %" PRIu64 " misses, %" PRIu64 " fills, %" PRIu64 " of the same\n",
		result->predictions, result->predicted_right, result->mappings, result->buffer_hit, result->buffer_miss,
		result->buffer_fill, result->buffer_same);
}

static void add_cache(json_object *object, const char *key, const struct hs_sim_compat_cache *cache)
{
	json_object *json = hs_json_add_object(object, key);

	hs_json_add_u64(json, "hit", cache->hit);
	hs_json_add_u64(json, "miss", cache->miss);
	hs_json_add_u64(json, "conflict", cache->conflict);
	hs_json_add_u64(json, "asked_hit", cache->asked_hit);
	hs_json_add_u64(json, "asked_miss", cache->asked_miss);
}

json_object *hs_sim_compat_to_json(const struct hs_sim_compat_result *result, const struct hs_sim_config *config,
				   unsigned int faults)
{
	json_object *document = json_object_new_object(), *json;

	hs_json_add_string(document, "schema", "hsbpf.iommu-sim.hypersio/1");
	hs_json_add_string(document, "version", HS_VERSION);
	hs_sim_config_to_json(config, document, "config");
	json = hs_json_add_array(document, "faults");
	for (unsigned int i = 0; i < HS_SIM_FAULT_NR; i++)
		if (faults >> i & 1)
			json_object_array_add(json, json_object_new_string(hs_sim_fault_names[i]));
	hs_json_add_u64(document, "mbps", result->mbps);
	hs_json_add_u64(document, "elapsed_ns", result->elapsed_ns);
	hs_json_add_u64(document, "translations", result->translations);
	hs_json_add_u64(document, "packets", result->packets);
	hs_json_add_u64(document, "dropped", result->dropped);
	json = hs_json_add_object(document, "caches");
	add_cache(json, "context", &result->context);
	add_cache(json, "dtlb", &result->dtlb);
	add_cache(json, "l2", &result->l2);
	add_cache(json, "l3", &result->l3);
	json = hs_json_add_object(document, "prefetcher");
	hs_json_add_u64(json, "prefetched", result->prefetched);
	hs_json_add_u64(json, "predictions", result->predictions);
	hs_json_add_u64(json, "right", result->predicted_right);
	hs_json_add_u64(json, "mappings", result->mappings);
	hs_json_add_u64(json, "hit", result->buffer_hit);
	hs_json_add_u64(json, "miss", result->buffer_miss);
	hs_json_add_u64(json, "fill", result->buffer_fill);
	hs_json_add_u64(json, "same", result->buffer_same);
	return document;
}
