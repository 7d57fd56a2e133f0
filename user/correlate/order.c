// SPDX-License-Identifier: GPL-2.0-only
/* Joining by order: two queues, see the header. Called by the lanes of the correlator. */
#include <errno.h>
#include <string.h>

#include "correlate/order.h"

#define ITEMS_MAX 65536	 /* waiting in one row; the oldest is given up then */
#define LOOK_AHEAD 64	 /* that may be skipped at once */
#define COMPARE_ITEMS 16 /* by which it is told what is missing */

struct row {
	struct hs_order_item *items;
	size_t head, nr, room; /* items[head..head + nr) wait */
	uint32_t last_key;     /* of what left last */
};

struct hs_order {
	struct hs_order_config config;
	struct row causes, effects;
	uint64_t cause_error_ns; /* the largest */
};

int hs_order_open(const struct hs_order_config *config, struct hs_order **out)
{
	struct hs_order *order = calloc(1, sizeof(*order));

	if (!order)
		return -ENOMEM;
	order->config = *config;
	*out = order;
	return 0;
}

void hs_order_free(struct hs_order *order)
{
	if (!order)
		return;
	free(order->causes.items);
	free(order->effects.items);
	free(order);
}

static struct hs_order_item *item_at(const struct row *row, size_t i)
{
	return &row->items[row->head + i];
}

static int append(struct row *row, const struct hs_order_item *item)
{
	if (row->head + row->nr == row->room && row->head >= row->room / 2 && row->room) {
		memmove(row->items, row->items + row->head, row->nr * sizeof(*row->items));
		row->head = 0;
	}
	if (row->head + row->nr == row->room) {
		size_t room = row->room ? 2 * row->room : 64;
		struct hs_order_item *items = reallocarray(row->items, room, sizeof(*items));

		if (!items)
			return -ENOMEM;
		row->items = items;
		row->room = room;
	}
	row->items[row->head + row->nr++] = *item;
	return 0;
}

static void pop(struct row *row)
{
	row->last_key = item_at(row, 0)->key;
	row->head++;
	row->nr--;
}

static void leave_alone(struct hs_order *order, bool is_cause)
{
	struct row *row = is_cause ? &order->causes : &order->effects;
	struct hs_order_item item = *item_at(row, 0);

	pop(row);
	order->config.on_alone(order->config.ctx, &item, is_cause);
}

int hs_order_add_cause(struct hs_order *order, const struct hs_order_item *item)
{
	if (item->error_ns > order->cause_error_ns)
		order->cause_error_ns = item->error_ns;
	if (order->causes.nr == ITEMS_MAX)
		leave_alone(order, true);
	return append(&order->causes, item);
}

int hs_order_add_effect(struct hs_order *order, const struct hs_order_item *item)
{
	if (order->effects.nr == ITEMS_MAX)
		leave_alone(order, false);
	return append(&order->effects, item);
}

void hs_order_withdraw(struct hs_order *order, const void *ref)
{
	struct row *row = &order->causes;

	for (size_t i = row->nr; i-- > 0;) {
		if (item_at(row, i)->ref != ref)
			continue;
		memmove(item_at(row, i), item_at(row, i + 1), (row->nr - i - 1) * sizeof(*row->items));
		row->nr--;
		return;
	}
}

/* How much later than the effect a cause may be seen. */
static uint64_t freedom(const struct hs_order *order, const struct hs_order_item *cause,
			const struct hs_order_item *effect)
{
	return order->config.tolerance_ns + cause->error_ns + effect->error_ns;
}

static bool is_too_late(const struct hs_order *order, const struct hs_order_item *cause,
			const struct hs_order_item *effect)
{
	return cause->time_ns > effect->time_ns + freedom(order, cause, effect);
}

/* How many causes from that one on the effect has; 0: it is not that one's. */
static size_t span_of(const struct hs_order *order, size_t cause, const struct hs_order_item *effect)
{
	const struct hs_order_item *item = item_at(&order->causes, cause);
	uint32_t sum = item->key;
	size_t span = 1;

	if (!item->key || !effect->key || item->key == effect->key)
		return 1;
	while (effect->is_merged && sum < effect->key && cause + span < order->causes.nr) {
		item = item_at(&order->causes, cause + span);
		if (!item->merge_key || is_too_late(order, item, effect))
			return 0;
		sum += item->merge_key;
		span++;
	}
	return sum == effect->key ? span : 0;
}

