// SPDX-License-Identifier: GPL-2.0-only
/*
 * From traces to lines: one reader a machine, the earliest record of all of them next, filters, then the form that was
 * asked for. Machines are merged by CLOCK_REALTIME, as each one had it. Called from one thread.
 */
#include "print/print.h"

#include <errno.h>

#include "analysis/threads.h"
#include "base/log.h"
#include "print/style.h"

#define NAME_SLOTS 256

/* Where an event's records keep what filters and columns need; NULL: they have no such field. */
struct shape {
	const struct hs_field *tgid, *other_tgid, *vcpu;
};

struct machine {
	struct hs_ctf_reader *reader;
	struct print *print;
	const char *name;
	uint64_t to_real_ns; /* added to its BOOTTIME */
	struct hs_threads threads;
	const struct hs_vm_list *vms; /* NULL: nobody knows its VMs' names */
	bool has_record;	      /* the next one */
	struct hs_ctf_record record;
};

struct print {
	const struct hs_print_config *config;
	struct hs_print_style style;
	struct shape shapes[HS_EVENT_ID_NR];
	struct machine *machines;
	size_t machine_nr;
	uint64_t origin_ns;	 /* CLOCK_REALTIME of the first record */
	uint64_t from_ns, to_ns; /* CLOCK_REALTIME */
	uint64_t printed[HS_EVENT_ID_NR], unformatted;
	struct hs_print_loss *losses; /* for the end of a JSON document */
	size_t loss_nr;
	int loss_err;
	struct {
		uint32_t tgid;
		const char *name;
	} names[NAME_SLOTS]; /* of the host's VMs, as they were found */
	bool has_event;	     /* one was written */
	struct hs_out out;
};

static void print_free(struct print *print)
{
	if (!print)
		return;
	for (size_t i = 0; i < print->machine_nr; i++) {
		hs_ctf_reader_free(print->machines[i].reader);
		hs_threads_clear(&print->machines[i].threads);
	}
	free(print->machines);
	free(print->losses);
	free(print);
}
HS_SCOPED(print, struct print *, print_free)

static const struct hs_field *find_field(const struct hs_event *event, const char *name)
{
	for (unsigned int i = 0; i < event->field_nr; i++)
		if (!strcmp(event->fields[i].name, name))
			return &event->fields[i];
	return NULL;
}

static void set_shapes(struct print *print)
{
	unsigned int chosen = 0;

	for (unsigned int i = 0; i < hs_event_nr; i++) {
		const struct hs_event *event = &hs_events[i];
		struct shape *shape = &print->shapes[event->id];

		shape->tgid = find_field(event, "tgid");
		if (!shape->tgid) { /* sched_switch: either may be the VM */
			shape->tgid = find_field(event, "prev_tgid");
			shape->other_tgid = find_field(event, "next_tgid");
		}
		shape->vcpu = find_field(event, "vcpu_id");
		if (print->config->events.has[event->id]) {
			print->style.columns = event;
			chosen++;
		}
	}
	if (chosen != 1)
		print->style.columns = NULL;
}

/* ---- time -------------------------------------------------------------------------------------- */
static uint64_t real_ns(const struct machine *machine, uint64_t boot_ns)
{
	return boot_ns + machine->to_real_ns;
}

static uint64_t shown_ns(const struct print *print, const struct machine *machine, uint64_t boot_ns)
{
	switch (print->config->clock) {
	case HS_PRINT_REAL:
		return real_ns(machine, boot_ns);
	case HS_PRINT_RELATIVE:
		return real_ns(machine, boot_ns) > print->origin_ns ? real_ns(machine, boot_ns) - print->origin_ns : 0;
	default:
		return boot_ns;
	}
}

/* CLOCK_REALTIME as the machine's BOOTTIME; what was before its boot is 0. */
static uint64_t boot_of_ns(const struct machine *machine, uint64_t ns)
{
	int64_t boot_ns = (int64_t)(ns - machine->to_real_ns);

	return ns == UINT64_MAX ? UINT64_MAX : boot_ns < 0 ? 0 : (uint64_t)boot_ns;
}

/* ---- losses ------------------------------------------------------------------------------------ */
static int keep_loss(struct print *print, const struct hs_print_loss *loss)
{
	struct hs_print_loss *losses = reallocarray(print->losses, print->loss_nr + 1, sizeof(*losses));

	if (!losses)
		return -ENOMEM;
	print->losses = losses;
	losses[print->loss_nr++] = *loss;
	return 0;
}

