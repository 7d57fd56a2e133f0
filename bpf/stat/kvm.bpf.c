// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM counted in the kernel: exits with the time until the next entry, and what the guest made KVM do, by vCPU
 * thread. Handlers run in the vCPU's thread; nothing here is sent to user space, which reads the maps when it likes.
 * All are raw tracepoints: their handlers run also while user space has a map of ours locked on that CPU (a classic
 * tracepoint's would be left out), and no record is made for them.
 */
#include "bpf/stat/stat.bpf.h"
#include "bpf/stat/exit_reason.bpf.h"

char LICENSE[] SEC("license") = "GPL";

struct hs_tgids tgids SEC(".maps");
struct hs_taps taps SEC(".maps");
struct hs_stat_counts counts SEC(".maps");
struct hs_stat_times times SEC(".maps");
struct hs_stat_vcpus vcpus SEC(".maps");

const volatile bool host_wide = 0;
__u64 no_room[HS_STAT_NO_ROOM_NR];

static const struct hs_stat_time no_time;
static const struct hs_stat_vcpu no_vcpu;

static __always_inline void count_no_room(u32 kind)
{
	if (kind < HS_STAT_NO_ROOM_NR)
		__sync_fetch_and_add(&no_room[kind], 1);
}

static __always_inline void read_scheduler(const struct task_struct *task, u64 *cpu_ns, u64 *wait_ns, u64 *switches)
{
	*cpu_ns = BPF_CORE_READ(task, se.sum_exec_runtime);
	*wait_ns = BPF_CORE_READ(task, sched_info.run_delay);
	*switches = BPF_CORE_READ(task, sched_info.pcount);
}

static __always_inline void vcpu_begin(struct hs_stat_vcpu *state, u32 tgid)
{
	const struct task_struct *task = (const void *)bpf_get_current_task();

	state->tgid = tgid;
	state->vcpu_id = HS_STAT_VCPU_UNKNOWN;
	read_scheduler(task, &state->first_cpu_ns, &state->first_wait_ns, &state->first_switches);
	BPF_CORE_READ_STR_INTO(&state->name, task, group_leader, comm);
}

/* The thread's state, made on its first event. `vcpu` is NULL where the tracepoint does not tell it. */
static __noinline struct hs_stat_vcpu *vcpu_add(u32 tgid, u32 tid, const struct kvm_vcpu *vcpu)
{
	struct hs_stat_vcpu *state = bpf_map_lookup_elem(&vcpus, &tid);

	if (!state) {
		if (bpf_map_update_elem(&vcpus, &tid, &no_vcpu, BPF_NOEXIST))
			count_no_room(HS_STAT_NO_ROOM_THREAD);
		state = bpf_map_lookup_elem(&vcpus, &tid);
		if (!state)
			return NULL;
		vcpu_begin(state, tgid);
	}
	if (vcpu && state->vcpu_id == HS_STAT_VCPU_UNKNOWN)
		state->vcpu_id = BPF_CORE_READ(vcpu, vcpu_id);
	return state;
}

static __always_inline struct hs_stat_vcpu *vcpu_of(u32 tgid, u32 tid, const struct kvm_vcpu *vcpu)
{
	struct hs_stat_vcpu *state = bpf_map_lookup_elem(&vcpus, &tid);

	return state ?: vcpu_add(tgid, tid, vcpu);
}

static __noinline int count_first(const struct hs_stat_key *key, u32 tgid, const struct kvm_vcpu *vcpu)
{
	struct hs_stat_count first = { .count = 1, .tgid = tgid };

	if (!key)
		return 0;
	vcpu_add(tgid, key->tid, vcpu);
	if (bpf_map_update_elem(&counts, key, &first, BPF_NOEXIST))
		count_no_room(key->kind);
	return 0;
}

static __always_inline int count(u32 kind, u32 detail, u32 reason, const struct kvm_vcpu *vcpu)
{
	struct hs_stat_key key = { .kind = kind, .detail = detail, .reason = reason };
	struct hs_stat_count *row;
	u32 tgid;

	if (!stat_is_watched(&tgid, &key.tid))
		return 0;
	row = bpf_map_lookup_elem(&counts, &key);
	if (!row)
		return count_first(&key, tgid, vcpu);
	row->count++;
	return 0;
}

/* The row with time of a key, made when it is new; NULL without room (counted). */
static __noinline struct hs_stat_time *time_add(const struct hs_stat_key *key, u32 tgid)
{
	struct hs_stat_time *row;

	if (!key)
		return NULL;
	if (bpf_map_update_elem(&times, key, &no_time, BPF_NOEXIST))
		count_no_room(key->kind);
	row = bpf_map_lookup_elem(&times, key);
	if (row)
		row->tgid = tgid;
	return row;
}

static __always_inline struct hs_stat_time *time_of(u32 tid, u32 tgid, u32 kind, u32 detail, u32 reason)
{
	struct hs_stat_key key = { .tid = tid, .kind = kind, .detail = detail, .reason = reason };
	struct hs_stat_time *row = bpf_map_lookup_elem(&times, &key);

	return row ?: time_add(&key, tgid);
}

static __always_inline void time_note(struct hs_stat_time *row, u64 ns)
{
	u32 bucket = hs_stat_bucket(ns);

	row->total_ns += ns;
	if (ns > row->max_ns)
		row->max_ns = ns;
	if (bucket < HS_STAT_BUCKET_NR)
		row->buckets[bucket]++;
}

/* An exit is counted when the entry after it tells its time; one that has none counts when the next exit comes. */
static __always_inline int exit_begin(u32 tgid, u32 tid, const struct kvm_vcpu *vcpu, u32 isa, u32 reason)
{
	struct hs_stat_vcpu *state = vcpu_of(tgid, tid, vcpu);
	struct hs_stat_time *row;
	u64 now;

	if (!state) {
		count_no_room(HS_STAT_EXIT);
		return 0;
	}
	now = bpf_ktime_get_ns();
	if (state->exit_ns) {
		row = time_of(tid, tgid, HS_STAT_EXIT, state->exit_isa, state->exit_reason);
		if (row)
			row->count++;
	}
	if (state->entry_ns)
		state->guest_ns += now - state->entry_ns;
	state->entry_ns = 0;
	state->exit_ns = now;
	state->exit_reason = reason;
	state->exit_isa = isa;
	return 0;
}

SEC("raw_tp/kvm_exit")
int BPF_PROG(on_kvm_exit, const struct kvm_vcpu *vcpu, u32 isa)
{
	u32 tgid, tid;

	if (!stat_is_watched(&tgid, &tid))
		return 0;
	return exit_begin(tgid, tid, vcpu, isa, stat_exit_reason(vcpu, isa));
}

/* Where the vendor module's types are not known. */
SEC("tp/kvm/kvm_exit")
int on_kvm_exit__tp(struct trace_event_raw_kvm_exit *ctx)
{
	struct hs_stat_vcpu *state;
	u32 tgid, tid;

	if (!stat_is_watched(&tgid, &tid))
		return 0;
	exit_begin(tgid, tid, NULL, ctx->isa, ctx->exit_reason);
	state = bpf_map_lookup_elem(&vcpus, &tid);
	if (state)
		state->vcpu_id = ctx->vcpu_id;
	return 0;
}

SEC("raw_tp/kvm_entry")
int BPF_PROG(on_kvm_entry, const struct kvm_vcpu *vcpu)
{
	struct hs_stat_vcpu *state;
	struct hs_stat_time *row;
	u32 tgid, tid;
	u64 now;

	if (!stat_is_watched(&tgid, &tid))
		return 0;
	state = vcpu_of(tgid, tid, vcpu);
	if (!state)
		return 0;
	now = bpf_ktime_get_ns();
	if (state->exit_ns) {
		row = time_of(tid, tgid, HS_STAT_EXIT, state->exit_isa, state->exit_reason);
		if (row) {
			row->count++;
			time_note(row, now - state->exit_ns);
		}
	}
	if (state->user_ns) {
		row = time_of(tid, tgid, HS_STAT_USER, 0, state->user_reason);
		if (row)
			time_note(row, now - state->user_ns);
	}
	/* SVM tells nothing of an exit that it handles at once: the guest goes on. */
	if (state->entry_ns)
		state->guest_ns += now - state->entry_ns;
	state->exit_ns = state->user_ns = 0;
	state->entry_ns = now;
	state->entries++;
	return 0;
}

SEC("raw_tp/kvm_userspace_exit")
int BPF_PROG(on_kvm_userspace_exit, u32 reason)
{
	struct hs_stat_vcpu *state;
	struct hs_stat_time *row;
	u32 tgid, tid;

	if (!stat_is_watched(&tgid, &tid))
		return 0;
	row = time_of(tid, tgid, HS_STAT_USER, 0, reason);
	if (row && !row->count++)
		vcpu_add(tgid, tid, NULL);
	state = bpf_map_lookup_elem(&vcpus, &tid);
	/* No entry was ever seen: this kernel enters guests otherwise, and nothing would end the time. */
	if (!state || !state->entries)
		return 0;
	state->user_ns = bpf_ktime_get_ns();
	state->user_reason = reason;
	if (state->entry_ns)
		state->guest_ns += state->user_ns - state->entry_ns;
	state->entry_ns = 0;
	return 0;
}

SEC("raw_tp/kvm_emulate_insn")
int BPF_PROG(on_kvm_emulate_insn, const struct kvm_vcpu *vcpu, u32 failed)
{
	return count(HS_STAT_EMULATE, (u8)failed, 0, vcpu);
}

SEC("raw_tp/kvm_pio")
int BPF_PROG(on_kvm_pio, u32 rw, u32 port)
{
	return count(HS_STAT_PIO, rw, port, NULL);
}

SEC("raw_tp/kvm_mmio")
int BPF_PROG(on_kvm_mmio, u32 type, u32 len, u64 gpa)
{
	/* 0: a read that user space will answer; the answer is another event */
	return type ? count(HS_STAT_MMIO, type, gpa >> 12, NULL) : 0;
}

SEC("raw_tp/kvm_msr")
int BPF_PROG(on_kvm_msr, u32 write, u32 index)
{
	return count(HS_STAT_MSR, write, index, NULL);
}

SEC("raw_tp/kvm_inj_virq")
int BPF_PROG(on_kvm_inj_virq, u32 vector)
{
	return count(HS_STAT_VIRQ, 0, vector, NULL);
}

/* What the scheduler knows of a vCPU's thread is gone with it. */
SEC("raw_tp/sched_process_exit")
int BPF_PROG(on_sched_process_exit, const struct task_struct *task)
{
	u32 tid = (u32)bpf_get_current_pid_tgid();
	struct hs_stat_vcpu *state = bpf_map_lookup_elem(&vcpus, &tid);

	if (!state)
		return 0;
	read_scheduler(task, &state->cpu_ns, &state->wait_ns, &state->switches);
	state->has_ended = 1;
	return 0;
}
