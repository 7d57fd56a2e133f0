// SPDX-License-Identifier: GPL-2.0-only
/* `hsbpf events [GLOB...]`: every event with its fields, and how this kernel gives it, found by attaching it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "capture/capture.h"
#include "cmd.h"

struct events_config {
	bool json, brief;
};

static const struct hs_opt options[] = {
	HS_OPT(struct events_config, brief, "brief", 'b', HS_OPT_FLAG, NULL, NULL, "one line an event, without fields"),
	HS_OPT(struct events_config, json, "json", 0, HS_OPT_FLAG, NULL, NULL, "print one JSON document"),
	HS_OPT_END,
};

struct survey {
	struct hs_capture *capture; /* NULL: nothing can be attached, see reason */
	char reason[256];
};

/* Nobody is watched, and a flight writes nothing: attaching is all that happens. */
static void attach(const struct hs_event_set *set, struct survey *survey)
{
	struct hs_capture_config config = { .machine = "host",
					    .flight = true,
					    .ring_bytes = 4096,
					    .events = *set,
					    .reason = survey->reason,
					    .reason_bytes = sizeof(survey->reason) };

	if (set->has[HS_EVENT_kvm_exit_long])
		config.events.has[HS_EVENT_kvm_exit] = config.events.has[HS_EVENT_kvm_entry] = true;
	if (hs_capture_open(&config, &survey->capture) && !*survey->reason)
		snprintf(survey->reason, sizeof(survey->reason), "%s", hs_log_last_error());
}

static const char *how(const struct survey *survey, const struct hs_event *event)
{
	if (!survey->capture)
		return NULL;
	/* Made of two others. */
	return hs_capture_how(survey->capture, event->id == HS_EVENT_kvm_exit_long ? HS_EVENT_kvm_exit : event->id);
}

static const char *why_not(const struct survey *survey, const struct hs_event *event)
{
	const struct hs_probe_missing *missing;
	size_t missing_nr = 0;

	if (!survey->capture)
		return survey->reason;
	missing = hs_capture_missing(survey->capture, &missing_nr);
	for (size_t i = 0; i < missing_nr; i++) {
		if (missing[i].event == event)
			return missing[i].reason;
	}
	return "its tracepoint is not there";
}

static void print_event(const struct survey *survey, const struct hs_event *event, bool brief)
{
	const char *way = how(survey, event);

	printf("%s:%s\n", event->system, event->name);
	printf("    %s\n", event->doc);
	if (way)
		printf("    here: by %s%s\n", way, event->id == HS_EVENT_kvm_exit_long ? ", with --min-exit" : "");
	else
		printf("    not here: %s\n", why_not(survey, event));
	for (unsigned int i = 0; i < event->field_nr && !brief; i++) {
		const struct hs_field *field = &event->fields[i];

		if (strcmp(field->name, "unused") != 0)
			printf("      %-20s %c%-2u  %s%s%s\n", field->name, field->is_signed ? 's' : 'u',
			       8 * field->size, field->unit ? field->unit : "", field->unit ? ": " : "", field->doc);
	}
}

static void add_event(const struct survey *survey, const struct hs_event *event, json_object *list)
{
	json_object *row = hs_json_append_object(list), *fields;
	const char *way = how(survey, event);

	hs_json_add_string(row, "event", event->name);
	hs_json_add_string(row, "profile", event->system);
	hs_json_add_string(row, "doc", event->doc);
	hs_json_add_string(row, "how", way);
	hs_json_add_string(row, "missing", way ? NULL : why_not(survey, event));
	fields = hs_json_add_array(row, "fields");
	for (unsigned int i = 0; i < event->field_nr; i++) {
		json_object *field;

		if (!strcmp(event->fields[i].name, "unused"))
			continue;
		field = hs_json_append_object(fields);
		hs_json_add_string(field, "field", event->fields[i].name);
		hs_json_add_u64(field, "bits", 8 * event->fields[i].size);
		hs_json_add_bool(field, "signed", event->fields[i].is_signed);
		hs_json_add_string(field, "unit", event->fields[i].unit);
		hs_json_add_string(field, "doc", event->fields[i].doc);
	}
}

static int choose(int argc, char **argv, struct hs_event_set *set)
{
	for (int i = 0; i < argc; i++) {
		if (!hs_event_set_add_glob(set, argv[i]) && hs_event_set_add_profile(set, argv[i])) {
			hs_err("no event and no profile is called '%s'", argv[i]);
			return HS_EXIT_USAGE;
		}
	}
	if (!argc)
		hs_event_set_add_profile(set, "all");
	return 0;
}

static int run(void *config_ptr, int argc, char **argv)
{
	const struct events_config *config = config_ptr;
	scoped(json) json_object *document = json_object_new_object();
	struct hs_event_set set = { 0 };
	struct survey survey = { 0 };
	int code = choose(argc, argv, &set);
	json_object *list;

	if (code)
		return code;
	attach(&set, &survey);
	hs_json_add_string(document, "schema", "hsbpf.events/1");
	list = hs_json_add_array(document, "events");
	for (unsigned int i = 0; i < hs_event_nr; i++) {
		if (!set.has[hs_events[i].id])
			continue;
		if (config->json)
			add_event(&survey, &hs_events[i], list);
		else
			print_event(&survey, &hs_events[i], config->brief);
	}
	if (config->json)
		printf("%s\n", json_object_to_json_string_ext(document, HS_JSON_PRINT_FLAGS));
	hs_capture_free(survey.capture);
	return 0;
}

const struct hs_verb cmd_events = {
	.name = "events",
	.synopsis = "[EVENT|GLOB|PROFILE...]",
	.help = "list the events, their fields, and how this kernel gives each",
	.text = "Profiles (record -P) are the part before the colon: kvm, nested, vhost, net (or tap), sched, "
		"migration. Each "
		"event is attached once to see which way works here, and detached again; nothing is recorded.",
	.options = options,
	.config_size = sizeof(struct events_config),
	.run = run,
};
