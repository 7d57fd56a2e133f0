/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an experiment does: the matrix, the guest, the limits. Options, a plan file of `option = value` lines and the
 * defaults are one thing, in this order of weight, through the same rows. Main thread, before anything is started.
 */
#ifndef HS_MIGRATE_PLAN_H
#define HS_MIGRATE_PLAN_H

#include "base/opt.h"
#include "base/scoped.h"
#include "migrate/mode.h"

#define HS_PLAN_AXIS_MAX 32

enum hs_fault { HS_FAULT_NONE, HS_FAULT_SOURCE_DIES, HS_FAULT_DESTINATION_DIES, HS_FAULT_LINK_DOWN };
extern const char *const hs_fault_names[];

/* As given. Nothing has a default here: 0 and NULL mean that nobody said anything. */
struct hs_plan_options {
	struct hs_opt_list modes, dirty, bandwidth;
	uint32_t trials, cpus;
	uint64_t mem_bytes, dirty_mem_bytes;
	uint64_t delay_ns, interval_ns, settle_ns, limit_ns, downtime_limit_ns;
	uint64_t max_net_downtime_ns, max_tap_gap_ns, max_stop_resume_ns, max_blackout_ns, max_brownout_ns,
		max_qemu_downtime_ns, max_total_ns;
	int fault;
};

#define HS_PLAN_MEM_MIN (160ull << 20)
#define HS_PLAN_MEM_MAX (1ull << 40)

