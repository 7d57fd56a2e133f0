// SPDX-License-Identifier: GPL-2.0-only
/* The table of analyses: open addressing over numbers of entries, doubled when it is half full. */
#include "analysis/keyed.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 64

static size_t hash(struct hs_key key)
{
	uint64_t one = (uint64_t)key.tgid << 32 | key.vcpu, other = (uint64_t)key.kind << 32 | key.code;
	uint64_t mixed = one * 0x9e3779b97f4a7c15ull ^ (other + 0x7f4a7c15u) * 0xd6e8feb86659fd93ull;

	mixed ^= mixed >> 32;
	mixed *= 0xd6e8feb86659fd93ull;
	return mixed ^ mixed >> 32;
}

/* The slot of the key, or the free one where it belongs. */
static size_t find_slot(const struct hs_keyed *keyed, struct hs_key key)
{
	size_t at = hash(key) & (keyed->slot_nr - 1);

	while (keyed->slots[at] && memcmp(&keyed->entries[keyed->slots[at] - 1]->key, &key, sizeof(key)) != 0)
		at = (at + 1) & (keyed->slot_nr - 1);
	return at;
}

static int grow_slots(struct hs_keyed *keyed)
{
	struct hs_keyed grown = *keyed;

	grown.slot_nr = keyed->slot_nr ? keyed->slot_nr * 2 : SLOTS_MIN;
	grown.slots = calloc(grown.slot_nr, sizeof(*grown.slots));
	if (!grown.slots)
		return -1;
	for (size_t i = 0; i < grown.count; i++)
		grown.slots[find_slot(&grown, grown.entries[i]->key)] = (uint32_t)i + 1;
	free(keyed->slots);
	*keyed = grown;
	return 0;
}

static int grow_entries(struct hs_keyed *keyed)
{
	size_t room = keyed->room ? keyed->room * 2 : SLOTS_MIN / 2;
	struct hs_keyed_entry **entries = reallocarray(keyed->entries, room, sizeof(struct hs_keyed_entry *));

	if (!entries)
		return -1;
	keyed->entries = entries;
	keyed->room = room;
	return 0;
}

void *hs_keyed_find(const struct hs_keyed *keyed, struct hs_key key)
{
	uint32_t number = keyed->slot_nr ? keyed->slots[find_slot(keyed, key)] : 0;

	return number ? keyed->entries[number - 1]->value : NULL;
}

void *hs_keyed_get(struct hs_keyed *keyed, struct hs_key key)
{
	void *value = hs_keyed_find(keyed, key);
	struct hs_keyed_entry *entry;

	if (value)
		return value;
	if (keyed->count * 2 >= keyed->slot_nr && grow_slots(keyed))
		return NULL;
	if (keyed->count == keyed->room && grow_entries(keyed))
		return NULL;
	entry = calloc(1, sizeof(*entry) + keyed->value_bytes);
	if (!entry)
		return NULL;
	entry->key = key;
	keyed->entries[keyed->count] = entry;
	keyed->slots[find_slot(keyed, key)] = (uint32_t)++keyed->count;
	return entry->value;
}

void hs_keyed_clear(struct hs_keyed *keyed)
{
	for (size_t i = 0; i < keyed->count; i++)
		free(keyed->entries[i]);
	free(keyed->entries);
	free(keyed->slots);
	*keyed = (struct hs_keyed){ .value_bytes = keyed->value_bytes };
}
