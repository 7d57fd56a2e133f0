/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What was counted, by VM, vCPU and reason: snapshots go in, each line has the sums of the current interval and of all
 * time. What has ended keeps its totals. Pure data, no system calls; one thread.
 */
#ifndef HS_STAT_TABLE_H
#define HS_STAT_TABLE_H

#include "stat/source.h"

struct hs_stat_sums {
	uint64_t count;
	uint64_t total_ns, max_ns; /* 0 where nothing is timed */
	uint64_t timed;		   /* how many of count have a time: the sum of the buckets */
	uint64_t *buckets;	   /* HS_STAT_BUCKET_NR, see hs_stat_bucket(); NULL for kinds without time */
};

struct hs_stat_line {
	uint32_t tgid;
	struct hs_stat_key key;
	struct hs_stat_sums interval, total;
	struct hs_stat_sums last; /* the kernel's sums, as last read */
};

/* Sums of a vCPU's thread. */
struct hs_stat_vcpu_sums {
	uint64_t guest_ns; /* between kvm_entry and kvm_exit */
	uint64_t entries;
	uint64_t cpu_ns;   /* on a CPU */
	uint64_t wait_ns;  /* runnable, but another thread had the CPU */
	uint64_t switches; /* times it was put on a CPU */
};

struct hs_stat_vcpu_line {
	uint32_t tgid, tid;
	uint32_t vcpu_id;	       /* or HS_STAT_VCPU_UNKNOWN */
	char name[HS_STAT_NAME_BYTES]; /* of the process */
	bool has_ended;
	struct hs_stat_vcpu_sums interval, total, last;
};

struct hs_stat_vhost_line {
	uint32_t tgid;
	struct hs_stat_vhost interval, total, last;
};

struct hs_stat_tap_line {
	struct hs_tap_key key;
	struct hs_tap_value interval, total, last;
};

/* Starts as zeros. Lines are in the order in which they came and stay where they are. */
struct hs_stat_table {
	struct hs_stat_line **lines;
	size_t line_nr;
	struct hs_stat_vcpu_line **vcpus;
	size_t vcpu_nr;
	struct hs_stat_vhost_line **vhosts;
	size_t vhost_nr;
	struct hs_stat_tap_line **taps;
	size_t tap_nr;
	void *line_index, *vcpu_index;	     /* tsearch(3) trees */
	uint64_t start_ns, begin_ns, end_ns; /* CLOCK_BOOTTIME: of all time, of the interval, of the last snapshot */
	uint64_t no_room[HS_STAT_NO_ROOM_NR], missed; /* of all time */
};

/* The interval begins anew, at the last snapshot. */
void hs_stat_table_begin(struct hs_stat_table *table);

/*
 * Takes in what changed since the last snapshot; the first one begins the time. Exits that no entry followed are
 * counted, without time, for threads that have ended and, in the final snapshot, for all. 0 or -ENOMEM.
 */
int hs_stat_table_update(struct hs_stat_table *table, const struct hs_stat_snapshot *snapshot, bool is_final);

/*
 * What the scheduler says of a living thread: sums since its start. Does nothing for one that is not in the table.
 */
void hs_stat_table_set_cpu(struct hs_stat_table *table, uint32_t tid, uint64_t cpu_ns, uint64_t wait_ns,
			   uint64_t switches);

/* The thread has ended and its rows are gone from the kernel: the number may come back as another thread. */
void hs_stat_table_forget(struct hs_stat_table *table, uint32_t tid);

/* The same of a process's vhost, and of an interface. */
void hs_stat_table_forget_vhost(struct hs_stat_table *table, uint32_t tgid);
void hs_stat_table_forget_tap(struct hs_stat_table *table, const struct hs_tap_key *key);

/* The vCPU of a thread, also of one that has ended; NULL when it is not known. */
struct hs_stat_vcpu_line *hs_stat_table_vcpu(const struct hs_stat_table *table, uint32_t tgid, uint32_t tid);

/* Events that found no room in the kernel's maps or that the kernel left out. */
uint64_t hs_stat_table_uncounted(const struct hs_stat_table *table);

/* The time below which `percent` of the timed ones lie: the middle of its bucket, so at most 12.5 % off; 0 for none. */
uint64_t hs_stat_sums_percentile(const struct hs_stat_sums *sums, double percent);

/* Adds `more` to `sums`, whose buckets are allocated when `more` has some. 0 or -ENOMEM. */
int hs_stat_sums_add(struct hs_stat_sums *sums, const struct hs_stat_sums *more);
void hs_stat_sums_clear(struct hs_stat_sums *sums);

/* First and one past last ns of a bucket. */
void hs_stat_bucket_range(uint32_t bucket, uint64_t *from_ns, uint64_t *to_ns);

void hs_stat_table_clear(struct hs_stat_table *table);

/* scoped(hs_stat_table) struct hs_stat_table table = { 0 }; */
static inline void hs_stat_table_scoped(struct hs_stat_table *table)
{
	hs_stat_table_clear(table);
}

#endif
