// SPDX-License-Identifier: GPL-2.0-only
/*
 * The link, the queue and the clock of a run. Jumps from one event to the next: an arrival in a slot of the link, a
 * place in the queue that became free, or something that comes in a lane.
 */
#include "hyper/sim_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "hyper/sim_next.h"

/* ---- the link: slots of packet_bytes * 8 / link_bps, without rounding ---- */

static void link_open(struct hs_sim *sim)
{
	unsigned __int128 bits_ps = (unsigned __int128)sim->config.packet_bytes * 8 * 1000000000000ull;

	sim->slot_step_ps = (uint64_t)(bits_ps / sim->config.link_bps);
	sim->slot_step_rest = (uint64_t)(bits_ps % sim->config.link_bps);
	sim->slot_rest_unit = sim->config.link_bps;
}

static void link_skip(struct hs_sim *sim, uint64_t slots)
{
	unsigned __int128 rest = (unsigned __int128)sim->slot_step_rest * slots + sim->slot_rest;

	sim->slot_ps += sim->slot_step_ps * slots + (uint64_t)(rest / sim->slot_rest_unit);
	sim->slot_rest = (uint64_t)(rest % sim->slot_rest_unit);
}

static void link_next(struct hs_sim *sim)
{
	sim->slot_ps += sim->slot_step_ps;
	sim->slot_rest += sim->slot_step_rest;
	if (sim->slot_rest >= sim->slot_rest_unit) {
		sim->slot_rest -= sim->slot_rest_unit;
		sim->slot_ps++;
	}
}

/* The first slot that is not over yet; those before it went by without a packet. */
static uint64_t link_slot(struct hs_sim *sim)
{
	if (sim->slot_ps < sim->now_ps && sim->slot_step_ps) {
		uint64_t slots = (sim->now_ps - sim->slot_ps) / (sim->slot_step_ps + 1);

		link_skip(sim, slots);
		sim->result->slots_lost += slots;
	}
	while (sim->slot_ps < sim->now_ps) {
		link_next(sim);
		sim->result->slots_lost++;
	}
	return sim->slot_ps;
}

/* ---- requests ---- */

uint32_t hs_sim_request_take(struct hs_sim *sim)
{
	uint32_t taken = sim->free_request;

	if (taken == HS_SIM_NO_REQUEST) {
		uint32_t count = sim->request_nr ? sim->request_nr * 2 : 256;
		struct hs_sim_request *grown = realloc(sim->requests, (size_t)count * sizeof(*grown));

		if (!grown) {
			sim->err = -ENOMEM;
			return HS_SIM_NO_REQUEST;
		}
		sim->requests = grown;
		for (uint32_t i = count; i-- > sim->request_nr;) {
			grown[i].next_free = sim->free_request;
			sim->free_request = i;
		}
		sim->request_nr = count;
		taken = sim->free_request;
	}
	sim->free_request = sim->requests[taken].next_free;
	return taken;
}

void hs_sim_request_give(struct hs_sim *sim, uint32_t request)
{
	sim->requests[request].next_free = sim->free_request;
	sim->free_request = request;
}

/* ---- the end of a translation ---- */

static void account(struct hs_sim *sim, const struct hs_sim_request *request)
{
	struct hs_sim_result *result = sim->result;
	const struct hs_sim_config *config = &sim->config;
	struct hs_sim_tenant *tenant = &result->tenants[request->tenant];
	uint64_t latency_ps = sim->now_ps - request->arrived_ps;

	result->part_ps[HS_SIM_PART_QUEUE] += request->issued_ps - request->arrived_ps;
	result->part_ps[HS_SIM_PART_ORDER] += sim->now_ps - request->done_ps;
	if (request->asked_iommu) {
		uint64_t context_ns = config->context_hit_ns + request->context_reads * config->memory_ns;

		result->part_ps[HS_SIM_PART_PCIE] += 2 * config->pcie_ns * PS_PER_NS;
		result->part_ps[HS_SIM_PART_CONTEXT] += context_ns * PS_PER_NS;
		result->part_ps[HS_SIM_PART_PAGE] += config->page_hit_ns * PS_PER_NS;
		result->part_ps[HS_SIM_PART_WALK] += request->walk_reads * config->memory_ns * PS_PER_NS;
	} else {
		result->part_ps[HS_SIM_PART_DEVICE] += request->done_ps - request->issued_ps;
	}
	if (hs_histogram_add(&result->latency_ps, latency_ps, 1))
		sim->err = -ENOMEM;
	tenant->latency_ps += latency_ps;
	if (latency_ps > tenant->latency_max_ps)
		tenant->latency_max_ps = latency_ps;
	tenant->walk_reads += request->walk_reads;
	tenant->last_ps = sim->now_ps;
	sim->last_done_ps = sim->now_ps;
}

static void leave(struct hs_sim *sim, uint32_t number)
{
	account(sim, &sim->requests[number]);
	hs_sim_request_give(sim, number);
	sim->pending--;
}

