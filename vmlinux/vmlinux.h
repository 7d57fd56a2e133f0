/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel types that the BPF programs read, CO-RE. Made by renew.sh: edit fields.txt.
 */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

typedef unsigned char __u8;
typedef __u8 u8;
typedef signed char __s8;
typedef __s8 s8;
typedef unsigned short __u16;
typedef __u16 u16;
typedef short __s16;
typedef __s16 s16;
typedef unsigned int __u32;
typedef __u32 u32;
typedef int __s32;
typedef __s32 s32;
typedef unsigned long long __u64;
typedef __u64 u64;
typedef long long __s64;
typedef __s64 s64;
#if __STDC_VERSION__ < 202311L
typedef _Bool bool;
#endif
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef unsigned int sk_buff_data_t;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
	BPF_MAP_TYPE_RINGBUF = 27,
};

enum {
	BPF_F_MMAPABLE = 1024,
	BPF_RB_NO_WAKEUP = 1,
	BPF_RB_FORCE_WAKEUP = 2,
	BPF_RB_AVAIL_DATA = 0,
};

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct net_device {
	int ifindex;
	possible_net_t nd_net;
};

struct sk_buff {
	struct net_device *dev;
	unsigned int len;
	unsigned int data_len;
	__u16 mac_header;
	unsigned char *head;
	unsigned char *data;
	sk_buff_data_t end;
	u32 vlan_all;
};

struct skb_shared_info {
	short unsigned int gso_size;
	short unsigned int gso_segs;
};

struct kvm_vcpu {
	int vcpu_id;
};

struct trace_event_raw_kvm_exit {
	unsigned int exit_reason;
	long unsigned int guest_rip;
	u32 isa;
	u64 info1;
	u64 info2;
	u32 intr_info;
	u32 error_code;
	unsigned int vcpu_id;
};

enum {
	BPF_NOEXIST = 1,
};

struct sched_entity {
	u64 sum_exec_runtime;
};

struct sched_info {
	long long unsigned int run_delay;
	long unsigned int pcount;
};

typedef int __kernel_pid_t;

typedef __kernel_pid_t pid_t;

struct task_struct;
struct mm_struct {
	struct task_struct *owner;
};

struct task_struct;
struct task_struct {
	struct sched_entity se;
	struct sched_info sched_info;
	struct task_struct *group_leader;
	char comm[16];
	struct mm_struct *mm;
	pid_t tgid;
};

struct pt_regs {
	long unsigned int di;
	long unsigned int si;
	long unsigned int dx;
	long unsigned int cx;
};

#pragma clang attribute pop

#endif
