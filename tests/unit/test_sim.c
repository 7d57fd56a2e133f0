// SPDX-License-Identifier: GPL-2.0-only
/* The simulator by what must hold whatever the numbers are, and by latencies that were added up by hand. */
#include "trace_fixture.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "hyper/sim.h"
#include "hyper/sim_cache.h"
#include "hyper/sim_next.h"

#define SLOT_PS 61680 /* 1542 bytes at 200 Gbit/s */

/* Settings are "name value name value ..." on top of a shipped configuration. */
static struct hs_sim_config make_config(const char *base, const char *settings)
{
	scoped(mem) char *words = strdup(settings);
	struct hs_sim_config config;
	char *save = NULL;

	assert_int_equal(hs_sim_config_load(base, &config), 0);
	for (char *name = strtok_r(words, " ", &save); name; name = strtok_r(NULL, " ", &save))
		assert_int_equal(hs_sim_config_set(&config, name, strtok_r(NULL, " ", &save)), 0);
	return config;
}

static void run(const struct hs_dmatrace *trace, const char *base, const char *settings, struct hs_sim_result *result)
{
	struct hs_sim_config config = make_config(base, settings);

	assert_int_equal(hs_sim_run(trace, &config, result), 0);
}

static const char no_latency[] = "pcie 0ns memory 0ns dtlb-hit 0ns context-hit 0ns page-hit 0ns prefetch-hit 0ns";
static const char endless[] = "dtlb-size 1000000000 dtlb-ways 0 context-size 1000000000 context-ways 0 "
			      "l1-size 1000000000 l1-ways 0 l2-size 1000000000 l2-ways 0 l3-size 1000000000 l3-ways 0";

static void test_one_tenant_without_latency_has_the_whole_link(void **state)
{
	const struct tenants_load load = { .tenants = 1, .packets = 5000 };
	scoped(hs_dmatrace) struct hs_dmatrace *trace = make_trace(state, &load);
	static const char *const bases[] = { "base", "hypertrio" };

	for (size_t i = 0; i < HS_ARRAY_SIZE(bases); i++) {
		scoped(hs_sim_result) struct hs_sim_result result = { 0 };

		run(trace, bases[i], no_latency, &result);
		assert_int_equal(result.elapsed_ps, 5000ull * SLOT_PS);
		assert_int_equal(result.slots_lost, 0);
		assert_true(fabs(result.link_pct - 100) < 1e-9);
		assert_int_equal(result.latency_ps.max, 0);
	}
}

static void test_slots_are_not_rounded(void **state)
{
	const struct tenants_load load = { .tenants = 1, .packets = 3000 };
	scoped(hs_dmatrace) struct hs_dmatrace *trace = make_trace(state, &load);
	scoped(hs_sim_result) struct hs_sim_result result = { 0 };
	struct hs_sim_config config = make_config("base", no_latency);

	config.link_bps = 7000000000ull; /* 1542 * 8 / 7 ns: no whole number of anything */
	assert_int_equal(hs_sim_run(trace, &config, &result), 0);
	assert_int_equal(result.elapsed_ps, 3000ull * 1542 * 8 * 1000 / 7);
}

static void test_slots_that_go_by_are_counted_and_not_rounded_either(void **state)
{
	const struct hs_dmatrace_record records[] = {
		hs_dmatrace_make_translation(0, 0x1000, 3, 0, true, false),
		hs_dmatrace_make_translation(0, 0x1000, 3, 0, true, false),
	};
	scoped(hs_dmatrace) struct hs_dmatrace *trace = trace_of(state, records, 2, 3);
	scoped(hs_sim_result) struct hs_sim_result result = { 0 };
	struct hs_sim_config config = make_config("base", "queue 1 memory 100ms");
	const uint64_t first_done_ps = (900 + 1 + 5 + 5 * 100000000ull) * 1000;
	uint64_t slot;

	config.link_bps = 7000000000000ull;
	assert_int_equal(hs_sim_run(trace, &config, &result), 0);
	slot = result.slots_lost + 1; /* that of the second packet, which finds its page in the TLB */
	assert_int_equal(result.elapsed_ps, slot * 1542 * 8 / 7 + 2000);
	assert_true(slot * 1542 * 8 / 7 >= first_done_ps && (slot - 1) * 1542 * 8 / 7 < first_done_ps);
}

