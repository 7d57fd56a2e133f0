// SPDX-License-Identifier: GPL-2.0-only
/* CPU use: each vCPU thread has a mode (what it does when it has a CPU) and may be off its CPU. */
#include "analysis/cpus.h"

#include <errno.h>

enum mode { MODE_UNKNOWN, MODE_GUEST, MODE_HOST, MODE_HLT, MODE_USER };
enum off { ON_CPU, OFF_BLOCKED, OFF_RUNNABLE };

/* A thread since its last record. */
struct state {
	uint32_t tgid, vcpu, cpu;
	uint64_t since_ns, token;
	uint8_t mode, off;
	bool is_known, has_entries;
};

/* The scheduler's fields that are needed, as the kernel calls them. */
enum { PREV_PID, PREV_STATE, NEXT_PID };
static const char *const switch_fields[] = { "prev_pid", "prev_state", "next_pid", NULL };
static const char *const wakeup_fields[] = { "pid", NULL };

int hs_cpus_start(struct hs_cpus *cpus, const struct hs_scope *scope, const struct hs_vm_list *vms)
{
	*cpus = (struct hs_cpus){
		.scope = *scope,
		.vcpus.value_bytes = sizeof(struct hs_cpus_row),
		.pcpus.value_bytes = sizeof(struct hs_cpus_row),
		.states.value_bytes = sizeof(struct state),
		.sched_switch = hs_bound_find("sched_switch", switch_fields),
		.sched_wakeup = hs_bound_find("sched_wakeup", wakeup_fields),
	};
	return hs_threads_start(&cpus->threads, vms);
}

static struct hs_cpus_row *get_vcpu(struct hs_cpus *cpus, const struct state *state)
{
	struct hs_key key = { .tgid = state->tgid, .vcpu = state->vcpu };

	if (cpus->scope.by != HS_BY_VCPU)
		key.vcpu = HS_KEY_ALL;
	if (cpus->scope.by == HS_BY_ALL)
		key.tgid = HS_KEY_ALL;
	return hs_keyed_get(&cpus->vcpus, key);
}

static struct hs_cpus_row *get_pcpu(struct hs_cpus *cpus, const struct state *state)
{
	uint32_t tgid = cpus->scope.by == HS_BY_ALL ? HS_KEY_ALL : state->tgid;

	return hs_keyed_get(&cpus->pcpus, (struct hs_key){ .tgid = tgid, .code = state->cpu });
}

/* Where the time of a thread in this state goes; HS_CPUS_USE_NR: not known. */
static enum hs_cpus_use use_of(const struct hs_cpus *cpus, const struct state *state)
{
	if (state->off != ON_CPU)
		return state->off == OFF_RUNNABLE ? HS_CPUS_STEAL : HS_CPUS_HALTED;
	switch (state->mode) {
	case MODE_GUEST:
		return HS_CPUS_GUEST;
	case MODE_HOST:
		return HS_CPUS_HOST;
	case MODE_USER:
		return HS_CPUS_USER;
	case MODE_HLT: /* polls for a while; that it sleeps only the scheduler tells */
		return cpus->has_sched ? HS_CPUS_HOST : HS_CPUS_HALTED;
	}
	return HS_CPUS_USE_NR;
}

static int charge(struct hs_cpus *cpus, const struct state *state, enum hs_cpus_use use, uint64_t length_ns)
{
	struct hs_cpus_row *vcpu = get_vcpu(cpus, state), *pcpu;

	if (!vcpu)
		return -ENOMEM;
	if (!hs_holes_none_since(&cpus->holes, state->token)) {
		vcpu->lost_ns += length_ns;
		return 0;
	}
	vcpu->ns[use] += length_ns;
	if (use == HS_CPUS_HALTED || use == HS_CPUS_STEAL)
		return 0;
	pcpu = get_pcpu(cpus, state);
	if (!pcpu)
		return -ENOMEM;
	pcpu->ns[use] += length_ns;
	return 0;
}

