// SPDX-License-Identifier: GPL-2.0-only
/* Rates, shares and fairness from the counts of a run, and the result as a table, a document and CSV. Pure. */
#include "hyper/sim.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/unit.h"

#define PS_PER_S 1e12
#define TEXT_BYTES 32

const char *const hs_sim_part_names[] = { "queue", "device", "pcie", "context", "page_caches", "walk", "order", NULL };

static const double quantiles[] = { 0.5, 0.9, 0.99, 0.999 };
static const char *const quantile_names[] = { "p50", "p90", "p99", "p99_9" };

void hs_sim_result_clear(struct hs_sim_result *result)
{
	hs_histogram_clear(&result->latency_ps);
	free(result->tenants);
	*result = (struct hs_sim_result){ 0 };
}

static double tenant_rate(const struct hs_sim_tenant *tenant, uint32_t packet_bytes, uint64_t slot_ps)
{
	/* The last packet's own time on the link counts, or one packet would have an endless rate. */
	double time_ps = (double)(tenant->last_ps - tenant->first_ps);

	if (time_ps < (double)slot_ps)
		time_ps = (double)slot_ps;
	return (double)tenant->packets * packet_bytes * 8 / time_ps * PS_PER_S;
}

void hs_sim_result_conclude(struct hs_sim_result *result, const struct hs_sim_config *config)
{
	double bits = (double)result->packets * config->packet_bytes * 8, sum = 0, squares = 0;
	uint64_t slot_ps = (uint64_t)((double)config->packet_bytes * 8 / (double)config->link_bps * PS_PER_S);

	result->rate_bps = result->elapsed_ps ? bits / (double)result->elapsed_ps * PS_PER_S : 0;
	result->link_pct = 100 * result->rate_bps / (double)config->link_bps;
	for (uint32_t i = 0; i < result->tenant_nr; i++) {
		double rate = tenant_rate(&result->tenants[i], config->packet_bytes, slot_ps);

		if (!result->tenants[i].translations)
			continue;
		result->tenants[i].rate_bps = rate;
		if (!result->active_nr || rate < result->rate_min_bps) {
			result->rate_min_bps = rate;
			result->worst = i;
		}
		if (!result->active_nr || rate > result->rate_max_bps) {
			result->rate_max_bps = rate;
			result->best = i;
		}
		result->active_nr++;
		sum += rate;
		squares += rate * rate;
	}
	result->jain = squares > 0 ? sum * sum / squares / result->active_nr : 1;
}

static double share(uint64_t part, uint64_t whole)
{
	return whole ? 100 * (double)part / (double)whole : 0;
}

static double ratio(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : 0;
}

/* ---- text ---- */

static void print_structure(FILE *out, const char *name, const struct hs_sim_structure *structure, uint32_t entries)
{
	if (!entries)
		return;
	fprintf(out, "%-16s %10u %14" PRIu64 " %14" PRIu64 " %8.3f %% %14" PRIu64 " %14" PRIu64 "\n", name, entries,
		structure->hits, structure->misses, share(structure->misses, structure->hits + structure->misses),
		structure->evictions, structure->invalidated);
}

static void print_latency(FILE *out, const struct hs_sim_result *result)
{
	fprintf(out, "latency of a translation (ns): average %.1f",
		(double)hs_histogram_average(&result->latency_ps) / 1e3);
	for (size_t i = 0; i < HS_ARRAY_SIZE(quantiles); i++)
		fprintf(out, ", %g %% %.1f", quantiles[i] * 100,
			(double)hs_histogram_quantile(&result->latency_ps, quantiles[i]) / 1e3);
	fprintf(out, ", longest %.1f\nwhere it went:", (double)result->latency_ps.max / 1e3);
	for (unsigned int i = 0; i < HS_SIM_PART_NR; i++)
		fprintf(out, "%s %s %.1f %%", i ? "," : "", hs_sim_part_names[i],
			share(result->part_ps[i], result->latency_ps.sum));
	fputs("\n", out);
}

