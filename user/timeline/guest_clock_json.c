// SPDX-License-Identifier: GPL-2.0-only
/* Writes a guest's clock into a document and makes one of what a document has. Called by writers and readers of runs.
 */
#include <errno.h>
#include <stdio.h>

#include "timeline/guest_clock_json.h"

static void add_nulls(json_object *object)
{
	static const char *const keys[] = { "bound_ns", "best_trip_ns", "offset_ns", "drift_ppm", "steps" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		json_object_object_add(object, keys[i], NULL);
}

static void add_summary(const struct hs_guest_clock_summary *summary, json_object *object)
{
	hs_json_add_u64(object, "bound_ns", summary->bound_ns);
	hs_json_add_u64(object, "best_trip_ns", summary->best_trip_ns);
	json_object_object_add(object, "offset_ns", json_object_new_int64(summary->offset_ns));
	hs_json_add_double(object, "drift_ppm", (double)summary->drift_ppb / 1000, 3);
	hs_json_add_u64(object, "steps", summary->step_nr);
}

void hs_guest_clock_to_json(struct hs_guest_clock *clock, json_object *object)
{
	struct hs_guest_clock_summary summary;
	json_object *bursts;

	hs_json_add_string(object, "boot_id", clock->boot_id);
	hs_json_add_u64(object, "wander_ppm", HS_GUEST_CLOCK_WANDER_PPM);
	if (hs_guest_clock_summary(clock, &summary))
		add_nulls(object);
	else
		add_summary(&summary, object);
	bursts = hs_json_add_array(object, "bursts");
	for (size_t i = 0; i < clock->burst_nr; i++) {
		const struct hs_guest_sample *best = &clock->bursts[i].best;
		json_object *burst = hs_json_append_object(bursts);

		hs_json_add_u64(burst, "host_send_ns", best->host_send_ns);
		hs_json_add_u64(burst, "guest_recv_ns", best->guest_recv_ns);
		hs_json_add_u64(burst, "guest_send_ns", best->guest_send_ns);
		hs_json_add_u64(burst, "host_recv_ns", best->host_recv_ns);
		hs_json_add_u64(burst, "samples", clock->bursts[i].sample_nr);
	}
}

int hs_guest_clock_from_json(json_object *object, struct hs_guest_clock *clock)
{
	json_object *bursts = hs_json_get(object, "bursts");
	int err;

	if (!json_object_is_type(bursts, json_type_array))
		return -EBADMSG;
	snprintf(clock->boot_id, sizeof(clock->boot_id), "%s", hs_json_get_string(object, "boot_id"));
	for (size_t i = 0; i < json_object_array_length(bursts); i++) {
		json_object *burst = json_object_array_get_idx(bursts, i);
		struct hs_guest_sample sample = {
			.host_send_ns = hs_json_get_u64(burst, "host_send_ns"),
			.guest_recv_ns = hs_json_get_u64(burst, "guest_recv_ns"),
			.guest_send_ns = hs_json_get_u64(burst, "guest_send_ns"),
			.host_recv_ns = hs_json_get_u64(burst, "host_recv_ns"),
		};

		err = hs_guest_clock_add_burst(clock, &sample, 1);
		if (err)
			return err == -EINVAL ? -EBADMSG : err;
		clock->bursts[clock->burst_nr - 1].sample_nr = hs_json_get_u64(burst, "samples");
	}
	return 0;
}
