// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keeps the table up to date: VMs that start are named, threads that end are taken out of the kernel's maps, taps that
 * appear are watched.
 */
#include "stat/monitor.h"

#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "capture/tap.h"

#define TAP_LOOKS 10

/* ---- taps ---- */

static struct hs_stat_tap_name *find_tap(const struct hs_stat_monitor *monitor, const struct hs_tap_key *key)
{
	for (size_t i = 0; i < monitor->tap_nr; i++) {
		if (!memcmp(&monitor->taps[i].key, key, sizeof(*key)))
			return &monitor->taps[i];
	}
	return NULL;
}

static int add_tap(struct hs_stat_monitor *monitor, const struct hs_tap_key *key, const char *name)
{
	struct hs_stat_tap_name *taps = reallocarray(monitor->taps, monitor->tap_nr + 1, sizeof(*taps));

	if (!taps)
		return -ENOMEM;
	monitor->taps = taps;
	taps[monitor->tap_nr] = (struct hs_stat_tap_name){ .key = *key, .is_seen = true };
	snprintf(taps[monitor->tap_nr++].name, sizeof(taps->name), "%s", name);
	return 0;
}

static int watch_tap(struct hs_stat_monitor *monitor, uint32_t netns_inum, uint32_t ifindex, const char *name)
{
	struct hs_tap_key key = { .netns_inum = netns_inum, .ifindex = ifindex };
	struct hs_stat_tap_name *known = find_tap(monitor, &key);
	int err;

	if (known && !known->is_gone) {
		known->is_seen = true;
		return 0;
	}
	err = hs_stat_source_watch_tap(monitor->source, netns_inum, ifindex);
	if (err)
		return err;
	if (!known)
		return add_tap(monitor, &key, name);
	known->is_seen = true;
	known->is_gone = false;
	known->tgid = known->looked = 0;
	snprintf(known->name, sizeof(known->name), "%s", name);
	return 0;
}

static int watch_named_taps(struct hs_stat_monitor *monitor)
{
	uint32_t netns_inum;
	int err = hs_netns_inum(&netns_inum);

	for (size_t i = 0; i < monitor->config.taps.count && !err; i++) {
		const char *name = monitor->config.taps.items[i];
		unsigned int ifindex = if_nametoindex(name);

		if (!ifindex)
			return hs_fail(-ENOENT, "there is no interface '%s' in this network namespace", name);
		err = watch_tap(monitor, netns_inum, ifindex, name);
	}
	return err;
}

/* All taps of the namespace, as they are now. */
static int follow_taps(struct hs_stat_monitor *monitor)
{
	struct if_nameindex *interfaces;
	uint32_t netns_inum;
	int err;

	if (monitor->config.taps.count)
		return 0;
	err = hs_netns_inum(&netns_inum);
	if (err)
		return err;
	for (size_t i = 0; i < monitor->tap_nr; i++)
		monitor->taps[i].is_seen = false;
	interfaces = if_nameindex();
	for (struct if_nameindex *at = interfaces; at && at->if_index && !err; at++) {
		if (hs_tap_is(at->if_name))
			err = watch_tap(monitor, netns_inum, at->if_index, at->if_name);
	}
	if_freenameindex(interfaces);
	return err;
}

/* A VM opens its taps before it runs; a few looks at all of them are enough, and are not for nothing each second. */
static void find_tap_owners(struct hs_stat_monitor *monitor)
{
	for (size_t i = 0; i < monitor->tap_nr; i++) {
		struct hs_stat_tap_name *tap = &monitor->taps[i];

		if (tap->tgid || tap->is_gone || tap->looked++ >= TAP_LOOKS)
			continue;
		for (size_t j = 0; j < monitor->vms.vm_nr && !tap->tgid; j++) {
			if (hs_tap_is_held(monitor->vms.vms[j].tgid, tap->name))
				tap->tgid = (uint32_t)monitor->vms.vms[j].tgid;
		}
	}
}

