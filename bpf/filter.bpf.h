/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who is recorded: asked first by every handler, so that the others cost next to nothing. What is not filtered by is
 * cut off by the verifier.
 */
#ifndef HS_FILTER_BPF_H
#define HS_FILTER_BPF_H

#include "bpf/hs.bpf.h"

/* The CPUs that are recorded; empty: not used. */
struct hs_cpus {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u8);
};

/* isa << 32 | exit reason -> 1. */
struct hs_exit_reasons {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, u64);
	__type(value, u8);
};

extern struct hs_cpus cpus SEC(".maps");
extern struct hs_exit_reasons exit_reasons SEC(".maps");

extern const volatile bool by_cpu;	     /* only CPUs in `cpus` */
extern const volatile bool by_exit_reason;   /* only exits in exit_reasons */
extern const volatile __u64 min_exit_ns;     /* not 0: exits as kvm_exit_long, and only those that took so long */
extern const volatile __u64 trigger_exit_ns; /* not 0: an exit that took so long wakes the reader */
extern const volatile bool trigger_panic;    /* a guest that reports its panic wakes the reader */

/* In flight nothing else wakes. */
static __always_inline void hs_trigger(void)
{
	u32 nothing = 0;

	bpf_ringbuf_output(&wake, &nothing, sizeof(nothing), BPF_RB_FORCE_WAKEUP);
}

static __always_inline bool hs_is_cpu_watched(void)
{
	u32 cpu = bpf_get_smp_processor_id();
	const u8 *is_wanted;

	if (!by_cpu)
		return 1;
	is_wanted = bpf_map_lookup_elem(&cpus, &cpu);
	return is_wanted && *is_wanted;
}

static __always_inline bool hs_is_tgid_watched(u32 tgid)
{
	return hs_is_cpu_watched() && (host_wide || bpf_map_lookup_elem(&tgids, &tgid));
}

/* Whether the current process is watched, and which it is (0: the idle task). */
static __always_inline bool hs_is_watched(u32 *tgid)
{
	*tgid = hs_pid_tgid() >> 32;
	return hs_is_tgid_watched(*tgid);
}

static __always_inline bool hs_is_exit_watched(u32 isa, u32 reason)
{
	u64 key = (u64)isa << 32 | (isa == 1 ? reason & 0xffff : reason);

	return !by_exit_reason || bpf_map_lookup_elem(&exit_reasons, &key);
}

#endif