static void on_done(struct hs_sim *sim, uint32_t number)
{
	struct hs_sim_request *request = &sim->requests[number];

	request->done_ps = sim->now_ps;
	if (sim->config.order == HS_SIM_OUT_OF_ORDER) {
		leave(sim, number);
		return;
	}
	request->is_done = true;
	while (sim->pending && sim->requests[sim->ring[sim->ring_head & sim->ring_mask]].is_done)
		leave(sim, sim->ring[sim->ring_head++ & sim->ring_mask]);
}

/* ---- the begin of a translation ---- */

static uint32_t rank_of(struct hs_sim *sim, uint32_t tenant)
{
	if (sim->rank[tenant] == HS_SIM_NO_TENANT) {
		sim->tenant_of[sim->rank_nr] = tenant;
		sim->rank[tenant] = sim->rank_nr++;
	}
	return sim->rank[tenant];
}

/* What comes before the next translation. Nothing is left at the end of the trace. */
static const struct hs_dmatrace_record *next_translation(struct hs_sim *sim)
{
	while (sim->record < sim->trace->header->record_nr) {
		const struct hs_dmatrace_record *record = &sim->trace->records[sim->record];

		if (hs_dmatrace_tenant(record) >= sim->config.tenants) {
			sim->record++;
			continue;
		}
		if (hs_dmatrace_kind(record) == HS_DMATRACE_TRANSLATION)
			return record;
		sim->record++;
		if (sim->config.invalidations == HS_SIM_APPLY &&
		    sim->rank[hs_dmatrace_tenant(record)] != HS_SIM_NO_TENANT)
			hs_sim_path_invalidate(sim, record);
	}
	return NULL;
}

/* When the next translation can begin, or HS_SIM_NO_TIME: the queue is full or the trace over. */
static uint64_t next_begin(struct hs_sim *sim)
{
	const struct hs_dmatrace_record *record;

	if (sim->pending >= sim->config.queue)
		return HS_SIM_NO_TIME;
	record = next_translation(sim);
	if (!record)
		return HS_SIM_NO_TIME;
	if (sim->packet_open && !hs_dmatrace_is_first(record))
		return sim->now_ps;
	return link_slot(sim);
}

static void open_packet(struct hs_sim *sim, struct hs_sim_tenant *tenant)
{
	link_next(sim);
	sim->link_end_ps = sim->slot_ps;
	sim->packet_open = true;
	sim->packet_arrived_ps = sim->now_ps;
	sim->result->packets++;
	if (!tenant->packets++)
		tenant->first_ps = sim->now_ps;
}

static void begin(struct hs_sim *sim)
{
	const struct hs_dmatrace_record *record = &sim->trace->records[sim->record];
	uint32_t tenant = hs_dmatrace_tenant(record), number = hs_sim_request_take(sim);
	struct hs_sim_request *request;

	if (number == HS_SIM_NO_REQUEST)
		return;
	if (!sim->packet_open || hs_dmatrace_is_first(record))
		open_packet(sim, &sim->result->tenants[tenant]);
	request = &sim->requests[number];
	*request = (struct hs_sim_request){
		.iova = hs_dmatrace_iova(record),
		.arrived_ps = sim->packet_arrived_ps,
		.issued_ps = sim->now_ps,
		.tenant = tenant,
		.rank = rank_of(sim, tenant),
		.next_use = sim->next_use ? sim->next_use[sim->record] : 0,
		.size_class = (uint8_t)hs_dmatrace_size_class(record),
		.levels = sim->trace->tenants[tenant].levels,
	};
	if (sim->config.order == HS_SIM_IN_ORDER)
		sim->ring[(sim->ring_head + sim->pending) & sim->ring_mask] = number;
	sim->record++;
	sim->pending++;
	sim->result->translations++;
	sim->result->tenants[tenant].translations++;
	hs_sim_path_begin(sim, number);
}

/* 53 days; no step is longer than some seconds. */
#define CLOCK_END_PS (1ull << 62)

static void run(struct hs_sim *sim)
{
	while (!sim->err) {
		unsigned int lane = 0;
		uint64_t event_ps = hs_sim_lanes_next(&sim->lanes, &lane), begin_ps = next_begin(sim);
		uint32_t done;

		if (begin_ps < event_ps) {
			sim->now_ps = begin_ps;
			begin(sim);
			continue;
		}
		if (event_ps == HS_SIM_NO_TIME)
			break;
		if (event_ps > CLOCK_END_PS) {
			sim->err = -EOVERFLOW;
			break;
		}
		sim->now_ps = event_ps;
		done = hs_sim_path_step(sim, lane, hs_sim_lanes_take(&sim->lanes, lane));
		if (done != HS_SIM_NO_REQUEST)
			on_done(sim, done);
	}
}

/* ---- opening and closing ---- */