/* Distinct pages of tenants as the structure of that level sees them; level 0: the device, by size. */
static uint64_t count_pages(const struct hs_dmatrace *trace, unsigned int level)
{
	const struct hs_sim_cache_config config = { .entries = HS_SIM_ENTRIES_MAX };
	struct hs_sim_cache seen;
	uint64_t count;

	assert_int_equal(hs_sim_cache_open(&config, 1, &seen), 0);
	for (uint64_t i = 0; i < trace->header->record_nr; i++) {
		const struct hs_dmatrace_record *record = &trace->records[i];
		unsigned int size = hs_dmatrace_size_class(record), shift = level ? 3 + 9 * level : 12 + 9 * size;
		struct hs_sim_key key = { .page = hs_dmatrace_iova(record) >> shift << 2 | (level ? 0 : size),
					  .tenant = hs_dmatrace_tenant(record) };

		if (!level || size + 1 <= level)
			assert_int_equal(hs_sim_cache_fill(&seen, &key, 0), 0);
	}
	count = seen.held;
	hs_sim_cache_close(&seen);
	return count;
}

static void test_endless_caches_miss_what_was_never_seen_and_nothing_else(void **state)
{
	const struct tenants_load loads[] = {
		{ .tenants = 20, .packets = 4000, .run = 8 },
		{ .tenants = 7, .packets = 4000, .random = true, .small_every = 5, .giant_every = 5 }
	};

	for (size_t i = 0; i < HS_ARRAY_SIZE(loads); i++) {
		scoped(hs_dmatrace) struct hs_dmatrace *trace = make_trace(state, &loads[i]);
		scoped(hs_sim_result) struct hs_sim_result result = { 0 };
		struct hs_sim_config config = make_config("base", endless);

		config.queue = 1;
		assert_int_equal(hs_sim_run(trace, &config, &result), 0);
		assert_int_equal(result.dtlb.misses, count_pages(trace, 0));
		assert_int_equal(result.context.misses, loads[i].tenants);
		assert_int_equal(result.page[0].misses, count_pages(trace, 1));
		assert_int_equal(result.page[1].misses, count_pages(trace, 2));
		assert_int_equal(result.page[2].misses, count_pages(trace, 3));
		/* Each entry of each table is read once: that of level 1, 2 and 3. */
		assert_int_equal(result.walk_reads,
				 count_pages(trace, 1) + count_pages(trace, 2) + count_pages(trace, 3));
		assert_int_equal(result.dtlb.evictions, 0);
		assert_int_equal(result.dtlb.hits + result.dtlb.misses, result.translations);
	}
}

static void test_the_optimum_is_never_worse_than_any_policy(void **state)
{
	static const char *const sizes[] = { "dtlb-size 64 dtlb-ways 8", "dtlb-size 64 dtlb-ways 8 dtlb-partitions 8",
					     "dtlb-size 16 dtlb-ways 0", "dtlb-size 256 dtlb-ways 16 dtlb-index hash",
					     "dtlb-size 100 dtlb-ways 0" };
	const struct tenants_load loads[] = {
		{ .tenants = 24, .packets = 6000, .run = 5 },
		{ .tenants = 24, .packets = 6000, .random = true, .data_pages = 4 },
		{ .tenants = 3, .packets = 6000, .run = 3, .small_every = 3, .giant_every = 3 }
	};

	for (size_t i = 0; i < HS_ARRAY_SIZE(loads); i++) {
		scoped(hs_dmatrace) struct hs_dmatrace *trace = make_trace(state, &loads[i]);
		uint64_t differ = 0;

		for (size_t size = 0; size < HS_ARRAY_SIZE(sizes); size++) {
			uint64_t misses[HS_SIM_OPTIMUM + 1];

			for (int policy = 0; policy <= HS_SIM_OPTIMUM; policy++) {
				scoped(hs_sim_result) struct hs_sim_result result = { 0 };
				struct hs_sim_config config = make_config("base", sizes[size]);

				config.queue = 1;
				config.dtlb.policy = policy;
				assert_int_equal(hs_sim_run(trace, &config, &result), 0);
				misses[policy] = result.dtlb.misses;
			}
			for (int policy = 0; policy < HS_SIM_OPTIMUM; policy++) {
				assert_true(misses[HS_SIM_OPTIMUM] <= misses[policy]);
				differ += misses[policy] - misses[HS_SIM_OPTIMUM];
			}
		}
		assert_true(differ > 0);
	}
}

