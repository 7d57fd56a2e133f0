// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads a guest's trace and knows which of its events say what of a packet: the kernel's net events by ftrace, and of
 * L1 interrupts by ftrace, entries, exits and injections of its VMs by ftrace or our own recording. Called by the
 * correlator.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "correlate/guest_source.h"
#include "timeline/guest_clock_json.h"
#include "trace/ctf_events.h"
#include "trace/ctf_reader.h"

enum use {
	USE_NONE,
	USE_QUEUE,
	USE_XMIT,
	USE_ARRIVE,
	USE_STACK,
	USE_INTERRUPT,
	USE_TIMER,
	USE_ENTRY,
	USE_EXIT,
	USE_INJECTION,
	USE_SWITCH
};

/* What an event is used for, and where its fields are. */
struct kind {
	enum use use;
	const struct hs_field *skb, *len, *name, *gso_segs, *pid, *vector, *reinjected;
};

struct hs_guest_source {
	struct hs_ctf_reader *reader;
	struct hs_guest_clock clock;
	struct kind *kinds; /* by the index of the event */
	uint32_t kind_nr;
	uint64_t bound_ns, record_nr;
};

static const struct hs_field *find_field(const struct hs_event *event, const char *name, bool is_number)
{
	for (unsigned int i = 0; i < event->field_nr; i++) {
		const struct hs_field *field = &event->fields[i];

		if (!strcmp(field->name, name) && (field->kind == HS_FIELD_NUMBER) == is_number)
			return field;
	}
	return NULL;
}

static struct kind kind_of(const struct hs_event *event)
{
	static const struct {
		const char *name;
		enum use use;
		bool is_foreign;
	} uses[] = {
		{ "net_dev_queue", USE_QUEUE, true },
		{ "net_dev_start_xmit", USE_XMIT, true },
		{ "napi_gro_receive_entry", USE_ARRIVE, true },
		{ "netif_receive_skb", USE_STACK, true },
		{ "irq_handler_entry", USE_INTERRUPT, true },
		{ "local_timer_entry", USE_TIMER, true },
		{ "kvm_entry", USE_ENTRY, false },
		{ "kvm_exit", USE_EXIT, false },
		{ "kvm_inj_virq", USE_INJECTION, false },
		{ "sched_switch", USE_SWITCH, true },
	};
	struct kind kind = { .use = USE_NONE };

	for (size_t i = 0; i < HS_ARRAY_SIZE(uses); i++)
		if (!strcmp(event->name, uses[i].name) && event->is_foreign == uses[i].is_foreign)
			kind.use = uses[i].use;
	kind.skb = find_field(event, "skbaddr", true);
	kind.len = find_field(event, "len", true);
	kind.name = find_field(event, "name", false);
	kind.gso_segs = find_field(event, "gso_segs", true);
	kind.vector = find_field(event, "vector", true);
	kind.reinjected = find_field(event, "reinjected", true);
	if (kind.use == USE_SWITCH) {
		kind.name = find_field(event, "next_comm", false);
		kind.pid = find_field(event, "next_pid", true);
	}
	if (kind.use >= USE_QUEUE && kind.use <= USE_STACK && (!kind.skb || !kind.len || !kind.name))
		kind.use = USE_NONE;
	if ((kind.use == USE_INTERRUPT && !kind.name) || (kind.use == USE_SWITCH && (!kind.name || !kind.pid)))
		kind.use = USE_NONE;
	if (kind.use == USE_INJECTION && (!kind.vector || !kind.reinjected))
		kind.use = USE_NONE;
	return kind;
}

static int find_kinds(struct hs_guest_source *source)
{
	source->kind_nr = hs_ctf_reader_event_nr(source->reader);
	source->kinds = calloc(source->kind_nr ? source->kind_nr : 1, sizeof(*source->kinds));
	if (!source->kinds)
		return -ENOMEM;
	for (uint32_t i = 0; i < source->kind_nr; i++) {
		const struct hs_event *event = hs_ctf_reader_event(source->reader, i);

		if (event)
			source->kinds[i] = kind_of(event);
	}
	return 0;
}

