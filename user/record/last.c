// SPDX-License-Identifier: GPL-2.0-only
/*
 * record.json of a salvaged rest: what the dead recorder's own document knew (its options, VMs, clocks), with the
 * counts of the rest alone. In flight, or when that document is gone, without.
 */
#include "record/last.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "capture/salvage.h"
#include "record/recorder.h"

/* The dead recorder's folder: two above its trace, which need not exist. malloc'd. */
static char *folder_of(const char *trace_dir)
{
	char *folder = strdup(trace_dir);

	for (int i = 0; i < 2 && folder; i++) {
		char *slash = strrchr(folder, '/');

		if (slash)
			*slash = '\0';
	}
	return folder;
}

/* Its document, or an empty one. */
static json_object *read_document(const struct hs_salvaged *salvaged)
{
	scoped(mem) char *folder = folder_of(salvaged->trace_dir);
	scoped(mem) char *path = folder ? hs_format("%s/record.json", folder) : NULL;
	scoped(mem) char *reserve = folder ? hs_format("%s/" HS_RECORD_RESERVE, folder) : NULL;
	json_object *document = NULL;

	if (reserve)
		unlink(reserve);
	if (path && !access(path, R_OK))
		hs_json_read_file(path, &document);
	return document ? document : json_object_new_object();
}

static void add_unknown(json_object *document, const struct hs_salvaged *salvaged)
{
	static const char *const arrays[] = { "options", "vms", "missing", "clocks" };
	struct utsname host;
	json_object *start;

	uname(&host);
	hs_json_add_string(document, "schema", HS_RECORD_SCHEMA);
	hs_json_add_string(document, "version", HS_VERSION);
	hs_json_add_string(document, "kernel", host.release);
	hs_json_add_string(document, "outcome", "failed");
	start = hs_json_add_object(document, "start");
	hs_json_add_u64(start, "boot_ns", salvaged->start_ns);
	hs_json_add_u64(start, "real_ns", salvaged->start_ns + (uint64_t)salvaged->clock_offset_ns);
	hs_json_add_u64(document, "duration_ns", hs_now_ns() - salvaged->start_ns);
	for (size_t i = 0; i < HS_ARRAY_SIZE(arrays); i++) {
		if (!hs_json_get(document, arrays[i]))
			hs_json_add_array(document, arrays[i]);
	}
}

static void add_counts(json_object *document, const struct hs_salvaged *salvaged)
{
	json_object *events = hs_json_add_array(document, "events"), *cpus = hs_json_add_array(document, "cpus"),
		    *trace;

	for (unsigned int i = 0; i < hs_event_nr; i++) {
		uint16_t id = hs_events[i].id;
		json_object *row;

		if (!salvaged->recorded[id] && !salvaged->ring_lost[id])
			continue;
		row = hs_json_append_object(events);
		hs_json_add_string(row, "event", hs_events[i].name);
		hs_json_add_u64(row, "recorded", salvaged->recorded[id]);
		hs_json_add_u64(row, "ring_lost", salvaged->ring_lost[id]);
		hs_json_add_u64(row, "disk_lost", 0); /* with it nothing would have been saved */
		hs_json_add_u64(row, "missed", 0);
	}
	for (uint32_t cpu = 0; cpu < salvaged->cpu_nr; cpu++) {
		json_object *row = hs_json_append_object(cpus);

		hs_json_add_u64(row, "cpu", cpu);
		hs_json_add_u64(row, "ring_lost", salvaged->cpu_lost[cpu]);
	}
	trace = hs_json_add_object(document, "trace");
	hs_json_add_u64(trace, "bytes", salvaged->bytes);
	hs_json_add_u64(trace, "sorted", salvaged->sorted);
	hs_json_add_u64(trace, "clamped", salvaged->clamped);
	hs_json_add_u64(trace, "untold_disk_lost", salvaged->untold_disk_lost);
}

static int on_saved(void *ctx, const char *dir, const struct hs_salvaged *salvaged)
{
	scoped(json) json_object *document = read_document(salvaged);
	scoped(mem) char *path = hs_format("%s/record.json", dir);
	uint64_t recorded = 0, lost = salvaged->untold_disk_lost;
	int err;

	(void)ctx;
	add_unknown(document, salvaged);
	add_counts(document, salvaged);
	err = path ? hs_json_write_file(path, document) : -ENOMEM;
	if (err)
		return err;
	for (uint16_t id = 0; id < HS_EVENT_ID_NR; id++) {
		recorded += salvaged->recorded[id];
		lost += salvaged->ring_lost[id];
	}
	hs_info("a recorder (process %u) was killed: its last %" PRIu64 " events are in %s (%" PRIu64 " lost)",
		salvaged->pid, recorded, dir, lost);
	return 0;
}

void hs_last_save(const char *dir)
{
	hs_salvage(dir, on_saved, NULL);
}
