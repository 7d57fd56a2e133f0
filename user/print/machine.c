// SPDX-License-Identifier: GPL-2.0-only
/* A machine's records for `hsbpf print`. Called from its one thread. */
#include "print/machine.h"

#include <errno.h>
#include <string.h>

static const struct hs_field *find_field(const struct hs_event *event, const char *name)
{
	for (unsigned int i = 0; i < event->field_nr; i++)
		if (event->fields[i].kind == HS_FIELD_NUMBER && !strcmp(event->fields[i].name, name))
			return &event->fields[i];
	return NULL;
}

static void set_kind(struct hs_print_kind *kind, const struct hs_event *event)
{
	kind->event = event;
	if (!event)
		return;
	kind->tgid = find_field(event, "tgid");
	if (!kind->tgid) { /* sched_switch: either may be the VM */
		kind->tgid = find_field(event, "prev_tgid");
		kind->other_tgid = find_field(event, "next_tgid");
	}
	kind->vcpu = find_field(event, "vcpu_id");
}

int hs_print_machine_open(struct hs_print_machine *machine, const char *trace, const struct hs_vm_list *vms)
{
	int err = hs_ctf_reader_open_all(trace, &machine->reader);

	if (err)
		return err;
	machine->vms = vms;
	machine->name = hs_ctf_reader_info(machine->reader)->machine;
	machine->to_real_ns = hs_ctf_reader_info(machine->reader)->clock_offset_ns;
	machine->kind_nr = hs_ctf_reader_event_nr(machine->reader);
	machine->kinds = calloc(machine->kind_nr, sizeof(*machine->kinds));
	if (!machine->kinds)
		return -ENOMEM;
	for (uint32_t i = 0; i < machine->kind_nr; i++)
		set_kind(&machine->kinds[i], hs_ctf_reader_event(machine->reader, i));
	return hs_threads_start(&machine->threads, vms);
}

void hs_print_machine_close(struct hs_print_machine *machine)
{
	hs_ctf_reader_free(machine->reader);
	hs_threads_clear(&machine->threads);
	free(machine->kinds);
}

uint64_t hs_print_machine_real_ns(const struct hs_print_machine *machine, uint64_t ns)
{
	return ns + (uint64_t)machine->to_real_ns;
}

uint64_t hs_print_machine_boot_ns(const struct hs_print_machine *machine, uint64_t ns)
{
	return ns + (uint64_t)machine->to_boot_ns;
}

int hs_print_machine_advance(struct hs_print_machine *machine)
{
	int more = hs_ctf_reader_next(machine->reader, &machine->record);

	machine->has_record = more > 0;
	if (machine->has_record)
		machine->real_ns = hs_print_machine_real_ns(machine, machine->record.header->ts);
	return more < 0 ? more : 0;
}

/* CLOCK_REALTIME as the machine's own clock; what was before that began is 0. */
static uint64_t own_ns(const struct hs_print_machine *machine, uint64_t real_ns)
{
	int64_t ns = (int64_t)(real_ns - (uint64_t)machine->to_real_ns);

	return real_ns == UINT64_MAX ? UINT64_MAX : ns < 0 ? 0 : (uint64_t)ns;
}

void hs_print_machine_set_range(struct hs_print_machine *machine, uint64_t from_ns, uint64_t to_ns)
{
	hs_ctf_reader_set_range(machine->reader, own_ns(machine, from_ns), own_ns(machine, to_ns));
}
