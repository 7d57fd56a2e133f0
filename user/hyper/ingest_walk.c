// SPDX-License-Identifier: GPL-2.0-only
/* Page table entries by log, domain and address. Called by the reader of logs for each step of a walk. One thread. */
#include "hyper/ingest_walk.h"

#include <errno.h>
#include <string.h>

#include "migtools/random.h"

#define FREE_SLOT 0 /* else 1 + index */

struct hs_ingest_walks {
	struct hs_ingest_walk *entries;
	uint32_t *slots;
	uint32_t nr, slot_nr; /* slots: a power of two, at most half full */
};

int hs_ingest_walks_open(struct hs_ingest_walks **out)
{
	struct hs_ingest_walks *walks = calloc(1, sizeof(*walks));

	if (!walks)
		return -ENOMEM;
	*out = walks;
	return 0;
}

void hs_ingest_walks_free(struct hs_ingest_walks *walks)
{
	if (!walks)
		return;
	free(walks->entries);
	free(walks->slots);
	free(walks);
}

const struct hs_ingest_walk *hs_ingest_walks_list(const struct hs_ingest_walks *walks, size_t *nr)
{
	*nr = walks->nr;
	return walks->entries;
}

static bool is_same(const struct hs_ingest_walk *a, const struct hs_ingest_walk *b)
{
	return a->address == b->address && a->source == b->source && a->domain == b->domain;
}

/* The slot of an entry like `walk`, or the free one where it belongs. */
static uint32_t *find_slot(const struct hs_ingest_walks *walks, const struct hs_ingest_walk *walk)
{
	uint64_t hash = hs_page_mix(walk->address ^ (uint64_t)walk->domain << 52 ^ (uint64_t)walk->source << 40);
	uint32_t at = (uint32_t)hash & (walks->slot_nr - 1);

	while (walks->slots[at] != FREE_SLOT && !is_same(&walks->entries[walks->slots[at] - 1], walk))
		at = (at + 1) & (walks->slot_nr - 1);
	return &walks->slots[at];
}

static int grow(struct hs_ingest_walks *walks)
{
	uint32_t slot_nr = walks->slot_nr ? 2 * walks->slot_nr : 1024;
	struct hs_ingest_walk *entries = realloc(walks->entries, slot_nr / 2 * sizeof(*entries));
	uint32_t *slots = calloc(slot_nr, sizeof(*slots));

	if (entries)
		walks->entries = entries;
	if (!entries || !slots) {
		free(slots);
		return -ENOMEM;
	}
	free(walks->slots);
	walks->slots = slots;
	walks->slot_nr = slot_nr;
	for (uint32_t i = 0; i < walks->nr; i++)
		*find_slot(walks, &walks->entries[i]) = i + 1;
	return 0;
}

int hs_ingest_walks_put(struct hs_ingest_walks *walks, struct hs_ingest_walk walk)
{
	uint32_t *slot;
	int err;

	if (walk.level < 1 || walk.level > 5)
		return 0; /* of no table that there is */
	walk.address = walk.table + ((walk.iova >> (12 + 9 * (walk.level - 1)) & 511) << 3);
	if (2 * walks->nr == walks->slot_nr) {
		err = walks->nr < HS_INGEST_WALKS_MAX ? grow(walks) : -E2BIG;
		if (err)
			return err;
	}
	slot = find_slot(walks, &walk);
	if (*slot == FREE_SLOT)
		*slot = ++walks->nr;
	walks->entries[*slot - 1] = walk;
	return 0;
}