static int open_caches(struct hs_sim *sim)
{
	const struct hs_sim_config *config = &sim->config;
	const struct hs_sim_cache_config buffer = { .entries = config->prefetch_entries };
	int err = hs_sim_cache_open(&config->dtlb, config->seed, &sim->dtlb);

	if (!err)
		err = hs_sim_cache_open(&config->context, config->seed, &sim->context);
	for (unsigned int i = 0; !err && i < HS_SIM_LEVELS; i++) {
		struct hs_sim_cache_config page = config->page[i];

		page.policy = config->page_policy;
		err = hs_sim_cache_open(&page, config->seed, &sim->page[i]);
	}
	if (!err)
		err = hs_sim_cache_open(&buffer, config->seed, &sim->buffer);
	if (!err && config->prefetch_entries)
		err = hs_sim_prefetch_open(config->prefetch_distance, config->prefetch_history,
					   sim->trace->header->tenant_nr, &sim->prefetch);
	return err;
}

static int open_run(struct hs_sim *sim)
{
	uint32_t tenant_nr = sim->trace->header->tenant_nr, ring = 1;
	int err = 0;

	while (ring < sim->config.queue)
		ring *= 2;
	sim->ring_mask = ring - 1;
	sim->free_request = HS_SIM_NO_REQUEST;
	sim->expected = HS_SIM_NO_TENANT;
	sim->ring = calloc(ring, sizeof(*sim->ring));
	sim->rank = malloc(((size_t)tenant_nr + 1) * sizeof(*sim->rank));
	sim->tenant_of = calloc((size_t)tenant_nr + 1, sizeof(*sim->tenant_of));
	sim->epoch = calloc((size_t)tenant_nr + 1, sizeof(*sim->epoch));
	sim->result->tenants = calloc((size_t)tenant_nr + 1, sizeof(*sim->result->tenants));
	sim->result->tenant_nr = tenant_nr;
	if (!sim->ring || !sim->rank || !sim->tenant_of || !sim->epoch || !sim->result->tenants)
		return hs_fail(-ENOMEM, "no memory for %u tenants", tenant_nr);
	memset(sim->rank, 0xff, ((size_t)tenant_nr + 1) * sizeof(*sim->rank));
	link_open(sim);
	if (sim->config.dtlb.policy == HS_SIM_OPTIMUM && sim->config.dtlb.entries)
		err = hs_sim_next_make(sim->trace, true, &sim->next_use);
	if (err)
		return err;
	err = open_caches(sim);
	return err ? hs_fail(err, "no memory for the caches of %s", sim->config.name) : 0;
}

static void close_run(struct hs_sim *sim)
{
	hs_sim_lanes_clear(&sim->lanes);
	hs_sim_cache_close(&sim->dtlb);
	hs_sim_cache_close(&sim->context);
	for (unsigned int i = 0; i < HS_SIM_LEVELS; i++)
		hs_sim_cache_close(&sim->page[i]);
	hs_sim_cache_close(&sim->buffer);
	hs_sim_prefetch_close(&sim->prefetch);
	free(sim->requests);
	free(sim->ring);
	free(sim->rank);
	free(sim->tenant_of);
	free(sim->epoch);
	free(sim->next_use);
}

static void take_counts(struct hs_sim_structure *structure, const struct hs_sim_cache *cache)
{
	structure->fills = cache->fills;
	structure->evictions = cache->evictions;
	structure->held = cache->held;
}

static void conclude(struct hs_sim *sim)
{
	struct hs_sim_result *result = sim->result;

	take_counts(&result->dtlb, &sim->dtlb);
	take_counts(&result->context, &sim->context);
	take_counts(&result->prefetch, &sim->buffer);
	for (unsigned int i = 0; i < HS_SIM_LEVELS; i++)
		take_counts(&result->page[i], &sim->page[i]);
	result->guesses = sim->prefetch.guesses;
	result->guesses_right = sim->prefetch.right;
	result->elapsed_ps = sim->last_done_ps > sim->link_end_ps ? sim->last_done_ps : sim->link_end_ps;
	hs_sim_result_conclude(result, &sim->config);
}

int hs_sim_run(const struct hs_dmatrace *trace, const struct hs_sim_config *config, struct hs_sim_result *result)
{
	struct hs_sim_result made = { 0 };
	struct hs_sim sim = { .trace = trace, .config = *config, .result = &made };
	int err = hs_sim_config_check(config);

	if (!err && config->tenants > trace->header->tenant_nr)
		err = hs_fail(-EINVAL, "the trace has %u tenants, not %u", trace->header->tenant_nr, config->tenants);
	if (!sim.config.tenants)
		sim.config.tenants = trace->header->tenant_nr;
	if (!err && !trace->header->translation_nr)
		err = hs_fail(-ENODATA, "the trace has no translation");
	if (!err)
		err = open_run(&sim);
	if (!err) {
		run(&sim);
		err = sim.err;
		if (!err && made.latency_ps.sum == UINT64_MAX)
			err = -EOVERFLOW;
		if (err)
			hs_err("%s after %llu translations",
			       err == -EOVERFLOW ? "the simulated time is longer than 64 bits of picoseconds can say"
						 : "no memory for the simulation",
			       (unsigned long long)made.translations);
	}
	if (!err && !made.translations)
		err = hs_fail(-ENODATA, "the first %u tenants of the trace have no translation", config->tenants);
	if (!err)
		conclude(&sim);
	close_run(&sim);
	if (err)
		hs_sim_result_clear(&made);
	else
		*result = made;
	return err;
}