static void expect_same(const struct hs_sim_result *one, const struct hs_sim_result *other)
{
	assert_int_equal(one->elapsed_ps, other->elapsed_ps);
	assert_int_equal(one->slots_lost, other->slots_lost);
	assert_int_equal(one->latency_ps.sum, other->latency_ps.sum);
	assert_int_equal(one->latency_ps.max, other->latency_ps.max);
	assert_int_equal(one->walk_reads, other->walk_reads);
	assert_int_equal(one->prefetch_reads, other->prefetch_reads);
	assert_memory_equal(one->part_ps, other->part_ps, sizeof(one->part_ps));
	assert_memory_equal(&one->dtlb, &other->dtlb, sizeof(one->dtlb));
	assert_memory_equal(&one->prefetch, &other->prefetch, sizeof(one->prefetch));
	assert_memory_equal(&one->context, &other->context, sizeof(one->context));
	assert_memory_equal(one->page, other->page, sizeof(one->page));
	assert_true(fabs(one->jain - other->jain) < 1e-12);
	assert_true(one->rate_min_bps == other->rate_min_bps && one->rate_max_bps == other->rate_max_bps);
}

static const char *const variants[] = { "",
					"dtlb-policy random",
					"dtlb-policy optimum order in",
					"dtlb-policy lfu dtlb-index hash",
					"dtlb-policy fifo prefetch-size 64",
					"context-size 8 context-ways 2 context-policy lru nested-levels 4" };

static void test_results_do_not_depend_on_how_tenants_are_numbered(void **state)
{
	struct tenants_load load = { .tenants = 37, .packets = 5000, .random = true, .seed = 3, .unmap_every = 9 };

	for (size_t i = 0; i < HS_ARRAY_SIZE(variants); i++) {
		scoped(hs_sim_result) struct hs_sim_result plain = { 0 }, rotated = { 0 };

		for (load.rotate = 0; load.rotate <= 11; load.rotate += 11) {
			scoped(hs_dmatrace) struct hs_dmatrace *trace = make_trace(state, &load);

			run(trace, "hypertrio", variants[i], load.rotate ? &rotated : &plain);
		}
		expect_same(&plain, &rotated);
		assert_memory_equal(&plain.tenants[0], &rotated.tenants[11], sizeof(plain.tenants[0]));
		assert_int_equal((plain.worst + 11) % 37, rotated.worst);
	}
}

static void test_the_same_seed_gives_the_same_result_and_another_one_does_not(void **state)
{
	const struct tenants_load load = { .tenants = 50, .packets = 5000, .random = true };
	scoped(hs_dmatrace) struct hs_dmatrace *trace = make_trace(state, &load);
	scoped(hs_sim_result) struct hs_sim_result one = { 0 }, again = { 0 }, other = { 0 };

	run(trace, "base", "dtlb-policy random seed 7", &one);
	run(trace, "base", "dtlb-policy random seed 7", &again);
	run(trace, "base", "dtlb-policy random seed 8", &other);
	expect_same(&one, &again);
	assert_int_not_equal(one.dtlb.hits, other.dtlb.hits);
}

static void test_parts_of_the_time_are_all_of_it(void **state)
{
	const struct tenants_load load = {
		.tenants = 40, .packets = 5000, .random = true, .small_every = 4, .giant_every = 4, .unmap_every = 7
	};
	scoped(hs_dmatrace) struct hs_dmatrace *trace = make_trace(state, &load);

	for (size_t i = 0; i < HS_ARRAY_SIZE(variants); i++) {
		scoped(hs_sim_result) struct hs_sim_result result = { 0 };
		uint64_t sum = 0, of_tenants = 0, translations = 0, packets = 0;

		run(trace, "hypertrio", variants[i], &result);
		for (unsigned int part = 0; part < HS_SIM_PART_NR; part++)
			sum += result.part_ps[part];
		for (uint32_t tenant = 0; tenant < result.tenant_nr; tenant++) {
			of_tenants += result.tenants[tenant].latency_ps;
			translations += result.tenants[tenant].translations;
			packets += result.tenants[tenant].packets;
		}
		assert_int_equal(sum, result.latency_ps.sum);
		assert_int_equal(of_tenants, result.latency_ps.sum);
		assert_int_equal(result.latency_ps.count, trace->header->translation_nr);
		assert_int_equal(translations, trace->header->translation_nr);
		assert_int_equal(packets, trace->header->packet_nr);
		assert_int_equal(result.dtlb.hits + result.dtlb.misses, result.translations);
		assert_int_equal(result.prefetch.hits + result.prefetch.misses, result.dtlb.misses);
		assert_int_equal(result.context.hits + result.context.misses, result.prefetch.misses);
		assert_int_equal(result.part_ps[HS_SIM_PART_ORDER] > 0, strstr(variants[i], "order in") != NULL);
	}
}

