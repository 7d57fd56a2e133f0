// SPDX-License-Identifier: GPL-2.0-only
/* Counts pairs of cause and effect. Called by the lanes for what they join, read by reports. */
#include "correlate/causality.h"

const char *const hs_causality_pair_names[HS_PAIR_NR] = {
	[HS_PAIR_CLIENT_TO_TAP] = "client NIC before client tap",
	[HS_PAIR_TAP_TO_CLIENT] = "client tap before client NIC",
	[HS_PAIR_TAP_TO_DMA] = "tap before DMA",
	[HS_PAIR_DMA_TO_L2] = "DMA before L2 NIC",
	[HS_PAIR_L2_TO_TAP] = "L2 NIC before tap",
	[HS_PAIR_INJECTED_TO_HANDLER] = "interrupt injected before L2's handler",
};

void hs_causality_add(struct hs_causality *causality, enum hs_causality_pair pair, const struct hs_sight *cause,
		      const struct hs_sight *effect)
{
	struct hs_causality_count *count = &causality->pairs[pair];
	uint64_t error_ns = cause->error_ns + effect->error_ns, early_ns;

	if (effect->time_ns >= cause->time_ns) {
		count->in_order++;
		return;
	}
	early_ns = cause->time_ns - effect->time_ns;
	if (early_ns <= error_ns)
		count->within_bound++;
	else
		count->beyond_bound++;
	if (early_ns > count->worst_ns) {
		count->worst_ns = early_ns;
		count->worst_error_ns = error_ns;
	}
}

uint64_t hs_causality_beyond_bound(const struct hs_causality *causality)
{
	uint64_t sum = 0;

	for (int i = 0; i < HS_PAIR_NR; i++)
		sum += causality->pairs[i].beyond_bound;
	return sum;
}

void hs_causality_to_json(const struct hs_causality *causality, json_object *object, const char *key)
{
	json_object *rows = hs_json_add_array(object, key);

	for (int i = 0; i < HS_PAIR_NR; i++) {
		const struct hs_causality_count *count = &causality->pairs[i];
		json_object *row;

		if (!count->in_order && !count->within_bound && !count->beyond_bound)
			continue;
		row = hs_json_append_object(rows);
		hs_json_add_string(row, "pair", hs_causality_pair_names[i]);
		hs_json_add_u64(row, "in_order", count->in_order);
		hs_json_add_u64(row, "within_bound", count->within_bound);
		hs_json_add_u64(row, "beyond_bound", count->beyond_bound);
		hs_json_add_u64(row, "worst_ns", count->worst_ns);
		hs_json_add_u64(row, "worst_error_ns", count->worst_error_ns);
	}
}
