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
	BPF_MAP_TYPE_RINGBUF = 27,
};

enum {
	BPF_F_MMAPABLE = 1024,
	BPF_RB_FORCE_WAKEUP = 2,
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
	__be16 protocol;
	__u32 hash;
	__u16 queue_mapping;
	__u16 vlan_tci;
};

struct skb_shared_info {
	short unsigned int gso_size;
	short unsigned int gso_segs;
};

struct fetch_cache {
	u8 data[15];
	u8 *ptr;
	u8 *end;
};

struct x86_emulate_ctxt {
	long unsigned int _eip;
	struct fetch_cache fetch;
};

struct kvm_vcpu_arch {
	struct x86_emulate_ctxt *emulate_ctxt;
};

struct kvm_vcpu {
	int vcpu_id;
	struct kvm_vcpu_arch arch;
};

typedef u64 gfn_t;

struct kvm_memory_slot {
	gfn_t base_gfn;
	long unsigned int npages;
	short int id;
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
	BPF_ANY = 0,
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

struct hlist_node;
struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct thread_info {
	u32 cpu;
};

struct task_struct;
struct task_struct {
	struct sched_entity se;
	struct sched_info sched_info;
	struct task_struct *group_leader;
	char comm[16];
	struct mm_struct *mm;
	pid_t tgid;
	pid_t pid;
	int prio;
	int exit_state;
	struct hlist_head preempt_notifiers;
	struct thread_info thread_info;
};

struct pt_regs {
	long unsigned int di;
	long unsigned int si;
	long unsigned int dx;
	long unsigned int cx;
	long unsigned int r8;
	long unsigned int r9;
};

struct trace_event_raw_kvm_entry {
	unsigned int vcpu_id;
};

struct trace_event_raw_kvm_userspace_exit {
	__u32 reason;
	int errno;
};

struct trace_event_raw_kvm_set_irq {
	unsigned int gsi;
	int level;
	int irq_source_id;
};

struct trace_event_raw_kvm_emulate_insn {
	__u64 rip;
	__u32 csbase;
	__u8 len;
	__u8 insn[15];
	__u8 flags;
	__u8 failed;
};

struct trace_event_raw_kvm_fast_mmio {
	u64 gpa;
};

struct trace_event_raw_kvm_msr {
	unsigned int write;
	u32 ecx;
	u64 data;
	u8 exception;
};

struct trace_event_raw_kvm_cpuid {
	unsigned int function;
	unsigned int index;
	long unsigned int rax;
	long unsigned int rbx;
	long unsigned int rcx;
	long unsigned int rdx;
	bool found;
	bool used_max_basic;
};

struct trace_event_raw_kvm_hypercall {
	long unsigned int nr;
	long unsigned int a0;
	long unsigned int a1;
	long unsigned int a2;
	long unsigned int a3;
};

struct trace_event_raw_kvm_page_fault {
	unsigned int vcpu_id;
	long unsigned int guest_rip;
	u64 fault_address;
	u64 error_code;
};

struct trace_event_raw_kvm_inj_exception {
	u8 exception;
	u8 has_error;
	u32 error_code;
	bool reinjected;
};

struct trace_event_raw_kvm_inj_virq {
	unsigned int vector;
	bool soft;
	bool reinjected;
};

struct trace_event_raw_kvm_pic_set_irq {
	__u8 chip;
	__u8 pin;
	__u8 elcr;
	__u8 imr;
	bool coalesced;
};

struct trace_event_raw_kvm_ioapic_set_irq {
	__u64 e;
	int pin;
	bool coalesced;
};

struct trace_event_raw_kvm_eoi {
	__u32 apicid;
	int vector;
};

struct trace_event_raw_kvm_pv_eoi {
	__u32 apicid;
	int vector;
};

struct trace_event_raw_kvm_ack_irq {
	unsigned int irqchip;
	unsigned int pin;
};

struct trace_event_raw_kvm_apic_accept_irq {
	__u32 apicid;
	__u16 dm;
	__u16 tm;
	__u8 vec;
};

struct trace_event_raw_kvm_apic_ipi {
	__u32 icr_low;
	__u32 dest_id;
};

struct trace_event_raw_kvm_vcpu_wakeup {
	__u64 ns;
	bool waited;
	bool valid;
};

struct trace_event_raw_kvm_halt_poll_ns {
	bool grow;
	unsigned int vcpu_id;
	unsigned int new;
	unsigned int old;
};

struct trace_event_raw_kvm_ple_window_update {
	unsigned int vcpu_id;
	unsigned int new;
	unsigned int old;
};

struct trace_event_raw_kvm_nested_vmenter {
	__u64 rip;
	__u64 vmcb;
	__u64 nested_rip;
	__u64 guest_pgd;
	__u32 int_ctl;
	__u32 event_inj;
	bool tdp_enabled;
	__u32 isa;
};

struct trace_event_raw_kvm_nested_vmexit {
	unsigned int exit_reason;
	long unsigned int guest_rip;
	u32 isa;
	u64 info1;
	u64 info2;
	u32 intr_info;
	u32 error_code;
	unsigned int vcpu_id;
};

struct trace_event_raw_kvm_nested_vmexit_inject {
	__u32 exit_code;
	__u64 exit_info1;
	__u64 exit_info2;
	__u32 exit_int_info;
	__u32 exit_int_info_err;
	__u32 isa;
};

struct trace_event_raw_kvm_nested_intr_vmexit {
	__u64 rip;
};

struct trace_event_raw_kvm_dirty_ring_push {
	int index;
	u32 dirty_index;
	u32 reset_index;
	u32 slot;
	u64 offset;
};

struct trace_event_raw_kvm_dirty_ring_reset {
	int index;
	u32 dirty_index;
	u32 reset_index;
};

struct trace_event_raw_kvm_dirty_ring_exit {
	int vcpu_id;
};

struct trace_event_raw_kvm_write_tsc_offset {
	unsigned int vcpu_id;
	__u64 previous_tsc_offset;
	__u64 next_tsc_offset;
};

struct trace_event_raw_kvm_unmap_hva_range {
	long unsigned int start;
	long unsigned int end;
};

#pragma clang attribute pop

#endif