/* The latency in ns of the first translation of nothing else, and then of the same again. */
static void expect_latency(void **state, int levels, unsigned int size, const char *settings, uint64_t first_ns,
			   uint64_t reads)
{
	const struct hs_dmatrace_record records[] = {
		hs_dmatrace_make_translation(0, 0x7fc0000123, 0x83, size, true, false),
		hs_dmatrace_make_translation(0, 0x7fc0000128, 0x83, size, true, false),
	};
	scoped(hs_dmatrace) struct hs_dmatrace *trace = trace_of(state, records, 2, levels);
	scoped(hs_sim_result) struct hs_sim_result result = { 0 };
	struct hs_sim_config config = make_config("base", settings);

	config.queue = 1;
	assert_int_equal(hs_sim_run(trace, &config, &result), 0);
	assert_int_equal(result.latency_ps.max, first_ns * 1000);
	assert_int_equal(result.latency_ps.min, 2000); /* the TLB */
	assert_int_equal(result.walk_reads, reads);
}

static void test_a_walk_costs_what_its_depth_its_leaf_and_its_nesting_make_it_cost(void **state)
{
	const uint64_t way = 2 * 450 + 1 + 2 * 50 + 5; /* PCIe, a context that is not there, caches of pages */

	expect_latency(state, 3, 0, "", way + 3 * 50, 3);
	expect_latency(state, 3, 1, "", way + 2 * 50, 2);
	expect_latency(state, 3, 2, "", way + 50, 1);
	expect_latency(state, 4, 0, "", way + 4 * 50, 4);
	expect_latency(state, 5, 0, "", way + 5 * 50, 5);
	expect_latency(state, 4, 0, "nested-levels 4", way + 24 * 50, 24);
	expect_latency(state, 4, 1, "nested-levels 4", way + 19 * 50, 19);
	expect_latency(state, 5, 0, "nested-levels 5 context-reads 8", way + (35 + 6) * 50, 35);
	expect_latency(state, 3, 3, "", way + 50, 1); /* a leaf above the root is the root */
	expect_latency(state, 3, 0, "memory 10ns pcie 7ns context-reads 0 context-hit 3ns page-hit 4ns",
		       14 + 3 + 4 + 30, 3);
}

static void test_what_a_cache_of_pages_has_is_not_read(void **state)
{
	/* Neighbours of what was walked: in its table of 4 KiB pages, in that above, and in the one above that. */
	const uint64_t base = 0x7fc0000000, neighbours[] = { 0x1000, 0x200000, 0x40000000 };
	const uint64_t reads[] = { 1, 2, 3 }, nested[] = { 5, 10, 19 };

	for (size_t i = 0; i < HS_ARRAY_SIZE(reads); i++) {
		const struct hs_dmatrace_record records[] = {
			hs_dmatrace_make_translation(0, base, 3, 0, true, false),
			hs_dmatrace_make_translation(0, base ^ neighbours[i], 3, 0, true, false),
		};
		scoped(hs_dmatrace) struct hs_dmatrace *trace = trace_of(state, records, 2, 3);
		scoped(hs_sim_result) struct hs_sim_result flat = { 0 }, deep = { 0 };

		run(trace, "base", "queue 1", &flat);
		run(trace, "base", "queue 1 nested-levels 4", &deep);
		assert_int_equal(flat.walk_reads, 3 + reads[i]);
		assert_int_equal(deep.walk_reads, 19 + nested[i]);
	}
}

static void test_a_small_page_is_no_large_one_at_the_same_address(void **state)
{
	const struct hs_dmatrace_record records[] = {
		hs_dmatrace_make_translation(0, 0x40000000, 3, 0, true, false),
		hs_dmatrace_make_translation(0, 0x40000000, 0x83, 1, true, false),
		hs_dmatrace_make_translation(0, 0x40000000, 0x83, 2, true, false),
		hs_dmatrace_make_translation(0, 0x40000000, 3, 0, true, false),
	};
	scoped(hs_dmatrace) struct hs_dmatrace *trace = trace_of(state, records, 4, 3);
	scoped(hs_sim_result) struct hs_sim_result result = { 0 };

	run(trace, "base", "queue 1", &result);
	assert_int_equal(result.dtlb.misses, 3);
	assert_int_equal(result.dtlb.hits, 1);
}

