/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * This host's VMs and taps, counted in the kernel and kept in a table: what `hsbpf stat` prints and `hsbpf top` shows.
 * The caller updates it once a second or so; one thread.
 */
#ifndef HS_STAT_MONITOR_H
#define HS_STAT_MONITOR_H

#include "base/opt.h"
#include "base/scoped.h"
#include "capture/vm.h"
#include "stat/table.h"

struct hs_stat_monitor_config {
	struct hs_opt_list vms;	 /* names or PIDs; none: every VM of the host */
	struct hs_opt_list taps; /* interfaces of this network namespace; none: all of its taps */
};

struct hs_stat_tap_name {
	struct hs_tap_key key;
	char name[16];
	uint32_t tgid;	 /* of the VM that holds it, 0 when none is known */
	uint32_t looked; /* how often that was looked for */
	bool is_seen;	 /* by the last look at the interfaces */
	bool is_gone;	 /* and not watched any more */
};

struct hs_stat_monitor {
	struct hs_stat_monitor_config config;
	struct hs_stat_source *source;
	struct hs_vm_list vms;
	struct hs_stat_table table;
	struct hs_stat_snapshot snapshot; /* its memory is used again */
	struct hs_stat_tap_name *taps;	  /* also those that are gone */
	size_t tap_nr;
};

/*
 * Finds VMs and taps, loads and attaches. 0; -EPERM or -EOPNOTSUPP where this kernel or user cannot; -ENOENT for a VM
 * or interface that is not there; -errno. All said.
 */
int hs_stat_monitor_open(const struct hs_stat_monitor_config *config, struct hs_stat_monitor **out);

/* Reads the counters into the table; VMs and taps that came and went are followed. 0 or -errno (said). */
int hs_stat_monitor_update(struct hs_stat_monitor *monitor);

/* Detaches and updates for the last time: the counts are final. */
int hs_stat_monitor_stop(struct hs_stat_monitor *monitor);

/* Of --vm: whether one of them still runs; true without --vm. */
bool hs_stat_monitor_has_any_vm(const struct hs_stat_monitor *monitor);

/* Name of a VM, and of a tap ("?" when it was never seen). Valid until the next update. */
const char *hs_stat_monitor_vm_name(const struct hs_stat_monitor *monitor, uint32_t tgid, uint32_t tid);
const char *hs_stat_monitor_tap_name(const struct hs_stat_monitor *monitor, const struct hs_tap_key *key);

/* Process of the VM that holds the tap, 0 when none of ours does. */
uint32_t hs_stat_monitor_tap_owner(const struct hs_stat_monitor *monitor, const struct hs_tap_key *key);

/* Number of the vCPU that a thread runs, HS_STAT_VCPU_UNKNOWN when nobody told. */
uint32_t hs_stat_monitor_vcpu_id(const struct hs_stat_monitor *monitor, uint32_t tgid, uint32_t tid);

void hs_stat_monitor_free(struct hs_stat_monitor *monitor);
HS_SCOPED(hs_stat_monitor, struct hs_stat_monitor *, hs_stat_monitor_free)

#endif
