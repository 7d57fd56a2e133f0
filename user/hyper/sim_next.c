// SPDX-License-Identifier: GPL-2.0-only
/* From the end to the begin: a hash from page and tenant to the record that was seen last. */
#include "hyper/sim_next.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "hyper/sim_cache.h"

struct seen {
	uint64_t page; /* with its size in the low bits; 0 of an empty place: a size is stored as 1 or more */
	uint32_t tenant, record;
};

struct seen_map {
	struct seen *places;
	uint64_t mask, count;
};

static struct seen *find(const struct seen_map *map, uint64_t page, uint32_t tenant)
{
	uint64_t at = (page * 0x9e3779b97f4a7c15ull ^ tenant * 0x7fb5d329728ea185ull) >> 20;

	for (;; at++) {
		struct seen *place = &map->places[at & map->mask];

		if (!place->page || (place->page == page && place->tenant == tenant))
			return place;
	}
}

static int grow(struct seen_map *map)
{
	struct seen_map grown = { .mask = map->mask * 2 + 1, .count = map->count };

	grown.places = calloc(grown.mask + 1, sizeof(*grown.places));
	if (!grown.places)
		return -ENOMEM;
	for (uint64_t i = 0; map->places && i <= map->mask; i++)
		if (map->places[i].page)
			*find(&grown, map->places[i].page, map->places[i].tenant) = map->places[i];
	free(map->places);
	*map = grown;
	return 0;
}

static int fill(const struct hs_dmatrace *trace, bool by_size, struct seen_map *map, uint32_t *next)
{
	for (uint64_t i = trace->header->record_nr; i-- > 0;) {
		const struct hs_dmatrace_record *record = &trace->records[i];
		unsigned int shift = hs_dmatrace_page_shift(record);
		struct seen *place;
		uint64_t page;

		if (hs_dmatrace_kind(record) != HS_DMATRACE_TRANSLATION)
			continue;
		if (2 * map->count >= map->mask && grow(map))
			return -ENOMEM;
		page = hs_dmatrace_iova(record) >> shift << shift | (by_size ? hs_dmatrace_size_class(record) + 1 : 1);
		place = find(map, page, hs_dmatrace_tenant(record));
		next[i] = place->page ? place->record : HS_SIM_NEVER;
		map->count += !place->page;
		*place = (struct seen){ page, hs_dmatrace_tenant(record), (uint32_t)i };
	}
	return 0;
}

int hs_sim_next_make(const struct hs_dmatrace *trace, bool by_size, uint32_t **next)
{
	struct seen_map map = { .mask = (1 << 15) - 1 };
	uint64_t records = trace->header->record_nr;
	scoped(mem) uint32_t *made = NULL;
	int err;

	if (records >= HS_SIM_NEVER)
		return hs_fail(-E2BIG, "the policy optimum takes traces of up to %u records", HS_SIM_NEVER - 1);
	made = malloc(records * sizeof(*made) + 1);
	err = made ? grow(&map) : -ENOMEM;
	if (!err)
		err = fill(trace, by_size, &map, made);
	free(map.places);
	if (err)
		return hs_fail(err, "no memory for what the policy optimum knows of %llu records",
			       (unsigned long long)records);
	*next = take(made);
	return 0;
}
