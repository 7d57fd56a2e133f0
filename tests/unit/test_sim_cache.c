// SPDX-License-Identifier: GPL-2.0-only
/* Caches of the simulator against ones that are written down the long way. */
#include "cm.h"

#include <errno.h>
#include <string.h>

#include "hyper/sim_cache.h"
#include "tests/lib/tenants.h"

#define MODEL_WAYS 512
#define OPERATIONS 20000

/* A set as a list of keys, the one that goes first at the front. */
struct model_set {
	uint64_t page[MODEL_WAYS];
	uint32_t tenant[MODEL_WAYS], count;
};

static uint32_t model_find(const struct model_set *set, const struct hs_sim_key *key)
{
	for (uint32_t i = 0; i < set->count; i++)
		if (set->page[i] == key->page && set->tenant[i] == key->tenant)
			return i;
	return MODEL_WAYS;
}

static void model_remove(struct model_set *set, uint32_t i)
{
	memmove(set->page + i, set->page + i + 1, (set->count - i - 1) * sizeof(*set->page));
	memmove(set->tenant + i, set->tenant + i + 1, (set->count - i - 1) * sizeof(*set->tenant));
	set->count--;
}

static void model_append(struct model_set *set, const struct hs_sim_key *key)
{
	set->page[set->count] = key->page;
	set->tenant[set->count++] = key->tenant;
}

static bool model_lookup(struct model_set *set, const struct hs_sim_key *key, int policy)
{
	uint32_t i = model_find(set, key);

	if (i == MODEL_WAYS)
		return false;
	if (policy == HS_SIM_LRU) {
		model_remove(set, i);
		model_append(set, key);
	}
	return true;
}

static void model_fill(struct model_set *set, const struct hs_sim_key *key, int policy, uint32_t ways)
{
	if (model_lookup(set, key, policy))
		return;
	if (set->count == ways)
		model_remove(set, 0);
	model_append(set, key);
}

static uint64_t model_drop_tenant(struct model_set *sets, uint32_t set_nr, uint32_t tenant)
{
	uint64_t dropped = 0;

	for (uint32_t set = 0; set < set_nr; set++)
		for (uint32_t i = sets[set].count; i-- > 0;)
			if (sets[set].tenant[i] == tenant) {
				model_remove(&sets[set], i);
				dropped++;
			}
	return dropped;
}

static void compare_with_model(const struct hs_sim_cache_config *config)
{
	uint32_t ways = config->ways ? config->ways : config->entries, sets = config->entries / ways;
	uint32_t of_partition = sets / (config->partitions ? config->partitions : 1);
	struct model_set *model = calloc(sets, sizeof(*model));
	struct hs_sim_cache cache;
	uint64_t random = 5, held = 0;

	assert_int_equal(hs_sim_cache_open(config, 1, &cache), 0);
	for (int i = 0; i < OPERATIONS; i++) {
		uint64_t page = tenants_random(&random) % (config->entries * 2);
		struct hs_sim_key key = { .page = page,
					  .region = page / 2,
					  .tenant = (uint32_t)(tenants_random(&random) % 3) };
		uint32_t partition = config->partitions ? key.tenant % config->partitions : 0;
		struct model_set *set = &model[partition * of_partition + key.region % of_partition];
		bool is_there = model_find(set, &key) != MODEL_WAYS;

		assert_int_equal(hs_sim_cache_has(&cache, &key), is_there);
		assert_int_equal(hs_sim_cache_lookup(&cache, &key, 0), model_lookup(set, &key, config->policy));
		if (i % 7 == 0 && is_there) {
			model_remove(set, model_find(set, &key));
			assert_int_equal(hs_sim_cache_drop(&cache, &key), 1);
			assert_int_equal(hs_sim_cache_drop(&cache, &key), 0);
		} else {
			model_fill(set, &key, config->policy, ways);
			assert_int_equal(hs_sim_cache_fill(&cache, &key, 0), 0);
		}
		if (i % 999 == 0)
			assert_int_equal(hs_sim_cache_drop_tenant(&cache, 1, NULL, NULL),
					 model_drop_tenant(model, sets, 1));
	}
	for (uint32_t set = 0; set < sets; set++)
		held += model[set].count;
	assert_int_equal(cache.held, held);
	assert_true(cache.evictions > 0);
	hs_sim_cache_close(&cache);
	free(model);
}

static void test_lru_and_fifo_keep_what_the_long_way_keeps(void **state)
{
	static const struct hs_sim_cache_config shapes[] = {
		{ .entries = 64, .ways = 8 },	{ .entries = 64, .ways = 8, .partitions = 8 },
		{ .entries = 512, .ways = 16 }, { .entries = 96, .ways = 4, .partitions = 3 },
		{ .entries = 8, .ways = 1 },	{ .entries = 256, .ways = 64, .partitions = 2 },
		{ .entries = 300, .ways = 0 },	{ .entries = 5, .ways = 0 },
		{ .entries = 120, .ways = 12 },
	};

	(void)state;
	for (size_t i = 0; i < HS_ARRAY_SIZE(shapes); i++) {
		struct hs_sim_cache_config config = shapes[i];

		config.policy = HS_SIM_LRU;
		compare_with_model(&config);
		config.policy = HS_SIM_FIFO;
		compare_with_model(&config);
	}
}

