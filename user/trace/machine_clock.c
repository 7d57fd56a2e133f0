// SPDX-License-Identifier: GPL-2.0-only
/* Finds a machine's pings in a document, and maps its times. Called by readers, from their one thread. */
#include "trace/machine_clock.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "timeline/guest_clock_json.h"

int hs_document_host_offset(json_object *document, int64_t *host_offset_ns)
{
	static const char *const places[] = { "clock.samples", "clocks" };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		json_object *samples = hs_json_get(document, places[i]), *first;

		if (!json_object_is_type(samples, json_type_array) || !json_object_array_length(samples))
			continue;
		first = json_object_array_get_idx(samples, 0);
		*host_offset_ns = (int64_t)(hs_json_get_u64(first, "real_ns") - hs_json_get_u64(first, "boot_ns"));
		return 0;
	}
	return -ENOENT;
}

/* A document's `trace` has a member for each folder, whose name may have dots. NULL: nothing about this one. */
static json_object *find_folder(json_object *document, const char *trace)
{
	json_object *traces = hs_json_get(document, "trace"), *folder = NULL;
	const char *end = trace + strlen(trace), *start;
	char name[HS_CTF_MACHINE_BYTES + 16];

	while (end > trace && end[-1] == '/')
		end--;
	for (start = end; start > trace && start[-1] != '/';)
		start--;
	if (!json_object_is_type(traces, json_type_object) || (size_t)(end - start) >= sizeof(name))
		return NULL;
	memcpy(name, start, (size_t)(end - start));
	name[end - start] = '\0';
	return json_object_object_get_ex(traces, name, &folder) ? folder : NULL;
}

int hs_machine_clock_open(json_object *document, const char *trace, const struct hs_ctf_info *info,
			  int64_t host_offset_ns, struct hs_machine_clock *out)
{
	struct hs_machine_clock clock = { .is_host = !strcmp(info->machine, "host"),
					  .to_boot_ns = info->clock_offset_ns - host_offset_ns };
	json_object *folder = clock.is_host || strcmp(info->clock, HS_CTF_CLOCK) ? NULL : find_folder(document, trace);
	json_object *pings = folder ? hs_json_get(folder, "guest_clock") : NULL;
	struct hs_guest_clock_summary summary;
	int err = pings ? hs_guest_clock_from_json(pings, &clock.guest) : 0;

	if (err == -ENOMEM) {
		hs_guest_clock_clear(&clock.guest);
		return err;
	}
	if (err) {
		hs_warn("the pings of %s make no sense and are not used", info->machine);
		hs_guest_clock_clear(&clock.guest);
	}
	if (!hs_guest_clock_summary(&clock.guest, &summary)) {
		clock.is_mapped = true;
		clock.bound_ns = summary.bound_ns;
	}
	if (folder && hs_json_get(folder, "host_clock_error_bound_ns")) {
		clock.is_host = true; /* read on the host's clocks, not on its own */
		clock.to_boot_ns = 0;
		clock.bound_ns = hs_json_get_u64(folder, "host_clock_error_bound_ns");
	}
	*out = clock;
	return 0;
}

uint64_t hs_machine_clock_to_boot(struct hs_machine_clock *clock, uint64_t ns)
{
	uint64_t boot_ns, error_ns;

	if (clock->is_mapped && !hs_guest_clock_to_host(&clock->guest, ns, &boot_ns, &error_ns))
		return boot_ns;
	return ns + (uint64_t)clock->to_boot_ns;
}

uint64_t hs_machine_clock_from_boot(struct hs_machine_clock *clock, uint64_t boot_ns)
{
	uint64_t ns, error_ns;
	int64_t own_ns;

	if (clock->is_mapped && !hs_guest_clock_to_guest(&clock->guest, boot_ns, &ns, &error_ns))
		return ns;
	own_ns = (int64_t)(boot_ns - (uint64_t)clock->to_boot_ns);
	return own_ns < 0 ? 0 : (uint64_t)own_ns;
}

void hs_machine_clock_clear(struct hs_machine_clock *clock)
{
	hs_guest_clock_clear(&clock->guest);
}
