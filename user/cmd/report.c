// SPDX-License-Identifier: GPL-2.0-only
/* `hsbpf report vm_exit|irq|cpu DIR`: reads a recording once, feeds one analysis, prints its tables. */
#include <stdio.h>

#include "analysis/replay.h"
#include "base/cpulist.h"
#include "base/log.h"
#include "cmd.h"
#include "cmd/choice.h"
#include "trace/find.h"

struct report_config {
	struct hs_opt_list vms;
	const char *vcpus, *cpus;
	uint64_t from_ns, to_ns;
	int by, sort;
	bool json, csv, histogram;
};

static const char *const by_choices[] = { "vcpu", "vm", "all", NULL };
static const char *const sort_choices[] = { "time", "count", "avg", "p50", "p99", "max", "vm", NULL };
static const char *const sort_keys[] = { "time_ns", "count", "avg_ns", "p50_ns", "p99_ns", "max_ns", "vm" };

static const struct hs_opt options[] = {
	HS_OPT(struct report_config, vms, "vm", 0, HS_OPT_LIST, "NAME|PID", NULL, "only this VM; may be repeated"),
	HS_OPT(struct report_config, vcpus, "vcpu", 0, HS_OPT_STR, "LIST", NULL, "only these vCPUs, such as 0-3,7"),
	HS_OPT(struct report_config, cpus, "cpu", 0, HS_OPT_STR, "LIST", NULL, "only what happened on these CPUs"),
	HS_OPT(struct report_config, from_ns, "from", 0, HS_OPT_DURATION, "TIME", NULL,
	       "from that time after the first record"),
	HS_OPT(struct report_config, to_ns, "to", 0, HS_OPT_DURATION, "TIME", NULL,
	       "up to that time after the first record"),
	HS_OPT(struct report_config, by, "by", 0, HS_OPT_CHOICE, "WHAT", "vcpu", "a row for each",
	       .choices = by_choices),
	HS_OPT(struct report_config, sort, "sort", 0, HS_OPT_CHOICE, "COLUMN", "time", "rows by",
	       .choices = sort_choices),
	HS_OPT(struct report_config, histogram, "histogram", 0, HS_OPT_FLAG, NULL, NULL,
	       "show how the times of each row are spread"),
	HS_OPT(struct report_config, csv, "csv", 0, HS_OPT_FLAG, NULL, NULL,
	       "print CSV: acrnalyze's columns (its cycles are ns here, at 1000 MHz), then ours"),
	HS_OPT(struct report_config, json, "json", 0, HS_OPT_FLAG, NULL, NULL, "print one JSON document"),
	HS_OPT_END,
};

/* What the user asks about, and what its parts point to. */
struct question {
	struct hs_replay_config replay;
	struct hs_cpulist vcpus, cpus;
	uint32_t tgids[HS_OPT_LIST_MAX];
};

static void question_scoped(struct question *question)
{
	hs_vms_clear(&question->replay.vms);
}

static int choose(const struct report_config *config, const struct hs_trace_folders *folders, struct question *question)
{
	struct hs_replay_config *replay = &question->replay;
	int code = hs_choice_parse_list("vcpu", config->vcpus, &question->vcpus, &replay->scope.vcpus);

	if (!code)
		code = hs_choice_parse_list("cpu", config->cpus, &question->cpus, &replay->scope.cpus);
	if (!code)
		code = hs_choice_read_names(folders->record, &replay->vms);
	replay->scope.by = (enum hs_by)config->by;
	replay->scope.tgids = question->tgids;
	if (!code)
		code = hs_choice_add_vms(&replay->vms, &config->vms, question->tgids, &replay->scope.tgid_nr);
	replay->trace = folders->traces[0];
	replay->from_ns = config->from_ns;
	replay->to_ns = config->to_ns;
	replay->format = config->json ? HS_REPORT_JSON : config->csv ? HS_REPORT_CSV : HS_REPORT_TEXT;
	replay->sort = sort_keys[config->sort];
	replay->with_histograms = config->histogram;
	return code;
}

static int report_on(const char *kind, const struct report_config *config, int argc, char **argv)
{
	scoped(hs_trace_folders) struct hs_trace_folders *folders = NULL;
	scoped(question) struct question question = { .replay.kind = kind };
	int code;

	if (argc != 1) {
		hs_err("report %s needs one folder: of a recording, of a run, or a trace", kind);
		return HS_EXIT_USAGE;
	}
	if (config->json && config->csv) {
		hs_err("report %s has one form: --json or --csv", kind);
		return HS_EXIT_USAGE;
	}
	code = hs_trace_find(argv[0], &folders);
	if (!code && folders->trace_nr > 1)
		hs_warn("%s has the traces of %zu machines; this is %s", argv[0], folders->trace_nr,
			folders->traces[0]);
	if (!code)
		code = choose(config, folders, &question);
	return code ? code : hs_replay(&question.replay, stdout);
}

static int run_vm_exit(void *config, int argc, char **argv)
{
	return report_on("vm_exit", config, argc, argv);
}

static int run_irq(void *config, int argc, char **argv)
{
	return report_on("irq", config, argc, argv);
}

static int run_cpu(void *config, int argc, char **argv)
{
	return report_on("cpu", config, argc, argv);
}

#define DIR_TEXT "DIR is what `hsbpf record` or `hsbpf collect` made, or a CTF trace of hsbpf.\n"
#define COMMON_TEXT                                                                                                    \
	"An event that was lost makes no time wrong: a time that touches a loss is left out, and that is said.\n"      \
	"p50 and p99 are exact to 1.6 %.\n"                                                                            \
	"--csv begins with acrnalyze's columns under its names. Its cycles are nanoseconds here, so the stated\n"      \
	"frequency is 1000 MHz; run time is the stretch of the trace that is reported."

const struct hs_verb cmd_report_vm_exit = {
	.name = "report vm_exit",
	.synopsis = "DIR",
	.help = "VM exits of a recording by reason, VM and vCPU, with their times",
	.text = DIR_TEXT
	"The time of an exit is the vCPU's next kvm_entry minus its own kvm_exit. Also the time of each\n"
	"vCPU in the guest, in KVM and in user space.\n" COMMON_TEXT,
	.options = options,
	.config_size = sizeof(struct report_config),
	.run = run_vm_exit,
};

const struct hs_verb cmd_report_irq = {
	.name = "report irq",
	.synopsis = "DIR",
	.help = "interrupts of a recording by vector, VM and vCPU, with their latencies",
	.text = DIR_TEXT
	"Times are from injection (kvm_inj_virq) to the guest's EOI (kvm_eoi, kvm_pv_eoi) of the same vector and\n"
	"vCPU; delivery is from acceptance by the APIC (kvm_apic_accept_irq) to injection.\n" COMMON_TEXT,
	.options = options,
	.config_size = sizeof(struct report_config),
	.run = run_irq,
};

const struct hs_verb cmd_report_cpu = {
	.name = "report cpu",
	.synopsis = "DIR",
	.help = "CPU use of a recording's vCPUs: guest, KVM, user space, halted, steal",
	.text = DIR_TEXT
	"Steal is the time that a vCPU could have run but another thread had the CPU; that and halting is told by\n"
	"the scheduler's events (record with -P sched). Unseen is what no record tells, at the ends "
	"mostly.\n" COMMON_TEXT,
	.options = options,
	.config_size = sizeof(struct report_config),
	.run = run_cpu,
};