static void test_what_was_invalidated_is_walked_again(void **state)
{
	static const struct {
		struct hs_dmatrace_record what;
		uint64_t misses, contexts, reads; /* of four translations */
	} cases[] = {
		/* the first page again, by its walk from the root: nothing above it was kept either */
		{ { .a = 0x40000000ull | 1ull << HS_DMATRACE_KIND_SHIFT, .b = 0 }, 3, 1, 3 + 1 + 3 },
		/* both; the second finds the table that the first read */
		{ { .a = 0x40000000ull | 1ull << HS_DMATRACE_KIND_SHIFT, .b = 9ull << HS_DMATRACE_ORDER_SHIFT },
		  4,
		  1,
		  8 },
		{ { .a = 0x80000000ull | 1ull << HS_DMATRACE_KIND_SHIFT, .b = 0 }, 2, 1, 4 },
		{ { .a = 2ull << HS_DMATRACE_KIND_SHIFT }, 4, 1, 8 },
		{ { .a = 3ull << HS_DMATRACE_KIND_SHIFT }, 4, 1, 8 },
		{ { .a = 4ull << HS_DMATRACE_KIND_SHIFT }, 4, 2, 8 },
	};

	for (size_t i = 0; i < HS_ARRAY_SIZE(cases); i++) {
		struct hs_dmatrace_record records[5];
		scoped(hs_sim_result) struct hs_sim_result result = { 0 }, ignored = { 0 };

		for (int at = 0; at < 5; at++)
			records[at] =
				hs_dmatrace_make_translation(0, 0x40000000 + (at % 3 ? 0x1000u : 0), 3, 0, true, false);
		records[2] = cases[i].what;
		scoped(hs_dmatrace) struct hs_dmatrace *trace = trace_of(state, records, 5, 3);

		run(trace, "base", "queue 1", &result);
		run(trace, "base", "queue 1 invalidations ignore", &ignored);
		assert_int_equal(result.dtlb.misses, cases[i].misses);
		assert_int_equal(result.context.misses, cases[i].contexts);
		assert_int_equal(result.walk_reads, cases[i].reads);
		assert_int_equal(result.invalidations, 1);
		assert_int_equal(ignored.dtlb.misses, 2);
		assert_int_equal(ignored.invalidations, 0);
	}
}

static void test_an_answer_from_before_an_invalidation_is_not_kept(void **state)
{
	const struct hs_dmatrace_record records[] = {
		hs_dmatrace_make_translation(0, 0x40000000, 3, 0, true, false),
		hs_dmatrace_make_translation(0, 0x50000000, 3, 0, true, false),
		hs_dmatrace_make_invalidation(0, HS_DMATRACE_INV_PAGES, 0x40000000, 0),
		hs_dmatrace_make_translation(0, 0x60000000, 3, 0, true, false),
		hs_dmatrace_make_translation(0, 0x40000000, 3, 0, true, false),
	};
	scoped(hs_dmatrace) struct hs_dmatrace *trace = trace_of(state, records, 5, 3);
	scoped(hs_sim_result) struct hs_sim_result result = { 0 }, ignored = { 0 };

	/* The first walk has begun when the invalidation comes; the last translation waits for the first's end. */
	run(trace, "base", "queue 3 pcie 0ns memory 1us", &result);
	run(trace, "base", "queue 3 pcie 0ns memory 1us invalidations ignore", &ignored);
	assert_int_equal(result.dtlb.misses, 4);
	assert_int_equal(result.dtlb.fills, 3);
	assert_int_equal(ignored.dtlb.misses, 3);
	assert_int_equal(ignored.dtlb.fills, 3);
}

