// SPDX-License-Identifier: GPL-2.0-only
/* `hsbpf record`: KVM, vhost, tap and scheduler events of this host into a folder, every loss counted. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cpulist.h"
#include "base/io.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/unit.h"
#include "cmd/choice.h"
#include "cmd.h"
#include "record/recorder.h"
#include "trace_events/exit_reason.h"

struct record_config {
	struct hs_opt_list events, profiles, vms, taps, triggers;
	const char *out, *cpus, *exit_reasons;
	uint64_t duration_ns, buffer_bytes, min_exit_ns;
	bool fail_on_loss, json, verbose, flight;
};

#define BUFFER_MIN 4096
#define BUFFER_MAX (1ull << 30)

static const struct hs_opt options[] = {
	HS_OPT(struct record_config, events, "event", 'e', HS_OPT_LIST, "EVENT|GLOB", NULL,
	       "record these events, such as kvm_exit or 'kvm_*'; may be repeated"),
	HS_OPT(struct record_config, profiles, "profile", 'P', HS_OPT_LIST, "PROFILE", NULL,
	       "record a group: kvm (unless -e is given), net, ... or all; `hsbpf events` lists them"),
	HS_OPT(struct record_config, vms, "vm", 0, HS_OPT_LIST, "NAME|PID", NULL,
	       "only this VM: a PID, a QEMU -name or a libvirt domain; every VM unless given"),
	HS_OPT(struct record_config, taps, "tap", 0, HS_OPT_LIST, "IFACE", NULL,
	       "only packets of this interface; every tap of this network namespace unless given"),
	HS_OPT(struct record_config, cpus, "cpu", 0, HS_OPT_STR, "LIST", NULL,
	       "only events of these CPUs, such as 0-3,7"),
	HS_OPT(struct record_config, exit_reasons, "exit-reason", 0, HS_OPT_STR, "LIST", NULL,
	       "only exits for these reasons, by name or number, such as HLT,npf,0x7b"),
	HS_OPT(struct record_config, min_exit_ns, "min-exit", 0, HS_OPT_DURATION, "TIME", NULL,
	       "only exits that take that long, as kvm_exit_long", .min = 1),
	HS_OPT(struct record_config, flight, "flight", 0, HS_OPT_FLAG, NULL, NULL,
	       "keep the newest events in the rings, and write them only when asked: `hsbpf snapshot`, SIGUSR1, a "
	       "trigger, "
	       "the end"),
	HS_OPT(struct record_config, triggers, "trigger", 0, HS_OPT_LIST, "WHEN", NULL,
	       "of a flight: 'exit>TIME', vm-end (a VM ends), panic (a guest tells its panic through pvpanic)"),
	HS_OPT(struct record_config, duration_ns, "duration", 'd', HS_OPT_DURATION, "TIME", NULL,
	       "end after that time; at Ctrl-C or with the command unless given", .min = 1),
	HS_OPT(struct record_config, buffer_bytes, "buffer", 0, HS_OPT_SIZE, "SIZE", "8M", "ring of each CPU",
	       .min = BUFFER_MIN, .max = BUFFER_MAX),
	HS_OPT(struct record_config, out, "out", 'o', HS_OPT_STR, "DIR", "hsbpf-record", "folder for the recording"),
	HS_OPT(struct record_config, fail_on_loss, "fail-on-loss", 0, HS_OPT_FLAG, NULL, NULL,
	       "exit code 3 when an event was lost (in a flight: could not be written)"),
	HS_OPT(struct record_config, json, "json", 0, HS_OPT_FLAG, NULL, NULL, "print the recording's document"),
	HS_OPT(struct record_config, verbose, "verbose", 'v', HS_OPT_FLAG, NULL, NULL, "say every step"),
	HS_OPT_END,
};

/* 0, or an exit code after a message. */
static int choose_events(const struct record_config *config, struct hs_event_set *set)
{
	int code = hs_choice_add_events(&config->profiles, &config->events, set);

	for (size_t i = 0; i < config->events.count && !code && !config->min_exit_ns; i++) {
		if (!strcmp(config->events.items[i], "kvm_exit_long")) {
			hs_err("kvm_exit_long are the exits of --min-exit TIME, which is not given");
			return HS_EXIT_USAGE;
		}
	}
	if (code)
		return code;
	if (!config->profiles.count && !config->events.count)
		hs_event_set_add_profile(set, "kvm");
	if (config->taps.count)
		hs_event_set_add_profile(set, "net");
	if (config->min_exit_ns)
		set->has[HS_EVENT_kvm_exit] = set->has[HS_EVENT_kvm_entry] = set->has[HS_EVENT_kvm_exit_long] = true;
	else
		set->has[HS_EVENT_kvm_exit_long] = false;
	if (config->exit_reasons)
		set->has[HS_EVENT_kvm_exit] = set->has[HS_EVENT_kvm_entry] = true;
	return 0;
}

