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

/* The slots of all rings, ring by ring; user space sizes and maps it. */
struct hs_slots {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__uint(value_size, HS_SLOT_BYTES);
};

/* CPU -> its ring's positions. */
struct hs_controls {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct hs_ring_control);
};

/* Carries nothing: waking its reader is all that it is for. */
struct hs_wake {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
};

/* CPU * HS_EVENT_ID_NR + event id -> records that found no room, or were written over; user space reads it mapped. */
struct hs_lost {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
};

/* Nothing of it is used here: it is pinned beside the rings. */
struct hs_about_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct hs_about);
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

extern struct hs_slots slots SEC(".maps");
extern struct hs_controls controls SEC(".maps");
extern struct hs_wake wake SEC(".maps");
extern struct hs_lost lost SEC(".maps");
extern struct hs_about_map about SEC(".maps");
extern struct hs_tgids tgids SEC(".maps");
extern struct hs_taps taps SEC(".maps");

/* Set before loading. */
extern const volatile __u32 slot_bits;	/* a ring has 2^slot_bits slots */
extern const volatile bool overwriting; /* the newest records are kept, not the oldest */
extern const volatile bool host_wide;	/* every VM of the host, not only those in tgids */

/* bpf_get_current_pid_tgid(), of which a program needs one call: who runs does not change meanwhile. */
static __u64 __attribute__((const)) (*const hs_pid_tgid)(void) = (void *)14; /* enum bpf_func_id */

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
 * Contexts that can interrupt one another on a CPU between the look at the room and the reservation (a task, a softirq,
 * an interrupt, an NMI, and tasks that preempt where tracing leaves preemption on): that many slots stay free, so that
 * a record which nobody has read is never written over.
 */
#define HS_SLOT_MARGIN 16

/* Whether there is room; counts the loss when not, and wakes the collector at the fill mark. */
static __always_inline bool hs_ring_has_room(struct hs_ring_control *control, u32 cpu, u16 id)
{
	u64 waiting = control->head - *(volatile u64 *)&control->consumed;

	if (waiting + HS_SLOT_MARGIN >= control->slot_nr) {
		hs_lost_count(id);
		return 0;
	}
	/* The ring crosses its mark once; later records do not wake again while the collector is busy. */
	if (waiting == 1ull << (slot_bits - 1))
		bpf_ringbuf_output(&wake, &cpu, sizeof(cpu), BPF_RB_FORCE_WAKEUP);
	return 1;
}

/* The record that goes is counted under its own name; the reader of a flight must not take it for a whole one. */
static __always_inline void hs_slot_overwrite(struct hs_event_header *slot)
{
	u16 gone = slot->id;

	if (gone)
		hs_lost_count(gone);
	*(volatile u32 *)&slot->id = 0;
	barrier();
}

/* A slot for this CPU's next record, or NULL after counting the loss. */
static __always_inline struct hs_event_header *hs_slot_reserve(u16 id, u16 *lap)
{
	u32 cpu = bpf_get_smp_processor_id(), place;
	struct hs_ring_control *control = bpf_map_lookup_elem(&controls, &cpu);
	struct hs_event_header *slot;
	u64 position;

	if (!control)
		return NULL;
	if (!overwriting) {
		if (!hs_ring_has_room(control, cpu, id))
			return NULL;
	} else if (!control->slot_nr) {
		hs_lost_count(id);
		return NULL;
	}
	position = __sync_fetch_and_add(&control->head, 1);
	place = control->first_slot + (position & ((1u << slot_bits) - 1));
	slot = bpf_map_lookup_elem(&slots, &place);
	if (slot && overwriting)
		hs_slot_overwrite(slot);
	*lap = position >> slot_bits;
	return slot;
}

/*
 * hs_emit(kvm_entry, .vcpu_id = id, ...): fields that are not named become 0. The time is taken after the
 * reservation: whoever interrupts in between stands behind us in the ring with an earlier time, and is
 * complete when we are, so that the collector always has the whole stretch to sort.
 */
#define hs_emit(name, ...)                                                                                             \
	({                                                                                                             \
		u16 lap_ = 0;                                                                                          \
		struct hs_event_##name *record_ = (void *)hs_slot_reserve(HS_EVENT_##name, &lap_);                     \
                                                                                                                       \
		if (record_) {                                                                                         \
			*record_ = (struct hs_event_##name){                                                           \
				.header = { .ts = bpf_ktime_get_boot_ns(), .tid = (u32)hs_pid_tgid() }, __VA_ARGS__    \
			};                                                                                             \
			barrier(); /* stores stay in order on x86 */                                                   \
			*(volatile u32 *)&record_->header.id = HS_EVENT_##name | (u32)lap_ << 16;                      \
		}                                                                                                      \
		0;                                                                                                     \
	})

#endif