static void put_loss(struct print *print, const struct hs_print_loss *loss)
{
	switch (print->config->form) {
	case HS_PRINT_TEXT:
		hs_print_text_loss(&print->out, &print->style, loss);
		break;
	case HS_PRINT_JSONL:
		hs_print_json_loss(&print->out, loss);
		hs_out_char(&print->out, '\n');
		break;
	default: /* a document has them at its end; CSV and templates have no line for them, stderr says it */
		break;
	}
}

static void on_loss(void *ctx, const struct hs_ctf_loss *loss)
{
	struct machine *machine = ctx;
	struct print *print = machine->print;
	struct hs_print_loss shown = { .machine = machine->name, .loss = *loss };

	if (print->config->scope.cpus && !hs_cpulist_has(print->config->scope.cpus, loss->cpu))
		return;
	if (loss->begin_ns)
		shown.loss.begin_ns = shown_ns(print, machine, loss->begin_ns);
	if (loss->end_ns != UINT64_MAX)
		shown.loss.end_ns = shown_ns(print, machine, loss->end_ns);
	put_loss(print, &shown);
	if (keep_loss(print, &shown))
		print->loss_err = -ENOMEM;
}

static void say_losses(const struct print *print)
{
	struct hs_ctf_loss sum = { 0 };

	for (size_t i = 0; i < print->loss_nr; i++) {
		sum.events += print->losses[i].loss.events;
		sum.packets += print->losses[i].loss.packets;
		sum.bytes += print->losses[i].loss.bytes;
	}
	if (print->loss_nr)
		hs_warn("not all that happened is here: %llu events were lost, %llu packets are missing, %llu bytes "
			"make "
			"no sense, at %zu places",
			(unsigned long long)sum.events, (unsigned long long)sum.packets, (unsigned long long)sum.bytes,
			print->loss_nr);
	if (print->unformatted)
		hs_warn("%llu events have no line in the formats file", (unsigned long long)print->unformatted);
}

/* ---- one record -------------------------------------------------------------------------------- */
static const char *vm_name(struct print *print, const struct machine *machine, uint32_t tgid)
{
	unsigned int slot = tgid % NAME_SLOTS;

	if (!machine->vms || !tgid)
		return NULL;
	if (print->names[slot].tgid != tgid) {
		const struct hs_vm *vm = hs_vms_find(machine->vms, (pid_t)tgid);

		print->names[slot].tgid = tgid;
		print->names[slot].name = vm && vm->name[0] ? vm->name : NULL;
	}
	return print->names[slot].name;
}

/* Whose record it is; a record that names the vCPU teaches which thread runs it. 0 or -ENOMEM. */
static int fill_row(struct print *print, struct machine *machine, struct hs_print_row *row)
{
	const struct hs_ctf_record *record = &machine->record;
	const struct shape *shape = &print->shapes[record->header->id];
	int64_t vcpu;
	uint32_t known = hs_threads_vcpu(&machine->threads, record->header->tid);

	*row = (struct hs_print_row){ .event = record->event,
				      .header = record->header,
				      .machine = machine->name,
				      .cpu = record->cpu,
				      .time_ns = shown_ns(print, machine, record->header->ts),
				      .vcpu = known & HS_VCPU_OF_TID ? -1 : (int64_t)known };
	if (shape->tgid)
		row->tgid = (uint32_t)hs_field_value(shape->tgid, record->header);
	row->vm = vm_name(print, machine, row->tgid);
	if (!shape->vcpu)
		return 0;
	vcpu = (int64_t)hs_field_value(shape->vcpu, record->header);
	if (vcpu < 0) /* this event's kernel does not tell */
		return 0;
	row->vcpu = vcpu;
	return row->vcpu == (int64_t)known
		       ? 0
		       : hs_threads_learn(&machine->threads, record->header->tid, (uint32_t)row->vcpu);
}