/* Rows for a verb whose config is of type `type` and has these options as `member`. */
#define HS_PLAN_OPTIONS(type, member)                                                                                  \
	HS_OPT(type, member.modes, "mode", 'm', HS_OPT_LIST, "MODE", NULL,                                             \
	       "how it migrates: precopy (default), postcopy, precopy-postcopy, auto-converge, multifd, xbzrle, ...; " \
	       "several by comma or repetition; `--list-modes` tells what this QEMU has"),                             \
		HS_OPT(type, member.dirty, "dirty", 'd', HS_OPT_LIST, "RATE", NULL,                                    \
		       "MiB that the guest dirties a second (default 50); several as above; 0: an idle guest"),        \
		HS_OPT(type, member.bandwidth, "bandwidth", 'b', HS_OPT_LIST, "RATE", NULL,                            \
		       "bits a second of the link, such as 100M or 1G (default 1G); several as above"),                \
		HS_OPT(type, member.delay_ns, "delay", 0, HS_OPT_DURATION, "TIME", NULL,                               \
		       "what the link takes, one way (default 0, at most 1s)"),                                        \
		HS_OPT(type, member.trials, "trials", 't', HS_OPT_U32, "N", NULL,                                      \
		       "migrations of each kind (default 3)", .min = 1, .max = 10000),                                 \
		HS_OPT(type, member.mem_bytes, "mem", 0, HS_OPT_SIZE, "SIZE", NULL,                                    \
		       "memory of the guest (default 256M)", .min = HS_PLAN_MEM_MIN, .max = HS_PLAN_MEM_MAX,           \
		       .unit = 1 << 20),                                                                               \
		HS_OPT(type, member.dirty_mem_bytes, "dirty-mem", 0, HS_OPT_SIZE, "SIZE", NULL,                        \
		       "of it, what mm_dirty fills and dirties (default a quarter)", .min = 1 << 20,                   \
		       .max = HS_PLAN_MEM_MAX, .unit = 1 << 20),                                                       \
		HS_OPT(type, member.cpus, "cpus", 0, HS_OPT_U32, "N", NULL, "CPUs of the guest (default 1)", .min = 1, \
		       .max = 255),                                                                                    \
		HS_OPT(type, member.interval_ns, "interval", 'i', HS_OPT_DURATION, "TIME", NULL,                       \
		       "from one probe to the next, 10us at least (default 10ms)", .min = 10000),                      \
		HS_OPT(type, member.settle_ns, "settle", 0, HS_OPT_DURATION, "TIME", NULL,                             \
		       "watched before and after each migration (default 2s)", .min = 1),                              \
		HS_OPT(type, member.limit_ns, "limit", 'l', HS_OPT_DURATION, "TIME", NULL,                             \
		       "a migration that is not done by then is cancelled and reported so (default 60s)", .min = 1),   \
		HS_OPT(type, member.downtime_limit_ns, "downtime-limit", 0, HS_OPT_DURATION, "TIME", NULL,             \
		       "QEMU's parameter: what it may stop the guest for, 1ms at least (default 300ms); of no use to " \
		       "modes with postcopy",                                                                          \
		       .min = 1000000),                                                                                \
		HS_OPT(type, member.fault, "fault", 0, HS_OPT_CHOICE, "FAULT", "none",                                 \
		       "what is broken in the middle of each migration", .choices = hs_fault_names),                   \
		HS_OPT(type, member.max_net_downtime_ns, "max-net-downtime", 0, HS_OPT_DURATION, "TIME", NULL,         \
		       "exit with 5 when the probes' gap at a switch is longer; as with those below, also when a "     \
		       "migration is not completed",                                                                   \
		       .min = 1),                                                                                      \
		HS_OPT(type, member.max_tap_gap_ns, "max-tap-gap", 0, HS_OPT_DURATION, "TIME", NULL,                   \
		       "exit with 5 when the gap between the taps is longer", .min = 1),                               \
		HS_OPT(type, member.max_stop_resume_ns, "max-stop-resume", 0, HS_OPT_DURATION, "TIME", NULL,           \
		       "exit with 5 when the time from STOP to RESUME is longer", .min = 1),                           \
		HS_OPT(type, member.max_blackout_ns, "max-blackout", 0, HS_OPT_DURATION, "TIME", NULL,                 \
		       "exit with 5 when nothing came out of the guest for longer", .min = 1),                         \
		HS_OPT(type, member.max_brownout_ns, "max-brownout", 0, HS_OPT_DURATION, "TIME", NULL,                 \
		       "exit with 5 when the guest wrote less than half of its rate for longer", .min = 1),            \
		HS_OPT(type, member.max_qemu_downtime_ns, "max-qemu-downtime", 0, HS_OPT_DURATION, "TIME", NULL,       \
		       "exit with 5 when QEMU's own downtime is longer", .min = 1),                                    \
		HS_OPT(type, member.max_total_ns, "max-total", 0, HS_OPT_DURATION, "TIME", NULL,                       \
		       "exit with 5 when a migration takes longer", .min = 1)

struct hs_plan {
	const struct hs_mode *modes[HS_PLAN_AXIS_MAX];
	uint64_t dirty[HS_PLAN_AXIS_MAX];	  /* MiB/s */
	uint64_t bandwidth_bps[HS_PLAN_AXIS_MAX]; /* bits a second */
	size_t mode_nr, dirty_nr, bandwidth_nr;
	struct hs_plan_options options; /* all filled in */
	char *name;			/* the plan file's, without folder and ending; "options" without */
	char *text;			/* of the file; lists of options point into it */
};

/*
 * Fills in what `config` (the verb's, with `rows`) leaves open: from the plan `file` (a path, or the name of one that
 * is shipped; NULL: none), then with the defaults. *options is the member of config. 0, or an exit code after a
 * message.
 */
int hs_plan_make(const struct hs_opt *rows, void *config, struct hs_plan_options *options, const char *file,
		 struct hs_plan **out);
void hs_plan_free(struct hs_plan *plan);
HS_SCOPED(hs_plan, struct hs_plan *, hs_plan_free)

/* "100M", "2.5G", "800000": bits a second, powers of 1000. 0 or -EINVAL. */
int hs_plan_parse_bandwidth(const char *text, uint64_t *bps);

#endif
