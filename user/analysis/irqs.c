// SPDX-License-Identifier: GPL-2.0-only
/* Interrupts: for each vector of each vCPU at most one is accepted and waits, and one is in service. */
#include "analysis/irqs.h"

#include <errno.h>

/* A vector of a vCPU. */
struct pending {
	struct hs_irqs_row *in_service; /* whose EOI is awaited; NULL: none */
	uint64_t injected_ns, injected_token;
	bool is_accepted;
	uint64_t accepted_ns, accepted_token;
};

/* The fields that are needed, as the kernel calls them; tgid is ours. */
static const char *const eoi_fields[] = { "tgid", "vector", NULL };
static const char *const accept_fields[] = { "tgid", "apicid", "vec", NULL };

int hs_irqs_start(struct hs_irqs *irqs, const struct hs_scope *scope, const struct hs_vm_list *vms)
{
	*irqs = (struct hs_irqs){
		.scope = *scope,
		.rows.value_bytes = sizeof(struct hs_irqs_row),
		.pending.value_bytes = sizeof(struct pending),
		.eoi = hs_bound_find("kvm_eoi", eoi_fields),
		.pv_eoi = hs_bound_find("kvm_pv_eoi", eoi_fields),
		.accept = hs_bound_find("kvm_apic_accept_irq", accept_fields),
	};
	return hs_threads_start(&irqs->threads, vms);
}

static struct hs_irqs_row *get_row(struct hs_irqs *irqs, uint32_t tgid, uint32_t vcpu, enum hs_irqs_kind kind,
				   uint32_t code)
{
	struct hs_key key = { .tgid = tgid, .vcpu = vcpu, .kind = kind, .code = code };

	if (irqs->scope.by != HS_BY_VCPU)
		key.vcpu = HS_KEY_ALL;
	if (irqs->scope.by == HS_BY_ALL)
		key.tgid = HS_KEY_ALL;
	return hs_keyed_get(&irqs->rows, key);
}

static struct pending *get_pending(struct hs_irqs *irqs, uint32_t tgid, uint32_t vcpu, uint32_t vector)
{
	return hs_keyed_get(&irqs->pending, (struct hs_key){ .tgid = tgid, .vcpu = vcpu, .code = vector });
}

/* The interrupt in service is over, or will never be seen to be. */
static int end_service(struct hs_irqs *irqs, struct pending *pending, uint64_t now_ns, bool is_eoi)
{
	struct hs_irqs_row *row = pending->in_service;

	pending->in_service = NULL;
	if (!row)
		return 0;
	if (!hs_holes_none_since(&irqs->holes, pending->injected_token)) {
		row->lost++;
		return 0;
	}
	if (!is_eoi || now_ns < pending->injected_ns) {
		row->no_eoi++;
		return 0;
	}
	return hs_histogram_add(&row->service, now_ns - pending->injected_ns, 1);
}

static int end_acceptance(struct hs_irqs *irqs, struct pending *pending, struct hs_irqs_row *row, uint64_t now_ns)
{
	bool is_measured = pending->is_accepted && hs_holes_none_since(&irqs->holes, pending->accepted_token) &&
			   now_ns >= pending->accepted_ns;

	pending->is_accepted = false;
	return is_measured ? hs_histogram_add(&row->delivery, now_ns - pending->accepted_ns, 1) : 0;
}

static int on_injection(struct hs_irqs *irqs, const struct hs_event_kvm_inj_virq *record, uint32_t cpu)
{
	uint32_t vcpu = hs_threads_vcpu(&irqs->threads, record->header.tid);
	struct hs_irqs_row *row;
	struct pending *pending;
	int err;

	if (!hs_scope_has(&irqs->scope, record->tgid, vcpu, cpu))
		return 0;
	row = get_row(irqs, record->tgid, vcpu, HS_IRQS_VECTOR, record->vector);
	pending = row ? get_pending(irqs, record->tgid, vcpu, record->vector) : NULL;
	if (!pending)
		return -ENOMEM;
	if (record->reinjected) {
		row->reinjected++;
		return 0;
	}
	irqs->injections++;
	row->count++;
	row->soft += record->soft != 0;
	if (record->soft)
		return 0; /* INT n knows no EOI */
	err = end_service(irqs, pending, record->header.ts, false);
	if (!err)
		err = end_acceptance(irqs, pending, row, record->header.ts);
	pending->in_service = row;
	pending->injected_ns = record->header.ts;
	pending->injected_token = hs_holes_start(&irqs->holes, record->header.ts);
	return err;
}

/* By the guest's write, or with paravirtual EOI by the host when it finds that the guest has done it. */
static int on_eoi(struct hs_irqs *irqs, const struct hs_bound *eoi, const struct hs_event_header *record, uint32_t cpu)
{
	uint32_t tgid = (uint32_t)hs_bound_get(eoi, record, 0), vector = (uint32_t)hs_bound_get(eoi, record, 1);
	uint32_t vcpu = hs_threads_vcpu(&irqs->threads, record->tid);
	struct pending *pending;
	struct hs_irqs_row *row;

	if (!hs_scope_has(&irqs->scope, tgid, vcpu, cpu))
		return 0;
	irqs->eois++;
	pending = get_pending(irqs, tgid, vcpu, vector);
	if (!pending)
		return -ENOMEM;
	if (pending->in_service)
		return end_service(irqs, pending, record->ts, true);
	row = get_row(irqs, tgid, vcpu, HS_IRQS_VECTOR, vector);
	if (!row)
		return -ENOMEM;
	row->lone_eois++;
	return 0;
}