static void test_no_more_translations_are_pending_than_the_queue_takes(void **state)
{
	const struct tenants_load load = { .tenants = 200, .packets = 4000 };
	scoped(hs_dmatrace) struct hs_dmatrace *trace = make_trace(state, &load);
	double last_pct = 0;

	for (unsigned int queue = 1; queue <= 64; queue *= 2) {
		scoped(hs_sim_result) struct hs_sim_result result = { 0 };
		struct hs_sim_config config = make_config("base", "");
		double pending;

		config.queue = queue;
		assert_int_equal(hs_sim_run(trace, &config, &result), 0);
		/* Little's law: what is pending on average is arrivals times stay, without the wait for a place. */
		pending =
			(double)(result.latency_ps.sum - result.part_ps[HS_SIM_PART_QUEUE]) / (double)result.elapsed_ps;
		assert_true(pending <= queue);
		assert_true(pending > 0.9 * queue || result.link_pct > 99);
		assert_true(result.link_pct >= last_pct);
		last_pct = result.link_pct;
	}
	assert_true(last_pct > 99);
}

static void test_prefetching_of_size_0_is_none_and_of_the_right_size_fills_the_link(void **state)
{
	const struct tenants_load load = { .tenants = 64, .packets = 20000 };
	scoped(hs_dmatrace) struct hs_dmatrace *trace = make_trace(state, &load);
	scoped(hs_sim_result) struct hs_sim_result none = { 0 }, some = { 0 };

	run(trace, "hypertrio", "prefetch-size 0", &none);
	assert_int_equal(none.prefetches + none.prefetches_spared + none.prefetch_reads + none.guesses, 0);
	assert_int_equal(none.page[1].prefetch_hits + none.page[1].prefetch_misses, 0);
	run(trace, "hypertrio", "prefetch-size 32", &some);
	assert_true(some.prefetches > 0 && some.prefetch.hits > 0);
	assert_true(some.guesses_right == some.guesses); /* tenants come in turn */
	assert_true(none.link_pct < 75 && some.link_pct > 95);
}

static void test_the_first_tenants_alone_are_a_trace_of_them(void **state)
{
	const struct tenants_load all = { .tenants = 40, .packets = 40 * 200, .unmap_every = 9 };
	const struct tenants_load few = { .tenants = 5, .packets = 5 * 200, .unmap_every = 9 };
	scoped(hs_dmatrace) struct hs_dmatrace *large = make_trace(state, &all), *small = make_trace(state, &few);

	for (size_t i = 0; i < HS_ARRAY_SIZE(variants); i++) {
		scoped(hs_sim_result) struct hs_sim_result one = { 0 }, other = { 0 };
		struct hs_sim_config config = make_config("hypertrio", variants[i]);

		run(small, "hypertrio", variants[i], &one);
		config.tenants = 5;
		assert_int_equal(hs_sim_run(large, &config, &other), 0);
		expect_same(&one, &other);
		config.tenants = 41;
		assert_int_equal(hs_sim_run(large, &config, &other), -EINVAL);
	}
}

static void test_next_uses_are_those_that_a_search_finds(void **state)
{
	const struct tenants_load load = {
		.tenants = 5, .packets = 400, .random = true, .small_every = 3, .giant_every = 3, .unmap_every = 4
	};
	scoped(hs_dmatrace) struct hs_dmatrace *trace = make_trace(state, &load);
	scoped(mem) uint32_t *next = NULL;

	assert_int_equal(hs_sim_next_make(trace, true, &next), 0);
	for (uint32_t i = 0; i < trace->header->record_nr; i++) {
		const struct hs_dmatrace_record *one = &trace->records[i], *other;
		uint32_t at = i + 1;

		if (hs_dmatrace_kind(one) != HS_DMATRACE_TRANSLATION)
			continue;
		for (; at < trace->header->record_nr; at++) {
			other = &trace->records[at];
			if (hs_dmatrace_kind(other) == HS_DMATRACE_TRANSLATION &&
			    hs_dmatrace_tenant(other) == hs_dmatrace_tenant(one) &&
			    hs_dmatrace_size_class(other) == hs_dmatrace_size_class(one) &&
			    !((hs_dmatrace_iova(other) ^ hs_dmatrace_iova(one)) >> hs_dmatrace_page_shift(one)))
				break;
		}
		assert_int_equal(next[i], at < trace->header->record_nr ? at : HS_SIM_NEVER);
	}
}

