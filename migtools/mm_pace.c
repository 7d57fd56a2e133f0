// SPDX-License-Identifier: GPL-2.0-only
/* The windows' arithmetic: integers only, so that the pages of all windows and threads add up to the rate exactly. */
#include "mm_pace.h"

#define NS_PER_SECOND 1000000000ull
#define SPREAD_NS (HS_PACE_WINDOW_NS / 5 * 4)
/* A thread that woke later than this goes on at twice the pace; one that is always this late still keeps the rate. */
#define CATCH_UP_NS (5 * HS_PACE_TICK_NS)

uint64_t hs_pace_due(const struct hs_pace *pace, uint64_t t_ns)
{
	unsigned __int128 byte_ns; /* bytes times NS_PER_SECOND */

	if (t_ns < pace->ramp_ns)
		byte_ns = (unsigned __int128)pace->bytes_per_second * t_ns * t_ns / (2 * pace->ramp_ns);
	else
		byte_ns = (unsigned __int128)pace->bytes_per_second * (t_ns - pace->ramp_ns / 2);
	return (uint64_t)(byte_ns / NS_PER_SECOND / pace->page_bytes);
}

uint64_t hs_pace_due_of(const struct hs_pace *pace, uint32_t thread, uint64_t t_ns)
{
	/* Dealt out one by one: then no thread's part ever falls. */
	return (hs_pace_due(pace, t_ns) + pace->threads - 1 - thread) / pace->threads;
}

static void set_budget(struct hs_pacer *pacer)
{
	uint64_t start_ns = pacer->window * HS_PACE_WINDOW_NS;

	pacer->budget = hs_pace_due_of(pacer->pace, pacer->thread, start_ns + HS_PACE_WINDOW_NS) -
			hs_pace_due_of(pacer->pace, pacer->thread, start_ns);
	pacer->done = 0;
}

void hs_pacer_begin(struct hs_pacer *pacer, const struct hs_pace *pace, uint32_t thread)
{
	*pacer = (struct hs_pacer){ .pace = pace, .thread = thread, .last_ns = -(int64_t)HS_PACE_TICK_NS };
	set_budget(pacer);
}

bool hs_pacer_is_past(const struct hs_pacer *pacer, uint64_t now_ns)
{
	return now_ns / HS_PACE_WINDOW_NS != pacer->window;
}

void hs_pacer_enter(struct hs_pacer *pacer, uint64_t now_ns)
{
	pacer->window = now_ns / HS_PACE_WINDOW_NS;
	set_budget(pacer);
}

/* Pages of the window that should be done at the end of the tick that runs at into_ns. */
static uint64_t due_in_window(const struct hs_pacer *pacer, uint64_t into_ns)
{
	uint64_t until_ns = into_ns + HS_PACE_TICK_NS;

	if (until_ns >= SPREAD_NS)
		return pacer->budget;
	return (uint64_t)((unsigned __int128)pacer->budget * until_ns / SPREAD_NS);
}

uint64_t hs_pacer_grant(struct hs_pacer *pacer, uint64_t now_ns)
{
	uint64_t due, behind, at_most, waited_ns = now_ns - (uint64_t)pacer->last_ns;

	if (!pacer->pace->bytes_per_second)
		return HS_PACE_NO_LIMIT;
	due = due_in_window(pacer, now_ns % HS_PACE_WINDOW_NS);
	if (due <= pacer->done)
		return 0;
	behind = due - pacer->done;
	at_most = (uint64_t)((unsigned __int128)pacer->budget * 2 *
			     (waited_ns < CATCH_UP_NS ? waited_ns : CATCH_UP_NS) / SPREAD_NS);
	if (!at_most && waited_ns >= HS_PACE_TICK_NS)
		at_most = 1; /* so few pages that one is more than the pace of two */
	if (behind > at_most)
		behind = at_most;
	if (behind)
		pacer->last_ns = (int64_t)now_ns;
	return behind;
}

uint64_t hs_pacer_next_ns(uint64_t now_ns)
{
	return (now_ns / HS_PACE_TICK_NS + 1) * HS_PACE_TICK_NS;
}
