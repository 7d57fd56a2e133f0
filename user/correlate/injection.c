// SPDX-License-Identifier: GPL-2.0-only
/* Finds by intervals which injection of L1 each handler of an L2 belongs to. Called by the correlator. */
#include "correlate/injection.h"

#include <errno.h>
#include <stdlib.h>

#define WINDOW 16
#define REACH_NS 20000000ull /* injection and handler seem apart by no more: wrong clocks are to be seen */
#define SPREAD_MAX_NS 500000 /* of the distances within a window, quartile to quartile */
#define STRAY_NS 1000000     /* from the median: a loss within the window, or a delay; not counted */
#define ROW_MAX 1024

struct row {
	struct hs_sight items[ROW_MAX]; /* a ring, by time */
	size_t head, nr;
};

struct hs_injections {
	struct hs_causality *causality;
	struct row injected[HS_INJECTION_NR], handled[HS_INJECTION_NR];
};

int hs_injections_open(struct hs_causality *causality, struct hs_injections **out)
{
	struct hs_injections *injections = calloc(1, sizeof(*injections));

	if (!injections)
		return -ENOMEM;
	injections->causality = causality;
	*out = injections;
	return 0;
}

void hs_injections_free(struct hs_injections *injections)
{
	free(injections);
}

static const struct hs_sight *at(const struct row *row, size_t i)
{
	return &row->items[(row->head + i) % ROW_MAX];
}

static void pop(struct row *row)
{
	row->head = (row->head + 1) % ROW_MAX;
	row->nr--;
}

static void append(struct row *row, const struct hs_sight *sight)
{
	if (row->nr == ROW_MAX)
		pop(row);
	row->items[(row->head + row->nr++) % ROW_MAX] = *sight;
}

void hs_injections_add(struct hs_injections *injections, uint32_t vector, const struct hs_sight *sight)
{
	if (vector <= HS_TIMER_VECTOR)
		append(&injections->injected[vector == HS_TIMER_VECTOR ? HS_INJECTION_TIMER : HS_INJECTION_DEVICE],
		       sight);
}

void hs_injections_handled(struct hs_injections *injections, enum hs_injection_kind kind, const struct hs_sight *sight)
{
	append(&injections->handled[kind], sight);
}

static int compare(const void *a, const void *b)
{
	int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;

	return (one > other) - (one < other);
}

static int64_t distance(const struct row *injected, size_t first, const struct row *handled, size_t i)
{
	return (int64_t)(at(handled, i)->time_ns - at(injected, first + i)->time_ns);
}

/* How much the distances differ when the window's first handler belongs to that injection. */
static uint64_t spread_at(const struct row *injected, size_t first, const struct row *handled, int64_t *median_ns)
{
	int64_t distances[WINDOW];

	for (size_t i = 0; i < WINDOW; i++)
		distances[i] = distance(injected, first, handled, i);
	qsort(distances, WINDOW, sizeof(*distances), compare);
	*median_ns = distances[WINDOW / 2];
	return (uint64_t)(distances[WINDOW * 3 / 4] - distances[WINDOW / 4]);
}

/* Where the window's injections begin; -1: nowhere, or it cannot be told. */
static long find_first(const struct row *injected, const struct row *handled, int64_t *median_ns)
{
	uint64_t best = UINT64_MAX, second = UINT64_MAX;
	uint64_t last_ns = at(handled, 0)->time_ns + REACH_NS + at(handled, 0)->error_ns;
	long found = -1;

	for (size_t i = 0; i + WINDOW <= injected->nr && at(injected, i)->time_ns <= last_ns; i++) {
		int64_t middle_ns;
		uint64_t spread = spread_at(injected, i, handled, &middle_ns);

		if (spread < best) {
			second = best;
			best = spread;
			found = (long)i;
			*median_ns = middle_ns;
		} else if (spread < second) {
			second = spread;
		}
	}
	return best <= SPREAD_MAX_NS && second / 4 > best ? found : -1;
}

static void settle_window(struct hs_injections *injections, struct row *injected, struct row *handled)
{
	const struct hs_sight *begin = at(handled, 0);
	int64_t median_ns;
	long first;

	while (injected->nr && at(injected, 0)->time_ns + REACH_NS + begin->error_ns < begin->time_ns)
		pop(injected);
	first = find_first(injected, handled, &median_ns);
	if (first < 0) {
		pop(handled);
		return;
	}
	for (size_t i = 0; i < WINDOW; i++) {
		if (llabs(distance(injected, (size_t)first, handled, i) - median_ns) <= STRAY_NS)
			hs_causality_add(injections->causality, HS_PAIR_INJECTED_TO_HANDLER,
					 at(injected, (size_t)first + i), at(handled, i));
	}
	for (size_t i = 0; i < WINDOW; i++)
		pop(handled);
}

void hs_injections_settle(struct hs_injections *injections, uint64_t now_ns)
{
	for (int i = 0; i < HS_INJECTION_NR; i++) {
		struct row *handled = &injections->handled[i];

		while (handled->nr >= WINDOW &&
		       at(handled, WINDOW - 1)->time_ns + REACH_NS + at(handled, WINDOW - 1)->error_ns < now_ns)
			settle_window(injections, &injections->injected[i], handled);
	}
}