static bool add_exit(struct hs_filter *filter, uint32_t isa, const char *name)
{
	uint32_t reason;

	if (hs_exit_reason_find(isa, name, &reason))
		return false;
	filter->exits[filter->exit_nr++] = (struct hs_exit_filter){ .isa = isa, .reason = reason };
	return true;
}

/* A name may belong to either instruction set, a number means both. */
static int choose_exits(const char *list, struct hs_filter *filter)
{
	scoped(mem) char *text = strdup(list);
	char *rest = text, *name;

	if (!text)
		return -ENOMEM;
	while ((name = strsep(&rest, ","))) {
		if (filter->exit_nr + 2 > HS_EXIT_FILTERS_MAX) {
			hs_err("--exit-reason takes %d names at most", HS_EXIT_FILTERS_MAX / 2);
			return HS_EXIT_USAGE;
		}

		bool is_vmx = add_exit(filter, HS_ISA_VMX, name), is_svm = add_exit(filter, HS_ISA_SVM, name);

		if (!is_vmx && !is_svm) {
			hs_err("--exit-reason: '%s' is no exit reason of VMX or SVM", name);
			return HS_EXIT_USAGE;
		}
	}
	return 0;
}

static int choose_trigger(const char *trigger, struct hs_recorder_config *recording)
{
	if (!strcmp(trigger, "vm-end"))
		recording->trigger_vm_end = true;
	else if (!strcmp(trigger, "panic"))
		recording->filter.trigger_panic = true;
	else if (strncmp(trigger, "exit>", 5) || hs_parse_duration(trigger + 5, &recording->filter.trigger_exit_ns) ||
		 !recording->filter.trigger_exit_ns) {
		hs_err("--trigger '%s' is not one of 'exit>TIME', vm-end, panic", trigger);
		return HS_EXIT_USAGE;
	}
	return 0;
}

/* 0, or an exit code after a message. */
static int choose_filter(const struct record_config *config, struct hs_recorder_config *recording)
{
	struct hs_cpulist cpus;
	int code = 0;

	recording->filter.cpus = config->cpus;
	recording->filter.min_exit_ns = config->min_exit_ns;
	if (config->cpus && hs_cpulist_parse(config->cpus, &cpus)) {
		hs_err("--cpu '%s' is not a list such as 0-3,7", config->cpus);
		return HS_EXIT_USAGE;
	}
	if (config->triggers.count && !config->flight) {
		hs_err("--trigger belongs to --flight: without it everything is written anyway");
		return HS_EXIT_USAGE;
	}
	if (config->exit_reasons)
		code = choose_exits(config->exit_reasons, &recording->filter);
	for (size_t i = 0; i < config->triggers.count && !code; i++)
		code = choose_trigger(config->triggers.items[i], recording);
	if (recording->filter.trigger_panic)
		recording->events.has[HS_EVENT_kvm_pio] = true;
	if (recording->filter.trigger_exit_ns)
		recording->events.has[HS_EVENT_kvm_exit] = recording->events.has[HS_EVENT_kvm_entry] = true;
	return code;
}

static void on_interrupt(void *ctx)
{
	hs_recorder_end(ctx, "interrupted");
}

