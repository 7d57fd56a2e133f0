// SPDX-License-Identifier: GPL-2.0-only
/* Counts every trace of a folder and tells what was found. Called from one thread. */
#include "info/info.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/log.h"
#include "base/unit.h"
#include "trace/ctf_events.h"
#include "trace/ctf_reader.h"
#include "trace/machine_clock.h"

/* What the parts of one reading share. */
struct reading {
	const struct hs_trace_folders *folders;
	json_object *document; /* of the run or recording; NULL: there is none */
	int64_t host_offset_ns;
	json_object *machines; /* what is made here */
};

static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* A member whose name may have dots in it. */
static json_object *member(json_object *object, const char *key)
{
	json_object *value = NULL;

	return json_object_is_type(object, json_type_object) && json_object_object_get_ex(object, key, &value) ? value
													       : NULL;
}

/* ---- one trace --------------------------------------------------------------------------------- */
static void add_files(json_object *machine, const char *trace)
{
	scoped(dir) DIR *dir = opendir(trace);
	const struct dirent *entry;
	uint64_t file_nr = 0, bytes = 0;

	while (dir && (entry = readdir(dir))) {
		struct stat status;

		if (fstatat(dirfd(dir), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) || !S_ISREG(status.st_mode))
			continue;
		file_nr++;
		bytes += (uint64_t)status.st_size;
	}
	hs_json_add_u64(machine, "files", file_nr);
	hs_json_add_u64(machine, "bytes", bytes);
}

/* What the document says was lost of an event of ours in that folder; -1: it does not say. */
static int64_t lost_of(const struct reading *reading, const char *folder, const char *event)
{
	json_object *row =
		member(hs_json_get(member(hs_json_get(reading->document, "trace"), folder), "events"), event);
	json_object *rows = hs_json_get(reading->document, "events");

	if (row)
		return (int64_t)hs_json_get_u64(row, "lost");
	for (size_t i = 0; json_object_is_type(rows, json_type_array) && i < json_object_array_length(rows); i++) {
		row = json_object_array_get_idx(rows, i);
		if (!strcmp(hs_json_get_string(row, "event"), event))
			return (int64_t)(hs_json_get_u64(row, "ring_lost") + hs_json_get_u64(row, "disk_lost"));
	}
	return -1;
}

static const char *source_of(const struct hs_event *event)
{
	return !event->is_foreign ? "bpf" : event->id < HS_CTF_TOLD_ID_FIRST ? "ftrace" : "told";
}

static int compare_counts(const void *a, const void *b)
{
	uint64_t one = hs_json_get_u64(*(json_object *const *)a, "recorded");
	uint64_t other = hs_json_get_u64(*(json_object *const *)b, "recorded");

	return (one < other) - (one > other);
}

static uint64_t add_events(const struct reading *reading, json_object *machine, const char *trace,
			   const struct hs_ctf_reader *reader)
{
	json_object *events = hs_json_add_array(machine, "events");
	uint64_t sum = 0;

	for (uint32_t i = 0; i < hs_ctf_reader_event_nr(reader); i++) {
		const struct hs_event *event = hs_ctf_reader_event(reader, i);
		uint64_t recorded = event ? hs_ctf_reader_read_nr(reader, i) : 0;
		int64_t lost = event && !event->is_foreign ? lost_of(reading, name_of(trace), event->name) : -1;
		json_object *row;

		if (!recorded && lost <= 0)
			continue;
		row = hs_json_append_object(events);
		hs_json_add_string(row, "event", event->name);
		hs_json_add_string(row, "system", event->system);
		hs_json_add_string(row, "source", source_of(event));
		hs_json_add_u64(row, "recorded", recorded);
		json_object_object_add(row, "lost", lost < 0 ? NULL : json_object_new_int64(lost));
		sum += recorded;
	}
	json_object_array_sort(events, compare_counts);
	return sum;
}