/* What the thread did up to now is what its state says. */
static int account(struct hs_cpus *cpus, struct state *state, uint64_t now_ns)
{
	enum hs_cpus_use use = use_of(cpus, state);
	int err = 0;

	if (!state->is_known || use == HS_CPUS_USE_NR ||
	    !hs_scope_has(&cpus->scope, state->tgid, state->vcpu, state->cpu))
		;
	else if (now_ns < state->since_ns)
		cpus->stepped_back++;
	else
		err = charge(cpus, state, use, now_ns - state->since_ns);
	/* What a loss hid may have changed everything. */
	if (!hs_holes_none_since(&cpus->holes, state->token)) {
		state->mode = MODE_UNKNOWN;
		state->off = ON_CPU;
	}
	state->since_ns = now_ns;
	state->token = hs_holes_start(&cpus->holes, now_ns);
	return err;
}

static struct state *get_state(struct hs_cpus *cpus, uint32_t tid, uint32_t tgid)
{
	struct state *state = hs_keyed_get(&cpus->states, (struct hs_key){ .code = tid });

	if (!state)
		return NULL;
	if (state->is_known && state->tgid != tgid)
		*state = (struct state){ 0 }; /* the number of a thread that ended, used again */
	if (!state->is_known)
		state->vcpu = hs_threads_vcpu(&cpus->threads, tid);
	state->tgid = tgid;
	return state;
}

/* The thread runs on that CPU from now on. 0 or -ENOMEM. */
static int arrive_on(struct hs_cpus *cpus, struct state *state, uint32_t cpu)
{
	struct hs_cpus_row *row;

	if (hs_scope_has(&cpus->scope, state->tgid, state->vcpu, cpu)) {
		row = get_vcpu(cpus, state);
		if (!row)
			return -ENOMEM;
		row->records++;
		row->migrations += state->is_known && state->cpu != cpu;
	}
	state->cpu = cpu;
	state->is_known = true;
	return 0;
}

/* The thread of a record: it runs, on that CPU. NULL without memory. */
static struct state *see(struct hs_cpus *cpus, const struct hs_event_header *record, uint32_t tgid, uint32_t cpu)
{
	struct state *state = get_state(cpus, record->tid, tgid);

	if (!state || account(cpus, state, record->ts))
		return NULL;
	state->off = ON_CPU;
	return arrive_on(cpus, state, cpu) ? NULL : state;
}

static struct state *see_vcpu(struct hs_cpus *cpus, const struct hs_event_header *record, uint32_t tgid, uint32_t vcpu,
			      uint32_t cpu)
{
	struct state *state = get_state(cpus, record->tid, tgid);

	if (!state)
		return NULL;
	if (state->vcpu != vcpu && hs_threads_learn(&cpus->threads, record->tid, vcpu))
		return NULL;
	if (state->vcpu != vcpu && !(state->vcpu & HS_VCPU_OF_TID))
		state->is_known = false; /* runs another vCPU now */
	state->vcpu = vcpu;
	return see(cpus, record, tgid, cpu);
}

#define VMX 1
#define SVM 2

/* EXIT_REASON_HLT of uapi/asm/vmx.h (whose high bits are flags), SVM_EXIT_HLT of uapi/asm/svm.h. */
static bool is_hlt(const struct hs_event_kvm_exit *record)
{
	return (record->isa == VMX && (record->exit_reason & 0xffff) == 12) ||
	       (record->isa == SVM && record->exit_reason == 0x78);
}

static int on_exit_record(struct hs_cpus *cpus, const struct hs_event_kvm_exit *record, uint32_t cpu)
{
	struct state *state = see_vcpu(cpus, &record->header, record->tgid, record->vcpu_id, cpu);

	if (!state)
		return -ENOMEM;
	state->mode = is_hlt(record) ? MODE_HLT : MODE_HOST;
	return 0;
}

static int on_entry_record(struct hs_cpus *cpus, const struct hs_event_kvm_entry *record, uint32_t cpu)
{
	struct state *state = see_vcpu(cpus, &record->header, record->tgid, record->vcpu_id, cpu);

	if (!state)
		return -ENOMEM;
	state->mode = MODE_GUEST;
	state->has_entries = true;
	return 0;
}

/* Where kvm_entry is not recorded, nothing tells when the thread is back in KVM. */
static int on_userspace_exit(struct hs_cpus *cpus, const struct hs_event_kvm_userspace_exit *record, uint32_t cpu)
{
	struct state *state = see(cpus, &record->header, record->tgid, cpu);

	if (!state)
		return -ENOMEM;
	state->mode = state->has_entries ? MODE_USER : MODE_UNKNOWN;
	return 0;
}

