/* SPDX-License-Identifier: GPL-2.0-only */
/* Random numbers of a few ns each, for choosing pages: a counter run through a mixer (splitmix64). Any thread. */
#ifndef HS_MIGTOOLS_RANDOM_H
#define HS_MIGTOOLS_RANDOM_H

#include "migtools/mm_page.h"

/* 0 to count - 1, all alike. Any state is a good one to begin with. */
static inline uint64_t hs_random_below(uint64_t *state, uint64_t count)
{
	*state += 0x9e3779b97f4a7c15ull;
	return (uint64_t)((unsigned __int128)hs_page_mix(*state) * count >> 64);
}

#endif
