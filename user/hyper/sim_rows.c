// SPDX-License-Identifier: GPL-2.0-only
/* A hash as libstdc++ keeps it (include/bits/hashtable.h): the growth of its buckets, and where a key goes in the list.
 */
#include "hyper/sim_rows.h"

#include <errno.h>
#include <string.h>

#define NONE UINT32_MAX
#define LFU_MAX 15
#define BEFORE_FIRST 0

void hs_sim_rand_open(struct hs_sim_rand *rand)
{
	memset(rand, 0, sizeof(*rand));
	initstate_r(1, rand->state, sizeof(rand->state), &rand->data);
}

int hs_sim_row_open(uint32_t ways, struct hs_sim_row *row)
{
	*row = (struct hs_sim_row){ .ways = ways, .bucket_nr = 1, .free = NONE };
	row->nodes = calloc((size_t)ways + 1, sizeof(*row->nodes));
	row->buckets = malloc(sizeof(*row->buckets));
	if (!row->nodes || !row->buckets) {
		hs_sim_row_close(row);
		return -ENOMEM;
	}
	row->buckets[0] = NONE;
	row->nodes[BEFORE_FIRST].next = NONE;
	for (uint32_t i = ways; i > 0; i--) {
		row->nodes[i].next = row->free;
		row->free = i;
	}
	return 0;
}

void hs_sim_row_close(struct hs_sim_row *row)
{
	free(row->nodes);
	free(row->buckets);
	*row = (struct hs_sim_row){ 0 };
}

static uint32_t bucket_of(uint64_t address, uint32_t tenant, uint32_t buckets)
{
	return (uint32_t)((address << 16 | tenant) % buckets);
}

static uint32_t bucket_of_node(const struct hs_sim_row *row, uint32_t node, uint32_t buckets)
{
	return bucket_of(row->nodes[node].address, row->nodes[node].tenant, buckets);
}

/* The node before it, or NONE. */
static uint32_t find_before(const struct hs_sim_row *row, uint64_t address, uint32_t tenant)
{
	uint32_t bucket = bucket_of(address, tenant, row->bucket_nr), before = row->buckets[bucket];

	if (before == NONE)
		return NONE;
	for (uint32_t node = row->nodes[before].next; node != NONE; node = row->nodes[node].next) {
		if (row->nodes[node].address == address && row->nodes[node].tenant == tenant)
			return before;
		if (bucket_of_node(row, node, row->bucket_nr) != bucket)
			return NONE;
		before = node;
	}
	return NONE;
}

static void link_node(struct hs_sim_row *row, uint32_t *buckets, uint32_t bucket_nr, uint32_t node)
{
	uint32_t bucket = bucket_of_node(row, node, bucket_nr), second;

	if (buckets[bucket] != NONE) {
		row->nodes[node].next = row->nodes[buckets[bucket]].next;
		row->nodes[buckets[bucket]].next = node;
		return;
	}
	second = row->nodes[BEFORE_FIRST].next;
	row->nodes[node].next = second;
	row->nodes[BEFORE_FIRST].next = node;
	if (second != NONE)
		buckets[bucket_of_node(row, second, bucket_nr)] = node;
	buckets[bucket] = BEFORE_FIRST;
}

/* The primes that its counts of buckets go through when one key is added at a time. */
static uint32_t next_bucket_nr(uint32_t bucket_nr)
{
	static const uint32_t steps[] = { 1,	13,   29,    59,    127,   257,	  541,	  1109,
					  2357, 5087, 10273, 20753, 42043, 85229, 172933, 351061 };

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
		if (steps[i] > bucket_nr)
			return steps[i];
	return 0;
}