int hs_guest_source_open(const char *trace, json_object *document, struct hs_guest_source **out)
{
	scoped(hs_guest_source) struct hs_guest_source *source = calloc(1, sizeof(*source));
	const char *clock = hs_json_get_string(document, "clock");
	int err;

	if (!source)
		return -ENOMEM;
	if (*clock && strcmp(clock, "boot"))
		return hs_fail(-ENODATA, "%s is left out: its events are on the clock '%s', the pings on 'boot'", trace,
			       clock);
	err = hs_guest_clock_from_json(hs_json_get(document, "guest_clock"), &source->clock);
	if (err == -EBADMSG || (!err && !source->clock.burst_nr))
		return hs_fail(-ENODATA, "%s is left out: the run does not tell its clock against the host's", trace);
	if (!err)
		err = hs_ctf_reader_open_all(trace, &source->reader);
	if (!err)
		err = find_kinds(source);
	if (err)
		return err;
	*out = take(source);
	return 0;
}

static void copy_text(const struct hs_event *event, const struct hs_field *field, const void *record, char *text,
		      size_t size)
{
	size_t len;
	const char *content = hs_ctf_field_content(event, field, record, &len);

	len = len < size ? len : size - 1;
	memcpy(text, content, len);
	text[len] = '\0';
}

/* False: of no use, as what passes the loopback device. */
static bool fill(const struct kind *kind, const struct hs_ctf_record *record, struct hs_guest_record *out)
{
	const void *bytes = record->header;

	out->name[0] = '\0';
	if (kind->name)
		copy_text(record->event, kind->name, bytes, out->name, sizeof(out->name));
	switch (kind->use) {
	case USE_NONE:
		return false;
	case USE_INTERRUPT:
		out->kind = HS_GUEST_RECORD_INTERRUPT;
		return true;
	case USE_ENTRY:
	case USE_EXIT:
		out->kind = kind->use == USE_ENTRY ? HS_GUEST_RECORD_ENTRY : HS_GUEST_RECORD_EXIT;
		out->tid = record->header->tid;
		return true;
	case USE_TIMER:
		out->kind = HS_GUEST_RECORD_TIMER;
		return true;
	case USE_INJECTION:
		out->kind = HS_GUEST_RECORD_INJECTION;
		out->tid = record->header->tid;
		out->vector = (uint32_t)hs_field_value(kind->vector, bytes);
		return !hs_field_value(kind->reinjected, bytes);
	case USE_SWITCH:
		out->kind = HS_GUEST_RECORD_THREAD;
		out->tid = (uint32_t)hs_field_value(kind->pid, bytes);
		return true;
	default:
		break;
	}
	out->kind = HS_GUEST_RECORD_NET;
	out->net.what = (int)kind->use - USE_QUEUE + HS_GUEST_QUEUE;
	out->net.skb = hs_field_value(kind->skb, bytes);
	out->net.len = (uint32_t)hs_field_value(kind->len, bytes);
	out->net.gso_segs = kind->gso_segs ? (uint16_t)hs_field_value(kind->gso_segs, bytes) : 0;
	return strcmp(out->name, "lo") != 0;
}

int hs_guest_source_next(struct hs_guest_source *source, struct hs_guest_record *out)
{
	struct hs_ctf_record record;
	int result;

	while ((result = hs_ctf_reader_next(source->reader, &record)) == 1) {
		if (!fill(&source->kinds[record.index], &record, out))
			continue;
		if (hs_guest_clock_to_host(&source->clock, record.header->ts, &out->sight.time_ns,
					   &out->sight.error_ns))
			continue;
		out->net.sight = out->sight;
		if (out->sight.error_ns > source->bound_ns)
			source->bound_ns = out->sight.error_ns;
		source->record_nr++;
		return 1;
	}
	return result;
}

bool hs_guest_source_tells_arrivals(const struct hs_guest_source *source)
{
	for (uint32_t i = 0; i < source->kind_nr; i++)
		if (source->kinds[i].use == USE_ARRIVE)
			return true;
	return false;
}

uint64_t hs_guest_source_bound_ns(struct hs_guest_source *source)
{
	return source->bound_ns;
}

uint64_t hs_guest_source_record_nr(const struct hs_guest_source *source)
{
	return source->record_nr;
}

void hs_guest_source_free(struct hs_guest_source *source)
{
	if (!source)
		return;
	hs_ctf_reader_free(source->reader);
	hs_guest_clock_clear(&source->clock);
	free(source->kinds);
	free(source);
}
