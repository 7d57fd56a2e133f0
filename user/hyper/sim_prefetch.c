// SPDX-License-Identifier: GPL-2.0-only
/* A successor is learned anew each time it is seen, so that a guess is never older than one turn of its tenant. */
#include "hyper/sim_prefetch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int hs_sim_prefetch_open(uint32_t distance, uint32_t history, uint32_t tenant_nr, struct hs_sim_prefetch *prefetch)
{
	*prefetch = (struct hs_sim_prefetch){ .distance = distance, .history = history };
	prefetch->recent = calloc(distance, sizeof(*prefetch->recent));
	prefetch->successor = malloc(((size_t)tenant_nr + 1) * sizeof(*prefetch->successor));
	prefetch->pages = calloc((size_t)tenant_nr * history + 1, sizeof(*prefetch->pages));
	prefetch->page_nr = calloc((size_t)tenant_nr + 1, 1);
	if (!prefetch->recent || !prefetch->successor || !prefetch->pages || !prefetch->page_nr) {
		hs_sim_prefetch_close(prefetch);
		return -ENOMEM;
	}
	memset(prefetch->successor, 0xff, ((size_t)tenant_nr + 1) * sizeof(*prefetch->successor));
	return 0;
}

void hs_sim_prefetch_close(struct hs_sim_prefetch *prefetch)
{
	free(prefetch->recent);
	free(prefetch->successor);
	free(prefetch->pages);
	free(prefetch->page_nr);
	*prefetch = (struct hs_sim_prefetch){ 0 };
}

/* Where the page is among the last ones of the tenant; their number if it is not. */
static unsigned int find(const struct hs_sim_prefetch *prefetch, uint32_t tenant, uint64_t iova, uint8_t size_class)
{
	const struct hs_sim_page *pages = prefetch->pages + (size_t)tenant * prefetch->history;
	unsigned int at = 0;

	while (at < prefetch->page_nr[tenant] && (pages[at].iova != iova || pages[at].size_class != size_class))
		at++;
	return at;
}

/* To the front, whether it was there or not; the oldest goes. */
static void remember(struct hs_sim_prefetch *prefetch, uint32_t tenant, const struct hs_sim_page *page)
{
	struct hs_sim_page *pages = prefetch->pages + (size_t)tenant * prefetch->history, newest = *page;
	unsigned int at = find(prefetch, tenant, page->iova, page->size_class);

	if (at < prefetch->page_nr[tenant])
		newest = pages[at];
	else if (at < prefetch->history)
		prefetch->page_nr[tenant]++;
	else
		at--;
	for (; at > 0; at--)
		pages[at] = pages[at - 1];
	pages[0] = newest;
}

void hs_sim_prefetch_came(struct hs_sim_prefetch *prefetch, uint32_t tenant, uint64_t iova, uint8_t size_class)
{
	unsigned int at = find(prefetch, tenant, iova, size_class);

	if (at < prefetch->page_nr[tenant])
		prefetch->pages[(size_t)tenant * prefetch->history + at].is_coming = false;
}

uint32_t hs_sim_prefetch_observe(struct hs_sim_prefetch *prefetch, uint32_t tenant, const struct hs_sim_page *page)
{
	uint32_t *oldest = &prefetch->recent[prefetch->recent_at];

	remember(prefetch, tenant, page);
	if (prefetch->recent_nr == prefetch->distance) {
		prefetch->guesses += prefetch->successor[*oldest] != HS_SIM_NO_TENANT;
		prefetch->right += prefetch->successor[*oldest] == tenant;
		prefetch->successor[*oldest] = tenant;
	} else {
		prefetch->recent_nr++;
	}
	*oldest = tenant;
	if (++prefetch->recent_at == prefetch->distance)
		prefetch->recent_at = 0;
	return prefetch->successor[tenant];
}

void hs_sim_prefetch_forget(struct hs_sim_prefetch *prefetch, uint32_t tenant, uint64_t iova, uint64_t bytes)
{
	struct hs_sim_page *pages = prefetch->pages + (size_t)tenant * prefetch->history;
	unsigned int kept = 0;

	for (unsigned int i = 0; i < prefetch->page_nr[tenant]; i++) {
		uint64_t end = pages[i].iova + (4096ull << 9 * pages[i].size_class);

		if (bytes && (end <= iova || pages[i].iova >= iova + bytes))
			pages[kept++] = pages[i];
	}
	prefetch->page_nr[tenant] = (uint8_t)kept;
}
