// SPDX-License-Identifier: GPL-2.0-only
/*
 * When threads of VMs get and lose a CPU. Of a watched process every thread counts; host-wide those inside KVM_RUN,
 * which KVM marks by a preempt notifier. Handlers run in the scheduler, with its lock held.
 */
#include "bpf/filter.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define STATE_PREEMPTED 0x100

static __always_inline bool is_vcpu_thread(const struct task_struct *task)
{
	u32 tgid = task->tgid;

	if (!host_wide)
		return bpf_map_lookup_elem(&tgids, &tgid);
	return bpf_core_field_exists(task->preempt_notifiers) && task->preempt_notifiers.first;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_sched_switch, bool preempt, struct task_struct *prev, struct task_struct *next, u32 prev_state)
{
	if (!hs_is_cpu_watched() || (!is_vcpu_thread(prev) && !is_vcpu_thread(next)))
		return 0;
	return hs_emit(sched_switch, .prev_pid = prev->pid, .next_pid = next->pid, .prev_tgid = prev->tgid,
		       .next_tgid = next->tgid, .prev_state = preempt ? STATE_PREEMPTED : prev_state,
		       .prev_prio = prev->prio, .next_prio = next->prio);
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(on_sched_wakeup, struct task_struct *task)
{
	if (!hs_is_cpu_watched() || !is_vcpu_thread(task))
		return 0;
	return hs_emit(sched_wakeup, .pid = task->pid, .tgid = task->tgid, .target_cpu = task->thread_info.cpu,
		       .prio = task->prio);
}

SEC("tp_btf/sched_migrate_task")
int BPF_PROG(on_sched_migrate_task, struct task_struct *task, int dest_cpu)
{
	if (!hs_is_cpu_watched() || !is_vcpu_thread(task))
		return 0;
	return hs_emit(sched_migrate_task, .pid = task->pid, .tgid = task->tgid, .orig_cpu = task->thread_info.cpu,
		       .dest_cpu = dest_cpu);
}
