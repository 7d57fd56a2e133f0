// SPDX-License-Identifier: GPL-2.0-only
/* VM exits: each vCPU is in guest mode, in an exit, or not known to be in either; each thread in user space or not. */
#include "analysis/exits.h"

#include <errno.h>

enum phase { PHASE_UNKNOWN, PHASE_GUEST, PHASE_EXIT };

/* A thread between its kvm_userspace_exit and what it does next in KVM. */
struct user_stay {
	struct hs_exits_row *row; /* NULL: none, or not asked for */
	struct hs_exits_vcpu *vcpu;
	uint64_t since_ns, token;
};

/* kvm_exit_long stands for an exit and its entry, at the entry: recorded instead of both when only long ones are. */
enum { LONG_TGID, LONG_VCPU, LONG_ISA, LONG_REASON, LONG_DURATION };
static const char *const long_fields[] = { "tgid", "vcpu_id", "isa", "exit_reason", "duration_ns", NULL };

int hs_exits_start(struct hs_exits *exits, const struct hs_scope *scope, const struct hs_vm_list *vms)
{
	*exits = (struct hs_exits){
		.scope = *scope,
		.rows.value_bytes = sizeof(struct hs_exits_row),
		.vcpus.value_bytes = sizeof(struct hs_exits_vcpu),
		.threads_in_user.value_bytes = sizeof(struct user_stay),
		.exit_long = hs_bound_find("kvm_exit_long", long_fields),
	};
	return hs_threads_start(&exits->threads, vms);
}

static struct hs_exits_row *get_row(struct hs_exits *exits, struct hs_key key)
{
	if (exits->scope.by != HS_BY_VCPU)
		key.vcpu = HS_KEY_ALL;
	if (exits->scope.by == HS_BY_ALL)
		key.tgid = HS_KEY_ALL;
	return hs_keyed_get(&exits->rows, key);
}

static struct hs_exits_vcpu *get_vcpu(struct hs_exits *exits, uint32_t tgid, uint32_t vcpu)
{
	return hs_keyed_get(&exits->vcpus, (struct hs_key){ .tgid = tgid, .vcpu = vcpu });
}

/* The length of a period that ends now, if it can be believed; else why not is counted. */
static bool measure(const struct hs_exits *exits, uint64_t since_ns, uint64_t token, uint64_t now_ns,
		    struct hs_exits_untimed *why_not, uint64_t *length_ns)
{
	if (!hs_holes_none_since(&exits->holes, token)) {
		why_not->lost++;
		return false;
	}
	if (now_ns < since_ns) {
		why_not->stepped_back++;
		return false;
	}
	*length_ns = now_ns - since_ns;
	return true;
}

static int end_user_stay(struct hs_exits *exits, uint32_t tid, uint64_t now_ns)
{
	struct user_stay *stay = hs_keyed_find(&exits->threads_in_user, (struct hs_key){ .code = tid });
	struct hs_exits_row *row = stay ? stay->row : NULL;
	uint64_t length_ns;

	if (!row)
		return 0;
	stay->row = NULL;
	if (!measure(exits, stay->since_ns, stay->token, now_ns, &exits->user_untimed, &length_ns))
		return 0;
	stay->vcpu->user_ns += length_ns;
	stay->vcpu->user_in_exit_ns += length_ns;
	return hs_histogram_add(&row->time, length_ns, 1);
}

/* The vCPU of a record that names it; the thread's stay in user space ends. */
static struct hs_exits_vcpu *arrive(struct hs_exits *exits, const struct hs_event_header *record, uint32_t tgid,
				    uint32_t vcpu_id)
{
	struct hs_exits_vcpu *vcpu = get_vcpu(exits, tgid, vcpu_id);

	if (!vcpu)
		return NULL;
	if (vcpu->tid != record->tid && hs_threads_learn(&exits->threads, record->tid, vcpu_id))
		return NULL;
	vcpu->tid = record->tid;
	return end_user_stay(exits, record->tid, record->ts) ? NULL : vcpu;
}

static void begin(struct hs_exits *exits, struct hs_exits_vcpu *vcpu, enum phase phase, uint64_t now_ns)
{
	vcpu->phase = phase;
	vcpu->since_ns = now_ns;
	vcpu->token = hs_holes_start(&exits->holes, now_ns);
	vcpu->user_in_exit_ns = 0;
}