/* How many of the following fit, when these two rows begin at the given places. Optional causes may be left out. */
static unsigned int count_fits(const struct hs_order *order, size_t cause, size_t effect)
{
	unsigned int fits = 0;

	for (unsigned int i = 0; i < COMPARE_ITEMS && effect < order->effects.nr; i++, effect++) {
		const struct hs_order_item *wanted = item_at(&order->effects, effect);
		size_t span;

		while (cause < order->causes.nr && item_at(&order->causes, cause)->is_optional &&
		       !span_of(order, cause, wanted))
			cause++;
		if (cause >= order->causes.nr || is_too_late(order, item_at(&order->causes, cause), wanted))
			break;
		span = span_of(order, cause, wanted);
		fits += span > 0;
		cause += span ? span : 1;
	}
	return fits;
}

/*
 * The first cause and the first effect do not fit: something is missing in one of the rows. Of all places to go on, the
 * one from which the most of the following fits; of several the nearest. -1: the effect is alone.
 */
static long find_next_fit(const struct hs_order *order, size_t first)
{
	const struct hs_order_item *effect = item_at(&order->effects, 0);
	unsigned int best_fits = 0;
	long best = -1;

	for (size_t i = first + 1; i < order->causes.nr && i <= first + LOOK_AHEAD; i++) {
		const struct hs_order_item *cause = item_at(&order->causes, i);
		unsigned int fits;

		if (is_too_late(order, cause, effect))
			break;
		if (cause->is_optional || !span_of(order, i, effect))
			continue;
		fits = count_fits(order, i, 0);
		if (fits > best_fits) {
			best_fits = fits;
			best = (long)i;
		}
	}
	for (size_t i = 1; i < order->effects.nr && i <= LOOK_AHEAD; i++)
		if (span_of(order, first, item_at(&order->effects, i)) && count_fits(order, first, i) > best_fits)
			return -1;
	return best;
}

/* Which cause the first effect has; -1: none. */
static long find_cause(const struct hs_order *order)
{
	const struct hs_order_item *effect = item_at(&order->effects, 0);
	long optional = -1;

	for (size_t i = 0; i < order->causes.nr; i++) {
		const struct hs_order_item *cause = item_at(&order->causes, i);
		long next;

		if (is_too_late(order, cause, effect))
			break;
		if (!cause->is_optional) {
			if (span_of(order, i, effect))
				return (long)i;
			next = find_next_fit(order, i);
			return next < 0 ? optional : next;
		}
		if (optional < 0 && span_of(order, i, effect))
			optional = (long)i;
	}
	return optional;
}

static bool differs_from_neighbours(const struct row *row, uint32_t key)
{
	return key && key != row->last_key && (row->nr < 2 || item_at(row, 1)->key != key);
}

static void match_first_effect(struct hs_order *order)
{
	struct hs_order_item effect = *item_at(&order->effects, 0);
	long at = find_cause(order);
	bool is_firm;
	size_t span;

	if (at < 0) {
		leave_alone(order, false);
		return;
	}
	for (long i = 0; i < at; i++)
		leave_alone(order, true);
	span = span_of(order, 0, &effect);
	is_firm = !at && (span > 1 ? differs_from_neighbours(&order->effects, effect.key)
				   : differs_from_neighbours(&order->causes, item_at(&order->causes, 0)->key));
	pop(&order->effects);
	for (size_t i = 0; i < span; i++) {
		struct hs_order_item cause = *item_at(&order->causes, 0);
		bool is_last = i + 1 == span;

		pop(&order->causes);
		order->config.on_match(order->config.ctx,
				       &(struct hs_order_match){ &cause, &effect, is_firm && is_last, is_last });
	}
}

void hs_order_settle(struct hs_order *order, uint64_t now_ns)
{
	while (order->effects.nr) {
		const struct hs_order_item *effect = item_at(&order->effects, 0);

		if (now_ns <= effect->time_ns + order->config.tolerance_ns + order->cause_error_ns + effect->error_ns)
			break;
		match_first_effect(order);
	}
	while (order->causes.nr && item_at(&order->causes, 0)->time_ns + order->config.max_age_ns < now_ns)
		leave_alone(order, true);
}

void hs_order_finish(struct hs_order *order)
{
	while (order->effects.nr)
		match_first_effect(order);
	while (order->causes.nr)
		leave_alone(order, true);
}