static void print_summary(json_object *document, const char *dir)
{
	json_object *events = hs_json_get(document, "events"), *missing = hs_json_get(document, "missing");
	uint64_t recorded = 0;
	char bytes[32];

	printf("%-28s %14s %12s %12s\n", "event", "recorded", "lost", "not on disk");
	for (size_t i = 0; i < json_object_array_length(events); i++) {
		json_object *row = json_object_array_get_idx(events, i);

		recorded += hs_json_get_u64(row, "recorded");
		if (hs_json_get_u64(row, "recorded") || hs_json_get_u64(row, "ring_lost") ||
		    hs_json_get_u64(row, "disk_lost"))
			printf("%-28s %14" PRIu64 " %12" PRIu64 " %12" PRIu64 "\n", hs_json_get_string(row, "event"),
			       hs_json_get_u64(row, "recorded"), hs_json_get_u64(row, "ring_lost"),
			       hs_json_get_u64(row, "disk_lost"));
	}
	for (size_t i = 0; i < json_object_array_length(missing); i++) {
		json_object *row = json_object_array_get_idx(missing, i);

		printf("not recorded: %s: %s\n", hs_json_get_string(row, "event"), hs_json_get_string(row, "reason"));
	}
	printf("%" PRIu64 " events of %zu VM%s in %.1f s, %s: %s\n", recorded,
	       json_object_array_length(hs_json_get(document, "vms")),
	       json_object_array_length(hs_json_get(document, "vms")) == 1 ? "" : "s",
	       (double)hs_json_get_u64(document, "duration_ns") / 1e9,
	       hs_format_bytes(bytes, sizeof(bytes), hs_json_get_u64(document, "trace.bytes")), dir);
}

static int record(const struct record_config *config, const struct hs_recorder_config *recording)
{
	scoped(hs_loop) struct hs_loop *loop = NULL;
	scoped(hs_recorder) struct hs_recorder *recorder = NULL;
	int err = hs_loop_open(&loop), end_err;

	if (!err)
		err = hs_recorder_open(recording, loop, &recorder);
	if (!err)
		err = hs_interrupt_open(loop, on_interrupt, recorder);
	if (err)
		return err;
	if (!recording->command && !config->duration_ns)
		hs_info("recording into %s; Ctrl-C ends it", config->out);
	err = hs_recorder_run(recorder);
	end_err = hs_recorder_finish(recorder);
	hs_interrupt_close(loop);
	if (err || end_err)
		return err ? err : end_err;
	if (config->json)
		printf("%s\n", json_object_to_json_string_ext(hs_recorder_document(recorder), HS_JSON_PRINT_FLAGS));
	else
		print_summary(hs_recorder_document(recorder), config->out);
	if (hs_recorder_command_status(recorder))
		return hs_recorder_command_status(recorder);
	return config->fail_on_loss && hs_recorder_lost(recorder) ? HS_EXIT_LOST : HS_EXIT_OK;
}

static int run(void *config_ptr, int argc, char **argv)
{
	const struct record_config *config = config_ptr;
	struct hs_recorder_config recording = {
		.dir = config->out,
		.vms = config->vms,
		.taps = config->taps,
		.ring_bytes = config->buffer_bytes,
		.duration_ns = config->duration_ns,
		.flight = config->flight,
		.command = argc ? argv : NULL,
		.command_stdout_fd = config->json ? STDERR_FILENO : STDOUT_FILENO,
	};
	int code = choose_events(config, &recording.events);

	if (!code)
		code = choose_filter(config, &recording);

	if (config->verbose)
		hs_log_set_level(HS_LOG_DBG);
	return code ? code : record(config, &recording);
}

const struct hs_verb cmd_record = {
	.name = "record",
	.synopsis = "[-- COMMAND ARG...]",
	.has_command = true,
	.help = "record KVM, vhost and tap events of this host, every loss counted",
	.text = "DIR gets record.json and trace/host, a CTF trace that babeltrace2 and Trace Compass open. With a "
		"command, "
		"its run is recorded and its exit code is ours; without, until Ctrl-C or --duration.",
	.options = options,
	.config_size = sizeof(struct record_config),
	.run = run,
};
