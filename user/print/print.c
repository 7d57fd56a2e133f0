// SPDX-License-Identifier: GPL-2.0-only
/*
 * From traces to lines: one reader a machine, the earliest record of all of them next, filters, then the form that was
 * asked for. Machines are merged by the host's clock, to which theirs are mapped. Called from one thread.
 */
#include "print/print.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/unit.h"
#include "print/machine.h"
#include "print/style.h"
#include "trace_events/event_set.h"

#define NAME_SLOTS 256

struct print {
	const struct hs_print_config *config;
	struct hs_print_style style;
	struct hs_print_machine *machines;
	size_t machine_nr;
	int64_t host_offset_ns; /* CLOCK_REALTIME - CLOCK_BOOTTIME of the host */
	uint64_t origin_ns;	/* of the first record; this and the next by the host's CLOCK_BOOTTIME */
	uint64_t from_ns, to_ns;
	uint64_t unformatted;
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
	for (size_t i = 0; i < print->machine_nr; i++)
		hs_print_machine_close(&print->machines[i]);
	free(print->machines);
	free(print->losses);
	free(print);
}
HS_SCOPED(print, struct print *, print_free)

/* ---- which events ------------------------------------------------------------------------------ */
/* Wants all that the text names; false: nothing is called so, neither here nor in our own table. */
static bool want(struct print *print, const char *text, bool (*matches)(const struct hs_event *, const char *))
{
	bool has_any = false;

	for (unsigned int i = 0; i < hs_event_nr; i++)
		has_any |= matches(&hs_events[i], text);
	for (size_t i = 0; i < print->machine_nr; i++) {
		struct hs_print_machine *machine = &print->machines[i];

		for (uint32_t j = 0; j < machine->kind_nr; j++) {
			if (!machine->kinds[j].event || !matches(machine->kinds[j].event, text))
				continue;
			machine->kinds[j].is_wanted = true;
			has_any = true;
		}
	}
	return has_any;
}

static int choose_events(struct print *print)
{
	static const struct hs_opt_list none;
	const struct hs_opt_list *events = print->config->events ? print->config->events : &none;
	const struct hs_opt_list *profiles = print->config->profiles ? print->config->profiles : &none;

	for (size_t i = 0; i < profiles->count; i++) {
		if (!want(print, profiles->items[i], hs_event_is_of_profile)) {
			hs_err("there is no profile '%s', and no machine has events of such a system",
			       profiles->items[i]);
			return HS_EXIT_USAGE;
		}
	}
	for (size_t i = 0; i < events->count; i++) {
		if (!want(print, events->items[i], hs_event_matches_glob)) {
			hs_err("no event is called '%s'; `hsbpf events` and `hsbpf info` list them", events->items[i]);
			return HS_EXIT_USAGE;
		}
	}
	if (!events->count && !profiles->count)
		want(print, "*", hs_event_matches_glob);
	return 0;
}

static bool has_same_fields(const struct hs_event *one, const struct hs_event *other)
{
	if (one->field_nr != other->field_nr)
		return false;
	for (unsigned int i = 0; i < one->field_nr; i++)
		if (strcmp(one->fields[i].name, other->fields[i].name) != 0)
			return false;
	return !strcmp(one->name, other->name);
}

/* The one event that is wanted, on whatever machines; NULL: there are several, or none. */
static const struct hs_event *find_columns(const struct print *print)
{
	const struct hs_event *found = NULL;

	for (size_t i = 0; i < print->machine_nr; i++) {
		const struct hs_print_machine *machine = &print->machines[i];

		for (uint32_t j = 0; j < machine->kind_nr; j++) {
			if (!machine->kinds[j].is_wanted)
				continue;
			if (found && !has_same_fields(found, machine->kinds[j].event))
				return NULL;
			found = machine->kinds[j].event;
		}
	}
	return found;
}

