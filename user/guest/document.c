// SPDX-License-Identifier: GPL-2.0-only
/* Turns the guests' own documents into rows of a run's. Called when they are stopped, or for a state in between. */
#include "document.h"

#include <string.h>

#include "base/io.h"

static void add_missing(json_object *document, const char *machine, const char *event, const char *reason)
{
	json_object *list = hs_json_get(document, "not_recorded");
	json_object *row = hs_json_append_object(list ? list : hs_json_add_array(document, "not_recorded"));

	hs_json_add_string(row, "machine", machine);
	hs_json_add_string(row, "event", event);
	hs_json_add_string(row, "reason", reason);
}

static void add_part(json_object *document, const char *machine, json_object *part, unsigned number)
{
	json_object *trace = hs_json_get(document, "trace"), *missing = hs_json_get(part, "not_recorded");
	scoped(mem) char *folder = number ? hs_format("%s.%u", machine, number + 1) : strdup(machine);

	for (size_t i = 0; missing && i < json_object_array_length(missing); i++) {
		json_object *row = json_object_array_get_idx(missing, i);

		add_missing(document, machine, hs_json_get_string(row, "event"), hs_json_get_string(row, "reason"));
	}
	json_object_object_del(part, "not_recorded");
	json_object_object_add(trace ? trace : hs_json_add_object(document, "trace"), folder ? folder : machine,
			       json_object_get(part));
}

void hs_guests_add_to(struct hs_guests *guests, json_object *document)
{
	for (unsigned i = 0; i < hs_guests_count(guests); i++) {
		scoped(json) json_object *guest = hs_guest_document(guests, i);
		json_object *parts = hs_json_get(guest, "parts");
		const char *name = hs_guest_name(guests, i), *error = hs_json_get_string(guest, "error");
		size_t count = json_object_array_length(parts);

		for (size_t part = 0; part < count; part++)
			add_part(document, name, json_object_array_get_idx(parts, part), (unsigned)part);
		if (!count)
			add_missing(document, name, "all events of its kernel",
				    *error ? error : "its trace agent never answered");
	}
}

uint64_t hs_trace_document_lost(json_object *document)
{
	json_object *trace = hs_json_get(document, "trace");
	uint64_t lost = 0;

	if (!trace)
		return 0;
	json_object_object_foreach (trace, machine, object) {
		(void)machine;
		lost += hs_json_get_u64(object, "lost");
	}
	return lost;
}