static bool is_wanted(const struct print *print, const struct hs_print_row *row)
{
	const struct hs_scope *scope = &print->config->scope;
	const struct hs_field *other = print->shapes[row->event->id].other_tgid;

	if (!print->config->events.has[row->event->id] || (scope->cpus && !hs_cpulist_has(scope->cpus, row->cpu)))
		return false;
	if (scope->vcpus && (row->vcpu < 0 || !hs_cpulist_has(scope->vcpus, (uint32_t)row->vcpu)))
		return false;
	return hs_scope_has_vm(scope, row->tgid) ||
	       (other && hs_scope_has_vm(scope, (uint32_t)hs_field_value(other, row->header)));
}

static void put_row(struct print *print, const struct hs_print_row *row)
{
	struct hs_out *out = &print->out;

	switch (print->config->form) {
	case HS_PRINT_TEXT:
		hs_print_text(out, &print->style, row);
		break;
	case HS_PRINT_JSON:
		hs_out_text(out, print->has_event ? ",\n" : "\n");
		hs_print_json(out, row);
		break;
	case HS_PRINT_JSONL:
		hs_print_json(out, row);
		hs_out_char(out, '\n');
		break;
	case HS_PRINT_CSV:
		hs_print_csv(out, &print->style, row);
		break;
	case HS_PRINT_FORMATS:
		if (!hs_formats_print(print->config->formats, out, row))
			print->unformatted++;
		break;
	case HS_PRINT_COUNT:
		break;
	}
	print->has_event = true;
	print->printed[row->event->id]++;
}

/* ---- begin and end of the output --------------------------------------------------------------- */
static const char *const clock_names[] = { "boot", "real", "relative" };

static void put_document_head(struct print *print)
{
	struct hs_out *out = &print->out;

	hs_out_text(out, "{\"schema\":\"hsbpf.print/1\",\"clock\":\"");
	hs_out_text(out, clock_names[print->config->clock]);
	hs_out_text(out, "\",\"machines\":[");
	for (size_t i = 0; i < print->machine_nr; i++) {
		hs_out_text(out, i ? ",{\"machine\":" : "{\"machine\":");
		hs_out_json(out, print->machines[i].name);
		hs_out_text(out, ",\"clock_offset_ns\":");
		hs_out_s64(out, (int64_t)print->machines[i].to_real_ns);
		hs_out_char(out, '}');
	}
	hs_out_text(out, "]");
	if (print->config->form == HS_PRINT_JSON)
		hs_out_text(out, ",\n\"events\":[");
}

static void put_document_end(struct print *print)
{
	struct hs_out *out = &print->out;
	const char *separator = "";

	if (print->config->form == HS_PRINT_JSON)
		hs_out_text(out, "\n]");
	hs_out_text(out, ",\n\"counts\":{");
	for (unsigned int i = 0; i < hs_event_nr; i++) {
		if (!print->printed[hs_events[i].id])
			continue;
		hs_out_text(out, separator);
		hs_out_json(out, hs_events[i].name);
		hs_out_char(out, ':');
		hs_out_u64(out, print->printed[hs_events[i].id]);
		separator = ",";
	}
	hs_out_text(out, "},\n\"lost\":[");
	for (size_t i = 0; i < print->loss_nr; i++) {
		hs_out_text(out, i ? ",\n" : "\n");
		hs_print_json_loss(out, &print->losses[i]);
	}
	hs_out_text(out, "]}\n");
}

static void put_counts(struct print *print)
{
	for (unsigned int i = 0; i < hs_event_nr; i++) {
		if (!print->printed[hs_events[i].id])
			continue;
		hs_out_u64(&print->out, print->printed[hs_events[i].id]);
		hs_out_char(&print->out, ' ');
		hs_out_text(&print->out, hs_events[i].name);
		hs_out_char(&print->out, '\n');
	}
}

static bool is_document(const struct hs_print_config *config)
{
	return config->form == HS_PRINT_JSON || (config->form == HS_PRINT_COUNT && config->json);
}

/* ---- reading ----------------------------------------------------------------------------------- */
static int open_machine(struct print *print, const char *trace, const struct hs_vm_list *vms)
{
	struct machine *machine = &print->machines[print->machine_nr];
	int err = hs_ctf_reader_open(trace, &machine->reader);

	if (err)
		return err;
	print->machine_nr++;
	machine->print = print;
	machine->vms = vms;
	machine->name = hs_ctf_reader_info(machine->reader)->machine;
	machine->to_real_ns = (uint64_t)hs_ctf_reader_info(machine->reader)->clock_offset_ns;
	hs_ctf_reader_on_loss(machine->reader, on_loss, machine);
	return hs_threads_start(&machine->threads, vms);
}

