// SPDX-License-Identifier: GPL-2.0-only
/* The counter's speed, from two samples of both clocks. A migration can change it: hs_ticks_drift() tells. */
#include "ticks.h"

#define APART_NS 20000000u

/* The counter between two readings of the clock, the closest of a few: an interrupt may come between them. */
static void sample(uint64_t *ticks, uint64_t *ns)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 8; i++) {
		uint64_t before = hs_monotonic_ns(), count = hs_ticks_now(), after = hs_monotonic_ns();

		if (after - before >= best)
			continue;
		best = after - before;
		*ticks = count;
		*ns = before + best / 2;
	}
}

void hs_ticks_start(struct hs_ticks *ticks)
{
	sample(&ticks->start_ticks, &ticks->start_ns);
}

void hs_ticks_calibrate(struct hs_ticks *ticks)
{
	uint64_t count, ns;

	do
		sample(&count, &ns);
	while (ns - ticks->start_ns < APART_NS);
	ticks->ns_per_tick_32 =
		(uint64_t)(((unsigned __int128)(ns - ticks->start_ns) << 32) / (count - ticks->start_ticks));
}

double hs_ticks_drift(const struct hs_ticks *ticks)
{
	uint64_t count, ns;

	sample(&count, &ns);
	return (double)hs_ticks_to_ns(ticks, count - ticks->start_ticks) / (double)(ns - ticks->start_ns) - 1;
}
