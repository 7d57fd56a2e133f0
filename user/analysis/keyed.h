/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A table from keys to values of one size, for the analyses: values start as zeros when their key is first asked for,
 * stay where they are, and can be walked in the order in which they came. One table belongs to one thread.
 */
#ifndef HS_ANALYSIS_KEYED_H
#define HS_ANALYSIS_KEYED_H

#include <stddef.h>
#include <stdint.h>

/* What the four numbers mean is the table's owner's. */
struct hs_key {
	uint32_t tgid, vcpu, kind, code;
};

struct hs_keyed_entry {
	struct hs_key key;
	_Alignas(16) unsigned char value[];
};

/* Starts as zeros but for value_bytes. */
struct hs_keyed {
	size_t value_bytes;
	struct hs_keyed_entry **entries;
	size_t count, room;
	uint32_t *slots; /* numbers of entries + 1, 0: free */
	size_t slot_nr;	 /* a power of two, more than half of them free */
};

/* The key's value, NULL when it has none. */
void *hs_keyed_find(const struct hs_keyed *keyed, struct hs_key key);

/* The key's value, made if there was none. NULL: no memory. */
void *hs_keyed_get(struct hs_keyed *keyed, struct hs_key key);

/* Frees the table, not what its values own. */
void hs_keyed_clear(struct hs_keyed *keyed);

#endif