/* A vCPU that should be in guest mode exits. */
static void end_guest(struct hs_exits *exits, struct hs_exits_vcpu *vcpu, uint64_t now_ns, bool is_wanted)
{
	struct hs_exits_untimed unused = { 0 };
	uint64_t length_ns;

	if (vcpu->phase == PHASE_GUEST && measure(exits, vcpu->since_ns, vcpu->token, now_ns, &unused, &length_ns))
		vcpu->guest_ns += is_wanted ? length_ns : 0;
	else
		vcpu->lone_exits += is_wanted;
	if (vcpu->phase != PHASE_EXIT || !vcpu->open)
		return;
	if (hs_holes_none_since(&exits->holes, vcpu->token))
		exits->untimed.no_entry++;
	else
		exits->untimed.lost++;
}

static int on_exit_record(struct hs_exits *exits, const struct hs_event_kvm_exit *record, uint32_t cpu)
{
	struct hs_exits_vcpu *vcpu = arrive(exits, &record->header, record->tgid, record->vcpu_id);
	bool is_wanted = hs_scope_has(&exits->scope, record->tgid, record->vcpu_id, cpu);

	if (!vcpu)
		return -ENOMEM;
	end_guest(exits, vcpu, record->header.ts, is_wanted);
	vcpu->open = NULL;
	begin(exits, vcpu, PHASE_EXIT, record->header.ts);
	if (!is_wanted)
		return 0;
	vcpu->open = get_row(exits, (struct hs_key){ .tgid = record->tgid,
						     .vcpu = record->vcpu_id,
						     .kind = record->isa,
						     .code = record->exit_reason });
	if (!vcpu->open)
		return -ENOMEM;
	vcpu->open->count++;
	vcpu->exits++;
	exits->exits++;
	return 0;
}

/* The exit that is open ends with this entry. */
static int end_exit(struct hs_exits *exits, struct hs_exits_vcpu *vcpu, uint64_t now_ns)
{
	struct hs_exits_row *row = vcpu->open;
	uint64_t length_ns;

	vcpu->open = NULL;
	if (!row || !measure(exits, vcpu->since_ns, vcpu->token, now_ns, &exits->untimed, &length_ns))
		return 0;
	vcpu->host_ns += length_ns > vcpu->user_in_exit_ns ? length_ns - vcpu->user_in_exit_ns : 0;
	return hs_histogram_add(&row->time, length_ns, 1);
}

static int on_entry_record(struct hs_exits *exits, const struct hs_event_kvm_entry *record)
{
	struct hs_exits_vcpu *vcpu = arrive(exits, &record->header, record->tgid, record->vcpu_id);
	int err;

	if (!vcpu)
		return -ENOMEM;
	if (vcpu->phase == PHASE_GUEST)
		vcpu->lone_entries++;
	err = end_exit(exits, vcpu, record->header.ts);
	begin(exits, vcpu, PHASE_GUEST, record->header.ts);
	return err;
}

static int on_long_exit(struct hs_exits *exits, const struct hs_event_header *record, uint32_t cpu)
{
	const struct hs_bound *bound = &exits->exit_long;
	struct hs_key key = { .tgid = (uint32_t)hs_bound_get(bound, record, LONG_TGID),
			      .vcpu = (uint32_t)hs_bound_get(bound, record, LONG_VCPU),
			      .kind = (uint32_t)hs_bound_get(bound, record, LONG_ISA),
			      .code = (uint32_t)hs_bound_get(bound, record, LONG_REASON) };
	uint64_t length_ns = hs_bound_get(bound, record, LONG_DURATION);
	struct hs_exits_vcpu *vcpu = arrive(exits, record, key.tgid, key.vcpu);
	struct hs_exits_row *row;

	if (!vcpu)
		return -ENOMEM;
	if (!hs_scope_has(&exits->scope, key.tgid, key.vcpu, cpu))
		return 0;
	row = get_row(exits, key);
	if (!row)
		return -ENOMEM;
	row->count++;
	vcpu->exits++;
	exits->exits++;
	exits->long_exits++;
	vcpu->host_ns += length_ns > vcpu->user_in_exit_ns ? length_ns - vcpu->user_in_exit_ns : 0;
	vcpu->user_in_exit_ns = 0;
	return hs_histogram_add(&row->time, length_ns, 1);
}

