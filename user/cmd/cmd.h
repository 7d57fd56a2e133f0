/* SPDX-License-Identifier: GPL-2.0-only */
/* The verbs, one per file (`lab ...` share one). */
#ifndef HS_CMD_CMD_H
#define HS_CMD_CMD_H

#include "base/opt.h"

extern const struct hs_verb cmd_info;
extern const struct hs_verb cmd_explore;
extern const struct hs_verb cmd_collect, cmd_lab_up, cmd_lab_test, cmd_lab_exec, cmd_lab_console, cmd_lab_status,
	cmd_lab_down, cmd_record, cmd_snapshot, cmd_events, cmd_stat, cmd_top, cmd_check, cmd_show, cmd_report_vm_exit,
	cmd_report_irq, cmd_report_cpu, cmd_correlate, cmd_print, cmd_gen, cmd_agent;
extern const struct hs_verb cmd_guest_list, cmd_guest_attach, cmd_guest_start, cmd_guest_stop, cmd_guest_status,
	cmd_migrate;
extern const struct hs_verb cmd_log, cmd_log_level, cmd_log_last;
extern const struct hs_verb cmd_trace_gen;
extern const struct hs_verb cmd_iommu_sim;

/* main.c's table, NULL at the end: what `hsbpf gen` documents. */
extern const struct hs_verb *const hs_verbs[];
extern const char hs_summary[];

#endif