/* When its first and last event were, by its own clock; *has_any: whether there is one. */
static int read_events(struct hs_ctf_reader *reader, uint64_t *first_ns, uint64_t *last_ns, bool *has_any)
{
	struct hs_ctf_record record;
	int more;

	*has_any = false;
	while ((more = hs_ctf_reader_next(reader, &record)) > 0) {
		if (!*has_any)
			*first_ns = record.header->ts;
		*has_any = true;
		*last_ns = record.header->ts;
	}
	return more;
}

static void add_clock(json_object *machine, const struct hs_ctf_info *info, const struct hs_machine_clock *clock)
{
	json_object *object = hs_json_add_object(machine, "clock");

	hs_json_add_string(object, "name", info->clock);
	json_object_object_add(object, "error_bound_ns",
			       clock->is_host || clock->is_mapped ? json_object_new_uint64(clock->bound_ns) : NULL);
}

static void add_times(json_object *machine, struct hs_machine_clock *clock, bool has_any, uint64_t first_ns,
		      uint64_t last_ns)
{
	static const char *const keys[] = { "first_ns", "last_ns" };
	const uint64_t times[] = { first_ns, last_ns };

	for (size_t i = 0; i < HS_ARRAY_SIZE(keys); i++)
		json_object_object_add(machine, keys[i],
				       has_any ? json_object_new_uint64(hs_machine_clock_to_boot(clock, times[i]))
					       : NULL);
}

static int add_machine(struct reading *reading, const char *trace)
{
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = NULL;
	struct hs_machine_clock clock = { 0 };
	uint64_t first_ns = 0, last_ns = 0;
	const struct hs_ctf_info *info;
	json_object *machine;
	bool has_any = false;
	int err = hs_ctf_reader_open_all(trace, &reader);

	if (!err)
		err = read_events(reader, &first_ns, &last_ns, &has_any);
	if (err)
		return err;
	info = hs_ctf_reader_info(reader);
	err = hs_machine_clock_open(reading->document, trace, info, reading->host_offset_ns, &clock);
	if (err)
		return err;
	machine = hs_json_append_object(reading->machines);
	hs_json_add_string(machine, "machine", info->machine);
	hs_json_add_string(machine, "folder", name_of(trace));
	add_files(machine, trace);
	add_clock(machine, info, &clock);
	add_times(machine, &clock, has_any, first_ns, last_ns);
	hs_json_add_u64(machine, "lost", hs_ctf_reader_counts(reader)->discarded);
	hs_json_add_u64(machine, "missing_packets", hs_ctf_reader_counts(reader)->missing_packets);
	hs_json_add_u64(machine, "unread_bytes", hs_ctf_reader_counts(reader)->unread_bytes);
	hs_json_add_u64(machine, "recorded", add_events(reading, machine, trace, reader));
	hs_machine_clock_clear(&clock);
	return 0;
}

/* ---- machines without a trace ------------------------------------------------------------------ */
static bool has_machine(const struct reading *reading, const char *key, const char *name)
{
	for (size_t i = 0; i < json_object_array_length(reading->machines); i++)
		if (!strcmp(hs_json_get_string(json_object_array_get_idx(reading->machines, i), key), name))
			return true;
	return false;
}

static json_object *add_without_trace(struct reading *reading, const char *name, const char *folder)
{
	json_object *machine = hs_json_append_object(reading->machines);

	hs_json_add_string(machine, "machine", name);
	hs_json_add_string(machine, "folder", folder);
	hs_json_add_u64(machine, "recorded", 0);
	return machine;
}

/* What the document knows of and no folder has a trace of: raw pages, machines that never answered. */
static void add_absent(struct reading *reading)
{
	json_object *traces = hs_json_get(reading->document, "trace");
	json_object *missing = hs_json_get(reading->document, "not_recorded");

	if (json_object_is_type(traces, json_type_object)) {
		json_object_object_foreach (traces, folder, part) {
			if (json_object_is_type(part, json_type_object) && !has_machine(reading, "folder", folder))
				hs_json_add_u64(add_without_trace(reading, folder, folder), "raw_bytes",
						hs_json_get_u64(part, "raw_bytes"));
		}
	}
	for (size_t i = 0; json_object_is_type(missing, json_type_array) && i < json_object_array_length(missing);
	     i++) {
		const char *name = hs_json_get_string(json_object_array_get_idx(missing, i), "machine");

		if (*name && !has_machine(reading, "machine", name))
			add_without_trace(reading, name, NULL);
	}
}

