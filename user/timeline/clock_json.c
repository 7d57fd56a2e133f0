// SPDX-License-Identifier: GPL-2.0-only
/* Writes clock samples into a document and reads them again: one row each, in the order they were taken. */
#include <errno.h>

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

int hs_clock_list_from_json(json_object *samples, struct hs_clock_list *list)
{
	if (!json_object_is_type(samples, json_type_array))
		return -EBADMSG;
	for (size_t i = 0; i < json_object_array_length(samples); i++) {
		json_object *row = json_object_array_get_idx(samples, i);
		struct hs_clock_sample sample = {
			.boot_ns = hs_json_get_u64(row, "boot_ns"),
			.mono_ns = hs_json_get_u64(row, "mono_ns"),
			.real_ns = hs_json_get_u64(row, "real_ns"),
			.tsc = hs_json_get_u64(row, "tsc"),
			.width_ns = hs_json_get_u64(row, "width_ns"),
		};
		int err = hs_clock_list_append(list, &sample);

		if (err)
			return err == -EINVAL ? -EBADMSG : err;
	}
	return 0;
}
