// SPDX-License-Identifier: GPL-2.0-only
/*
 * When threads of VMs get and lose a CPU. Of a watched process every thread counts; host-wide those inside KVM_RUN,
 * which KVM marks by a preempt notifier. Handlers run in the scheduler, with its lock held.
 */
#include "bpf/filter.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* include/linux/sched.h */
#define TASK_UNINTERRUPTIBLE 0x2
#define TASK_REPORT 0x7f
#define TASK_REPORT_IDLE (TASK_REPORT + 1)
#define TASK_REPORT_MAX (TASK_REPORT_IDLE << 1)
#define TASK_IDLE 0x402
#define TASK_RTLOCK_WAIT 0x1000
#define TASK_FROZEN 0x8000

/*
 * As the kernel's own trace has it (__task_state_index() there): the highest of the states that it reports. The bits
 * above are modifiers of a sleep, and one of them is the number that says preempted.
 */
static __always_inline u32 reported_state(bool preempt, u32 state, u32 exit_state)
{
	u32 reported = (state | exit_state) & TASK_REPORT;

	if (preempt)
		return TASK_REPORT_MAX;
	if ((state & TASK_IDLE) == TASK_IDLE)
		return TASK_REPORT_IDLE;
	if (state & (TASK_RTLOCK_WAIT | TASK_FROZEN))
		return TASK_UNINTERRUPTIBLE;
	for (u32 bit = TASK_REPORT_IDLE >> 1; bit; bit >>= 1) {
		if (reported & bit)
			return bit;
	}
	return 0;
}

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
		       .next_tgid = next->tgid, .prev_state = reported_state(preempt, prev_state, prev->exit_state),
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