/* A thread that made a KVM record before; of others nobody asked. */
static struct state *find_known(const struct hs_cpus *cpus, uint64_t tid)
{
	struct state *state = hs_keyed_find(&cpus->states, (struct hs_key){ .code = (uint32_t)tid });

	return state && state->is_known ? state : NULL;
}

/* 0: preempted, or gave way; in the text of the tracepoint a preempted one has TASK_REPORT_MAX (linux/sched.h). */
static bool is_runnable(uint64_t prev_state)
{
	return prev_state == 0 || prev_state == 0x100;
}

static int on_switch(struct hs_cpus *cpus, const struct hs_event_header *record, uint32_t cpu)
{
	struct state *prev = find_known(cpus, hs_bound_get(&cpus->sched_switch, record, PREV_PID));
	struct state *next = find_known(cpus, hs_bound_get(&cpus->sched_switch, record, NEXT_PID));
	int err = 0;

	cpus->has_sched = true;
	if (prev) {
		err = account(cpus, prev, record->ts);
		prev->off =
			is_runnable(hs_bound_get(&cpus->sched_switch, record, PREV_STATE)) ? OFF_RUNNABLE : OFF_BLOCKED;
	}
	if (next && !err) {
		err = account(cpus, next, record->ts);
		next->off = ON_CPU;
		if (!err)
			err = arrive_on(cpus, next, cpu);
	}
	return err;
}

static int on_wakeup(struct hs_cpus *cpus, const struct hs_event_header *record)
{
	struct state *state = find_known(cpus, hs_bound_get(&cpus->sched_wakeup, record, 0));
	int err;

	if (!state || state->off != OFF_BLOCKED)
		return 0;
	err = account(cpus, state, record->ts);
	state->off = OFF_RUNNABLE;
	return err;
}

int hs_cpus_add(struct hs_cpus *cpus, const struct hs_event_header *record, uint32_t cpu)
{
	switch (record->id) {
	case HS_EVENT_kvm_exit:
		return on_exit_record(cpus, (const void *)record, cpu);
	case HS_EVENT_kvm_entry:
		return on_entry_record(cpus, (const void *)record, cpu);
	case HS_EVENT_kvm_userspace_exit:
		return on_userspace_exit(cpus, (const void *)record, cpu);
	}
	if (record->id == cpus->sched_switch.id)
		return on_switch(cpus, record, cpu);
	return record->id == cpus->sched_wakeup.id ? on_wakeup(cpus, record) : 0;
}

void hs_cpus_add_loss(struct hs_cpus *cpus, const struct hs_ctf_loss *loss)
{
	hs_holes_add(&cpus->holes, loss);
}

/* What was counted for a thread before any record said which vCPU it runs goes to that vCPU. */
static int merge_row(struct hs_cpus *cpus, struct hs_key key, struct hs_cpus_row *row)
{
	uint32_t known = hs_threads_resolve(&cpus->threads, key.vcpu);
	struct hs_cpus_row *target;

	if (known == key.vcpu)
		return 0;
	key.vcpu = known;
	target = hs_keyed_get(&cpus->vcpus, key);
	if (!target)
		return -ENOMEM;
	for (unsigned int i = 0; i < HS_CPUS_USE_NR; i++)
		target->ns[i] += row->ns[i];
	target->migrations += row->migrations;
	target->lost_ns += row->lost_ns;
	target->records += row->records;
	*row = (struct hs_cpus_row){ 0 };
	return 0;
}

int hs_cpus_finish(struct hs_cpus *cpus)
{
	size_t row_nr = cpus->vcpus.count;
	int err = 0;

	for (size_t i = 0; i < row_nr && !err; i++)
		err = merge_row(cpus, cpus->vcpus.entries[i]->key, (void *)cpus->vcpus.entries[i]->value);
	return err;
}

void hs_cpus_clear(struct hs_cpus *cpus)
{
	hs_keyed_clear(&cpus->vcpus);
	hs_keyed_clear(&cpus->pcpus);
	hs_keyed_clear(&cpus->states);
	hs_threads_clear(&cpus->threads);
}