/* Why a machine may have sent nothing, "" when the document does not say. */
static const char *reason_of(json_object *document, const char *name)
{
	json_object *missing = hs_json_get(document, "not_recorded");

	for (size_t i = 0; json_object_is_type(missing, json_type_array) && i < json_object_array_length(missing);
	     i++) {
		json_object *row = json_object_array_get_idx(missing, i);

		if (!strcmp(hs_json_get_string(row, "machine"), name))
			return hs_json_get_string(row, "reason");
	}
	return "";
}

/* A machine of which any part has something is not silent. */
static void mark_silent(struct reading *reading)
{
	for (size_t i = 0; i < json_object_array_length(reading->machines); i++) {
		json_object *machine = json_object_array_get_idx(reading->machines, i);
		bool is_silent = !hs_json_get_u64(machine, "recorded") && !hs_json_get_u64(machine, "raw_bytes");
		const char *reason = reason_of(reading->document, hs_json_get_string(machine, "machine"));

		hs_json_add_bool(machine, "silent", is_silent);
		if (is_silent)
			hs_json_add_string(machine, "reason", *reason ? reason : NULL);
	}
}

/* ---- all --------------------------------------------------------------------------------------- */
static const char *kind_of(const struct hs_trace_folders *folders)
{
	const char *name = folders->document ? name_of(folders->document) : "";

	return !strcmp(name, "run.json")     ? "run"
	       : !strcmp(name, "guest.json") ? "guest"
	       : !strcmp(name, "trial.json") ? "trial"
	       : *name			     ? "recording"
					     : "trace";
}

/* As `hsbpf print` does it: of the host's trace, else of the document, else the first machine stands in for the host.
 */
static int find_host_offset(const struct reading *reading, int64_t *offset_ns)
{
	scoped(hs_ctf_reader) struct hs_ctf_reader *reader = NULL;
	int err = hs_ctf_reader_open(reading->folders->traces[0], &reader);

	if (err)
		return err;
	*offset_ns = hs_ctf_reader_info(reader)->clock_offset_ns;
	if (strcmp(hs_ctf_reader_info(reader)->machine, "host") != 0)
		hs_document_host_offset(reading->document, offset_ns);
	return 0;
}

int hs_info_read(const char *dir, const struct hs_trace_folders *folders, json_object **out)
{
	scoped(json) json_object *document = NULL, *info = json_object_new_object();
	struct reading reading = { .folders = folders };
	int err;

	if (folders->document)
		hs_json_read_file(folders->document, &document);
	reading.document = document;
	err = find_host_offset(&reading, &reading.host_offset_ns);
	hs_json_add_string(info, "schema", HS_INFO_SCHEMA);
	hs_json_add_string(info, "dir", dir);
	hs_json_add_string(info, "kind", kind_of(folders));
	hs_json_add_string(info, "outcome", document ? hs_json_get_string(document, "outcome") : NULL);
	reading.machines = hs_json_add_array(info, "machines");
	for (size_t i = 0; i < folders->trace_nr && !err; i++)
		err = add_machine(&reading, folders->traces[i]);
	if (err)
		return err;
	add_absent(&reading);
	mark_silent(&reading);
	*out = take(info);
	return 0;
}

unsigned int hs_info_say_silent(json_object *document)
{
	json_object *machines = hs_json_get(document, "machines");
	unsigned int silent_nr = 0;

	for (size_t i = 0; i < json_object_array_length(machines); i++) {
		json_object *machine = json_object_array_get_idx(machines, i);
		const char *reason = hs_json_get_string(machine, "reason");

		if (!hs_json_get_bool(machine, "silent"))
			continue;
		silent_nr++;
		hs_err("%s sent nothing%s%s", hs_json_get_string(machine, "machine"), *reason ? ": " : "", reason);
	}
	return silent_nr;
}