static int on_userspace_exit(struct hs_exits *exits, const struct hs_event_kvm_userspace_exit *record, uint32_t cpu)
{
	uint32_t vcpu_id = hs_threads_vcpu(&exits->threads, record->header.tid);
	struct hs_key key = {
		.tgid = record->tgid, .vcpu = vcpu_id, .kind = HS_EXITS_USERSPACE, .code = record->reason
	};
	struct user_stay *stay;

	stay = hs_keyed_get(&exits->threads_in_user, (struct hs_key){ .code = record->header.tid });
	if (!stay)
		return -ENOMEM;
	exits->user_untimed.no_entry += stay->row != NULL;
	stay->row = NULL;
	if (!hs_scope_has(&exits->scope, record->tgid, vcpu_id, cpu))
		return 0;
	*stay = (struct user_stay){ .row = get_row(exits, key),
				    .vcpu = get_vcpu(exits, record->tgid, vcpu_id),
				    .since_ns = record->header.ts,
				    .token = hs_holes_start(&exits->holes, record->header.ts) };
	if (!stay->row || !stay->vcpu)
		return -ENOMEM;
	stay->row->count++;
	exits->user_exits++;
	return 0;
}

int hs_exits_add(struct hs_exits *exits, const struct hs_event_header *record, uint32_t cpu)
{
	switch (record->id) {
	case HS_EVENT_kvm_exit:
		return on_exit_record(exits, (const void *)record, cpu);
	case HS_EVENT_kvm_entry:
		return on_entry_record(exits, (const void *)record);
	case HS_EVENT_kvm_userspace_exit:
		return on_userspace_exit(exits, (const void *)record, cpu);
	}
	return record->id == exits->exit_long.id ? on_long_exit(exits, record, cpu) : 0;
}

void hs_exits_add_loss(struct hs_exits *exits, const struct hs_ctf_loss *loss)
{
	hs_holes_add(&exits->holes, loss);
}

/* What was counted for a thread before any record said which vCPU it runs goes to that vCPU. */
static int merge_row(struct hs_exits *exits, const struct hs_key *key, struct hs_exits_row *row)
{
	struct hs_key known = *key;
	struct hs_exits_row *target;
	int err;

	known.vcpu = hs_threads_resolve(&exits->threads, key->vcpu);
	if (known.vcpu == key->vcpu)
		return 0;
	target = hs_keyed_get(&exits->rows, known);
	if (!target)
		return -ENOMEM;
	err = hs_histogram_merge(&target->time, &row->time);
	if (err)
		return err;
	target->count += row->count;
	row->count = 0;
	hs_histogram_clear(&row->time);
	return 0;
}

static int merge_vcpu(struct hs_exits *exits, const struct hs_key *key, struct hs_exits_vcpu *vcpu)
{
	uint32_t known = hs_threads_resolve(&exits->threads, key->vcpu);
	struct hs_exits_vcpu *target;

	if (known == key->vcpu)
		return 0;
	target = get_vcpu(exits, key->tgid, known);
	if (!target)
		return -ENOMEM;
	target->user_ns += vcpu->user_ns;
	vcpu->user_ns = 0;
	return 0;
}

int hs_exits_finish(struct hs_exits *exits)
{
	size_t row_nr = exits->rows.count, vcpu_nr = exits->vcpus.count;
	int err = 0;

	for (size_t i = 0; i < exits->threads_in_user.count; i++) {
		struct user_stay *stay = (void *)exits->threads_in_user.entries[i]->value;

		exits->user_untimed.at_end += stay->row != NULL;
		stay->row = NULL;
	}
	for (size_t i = 0; i < vcpu_nr && !err; i++) {
		struct hs_exits_vcpu *vcpu = (void *)exits->vcpus.entries[i]->value;

		exits->untimed.at_end += vcpu->open != NULL;
		vcpu->open = NULL;
		vcpu->lone_entries += vcpu->phase == PHASE_GUEST;
		vcpu->phase = PHASE_UNKNOWN;
		err = merge_vcpu(exits, &exits->vcpus.entries[i]->key, vcpu);
	}
	for (size_t i = 0; i < row_nr && !err; i++)
		err = merge_row(exits, &exits->rows.entries[i]->key, (void *)exits->rows.entries[i]->value);
	return err;
}

void hs_exits_clear(struct hs_exits *exits)
{
	for (size_t i = 0; i < exits->rows.count; i++)
		hs_histogram_clear(&((struct hs_exits_row *)exits->rows.entries[i]->value)->time);
	hs_keyed_clear(&exits->rows);
	hs_keyed_clear(&exits->vcpus);
	hs_keyed_clear(&exits->threads_in_user);
	hs_threads_clear(&exits->threads);
}
