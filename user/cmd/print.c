// SPDX-License-Identifier: GPL-2.0-only
/* `hsbpf print DIR`: the records of a recording as text, JSON, CSV or after a user's templates. One thread. */
#include "print/print.h"

#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "cmd/choice.h"
#include "cmd.h"
#include "trace/find.h"

struct print_config {
	struct hs_opt_list events, profiles, vms;
	const char *vcpus, *cpus, *formats;
	uint64_t from_ns, to_ns;
	int clock; /* enum hs_print_clock */
	bool json, jsonl, csv, count;
};

static const char *const clock_choices[] = { "boot", "real", "relative", NULL };

static const struct hs_opt options[] = {
	HS_OPT(struct print_config, events, "event", 'e', HS_OPT_LIST, "EVENT|GLOB", NULL,
	       "only this event, also of a guest's ftrace; may be repeated"),
	HS_OPT(struct print_config, profiles, "profile", 'P', HS_OPT_LIST, "PROFILE", NULL,
	       "only the events of kvm, nested, vhost, tap, net, sched, migration, all, or another system of a guest's "
	       "ftrace; may be repeated"),
	HS_OPT(struct print_config, vms, "vm", 0, HS_OPT_LIST, "NAME|PID", NULL, "only this VM; may be repeated"),
	HS_OPT(struct print_config, vcpus, "vcpu", 0, HS_OPT_STR, "LIST", NULL, "only these vCPUs, such as 0-3,7"),
	HS_OPT(struct print_config, cpus, "cpu", 0, HS_OPT_STR, "LIST", NULL, "only what happened on these CPUs"),
	HS_OPT(struct print_config, from_ns, "from", 0, HS_OPT_DURATION, "TIME", NULL,
	       "from that time after the first record"),
	HS_OPT(struct print_config, to_ns, "to", 0, HS_OPT_DURATION, "TIME", NULL,
	       "up to that time after the first record"),
	HS_OPT(struct print_config, clock, "time", 0, HS_OPT_CHOICE, "CLOCK", "boot",
	       "times since the host's boot, of the day (UTC), or since the first record", .choices = clock_choices),
	HS_OPT(struct print_config, json, "json", 0, HS_OPT_FLAG, NULL, NULL, "print one JSON document"),
	HS_OPT(struct print_config, jsonl, "jsonl", 0, HS_OPT_FLAG, NULL, NULL, "print a JSON object a line"),
	HS_OPT(struct print_config, csv, "csv", 0, HS_OPT_FLAG, NULL, NULL,
	       "print CSV; of a single event a column for each field"),
	HS_OPT(struct print_config, formats, "formats", 0, HS_OPT_STR, "FILE", NULL,
	       "print through the templates of a formats file"),
	HS_OPT(struct print_config, count, "count", 0, HS_OPT_FLAG, NULL, NULL,
	       "print how many there are of each event"),
	HS_OPT_END,
};

static int choose_form(const struct print_config *config, struct hs_print_config *print)
{
	if (config->jsonl + config->csv + !!config->formats + (config->json || config->count) > 1) {
		hs_err("print has one form: --json, --jsonl, --csv or --formats; --count goes with --json only");
		return HS_EXIT_USAGE;
	}
	print->json = config->json;
	print->form = config->count	? HS_PRINT_COUNT
		      : config->json	? HS_PRINT_JSON
		      : config->jsonl	? HS_PRINT_JSONL
		      : config->csv	? HS_PRINT_CSV
		      : config->formats ? HS_PRINT_FORMATS
					: HS_PRINT_TEXT;
	return 0;
}

static int read_formats(const char *path, struct hs_formats **formats)
{
	int err = path ? hs_formats_read(path, formats) : 0;

	return err == -EINVAL ? HS_EXIT_USAGE : err;
}

static int run(void *config_ptr, int argc, char **argv)
{
	const struct print_config *config = config_ptr;
	scoped(hs_trace_folders) struct hs_trace_folders *folders = NULL;
	scoped(hs_formats) struct hs_formats *formats = NULL;
	scoped(hs_vms) struct hs_vm_list vms = { 0 };
	uint32_t tgids[HS_OPT_LIST_MAX];
	struct hs_cpulist vcpus, cpus;
	struct hs_print_config print = { .scope.tgids = tgids,
					 .vms = &vms,
					 .events = &config->events,
					 .profiles = &config->profiles,
					 .from_ns = config->from_ns,
					 .to_ns = config->to_ns };
	int code;

	if (argc != 1) {
		hs_err("print needs one folder: of a recording, of a run, or a trace");
		return HS_EXIT_USAGE;
	}
	print.clock = (enum hs_print_clock)config->clock;
	code = choose_form(config, &print);
	if (!code)
		code = hs_choice_parse_list("vcpu", config->vcpus, &vcpus, &print.scope.vcpus);
	if (!code)
		code = hs_choice_parse_list("cpu", config->cpus, &cpus, &print.scope.cpus);
	if (!code)
		code = read_formats(config->formats, &formats);
	if (!code)
		code = hs_trace_find(argv[0], &folders);
	if (!code)
		code = hs_choice_read_names(folders->record, &vms);
	if (!code)
		code = hs_choice_add_vms(&vms, &config->vms, tgids, &print.scope.tgid_nr);
	if (code)
		return code;
	print.formats = formats;
	print.traces = folders->traces;
	print.trace_nr = folders->trace_nr;
	print.document = folders->document;
	return hs_print(&print, STDOUT_FILENO);
}

const struct hs_verb cmd_print = {
	.name = "print",
	.synopsis = "DIR",
	.help = "print the events of a recording, all CPUs merged by time",
	.text = "DIR is what `hsbpf record` or `hsbpf collect` made, or a CTF trace of hsbpf.\n"
		"A line is VM/vCPU-THREAD [CPU] TIME: EVENT: FIELD=VALUE...; LOST tells where events are missing.\n"
		"A line of a formats file is EVENT TEMPLATE: an event's name or id, then text with %(key)d, x, X, o, "
		"u, c or\n"
		"s, with flags and width. Keys are cpu, tsc (ns), event, tid, vcpu, vm, machine, fields by name, and 1 "
		"to 16,\n"
		"the fields by position. A later line for an event replaces an earlier one.",
	.options = options,
	.config_size = sizeof(struct print_config),
	.run = run,
};