/* ---- time -------------------------------------------------------------------------------------- */
static uint64_t shown_ns(const struct print *print, uint64_t boot_ns)
{
	switch (print->config->clock) {
	case HS_PRINT_REAL:
		return boot_ns + (uint64_t)print->host_offset_ns;
	case HS_PRINT_RELATIVE:
		return boot_ns > print->origin_ns ? boot_ns - print->origin_ns : 0;
	default:
		return boot_ns;
	}
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
	struct hs_print_machine *machine = ctx;
	struct print *print = machine->ctx;
	struct hs_print_loss shown = { .machine = machine->name, .loss = *loss };

	if (print->config->scope.cpus && !hs_cpulist_has(print->config->scope.cpus, loss->cpu))
		return;
	if (loss->begin_ns)
		shown.loss.begin_ns = shown_ns(print, hs_machine_clock_to_boot(&machine->clock, loss->begin_ns));
	if (loss->end_ns != UINT64_MAX)
		shown.loss.end_ns = shown_ns(print, hs_machine_clock_to_boot(&machine->clock, loss->end_ns));
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
static const char *vm_name(struct print *print, const struct hs_print_machine *machine, uint32_t tgid)
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
static int fill_row(struct print *print, struct hs_print_machine *machine, struct hs_print_row *row)
{
	const struct hs_ctf_record *record = &machine->record;
	const struct hs_print_kind *kind = &machine->kinds[record->index];
	int64_t vcpu;
	uint32_t known = hs_threads_vcpu(&machine->threads, record->header->tid);

	*row = (struct hs_print_row){ .event = record->event,
				      .header = record->header,
				      .machine = machine->name,
				      .cpu = record->cpu,
				      .time_ns = shown_ns(print, machine->boot_ns),
				      .vcpu = known & HS_VCPU_OF_TID ? -1 : (int64_t)known };
	if (kind->tgid)
		row->tgid = (uint32_t)hs_field_value(kind->tgid, record->header);
	row->vm = vm_name(print, machine, row->tgid);
	if (!kind->vcpu)
		return 0;
	vcpu = (int64_t)hs_field_value(kind->vcpu, record->header);
	if (vcpu < 0) /* this event's kernel does not tell */
		return 0;
	row->vcpu = vcpu;
	return row->vcpu == (int64_t)known
		       ? 0
		       : hs_threads_learn(&machine->threads, record->header->tid, (uint32_t)row->vcpu);
}

static bool is_wanted(const struct print *print, const struct hs_print_kind *kind, const struct hs_print_row *row,
		      uint64_t boot_ns)
{
	const struct hs_scope *scope = &print->config->scope;
	const struct hs_field *other = kind->other_tgid;

	if (!kind->is_wanted || boot_ns < print->from_ns || boot_ns > print->to_ns ||
	    (scope->cpus && !hs_cpulist_has(scope->cpus, row->cpu)))
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
		hs_out_s64(out, hs_ctf_reader_info(print->machines[i].reader)->clock_offset_ns);
		hs_out_text(out, ",\"error_bound_ns\":");
		if (print->machines[i].clock.is_mapped || print->machines[i].clock.is_host)
			hs_out_u64(out, print->machines[i].clock.bound_ns);
		else
			hs_out_text(out, "null");
		hs_out_char(out, '}');
	}
	hs_out_text(out, "]");
	if (print->config->form == HS_PRINT_JSON)
		hs_out_text(out, ",\n\"events\":[");
}

/* What was printed of events with the name of this one that stand behind it: counted with it. */
static uint64_t take_others(struct print *print, size_t machine, uint32_t index)
{
	const char *name = print->machines[machine].kinds[index].event->name;
	uint64_t sum = 0;

	for (uint32_t j = index + 1; machine < print->machine_nr; machine++, j = 0) {
		for (; j < print->machines[machine].kind_nr; j++) {
			struct hs_print_kind *kind = &print->machines[machine].kinds[j];

			if (!kind->printed || strcmp(kind->event->name, name) != 0)
				continue;
			sum += kind->printed;
			kind->printed = 0;
		}
	}
	return sum;
}

/* Events of one name, of whatever machine and source, count as one: calls `put` for each name that was printed. */
static void for_each_count(struct print *print, void (*put)(struct print *, const char *, uint64_t, bool is_first))
{
	bool is_first = true;

	for (size_t i = 0; i < print->machine_nr; i++) {
		for (uint32_t j = 0; j < print->machines[i].kind_nr; j++) {
			struct hs_print_kind *kind = &print->machines[i].kinds[j];
			uint64_t printed = kind->printed;

			if (!printed)
				continue;
			printed += take_others(print, i, j);
			put(print, kind->event->name, printed, is_first);
			is_first = false;
		}
	}
}

static void put_json_count(struct print *print, const char *name, uint64_t count, bool is_first)
{
	if (!is_first)
		hs_out_char(&print->out, ',');
	hs_out_json(&print->out, name);
	hs_out_char(&print->out, ':');
	hs_out_u64(&print->out, count);
}

static void put_count(struct print *print, const char *name, uint64_t count, bool is_first)
{
	(void)is_first;
	hs_out_u64(&print->out, count);
	hs_out_char(&print->out, ' ');
	hs_out_text(&print->out, name);
	hs_out_char(&print->out, '\n');
}

static void put_document_end(struct print *print)
{
	struct hs_out *out = &print->out;

	if (print->config->form == HS_PRINT_JSON)
		hs_out_text(out, "\n]");
	hs_out_text(out, ",\n\"counts\":{");
	for_each_count(print, put_json_count);
	hs_out_text(out, "},\n\"lost\":[");
	for (size_t i = 0; i < print->loss_nr; i++) {
		hs_out_text(out, i ? ",\n" : "\n");
		hs_print_json_loss(out, &print->losses[i]);
	}
	hs_out_text(out, "]}\n");
}

static bool is_document(const struct hs_print_config *config)
{
	return config->form == HS_PRINT_JSON || (config->form == HS_PRINT_COUNT && config->json);
}

