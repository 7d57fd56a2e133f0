// SPDX-License-Identifier: GPL-2.0-only
/* Writes clock samples into a document: one row each, in the order they were taken. */
#include "timeline/clock_json.h"

void hs_clock_list_to_json(const struct hs_clock_list *list, json_object *object, const char *key)
{
	json_object *samples = hs_json_add_array(object, key);

	for (size_t i = 0; i < list->sample_nr; i++) {
		json_object *sample = hs_json_append_object(samples);

		hs_json_add_u64(sample, "boot_ns", list->samples[i].boot_ns);
		hs_json_add_u64(sample, "mono_ns", list->samples[i].mono_ns);
		hs_json_add_u64(sample, "real_ns", list->samples[i].real_ns);
		hs_json_add_u64(sample, "tsc", list->samples[i].tsc);
		hs_json_add_u64(sample, "width_ns", list->samples[i].width_ns);
	}
}
