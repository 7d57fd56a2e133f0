/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How every handler records: hs_emit() reserves, fills every field and submits, so none of the three can be
 * forgotten, and a reservation that fails is counted here and nowhere else. The maps are defined in hs.bpf.c.
 * A handler can be interrupted by another one on its CPU, never moved to another CPU.
 */
#ifndef HS_BPF_H
#define HS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "trace_events/events.h"
#include "bpf/shared.h"

struct hs_ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
};

/* CPU -> its ring; user space makes the rings, in the size wanted, for every possible CPU. */
struct hs_rings {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, u32);
	__array(values, struct hs_ring);
};

/* CPU * HS_EVENT_ID_NR + event id -> records that found no room; user space reads it mapped. */
struct hs_lost {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
};

/* The processes whose VMs are watched. */
struct hs_tgids {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u32);
	__type(value, u8);
};

/* The taps that are watched, with what crossed them. */
struct hs_taps {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct hs_tap_key);
	__type(value, struct hs_tap_value);
};

extern struct hs_rings rings SEC(".maps");
extern struct hs_lost lost SEC(".maps");
extern struct hs_tgids tgids SEC(".maps");
extern struct hs_taps taps SEC(".maps");

/* Set before loading. */
extern const volatile __u64 fill_mark_bytes; /* a ring filled up to here wakes the collector */
extern const volatile bool host_wide;	     /* every VM of the host, not only those in tgids */

/* Reads what both sides have room for. The asm keeps compare and use in one register, for the verifier. */
static __always_inline void hs_read_bounded(void *to, u64 to_bytes, u64 from, u64 from_bytes)
{
	asm volatile("" : "+r"(from_bytes));
	if (from_bytes > to_bytes)
		from_bytes = to_bytes;
	asm volatile("" : "+r"(from_bytes));
	bpf_probe_read_kernel(to, from_bytes, (const void *)from);
}

static __always_inline void hs_lost_count(u16 id)
{
	u32 slot = bpf_get_smp_processor_id() * HS_EVENT_ID_NR + id;
	u64 *count = bpf_map_lookup_elem(&lost, &slot);

	if (count)
		__sync_fetch_and_add(count, 1);
}

/*
 * The ring crosses its fill mark once, with the record that makes the difference; later records do not wake
 * again while the collector is busy.
 */
static __always_inline u64 hs_submit_flags(void *ring, u64 record_bytes)
{
	u64 used = bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA);

	return used >= fill_mark_bytes && used - record_bytes < fill_mark_bytes ? BPF_RB_FORCE_WAKEUP
										: BPF_RB_NO_WAKEUP;
}

/*
 * hs_emit(kvm_entry, .vcpu_id = id, ...): fields that are not named become 0. The time is taken after the
 * reservation: whoever interrupts in between stands behind us in the ring with an earlier time, and is
 * complete when we are, so that the collector always has the whole stretch to sort.
 */
#define hs_emit(name, ...)                                                                                \
	({                                                                                                \
		u32 cpu_ = bpf_get_smp_processor_id();                                                    \
		void *ring_ = bpf_map_lookup_elem(&rings, &cpu_);                                         \
		struct hs_event_##name *record_ = ring_ ? bpf_ringbuf_reserve(ring_, sizeof(*record_), 0) \
							: NULL;                                           \
                                                                                                          \
		if (record_) {                                                                            \
			*record_ = (struct hs_event_##name){                                              \
				.header = { .ts = bpf_ktime_get_boot_ns(),                                \
					    .id = HS_EVENT_##name,                                        \
					    .tid = (u32)bpf_get_current_pid_tgid() },                     \
				__VA_ARGS__                                                               \
			};                                                                                \
			bpf_ringbuf_submit(record_, hs_submit_flags(ring_, sizeof(*record_) + 8));        \
		} else {                                                                                  \
			hs_lost_count(HS_EVENT_##name);                                                   \
		}                                                                                         \
		0;                                                                                        \
	})

#endif