/* Machines other than the first have VMs of their own, of which the recording's document says nothing. */
static int open_machines(struct print *print)
{
	const struct hs_print_config *config = print->config;
	int err = 0;

	print->machines = calloc(config->trace_nr, sizeof(*print->machines));
	if (!print->machines)
		return -ENOMEM;
	for (size_t i = 0; i < config->trace_nr && !err; i++)
		err = open_machine(print, config->traces[i], i ? NULL : config->vms);
	print->style.clock = config->clock;
	print->style.with_machine = config->trace_nr > 1;
	return err;
}

static void set_range(struct print *print)
{
	const struct hs_print_config *config = print->config;

	print->origin_ns = UINT64_MAX;
	for (size_t i = 0; i < print->machine_nr; i++) {
		const struct machine *machine = &print->machines[i];
		uint64_t begin_ns = hs_ctf_reader_begin_ns(machine->reader);

		if (begin_ns && real_ns(machine, begin_ns) < print->origin_ns)
			print->origin_ns = real_ns(machine, begin_ns);
	}
	if (print->origin_ns == UINT64_MAX)
		print->origin_ns = 0;
	if (__builtin_add_overflow(print->origin_ns, config->from_ns, &print->from_ns))
		print->from_ns = UINT64_MAX;
	print->to_ns = UINT64_MAX;
	if (config->to_ns && __builtin_add_overflow(print->origin_ns, config->to_ns - 1, &print->to_ns))
		print->to_ns = UINT64_MAX;
	if (!config->from_ns && !config->to_ns)
		return;
	for (size_t i = 0; i < print->machine_nr; i++) {
		struct machine *machine = &print->machines[i];

		hs_ctf_reader_set_range(machine->reader, boot_of_ns(machine, print->from_ns),
					boot_of_ns(machine, print->to_ns));
	}
}

/* Reads the machine's next record. 0 or -errno. */
static int advance(struct machine *machine)
{
	int more = hs_ctf_reader_next(machine->reader, &machine->record);

	machine->has_record = more > 0;
	return more < 0 ? more : 0;
}

/* The machine whose next record is the earliest; NULL: all are at their end. */
static struct machine *earliest(struct print *print)
{
	struct machine *found = NULL;

	for (size_t i = 0; i < print->machine_nr; i++) {
		struct machine *machine = &print->machines[i];

		if (machine->has_record &&
		    (!found || real_ns(machine, machine->record.header->ts) < real_ns(found, found->record.header->ts)))
			found = machine;
	}
	return found;
}

static int print_rows(struct print *print)
{
	struct machine *machine;
	int err = 0;

	for (size_t i = 0; i < print->machine_nr && !err; i++)
		err = advance(&print->machines[i]);
	while (!err && !print->out.err && (machine = earliest(print))) {
		struct hs_print_row row;

		err = fill_row(print, machine, &row);
		if (err)
			break;
		if (is_wanted(print, &row))
			put_row(print, &row);
		err = advance(machine);
	}
	return err ? err : print->loss_err;
}

static int print_all(struct print *print)
{
	const struct hs_print_config *config = print->config;
	int err;

	if (is_document(config))
		put_document_head(print);
	if (config->form == HS_PRINT_CSV)
		hs_print_csv_head(&print->out, &print->style);
	err = print_rows(print);
	if (is_document(config))
		put_document_end(print);
	else if (config->form == HS_PRINT_COUNT)
		put_counts(print);
	hs_out_flush(&print->out);
	if (print->out.err == -EPIPE) /* `| head` has what it wants */
		return 0;
	if (print->out.err)
		return hs_fail(print->out.err, "cannot write:");
	say_losses(print);
	return err;
}

int hs_print(const struct hs_print_config *config, int fd)
{
	scoped(print) struct print *print = calloc(1, sizeof(*print));
	int err = print ? 0 : -ENOMEM;

	if (!err) {
		print->config = config;
		print->out.fd = fd;
		set_shapes(print);
		err = open_machines(print);
	}
	if (!err) {
		set_range(print);
		err = print_all(print);
	}
	return err == -ENOMEM ? hs_fail(err, "not enough memory to print %s", config->traces[0]) : err;
}