static void print_structures(FILE *out, const struct hs_sim_result *result, const struct hs_sim_config *config)
{
	static const char *const pages[HS_SIM_LEVELS] = { "level 1", "level 2", "level 3", "level 4" };

	fprintf(out, "%-16s %10s %14s %14s %10s %14s %14s\n", "cache", "entries", "hits", "misses", "missed", "evicted",
		"invalidated");
	print_structure(out, "device TLB", &result->dtlb, config->dtlb.entries);
	print_structure(out, "prefetch buffer", &result->prefetch, config->prefetch_entries);
	print_structure(out, "context", &result->context, config->context.entries);
	for (unsigned int i = 0; i < HS_SIM_LEVELS; i++)
		print_structure(out, pages[i], &result->page[i], config->page[i].entries);
}

void hs_sim_result_print(const struct hs_sim_result *result, const struct hs_sim_config *config, FILE *out)
{
	char text[2][TEXT_BYTES];

	fprintf(out, "link use %.2f %%: %s of %s; %u tenants, configuration %s\n", result->link_pct,
		hs_format_rate(text[0], TEXT_BYTES, result->rate_bps),
		hs_format_rate(text[1], TEXT_BYTES, (double)config->link_bps), result->active_nr, config->name);
	fprintf(out,
		"%" PRIu64 " packets, %" PRIu64 " translations in %s; %" PRIu64 " slots of the link without a packet\n",
		result->packets, result->translations, hs_format_ns(text[0], TEXT_BYTES, result->elapsed_ps / 1000),
		result->slots_lost);
	print_latency(out, result);
	fputs("\n", out);
	print_structures(out, result, config);
	fprintf(out, "\nreads of tables: %.3f a translation, %" PRIu64 " in all; of context entries: %" PRIu64 "\n",
		ratio(result->walk_reads, result->translations), result->walk_reads, result->context_reads);
	if (config->prefetch_entries)
		fprintf(out,
			"prefetched: %" PRIu64 " pages with %" PRIu64 " reads, %" PRIu64
			" were there or on their way; the next tenant was guessed right in %.1f %%\n",
			result->prefetches, result->prefetch_reads, result->prefetches_spared,
			share(result->guesses_right, result->guesses));
	if (result->invalidations)
		fprintf(out, "invalidations applied: %" PRIu64 "\n", result->invalidations);
	fprintf(out, "fairness over tenants: Jain %.4f, slowest %s (tenant %u), fastest %s (tenant %u)\n", result->jain,
		hs_format_rate(text[0], TEXT_BYTES, result->rate_min_bps), result->worst,
		hs_format_rate(text[1], TEXT_BYTES, result->rate_max_bps), result->best);
}

/* ---- JSON ---- */

static void add_structure(json_object *object, const char *key, const struct hs_sim_structure *structure,
			  uint32_t entries)
{
	json_object *json = hs_json_add_object(object, key);

	hs_json_add_u64(json, "entries", entries);
	hs_json_add_u64(json, "hits", structure->hits);
	hs_json_add_u64(json, "misses", structure->misses);
	hs_json_add_double(json, "miss_pct", share(structure->misses, structure->hits + structure->misses), 4);
	hs_json_add_u64(json, "prefetch_hits", structure->prefetch_hits);
	hs_json_add_u64(json, "prefetch_misses", structure->prefetch_misses);
	hs_json_add_u64(json, "fills", structure->fills);
	hs_json_add_u64(json, "evictions", structure->evictions);
	hs_json_add_u64(json, "invalidated", structure->invalidated);
	hs_json_add_u64(json, "held", structure->held);
}

static void add_structures(json_object *document, const struct hs_sim_result *result,
			   const struct hs_sim_config *config)
{
	static const char *const pages[HS_SIM_LEVELS] = { "l1", "l2", "l3", "l4" };
	json_object *json = hs_json_add_object(document, "caches");

	add_structure(json, "dtlb", &result->dtlb, config->dtlb.entries);
	add_structure(json, "prefetch", &result->prefetch, config->prefetch_entries);
	add_structure(json, "context", &result->context, config->context.entries);
	for (unsigned int i = 0; i < HS_SIM_LEVELS; i++)
		add_structure(json, pages[i], &result->page[i], config->page[i].entries);
}