/* ---- reading ----------------------------------------------------------------------------------- */
/* A recording without the host: its document knows the host's clocks, or the first machine's stand in for them. */
static int64_t host_offset(const struct print *print, json_object *document)
{
	int64_t offset_ns = 0;

	for (size_t i = 0; i < print->machine_nr; i++) {
		const struct hs_ctf_info *info = hs_ctf_reader_info(print->machines[i].reader);

		if (!strcmp(info->machine, "host"))
			return info->clock_offset_ns;
	}
	if (hs_document_host_offset(document, &offset_ns))
		offset_ns = hs_ctf_reader_info(print->machines[0].reader)->clock_offset_ns;
	return offset_ns;
}

static int set_clocks(struct print *print)
{
	scoped(json) json_object *document = NULL;
	int err = 0;

	if (print->config->document)
		hs_json_read_file(print->config->document, &document);
	print->host_offset_ns = host_offset(print, document);
	for (size_t i = 0; i < print->machine_nr && !err; i++) {
		struct hs_print_machine *machine = &print->machines[i];

		err = hs_machine_clock_open(document, print->config->traces[i], hs_ctf_reader_info(machine->reader),
					    print->host_offset_ns, &machine->clock);
	}
	return err;
}

/* Once, and only where several clocks meet: how far the times of each may be off. */
static void say_bounds(const struct print *print)
{
	char text[32];

	for (size_t i = 0; i < print->machine_nr && print->machine_nr > 1; i++) {
		const struct hs_print_machine *machine = &print->machines[i];

		if (machine->clock.is_mapped || machine->clock.bound_ns)
			hs_info("times of %s are the host's within %s", machine->name,
				hs_format_ns(text, sizeof(text), machine->clock.bound_ns));
		else if (!machine->clock.is_host)
			hs_warn("times of %s are placed by its time of day: how far they are off is not known",
				machine->name);
	}
}

/* Machines other than the first have VMs of their own, of which the recording's document says nothing. */
static int open_machines(struct print *print)
{
	const struct hs_print_config *config = print->config;
	int err = 0;

	print->machines = calloc(config->trace_nr, sizeof(*print->machines));
	if (!print->machines)
		return -ENOMEM;
	for (size_t i = 0; i < config->trace_nr && !err; i++) {
		struct hs_print_machine *machine = &print->machines[print->machine_nr++];

		err = hs_print_machine_open(machine, config->traces[i], i ? NULL : config->vms);
		if (err)
			break;
		machine->ctx = print;
		hs_ctf_reader_on_loss(machine->reader, on_loss, machine);
	}
	if (!err)
		err = set_clocks(print);
	print->style.clock = config->clock;
	print->style.with_machine = config->trace_nr > 1;
	return err;
}

static void set_range(struct print *print)
{
	const struct hs_print_config *config = print->config;

	print->origin_ns = UINT64_MAX;
	for (size_t i = 0; i < print->machine_nr; i++) {
		struct hs_print_machine *machine = &print->machines[i];
		uint64_t begin_ns = hs_ctf_reader_begin_ns(machine->reader);
		uint64_t boot_ns = hs_machine_clock_to_boot(&machine->clock, begin_ns);

		if (begin_ns && boot_ns < print->origin_ns)
			print->origin_ns = boot_ns;
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
	for (size_t i = 0; i < print->machine_nr; i++)
		hs_print_machine_set_range(&print->machines[i], print->from_ns, print->to_ns);
}

/* The machine whose next record is the earliest; NULL: all are at their end. */
static struct hs_print_machine *earliest(struct print *print)
{
	struct hs_print_machine *found = NULL;

	for (size_t i = 0; i < print->machine_nr; i++) {
		struct hs_print_machine *machine = &print->machines[i];

		if (machine->has_record && (!found || machine->boot_ns < found->boot_ns))
			found = machine;
	}
	return found;
}

static int print_rows(struct print *print)
{
	struct hs_print_machine *machine;
	int err = 0;

	for (size_t i = 0; i < print->machine_nr && !err; i++)
		err = hs_print_machine_advance(&print->machines[i]);
	while (!err && !print->out.err && (machine = earliest(print))) {
		struct hs_print_kind *kind;
		struct hs_print_row row;

		err = fill_row(print, machine, &row);
		if (err)
			break;
		kind = &machine->kinds[machine->record.index];
		if (is_wanted(print, kind, &row, machine->boot_ns)) {
			put_row(print, &row);
			kind->printed++;
		}
		err = hs_print_machine_advance(machine);
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
		for_each_count(print, put_count);
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
		err = open_machines(print);
	}
	if (!err)
		err = choose_events(print);
	if (!err) {
		print->style.columns = find_columns(print);
		set_range(print);
		say_bounds(print);
		err = print_all(print);
	}
	return err == -ENOMEM ? hs_fail(err, "not enough memory to print %s", config->traces[0]) : err;
}