/*
 * Whoever sends the interrupt makes this record; the APIC id is the number that user space created the vCPU with,
 * which KVM calls vcpu_id. One more of a vector that waits already is the same interrupt.
 */
static int on_acceptance(struct hs_irqs *irqs, const struct hs_event_header *record)
{
	struct pending *pending = get_pending(irqs, (uint32_t)hs_bound_get(&irqs->accept, record, 0),
					      (uint32_t)hs_bound_get(&irqs->accept, record, 1),
					      (uint32_t)hs_bound_get(&irqs->accept, record, 2));

	if (!pending)
		return -ENOMEM;
	irqs->accepted++;
	if (pending->is_accepted)
		return 0;
	pending->is_accepted = true;
	pending->accepted_ns = record->ts;
	pending->accepted_token = hs_holes_start(&irqs->holes, record->ts);
	return 0;
}

/* Lines and messages are the VM's, not a vCPU's. */
static int on_line(struct hs_irqs *irqs, uint32_t tgid, enum hs_irqs_kind kind, uint32_t code, bool is_raised)
{
	struct hs_irqs_row *row;

	if (!hs_scope_has_vm(&irqs->scope, tgid))
		return 0;
	row = get_row(irqs, tgid, HS_KEY_ALL, kind, code);
	if (!row)
		return -ENOMEM;
	row->count += is_raised;
	row->lowered += !is_raised;
	return 0;
}

/* Fields of the message as the processor's manual has them: destination in bits 12 to 19 of the address. */
static int on_msi(struct hs_irqs *irqs, const struct hs_event_kvm_msi_set_irq *record)
{
	uint32_t destination = record->address >> 12 & 0xff;

	return on_line(irqs, record->tgid, HS_IRQS_MSI, destination << 8 | (record->data & 0xff), true);
}

int hs_irqs_add(struct hs_irqs *irqs, const struct hs_event_header *record, uint32_t cpu)
{
	const union {
		struct hs_event_kvm_exit exit;
		struct hs_event_kvm_entry entry;
		struct hs_event_kvm_set_irq set_irq;
	} *any = (const void *)record;

	switch (record->id) {
	case HS_EVENT_kvm_exit:
		return hs_threads_learn(&irqs->threads, record->tid, any->exit.vcpu_id);
	case HS_EVENT_kvm_entry:
		return hs_threads_learn(&irqs->threads, record->tid, any->entry.vcpu_id);
	case HS_EVENT_kvm_inj_virq:
		return on_injection(irqs, (const void *)record, cpu);
	case HS_EVENT_kvm_set_irq:
		return on_line(irqs, any->set_irq.tgid, HS_IRQS_LINE, any->set_irq.gsi, any->set_irq.level != 0);
	case HS_EVENT_kvm_msi_set_irq:
		return on_msi(irqs, (const void *)record);
	}
	if (record->id == irqs->eoi.id)
		return on_eoi(irqs, &irqs->eoi, record, cpu);
	if (record->id == irqs->pv_eoi.id)
		return on_eoi(irqs, &irqs->pv_eoi, record, cpu);
	return record->id == irqs->accept.id ? on_acceptance(irqs, record) : 0;
}

void hs_irqs_add_loss(struct hs_irqs *irqs, const struct hs_ctf_loss *loss)
{
	hs_holes_add(&irqs->holes, loss);
}

/* What was counted for a thread before any record said which vCPU it runs goes to that vCPU. */
static int merge_row(struct hs_irqs *irqs, struct hs_key key, struct hs_irqs_row *row)
{
	uint32_t known = hs_threads_resolve(&irqs->threads, key.vcpu);
	struct hs_irqs_row *target;
	int err;

	if (known == key.vcpu)
		return 0;
	key.vcpu = known;
	target = hs_keyed_get(&irqs->rows, key);
	err = target ? hs_histogram_merge(&target->service, &row->service) : -ENOMEM;
	if (!err)
		err = hs_histogram_merge(&target->delivery, &row->delivery);
	if (err)
		return err;
	target->count += row->count;
	target->reinjected += row->reinjected;
	target->soft += row->soft;
	target->no_eoi += row->no_eoi;
	target->lost += row->lost;
	target->lone_eois += row->lone_eois;
	hs_histogram_clear(&row->service);
	hs_histogram_clear(&row->delivery);
	*row = (struct hs_irqs_row){ 0 };
	return 0;
}

int hs_irqs_finish(struct hs_irqs *irqs)
{
	size_t row_nr = irqs->rows.count;
	int err = 0;

	for (size_t i = 0; i < irqs->pending.count; i++)
		end_service(irqs, (void *)irqs->pending.entries[i]->value, 0, false);
	for (size_t i = 0; i < row_nr && !err; i++)
		err = merge_row(irqs, irqs->rows.entries[i]->key, (void *)irqs->rows.entries[i]->value);
	return err;
}

void hs_irqs_clear(struct hs_irqs *irqs)
{
	for (size_t i = 0; i < irqs->rows.count; i++) {
		struct hs_irqs_row *row = (void *)irqs->rows.entries[i]->value;

		hs_histogram_clear(&row->service);
		hs_histogram_clear(&row->delivery);
	}
	hs_keyed_clear(&irqs->rows);
	hs_keyed_clear(&irqs->pending);
	hs_threads_clear(&irqs->threads);
}