/* After their last reading: the number may come back as another interface. */
static void drop_gone_taps(struct hs_stat_monitor *monitor)
{
	for (size_t i = 0; i < monitor->tap_nr; i++) {
		struct hs_stat_tap_name *tap = &monitor->taps[i];

		if (tap->is_seen || tap->is_gone)
			continue;
		tap->is_gone = true;
		hs_stat_source_unwatch_tap(monitor->source, &tap->key);
		hs_stat_table_forget_tap(&monitor->table, &tap->key);
	}
}

/* ---- VMs ---- */

static int select_vms(struct hs_stat_monitor *monitor)
{
	int err = 0;

	for (size_t i = 0; i < monitor->config.vms.count && !err; i++)
		err = hs_vms_select(&monitor->vms, monitor->config.vms.items[i]);
	return err;
}

static int watch_vms(struct hs_stat_monitor *monitor)
{
	int err = 0;

	for (size_t i = 0; i < monitor->vms.vm_nr && !err; i++)
		err = hs_stat_source_watch_process(monitor->source, monitor->vms.vms[i].tgid);
	return err;
}

/* New VMs may hold taps that nobody held. */
static void follow_vms(struct hs_stat_monitor *monitor)
{
	size_t vm_nr = monitor->vms.vm_nr;

	if (monitor->config.vms.count)
		hs_vms_refresh(&monitor->vms);
	else
		hs_vms_scan(&monitor->vms);
	for (size_t i = 0; i < monitor->tap_nr && vm_nr != monitor->vms.vm_nr; i++)
		monitor->taps[i].looked = 0;
}

bool hs_stat_monitor_has_any_vm(const struct hs_stat_monitor *monitor)
{
	for (size_t i = 0; i < monitor->vms.vm_nr; i++) {
		if (!kill(monitor->vms.vms[i].tgid, 0))
			return true;
	}
	return !monitor->config.vms.count;
}

const char *hs_stat_monitor_vm_name(const struct hs_stat_monitor *monitor, uint32_t tgid, uint32_t tid)
{
	const struct hs_vm *vm = hs_vms_find(&monitor->vms, (pid_t)tgid);
	const struct hs_stat_vcpu_line *vcpu = hs_stat_table_vcpu(&monitor->table, tgid, tid);

	if (vm)
		return vm->name;
	return vcpu ? vcpu->name : "?";
}

uint32_t hs_stat_monitor_vcpu_id(const struct hs_stat_monitor *monitor, uint32_t tgid, uint32_t tid)
{
	const struct hs_stat_vcpu_line *line = hs_stat_table_vcpu(&monitor->table, tgid, tid);
	const struct hs_vm *vm;
	const struct hs_vcpu *vcpu;

	if (line && line->vcpu_id != HS_STAT_VCPU_UNKNOWN)
		return line->vcpu_id;
	vcpu = hs_vms_find_thread(&monitor->vms, (pid_t)tid, &vm);
	return vcpu && vm->tgid == (pid_t)tgid ? vcpu->vcpu_id : HS_STAT_VCPU_UNKNOWN;
}

const char *hs_stat_monitor_tap_name(const struct hs_stat_monitor *monitor, const struct hs_tap_key *key)
{
	const struct hs_stat_tap_name *tap = find_tap(monitor, key);

	return tap ? tap->name : "?";
}

uint32_t hs_stat_monitor_tap_owner(const struct hs_stat_monitor *monitor, const struct hs_tap_key *key)
{
	const struct hs_stat_tap_name *tap = find_tap(monitor, key);

	return tap ? tap->tgid : 0;
}

/* ---- updates ---- */