static void add_latency(json_object *document, const struct hs_sim_result *result)
{
	json_object *json = hs_json_add_object(document, "latency_ns"), *parts;

	hs_json_add_double(json, "average", ratio(result->latency_ps.sum, result->latency_ps.count) / 1e3, 3);
	for (size_t i = 0; i < HS_ARRAY_SIZE(quantiles); i++)
		hs_json_add_double(json, quantile_names[i],
				   (double)hs_histogram_quantile(&result->latency_ps, quantiles[i]) / 1e3, 3);
	hs_json_add_double(json, "max", (double)result->latency_ps.max / 1e3, 3);
	parts = hs_json_add_object(document, "time_pct");
	for (unsigned int i = 0; i < HS_SIM_PART_NR; i++)
		hs_json_add_double(parts, hs_sim_part_names[i], share(result->part_ps[i], result->latency_ps.sum), 4);
}

static void add_fairness(json_object *document, const struct hs_sim_result *result)
{
	json_object *json = hs_json_add_object(document, "fairness");

	hs_json_add_double(json, "jain", result->jain, 6);
	hs_json_add_double(json, "min_bps", result->rate_min_bps, 0);
	hs_json_add_double(json, "max_bps", result->rate_max_bps, 0);
	hs_json_add_u64(json, "slowest", result->worst);
	hs_json_add_u64(json, "fastest", result->best);
}

static void add_prefetch(json_object *document, const struct hs_sim_result *result)
{
	json_object *json = hs_json_add_object(document, "prefetching");

	hs_json_add_u64(json, "asked", result->prefetches);
	hs_json_add_u64(json, "spared", result->prefetches_spared);
	hs_json_add_u64(json, "reads", result->prefetch_reads);
	hs_json_add_u64(json, "guesses", result->guesses);
	hs_json_add_u64(json, "right", result->guesses_right);
}

json_object *hs_sim_result_to_json(const struct hs_sim_result *result, const struct hs_sim_config *config)
{
	json_object *document = json_object_new_object();

	hs_json_add_string(document, "schema", "hsbpf.iommu-sim/1");
	hs_json_add_string(document, "version", HS_VERSION);
	hs_sim_config_to_json(config, document, "config");
	hs_json_add_u64(document, "tenants", result->active_nr);
	hs_json_add_u64(document, "translations", result->translations);
	hs_json_add_u64(document, "packets", result->packets);
	hs_json_add_u64(document, "slots_lost", result->slots_lost);
	hs_json_add_u64(document, "elapsed_ps", result->elapsed_ps);
	hs_json_add_double(document, "link_pct", result->link_pct, 4);
	hs_json_add_double(document, "rate_bps", result->rate_bps, 0);
	add_latency(document, result);
	add_structures(document, result, config);
	hs_json_add_u64(document, "walk_reads", result->walk_reads);
	hs_json_add_double(document, "walk_reads_per_translation", ratio(result->walk_reads, result->translations), 6);
	hs_json_add_u64(document, "context_reads", result->context_reads);
	add_prefetch(document, result);
	hs_json_add_u64(document, "invalidations", result->invalidations);
	add_fairness(document, result);
	return document;
}

/* ---- tenants ---- */

void hs_sim_result_print_tenants(const struct hs_sim_result *result, const struct hs_dmatrace *trace, FILE *out)
{
	fputs("tenant,source,sid,domain,translations,packets,rate_bps,dtlb_hits,dtlb_misses,walk_reads,latency_avg_ns,"
	      "latency_max_ns\n",
	      out);
	for (uint32_t i = 0; i < result->tenant_nr; i++) {
		const struct hs_sim_tenant *tenant = &result->tenants[i];
		const struct hs_dmatrace_tenant *from = &trace->tenants[i];

		fprintf(out, "%u,%u,%u,%u,%" PRIu64 ",%" PRIu64 ",%.0f,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%.3f,%.3f\n",
			i, from->source, from->sid, from->domain, tenant->translations, tenant->packets,
			tenant->rate_bps, tenant->dtlb_hits, tenant->translations - tenant->dtlb_hits,
			tenant->walk_reads, ratio(tenant->latency_ps, tenant->translations) / 1e3,
			(double)tenant->latency_max_ps / 1e3);
	}
}