static int grow(struct hs_sim_row *row)
{
	uint32_t bucket_nr = next_bucket_nr(row->bucket_nr), node = row->nodes[BEFORE_FIRST].next;
	uint32_t *buckets = bucket_nr ? malloc(bucket_nr * sizeof(*buckets)) : NULL;

	if (!buckets)
		return -ENOMEM;
	memset(buckets, 0xff, bucket_nr * sizeof(*buckets));
	row->nodes[BEFORE_FIRST].next = NONE;
	while (node != NONE) {
		uint32_t next = row->nodes[node].next;

		link_node(row, buckets, bucket_nr, node);
		node = next;
	}
	free(row->buckets);
	row->buckets = buckets;
	row->bucket_nr = row->resize_at = bucket_nr;
	return 0;
}

static void remove_node(struct hs_sim_row *row, uint32_t node)
{
	uint32_t bucket = bucket_of_node(row, node, row->bucket_nr), next = row->nodes[node].next;
	uint32_t before = find_before(row, row->nodes[node].address, row->nodes[node].tenant);
	uint32_t next_bucket = next == NONE ? NONE : bucket_of_node(row, next, row->bucket_nr);

	if (next != NONE && next_bucket != bucket)
		row->buckets[next_bucket] = before;
	if (before == row->buckets[bucket] && next_bucket != bucket)
		row->buckets[bucket] = NONE;
	row->nodes[before].next = next;
	row->nodes[node].next = row->free;
	row->free = node;
	row->count--;
}

static void halve(struct hs_sim_row *row)
{
	for (uint32_t node = row->nodes[BEFORE_FIRST].next; node != NONE; node = row->nodes[node].next)
		row->nodes[node].value >>= 1;
}

bool hs_sim_row_lookup(struct hs_sim_row *row, enum hs_sim_row_policy policy, uint64_t address, uint32_t tenant,
		       uint64_t next_use)
{
	uint32_t before = find_before(row, address, tenant);
	struct hs_sim_row_node *node;

	if (before == NONE)
		return false;
	node = &row->nodes[row->nodes[before].next];
	if (policy == HS_SIM_ROW_ORACLE)
		node->value = next_use;
	else if (++node->value == LFU_MAX)
		halve(row);
	return true;
}

/* A random one of those that were used least. */
static uint32_t least_used(const struct hs_sim_row *row, struct hs_sim_rand *rand)
{
	uint64_t least = LFU_MAX;
	uint32_t count = 0, node = row->nodes[BEFORE_FIRST].next;
	int32_t random;

	for (; node != NONE; node = row->nodes[node].next) {
		if (row->nodes[node].value < least) {
			least = row->nodes[node].value;
			count = 0;
		}
		count += row->nodes[node].value == least;
	}
	random_r(&rand->data, &random);
	count = (uint32_t)random % count;
	for (node = row->nodes[BEFORE_FIRST].next;; node = row->nodes[node].next)
		if (row->nodes[node].value == least && !count--)
			return node;
}

/* The first of those that are used last. */
static uint32_t used_last(const struct hs_sim_row *row)
{
	uint32_t last = row->nodes[BEFORE_FIRST].next;

	for (uint32_t node = last; node != NONE; node = row->nodes[node].next)
		if (row->nodes[node].value > row->nodes[last].value)
			last = node;
	return last;
}

int hs_sim_row_add(struct hs_sim_row *row, enum hs_sim_row_policy policy, uint64_t address, uint32_t tenant,
		   uint64_t next_use, struct hs_sim_rand *rand, bool *conflict)
{
	uint32_t node;

	*conflict = row->count == row->ways;
	if (*conflict)
		remove_node(row, policy == HS_SIM_ROW_LFU ? least_used(row, rand) : used_last(row));
	if (row->count + 1 > row->resize_at && grow(row))
		return -ENOMEM;
	node = row->free;
	row->free = row->nodes[node].next;
	row->nodes[node] = (struct hs_sim_row_node){ .address = address,
						     .tenant = tenant,
						     .value = policy == HS_SIM_ROW_ORACLE ? next_use : 0 };
	link_node(row, row->buckets, row->bucket_nr, node);
	row->count++;
	return 0;
}
