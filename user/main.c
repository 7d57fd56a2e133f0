// SPDX-License-Identifier: GPL-2.0-only
/* The table of verbs. */
#include <sys/stat.h>

#include "base/opt.h"
#include "cmd/cmd.h"
#include "migtools/migtools.h"

const char hs_summary[] =
	"host observability for virtualization: nested labs, KVM, tap and IOMMU events on one time line";

/* One a line, so that two who add a verb do not meet. */
/* clang-format off */
const struct hs_verb *const hs_verbs[] = {
	&cmd_collect,
	&cmd_lab_up,
	&cmd_lab_test,
	&cmd_lab_exec,
	&cmd_lab_console,
	&cmd_lab_status,
	&cmd_lab_down,
	&cmd_record,
	&cmd_snapshot,
	&cmd_guest_list,
	&cmd_guest_attach,
	&cmd_guest_start,
	&cmd_guest_stop,
	&cmd_guest_status,
	&cmd_print,
	&cmd_info,
	&cmd_events,
	&cmd_stat, &cmd_top,
	&cmd_agent,
	&cmd_check,
	&cmd_correlate,
	&cmd_show,
	&cmd_report_vm_exit,
	&cmd_report_irq,
	&cmd_report_cpu,
	&cmd_migrate,
	&cmd_log_last,
	&cmd_log_level,
	&cmd_log,
	&cmd_trace_gen,
	&cmd_iommu_sim,
	&cmd_explore,
	HS_MIGTOOLS_VERBS
	&cmd_gen,
	NULL,
};
/* clang-format on */

int main(int argc, char **argv)
{
	umask(077); /* what a run writes is its owner's */
	return hs_verb_main(hs_verbs, hs_summary, argc, argv);
}