static struct hs_sim_key key_of(uint64_t page)
{
	return (struct hs_sim_key){ .page = page };
}

static void fill(struct hs_sim_cache *cache, uint64_t page, uint32_t next_use)
{
	struct hs_sim_key key = key_of(page);

	assert_int_equal(hs_sim_cache_fill(cache, &key, next_use), 0);
}

static bool has(struct hs_sim_cache *cache, uint64_t page)
{
	struct hs_sim_key key = key_of(page);

	return hs_sim_cache_has(cache, &key);
}

static void use(struct hs_sim_cache *cache, uint64_t page, int times)
{
	struct hs_sim_key key = key_of(page);

	while (times-- > 0)
		assert_true(hs_sim_cache_lookup(cache, &key, 0));
}

static void test_lfu_lets_the_least_used_go_and_forgets_by_halves(void **state)
{
	const struct hs_sim_cache_config config = { .entries = 4, .ways = 4, .policy = HS_SIM_LFU };
	struct hs_sim_cache cache;

	(void)state;
	assert_int_equal(hs_sim_cache_open(&config, 1, &cache), 0);
	for (uint64_t page = 1; page <= 4; page++)
		fill(&cache, page, 0);
	use(&cache, 1, 3);
	use(&cache, 2, 2);
	use(&cache, 4, 1);
	fill(&cache, 5, 0); /* 3 was never used */
	assert_false(has(&cache, 3));
	use(&cache, 5, 2);
	fill(&cache, 6, 0); /* 4 was, once */
	assert_false(has(&cache, 4));
	use(&cache, 1, 12); /* 15: all are halved; 1 has 7, 2 and 5 have 1, 6 none */
	use(&cache, 6, 1);
	fill(&cache, 7, 0); /* of those that have 1, the one that was first with it */
	assert_false(has(&cache, 2));
	assert_true(has(&cache, 1) && has(&cache, 5) && has(&cache, 6));
	hs_sim_cache_close(&cache);
}

static void test_the_optimum_lets_go_what_is_used_last(void **state)
{
	const struct hs_sim_cache_config config = { .entries = 3, .ways = 3, .policy = HS_SIM_OPTIMUM };
	struct hs_sim_cache cache;
	struct hs_sim_key key = key_of(2);

	(void)state;
	assert_int_equal(hs_sim_cache_open(&config, 1, &cache), 0);
	fill(&cache, 1, 10);
	fill(&cache, 2, 5);
	fill(&cache, 3, 20);
	fill(&cache, 4, 7);
	assert_false(has(&cache, 3));
	assert_true(hs_sim_cache_lookup(&cache, &key, HS_SIM_NEVER));
	fill(&cache, 5, 8);
	assert_false(has(&cache, 2));
	assert_true(has(&cache, 1) && has(&cache, 4) && has(&cache, 5));
	hs_sim_cache_close(&cache);
}

static void test_without_entries_nothing_is_kept(void **state)
{
	const struct hs_sim_cache_config config = { 0 };
	struct hs_sim_cache cache;

	(void)state;
	assert_int_equal(hs_sim_cache_open(&config, 1, &cache), 0);
	fill(&cache, 1, 0);
	assert_false(has(&cache, 1));
	hs_sim_cache_close(&cache);
}

static void test_one_set_grows_as_it_fills(void **state)
{
	const struct hs_sim_cache_config config = { .entries = HS_SIM_ENTRIES_MAX };
	struct hs_sim_cache cache;

	(void)state;
	assert_int_equal(hs_sim_cache_open(&config, 1, &cache), 0);
	assert_true(cache.room < 100000);
	for (uint64_t page = 0; page < 200000; page++)
		fill(&cache, page, 0);
	for (uint64_t page = 0; page < 200000; page++)
		assert_true(has(&cache, page));
	assert_false(has(&cache, 200000));
	assert_int_equal(cache.evictions, 0);
	hs_sim_cache_close(&cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lru_and_fifo_keep_what_the_long_way_keeps),
		cmocka_unit_test(test_lfu_lets_the_least_used_go_and_forgets_by_halves),
		cmocka_unit_test(test_the_optimum_lets_go_what_is_used_last),
		cmocka_unit_test(test_without_entries_nothing_is_kept),
		cmocka_unit_test(test_one_set_grows_as_it_fills),
	};

	return RUN_TESTS("sim_cache", tests);
}