static void test_configurations_that_do_not_fit_together_are_refused(void **state)
{
	static const char *const bad[] = { "dtlb-size 63",
					   "dtlb-partitions 3",
					   "context-policy optimum",
					   "page-policy optimum",
					   "l2-partitions 64",
					   "link 100T packet 1",
					   "link 1",
					   "pcie 2s",
					   "memory 500000h" };
	struct hs_sim_config config;

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(bad); i++) {
		config = make_config("base", bad[i]);
		assert_int_equal(hs_sim_config_check(&config), -EINVAL);
	}
	assert_int_equal(hs_sim_config_load("hypersio", &config), 0);
	assert_int_equal(hs_sim_config_load("/nowhere/x.conf", &config), -ENOENT);
	assert_int_equal(hs_sim_config_set(&config, "nonsense", "1"), -ENOENT);
	assert_int_equal(hs_sim_config_set(&config, "queue", "0"), -ERANGE);
	assert_int_equal(hs_sim_config_set(&config, "dtlb-policy", "best"), -EINVAL);
	assert_int_equal(hs_sim_config_set(&config, "link", "fast"), -EINVAL);
	assert_int_equal(hs_sim_config_set(&config, "link", "400G"), 0);
	assert_int_equal(config.link_bps, 400000000000ull);
}

static void test_a_trace_without_translations_is_no_result(void **state)
{
	const struct hs_dmatrace_record record = hs_dmatrace_make_invalidation(0, HS_DMATRACE_INV_GLOBAL, 0, 0);
	scoped(hs_dmatrace) struct hs_dmatrace *trace = trace_of(state, &record, 1, 3);
	scoped(hs_sim_result) struct hs_sim_result result = { 0 };
	struct hs_sim_config config = make_config("base", "");

	assert_int_equal(hs_sim_run(trace, &config, &result), -ENODATA);
}

static void test_time_that_64_bits_cannot_say_is_no_result(void **state)
{
	const struct tenants_load load = { .tenants = 2, .packets = 100000 };
	scoped(hs_dmatrace) struct hs_dmatrace *trace = make_trace(state, &load);
	scoped(hs_sim_result) struct hs_sim_result result = { 0 };
	/* One after another, each with 2 s of PCIe and some 20 reads of a second. */
	struct hs_sim_config config = make_config(
		"base",
		"queue 1 pcie 1s memory 1s nested-levels 5 dtlb-size 0 l1-size 0 l2-size 0 l3-size 0 l4-size 0");

	assert_int_equal(hs_sim_config_check(&config), 0);
	assert_int_equal(hs_sim_run(trace, &config, &result), -EOVERFLOW);
	assert_int_equal(hs_sim_config_set(&config, "memory", "1us"), 0);
	assert_int_equal(hs_sim_run(trace, &config, &result), 0);
	assert_true(result.elapsed_ps > 2 * result.translations * 1000000000000ull);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_tenant_without_latency_has_the_whole_link),
		cmocka_unit_test(test_slots_are_not_rounded),
		cmocka_unit_test(test_slots_that_go_by_are_counted_and_not_rounded_either),
		cmocka_unit_test(test_endless_caches_miss_what_was_never_seen_and_nothing_else),
		cmocka_unit_test(test_the_optimum_is_never_worse_than_any_policy),
		cmocka_unit_test(test_results_do_not_depend_on_how_tenants_are_numbered),
		cmocka_unit_test(test_the_same_seed_gives_the_same_result_and_another_one_does_not),
		cmocka_unit_test(test_parts_of_the_time_are_all_of_it),
		cmocka_unit_test(test_a_walk_costs_what_its_depth_its_leaf_and_its_nesting_make_it_cost),
		cmocka_unit_test(test_what_a_cache_of_pages_has_is_not_read),
		cmocka_unit_test(test_a_small_page_is_no_large_one_at_the_same_address),
		cmocka_unit_test(test_what_was_invalidated_is_walked_again),
		cmocka_unit_test(test_an_answer_from_before_an_invalidation_is_not_kept),
		cmocka_unit_test(test_no_more_translations_are_pending_than_the_queue_takes),
		cmocka_unit_test(test_prefetching_of_size_0_is_none_and_of_the_right_size_fills_the_link),
		cmocka_unit_test(test_the_first_tenants_alone_are_a_trace_of_them),
		cmocka_unit_test(test_next_uses_are_those_that_a_search_finds),
		cmocka_unit_test(test_configurations_that_do_not_fit_together_are_refused),
		cmocka_unit_test(test_a_trace_without_translations_is_no_result),
		cmocka_unit_test(test_time_that_64_bits_cannot_say_is_no_result),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("sim", tests, start, stop);
}