/* "1234567 890 12": time on CPUs, time waiting for one, times put on one; since the thread began. */
static void read_schedstat(struct hs_stat_monitor *monitor, const struct hs_stat_vcpu_row *row)
{
	scoped(mem) char *path = hs_format("/proc/%" PRIu32 "/task/%" PRIu32 "/schedstat", row->value.tgid, row->tid);
	scoped(mem) char *text = NULL;
	uint64_t cpu_ns, wait_ns, switches;

	if (path && !hs_read_file(path, 256, &text, NULL) &&
	    sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64, &cpu_ns, &wait_ns, &switches) == 3)
		hs_stat_table_set_cpu(&monitor->table, row->tid, cpu_ns, wait_ns, switches);
}

static int update(struct hs_stat_monitor *monitor, bool is_final)
{
	struct hs_stat_snapshot *snapshot = &monitor->snapshot;
	int err = hs_stat_source_read(monitor->source, snapshot);

	if (!err)
		err = hs_stat_table_update(&monitor->table, snapshot, is_final);
	for (size_t i = 0; i < snapshot->vcpu_nr && !err; i++) {
		if (!snapshot->vcpus[i].value.has_ended) {
			read_schedstat(monitor, &snapshot->vcpus[i]);
			continue;
		}
		hs_stat_source_forget(monitor->source, snapshot, snapshot->vcpus[i].tid);
		hs_stat_table_forget(&monitor->table, snapshot->vcpus[i].tid);
	}
	return err;
}

/* After their last reading, like taps. */
static void drop_gone_vhosts(struct hs_stat_monitor *monitor)
{
	for (size_t i = 0; i < monitor->snapshot.vhost_nr; i++) {
		uint32_t tgid = monitor->snapshot.vhosts[i].tgid;

		if (!kill((pid_t)tgid, 0) || errno != ESRCH)
			continue;
		hs_stat_source_forget_vhost(monitor->source, tgid);
		hs_stat_table_forget_vhost(&monitor->table, tgid);
	}
}

int hs_stat_monitor_update(struct hs_stat_monitor *monitor)
{
	int err;

	follow_vms(monitor);
	err = follow_taps(monitor);
	find_tap_owners(monitor);
	if (!err)
		err = update(monitor, false);
	drop_gone_taps(monitor);
	drop_gone_vhosts(monitor);
	return err;
}

int hs_stat_monitor_stop(struct hs_stat_monitor *monitor)
{
	follow_vms(monitor);
	hs_stat_source_stop(monitor->source);
	return update(monitor, true);
}

static int open_source(struct hs_stat_monitor *monitor)
{
	char reason[256] = "";
	struct hs_stat_source_config source = {
		.host_wide = !monitor->config.vms.count,
		.reason = reason,
		.reason_bytes = sizeof(reason),
	};
	int err = hs_stat_source_open(&source, &monitor->source);

	return err ? hs_fail(err, "cannot count here: %s", reason) : 0;
}

static int open_parts(struct hs_stat_monitor *monitor)
{
	int err = select_vms(monitor);

	if (!err)
		err = open_source(monitor);
	if (!err)
		err = watch_vms(monitor);
	if (!err)
		err = watch_named_taps(monitor);
	return err ? err : hs_stat_monitor_update(monitor);
}

int hs_stat_monitor_open(const struct hs_stat_monitor_config *config, struct hs_stat_monitor **out)
{
	scoped(hs_stat_monitor) struct hs_stat_monitor *monitor = calloc(1, sizeof(*monitor));
	int err;

	if (!monitor)
		return -ENOMEM;
	monitor->config = *config;
	err = open_parts(monitor);
	if (err)
		return err;
	*out = take(monitor);
	return 0;
}

void hs_stat_monitor_free(struct hs_stat_monitor *monitor)
{
	if (!monitor)
		return;
	hs_stat_source_free(monitor->source);
	hs_stat_snapshot_clear(&monitor->snapshot);
	hs_stat_table_clear(&monitor->table);
	hs_vms_clear(&monitor->vms);
	free(monitor->taps);
	free(monitor);
}
