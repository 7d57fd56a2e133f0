// SPDX-License-Identifier: GPL-2.0-only
/* What machines saw of packets, counted and kept for a while. Called by the lanes of the correlator. */
#include <stdlib.h>

#include "correlate/seen.h"

struct hs_seen *hs_seen_new(void)
{
	struct hs_seen *seen = calloc(1, sizeof(*seen));

	if (seen)
		seen->ref_nr = 1;
	return seen;
}

struct hs_seen *hs_seen_get(struct hs_seen *seen)
{
	seen->ref_nr++;
	return seen;
}

void hs_seen_put(struct hs_seen *seen)
{
	if (seen && --seen->ref_nr == 0)
		free(seen);
}

struct hs_seen *hs_recent_at(const struct hs_recent *recent, uint64_t age)
{
	if (age >= recent->nr || age >= HS_SEEN_RECENT)
		return NULL;
	return recent->seen[(recent->nr - 1 - age) % HS_SEEN_RECENT];
}

void hs_recent_add(struct hs_recent *recent, struct hs_seen *seen)
{
	struct hs_seen **place = &recent->seen[recent->nr++ % HS_SEEN_RECENT];

	hs_seen_put(*place);
	*place = hs_seen_get(seen);
}

void hs_recent_clear(struct hs_recent *recent)
{
	for (size_t i = 0; i < HS_SEEN_RECENT; i++)
		hs_seen_put(recent->seen[i]);
	*recent = (struct hs_recent){ 0 };
}

/* How many arrivals from `age` on, newer each, have `bytes` in all behind headers of that length; 0: not exactly so. */
static uint64_t count_merged(const struct hs_recent *arrivals, uint64_t age, uint32_t bytes, uint32_t header_bytes)
{
	uint64_t nr = 0;

	while (bytes) {
		const struct hs_seen *seen = nr <= age ? hs_recent_at(arrivals, age - nr) : NULL;

		if (!seen || seen->len <= header_bytes || seen->len - header_bytes > bytes)
			return 0;
		bytes -= seen->len - header_bytes;
		nr++;
	}
	return nr;
}

void hs_recent_mark_stack(struct hs_recent *arrivals, uint64_t skb, uint32_t len, const struct hs_sight *sight)
{
	/* IPv4 and IPv6 with TCP, with and without the option of time stamps. */
	static const uint32_t headers[] = { 52, 40, 72, 60 };
	struct hs_seen *first;
	uint64_t age = 0, merged = 0;

	while ((first = hs_recent_at(arrivals, age)) && (first->skb != skb || first->stack.time_ns))
		age++;
	if (!first || len < first->len)
		return;
	if (len > first->len && age > 0)
		for (size_t i = 0; !merged && i < HS_ARRAY_SIZE(headers); i++)
			merged = count_merged(arrivals, age - 1, len - first->len, headers[i]);
	first->stack = *sight;
	for (uint64_t i = 1; i <= merged; i++)
		hs_recent_at(arrivals, age - i)->stack = *sight;
}
