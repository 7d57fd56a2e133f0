/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The counting programs of bpf/stat: loading, what they watch, and their maps read as they stand. One thread calls
 * all functions; the kernel side counts on every CPU meanwhile.
 */
#ifndef HS_STAT_SOURCE_H
#define HS_STAT_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/scoped.h"
#include "bpf/stat/stat.h"

struct hs_stat_source;

struct hs_stat_source_config {
	bool host_wide; /* every VM of the host, not only watched ones */
	char *reason;	/* gets one line when opening fails */
	size_t reason_bytes;
};

struct hs_stat_missing {
	char event[48];
	char reason[160];
};

struct hs_stat_count_row {
	struct hs_stat_key key;
	struct hs_stat_count value;
};

struct hs_stat_time_row {
	struct hs_stat_key key;
	struct hs_stat_time value;
};

struct hs_stat_vcpu_row {
	uint32_t tid;
	struct hs_stat_vcpu value;
};

struct hs_stat_vhost_row {
	uint32_t tgid;
	struct hs_stat_vhost value;
};

struct hs_stat_tap_row {
	struct hs_tap_key key;
	struct hs_tap_value value;
};

/* The maps at one time; sums since opening. Starts as zeros. */
struct hs_stat_snapshot {
	uint64_t boot_ns; /* CLOCK_BOOTTIME when reading began */
	struct hs_stat_count_row *counts;
	size_t count_nr;
	struct hs_stat_time_row *times;
	size_t time_nr;
	struct hs_stat_vcpu_row *vcpus;
	size_t vcpu_nr;
	struct hs_stat_vhost_row *vhosts;
	size_t vhost_nr;
	struct hs_stat_tap_row *taps;
	size_t tap_nr;
	uint64_t no_room[HS_STAT_NO_ROOM_NR];
	uint64_t missed; /* runs that the kernel left out */
};

/*
 * Loads and attaches what this kernel can run. -EPERM (not allowed), -EOPNOTSUPP (this kernel cannot): not said, the
 * reason is in config->reason. Other errors likewise.
 */
int hs_stat_source_open(const struct hs_stat_source_config *config, struct hs_stat_source **out);

/* KVM events of that process from now on. 0 or -errno (said). */
int hs_stat_source_watch_process(struct hs_stat_source *source, pid_t tgid);
/* Packets of that interface from now on; netns_inum is the st_ino of its /proc/PID/ns/net. 0, -EEXIST or -errno (said).
 */
int hs_stat_source_watch_tap(struct hs_stat_source *source, uint32_t netns_inum, uint32_t ifindex);
void hs_stat_source_unwatch_tap(struct hs_stat_source *source, const struct hs_tap_key *key);

/* Reads all maps, reusing the snapshot's memory. 0 or -errno (said). */
int hs_stat_source_read(const struct hs_stat_source *source, struct hs_stat_snapshot *snapshot);

/* Removes the rows of a thread that has ended. `snapshot` tells which there are. */
void hs_stat_source_forget(struct hs_stat_source *source, const struct hs_stat_snapshot *snapshot, uint32_t tid);

/* The same of a process's vhost. */
void hs_stat_source_forget_vhost(struct hs_stat_source *source, uint32_t tgid);

/* Detaches: when this returns the counts are final. */
void hs_stat_source_stop(struct hs_stat_source *source);

/* What cannot be counted here and why; nothing without a source. */
const struct hs_stat_missing *hs_stat_source_missing(const struct hs_stat_source *source, size_t *missing_nr);

void hs_stat_source_free(struct hs_stat_source *source);
HS_SCOPED(hs_stat_source, struct hs_stat_source *, hs_stat_source_free)

void hs_stat_snapshot_clear(struct hs_stat_snapshot *snapshot);

/* scoped(hs_stat_snapshot) struct hs_stat_snapshot snapshot = { 0 }; */
static inline void hs_stat_snapshot_scoped(struct hs_stat_snapshot *snapshot)
{
	hs_stat_snapshot_clear(snapshot);
}

#endif
