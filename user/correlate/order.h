/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Joins two rows of things that happen in the same order, causes and their effects, where nothing but the order and a
 * key (a length) identifies them: packets into a queue and out of it. Both rows come in the order of their time on one
 * clock, each with its error, in any order between them. An effect belongs to the first cause in the row with its key;
 * what this leaves out has no effect. Where a cause or an effect is missing, that of both which lets more of the
 * following fit is left alone. Memory is bounded: by age and by number. One thread.
 */
#ifndef HS_CORRELATE_ORDER_H
#define HS_CORRELATE_ORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/scoped.h"

struct hs_order;

struct hs_order_item {
	uint64_t time_ns, error_ns;
	uint32_t key;	  /* 0: fits any */
	bool is_optional; /* of a cause: may well have no effect; one that is not is preferred */
	/*
	 * Several causes in a row can have one effect, whose key is the sum: of an effect, that it can be such a one;
	 * of a cause, what it adds when it is not the first (0: it is always the first).
	 */
	bool is_merged;
	uint32_t merge_key;
	void *ref; /* the caller's */
};

struct hs_order_match {
	const struct hs_order_item *cause, *effect;
	bool is_firm; /* the key tells it from its neighbours; of several causes the last */
	bool is_last; /* of the causes of this effect */
};

struct hs_order_config {
	/* Once for each cause. */
	void (*on_match)(void *ctx, const struct hs_order_match *match);
	/* Never matched. */
	void (*on_alone)(void *ctx, const struct hs_order_item *item, bool is_cause);
	void *ctx;
	uint64_t tolerance_ns; /* a cause may be later than its effect by that and both errors */
	uint64_t max_age_ns;   /* causes without an effect are given up */
};

int hs_order_open(const struct hs_order_config *config, struct hs_order **out);

/* 0 or -ENOMEM. */
int hs_order_add_cause(struct hs_order *order, const struct hs_order_item *item);
int hs_order_add_effect(struct hs_order *order, const struct hs_order_item *item);

/* The latest cause with that ref is none: it is forgotten, without on_alone. */
void hs_order_withdraw(struct hs_order *order, const void *ref);

/* Whatever happened before now_ns was added: matches what can be. */
void hs_order_settle(struct hs_order *order, uint64_t now_ns);

/* Nothing more comes: all that is left is matched or alone. */
void hs_order_finish(struct hs_order *order);

void hs_order_free(struct hs_order *order); /* calls nobody */
HS_SCOPED(hs_order, struct hs_order *, hs_order_free)

#endif
