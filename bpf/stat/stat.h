/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the counting programs and user/stat say to each other: keys and values of maps, and how times fall into
 * buckets. Included by both. Rows of a thread are written by that thread alone, so nothing in them is atomic.
 */
#ifndef HS_BPF_STAT_STAT_H
#define HS_BPF_STAT_STAT_H

#include "bpf/shared.h"

/* What a row counts; `reason` and `detail` of its key mean, by kind: */
enum hs_stat_kind {
	HS_STAT_EXIT,	 /* kvm_exit, timed until the next kvm_entry: exit_reason; isa (1 vmx, 2 svm) */
	HS_STAT_USER,	 /* kvm_userspace_exit, timed until the next kvm_entry: kvm_run.exit_reason; 0 */
	HS_STAT_EMULATE, /* kvm_emulate_insn: 0; 1 when the instruction could not be emulated */
	HS_STAT_PIO,	 /* kvm_pio: port; 1 for out */
	HS_STAT_MMIO,	 /* kvm_mmio, completed: guest page number (bits over 32 lost); 1 read, 2 write */
	HS_STAT_MSR,	 /* kvm_msr: index; 1 for a write */
	HS_STAT_VIRQ,	 /* kvm_inj_virq: vector; 0 */
	HS_STAT_KIND_NR,
};

struct hs_stat_key {
	HS_TYPE_u32 tid;
	HS_TYPE_u16 kind; /* enum hs_stat_kind */
	HS_TYPE_u16 detail;
	HS_TYPE_u32 reason;
};

/* Rows that only count. */
struct hs_stat_count {
	HS_TYPE_u64 count;
	HS_TYPE_u32 tgid;
	HS_TYPE_u32 unused;
};

/*
 * Times: values below 4 ns have a bucket each, then 4 buckets per power of two, so that a bucket is at most a
 * quarter of its lower end wide; the last one takes everything over 2 minutes.
 */
#define HS_STAT_SUB_BITS 2
#define HS_STAT_BUCKET_NR 144

/* Rows with time. */
struct hs_stat_time {
	HS_TYPE_u64 count; /* also those that have no time: cut off by the end of the thread or of the counting */
	HS_TYPE_u64 total_ns;
	HS_TYPE_u64 max_ns;
	HS_TYPE_u32 tgid;
	HS_TYPE_u32 unused;
	HS_TYPE_u64 buckets[HS_STAT_BUCKET_NR];
};

/* vhost-net of a VM, by the process that runs it. */
struct hs_stat_vhost {
	HS_TYPE_u64 tx_kicks; /* the guest has something to send */
	HS_TYPE_u64 rx_kicks; /* it has room to receive */
	HS_TYPE_u64 signals;  /* times buffers were given back and the guest told, unless it asked not to be */
	HS_TYPE_u64 buffers;  /* given back, both ways */
};

/* What found no room: a row by kind, a thread, a VM of vhost. */
enum hs_stat_no_room {
	HS_STAT_NO_ROOM_THREAD = HS_STAT_KIND_NR,
	HS_STAT_NO_ROOM_VHOST,
	HS_STAT_NO_ROOM_NR,
};

#define HS_STAT_VCPU_UNKNOWN (~0u)
#define HS_STAT_NAME_BYTES 16

/* A thread that does KVM work; times are CLOCK_MONOTONIC. */
struct hs_stat_vcpu {
	HS_TYPE_u64 exit_ns;  /* of the kvm_exit that no kvm_entry followed yet, else 0 */
	HS_TYPE_u64 user_ns;  /* of the kvm_userspace_exit likewise */
	HS_TYPE_u64 entry_ns; /* of the last kvm_entry that no kvm_exit followed yet, else 0 */
	HS_TYPE_u64 guest_ns; /* sum of entry to exit */
	HS_TYPE_u64 entries;
	HS_TYPE_u32 exit_reason, user_reason;
	HS_TYPE_u16 exit_isa, user_detail;
	HS_TYPE_u32 tgid;
	HS_TYPE_u32 vcpu_id; /* or HS_STAT_VCPU_UNKNOWN */
	HS_TYPE_u32 has_ended;
	/* Of the thread's whole life: at its first event here, and when it ends. */
	HS_TYPE_u64 first_cpu_ns, cpu_ns;
	HS_TYPE_u64 first_wait_ns, wait_ns;   /* runnable and not running */
	HS_TYPE_u64 first_switches, switches; /* times it was put on a CPU */
	char name[HS_STAT_NAME_BYTES];	      /* of the process, cut */
};

/* Bucket of a time. A search by halves: BPF has no instruction that counts leading zeros. */
static inline __attribute__((always_inline)) HS_TYPE_u32 hs_stat_bucket(HS_TYPE_u64 ns)
{
	HS_TYPE_u32 log2 = 0, bucket;
	HS_TYPE_u64 rest = ns;

	if (ns < (1u << HS_STAT_SUB_BITS))
		return (HS_TYPE_u32)ns;
	if (rest >> 32) {
		log2 += 32;
		rest >>= 32;
	}
	if (rest >> 16) {
		log2 += 16;
		rest >>= 16;
	}
	if (rest >> 8) {
		log2 += 8;
		rest >>= 8;
	}
	if (rest >> 4) {
		log2 += 4;
		rest >>= 4;
	}
	if (rest >> 2) {
		log2 += 2;
		rest >>= 2;
	}
	log2 += rest >> 1;
	bucket = ((log2 - HS_STAT_SUB_BITS + 1) << HS_STAT_SUB_BITS) +
		 ((ns >> (log2 - HS_STAT_SUB_BITS)) & ((1u << HS_STAT_SUB_BITS) - 1));
	return bucket < HS_STAT_BUCKET_NR ? bucket : HS_STAT_BUCKET_NR - 1;
}

#endif
