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

static bool keys_fit(const struct hs_order_item *cause, const struct hs_order_item *effect)
{
	return !cause->key || !effect->key || cause->key == effect->key;
}

/* How many of the following fit, when these two rows begin at the given places. Optional causes may be left out. */
static unsigned int count_fits(const struct hs_order *order, size_t cause, size_t effect)
{
	unsigned int fits = 0;

	for (unsigned int i = 0; i < COMPARE_ITEMS && effect < order->effects.nr; i++, effect++) {
		const struct hs_order_item *wanted = item_at(&order->effects, effect);

		while (cause < order->causes.nr && item_at(&order->causes, cause)->is_optional &&
		       !keys_fit(item_at(&order->causes, cause), wanted))
			cause++;
		if (cause >= order->causes.nr || is_too_late(order, item_at(&order->causes, cause), wanted))
			break;
		fits += keys_fit(item_at(&order->causes, cause), wanted);
		cause++;
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
		if (cause->is_optional || !keys_fit(cause, effect))
			continue;
		fits = count_fits(order, i, 0);
		if (fits > best_fits) {
			best_fits = fits;
			best = (long)i;
		}
	}
	for (size_t i = 1; i < order->effects.nr && i <= LOOK_AHEAD; i++)
		if (keys_fit(item_at(&order->causes, first), item_at(&order->effects, i)) &&
		    count_fits(order, first, i) > best_fits)
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
			if (keys_fit(cause, effect))
				return (long)i;
			next = find_next_fit(order, i);
			return next < 0 ? optional : next;
		}
		if (optional < 0 && keys_fit(cause, effect))
			optional = (long)i;
	}
	return optional;
}

static bool is_firm(const struct hs_order *order, const struct hs_order_item *cause, bool has_skipped)
{
	if (has_skipped || !cause->key || cause->key == order->causes.last_key)
		return false;
	return order->causes.nr < 2 || item_at(&order->causes, 1)->key != cause->key;
}

static void match_first_effect(struct hs_order *order)
{
	long at = find_cause(order);
	struct hs_order_item cause, effect;
	bool firm;

	if (at < 0) {
		leave_alone(order, false);
		return;
	}
	for (long i = 0; i < at; i++)
		leave_alone(order, true);
	cause = *item_at(&order->causes, 0);
	effect = *item_at(&order->effects, 0);
	firm = is_firm(order, &cause, at > 0);
	pop(&order->causes);
	pop(&order->effects);
	order->config.on_match(order->config.ctx, &cause, &effect, firm);
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
