/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How the counting programs find and make their rows. The maps are defined in kvm.bpf.c. Plain hash maps: a thread
 * runs on one CPU at a time and its handlers do not interrupt each other, so a row has one writer.
 */
#ifndef HS_BPF_STAT_STAT_BPF_H
#define HS_BPF_STAT_STAT_BPF_H

#include "bpf/hs.bpf.h"
#include "bpf/stat/stat.h"

struct hs_stat_counts {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct hs_stat_key);
	__type(value, struct hs_stat_count);
};

struct hs_stat_times {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct hs_stat_key);
	__type(value, struct hs_stat_time);
};

/* Thread -> its state. */
struct hs_stat_vcpus {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, u32);
	__type(value, struct hs_stat_vcpu);
};

extern struct hs_stat_counts counts SEC(".maps");
extern struct hs_stat_times times SEC(".maps");
extern struct hs_stat_vcpus vcpus SEC(".maps");

extern __u64 no_room[HS_STAT_NO_ROOM_NR]; /* enum hs_stat_no_room */

/* Who runs: *tid is set; false when its process is not watched. */
static __always_inline bool stat_is_watched(u32 *tgid, u32 *tid)
{
	u64 id = bpf_get_current_pid_tgid();

	*tgid = id >> 32;
	*tid = (u32)id;
	return host_wide || bpf_map_lookup_elem(&tgids, tgid);
}

#endif
