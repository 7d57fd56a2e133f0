// SPDX-License-Identifier: GPL-2.0-only
/* The document of `hsbpf info` as text. Names of events and machines were checked when their traces were read. */
#include <inttypes.h>
#include <string.h>

#include "base/unit.h"
#include "info/info.h"

#define NS_PER_S 1000000000u

static void print_times(FILE *file, json_object *machine)
{
	uint64_t first_ns = hs_json_get_u64(machine, "first_ns"), last_ns = hs_json_get_u64(machine, "last_ns");
	char text[32];

	if (!hs_json_get(machine, "first_ns"))
		return;
	fprintf(file, ", from %" PRIu64 ".%09" PRIu64 " to %" PRIu64 ".%09" PRIu64 " (%s)", first_ns / NS_PER_S,
		first_ns % NS_PER_S, last_ns / NS_PER_S, last_ns % NS_PER_S,
		hs_format_ns(text, sizeof(text), last_ns > first_ns ? last_ns - first_ns : 0));
}

static void print_clock(FILE *file, json_object *machine)
{
	json_object *bound = hs_json_get(machine, "clock.error_bound_ns");
	const char *name = hs_json_get_string(machine, "clock.name");
	char text[32];

	if (!strcmp(hs_json_get_string(machine, "machine"), "host"))
		return;
	if (bound)
		fprintf(file, "    clock: the host's within %s\n",
			hs_format_ns(text, sizeof(text), json_object_get_uint64(bound)));
	else if (*name)
		fprintf(file, "    clock: %s, placed by its time of day: how far it is off is not known\n", name);
}

static void print_events(FILE *file, json_object *machine)
{
	json_object *events = hs_json_get(machine, "events");

	for (size_t i = 0; events && i < json_object_array_length(events); i++) {
		json_object *row = json_object_array_get_idx(events, i);
		json_object *lost = hs_json_get(row, "lost");

		fprintf(file, "  %12" PRIu64 " %s:%s (%s)", hs_json_get_u64(row, "recorded"),
			hs_json_get_string(row, "system"), hs_json_get_string(row, "event"),
			hs_json_get_string(row, "source"));
		if (json_object_get_uint64(lost))
			fprintf(file, ", %" PRIu64 " lost", json_object_get_uint64(lost));
		fputc('\n', file);
	}
}

static void print_machine(FILE *file, json_object *machine)
{
	char text[32];

	fprintf(file, "%s", hs_json_get_string(machine, "machine"));
	if (*hs_json_get_string(machine, "folder"))
		fprintf(file, " (%s)", hs_json_get_string(machine, "folder"));
	if (hs_json_get_bool(machine, "silent"))
		fputs(": NOTHING CAME", file);
	else if (hs_json_get_u64(machine, "raw_bytes"))
		fprintf(file, ": %s of pages as they came, without formats",
			hs_format_bytes(text, sizeof(text), hs_json_get_u64(machine, "raw_bytes")));
	else
		fprintf(file, ": %" PRIu64 " events, %" PRIu64 " lost", hs_json_get_u64(machine, "recorded"),
			hs_json_get_u64(machine, "lost"));
	print_times(file, machine);
	fputc('\n', file);
	if (*hs_json_get_string(machine, "reason"))
		fprintf(file, "    %s\n", hs_json_get_string(machine, "reason"));
	if (hs_json_get(machine, "bytes"))
		fprintf(file, "    %" PRIu64 " files of %s\n", hs_json_get_u64(machine, "files"),
			hs_format_bytes(text, sizeof(text), hs_json_get_u64(machine, "bytes")));
	if (hs_json_get_u64(machine, "missing_packets") + hs_json_get_u64(machine, "unread_bytes"))
		fprintf(file, "    damaged: %" PRIu64 " packets are missing, %" PRIu64 " bytes make no sense\n",
			hs_json_get_u64(machine, "missing_packets"), hs_json_get_u64(machine, "unread_bytes"));
	print_clock(file, machine);
	print_events(file, machine);
}

void hs_info_print(FILE *file, json_object *document)
{
	json_object *machines = hs_json_get(document, "machines");
	const char *outcome = hs_json_get_string(document, "outcome");

	fprintf(file, "%s: a %s%s%s\n", hs_json_get_string(document, "dir"), hs_json_get_string(document, "kind"),
		*outcome ? ", " : "", outcome);
	for (size_t i = 0; i < json_object_array_length(machines); i++)
		print_machine(file, json_object_array_get_idx(machines, i));
}
