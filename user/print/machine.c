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
	hs_machine_clock_clear(&machine->clock);
	free(machine->kinds);
}

int hs_print_machine_advance(struct hs_print_machine *machine)
{
	int more = hs_ctf_reader_next(machine->reader, &machine->record);

	machine->has_record = more > 0;
	if (machine->has_record)
		machine->boot_ns = hs_machine_clock_to_boot(&machine->clock, machine->record.header->ts);
	return more < 0 ? more : 0;
}

/* Wider by what the mapping may be off: records outside are left out by the time that they are shown with. */
void hs_print_machine_set_range(struct hs_print_machine *machine, uint64_t from_ns, uint64_t to_ns)
{
	struct hs_machine_clock *clock = &machine->clock;
	uint64_t spare_ns = clock->is_mapped ? 2 * clock->bound_ns + 1000000 : 0;

	from_ns = from_ns > spare_ns ? from_ns - spare_ns : 0;
	to_ns = to_ns > UINT64_MAX - spare_ns ? UINT64_MAX : to_ns + spare_ns;
	hs_ctf_reader_set_range(machine->reader, hs_machine_clock_from_boot(clock, from_ns),
				to_ns == UINT64_MAX ? UINT64_MAX : hs_machine_clock_from_boot(clock, to_ns));
}
