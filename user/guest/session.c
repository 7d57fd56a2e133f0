// SPDX-License-Identifier: GPL-2.0-only
/*
 * What one recording of one guest is made of: what its agent told before, meanwhile and at the end, and what came of
 * it as a document. Made by the draining thread, with the lock held.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "internal.h"
#include "timeline/guest_clock_json.h"
#include "trace_events/events.h"

static const char *field_text(const struct hs_wire_field *field, char *to)
{
	char *text = NULL;

	*to = '\0';
	if (!hs_wire_field_text(field, &text))
		snprintf(to, HS_GUEST_WORDS, "%s", text);
	free(text);
	return to;
}

/* ---- clocks ---- */

/* Host's CLOCK_BOOTTIME less the guest's; 0 while nothing is known. */
static int64_t offset_ns(struct hs_guest_clock *clock)
{
	struct hs_guest_clock_summary summary;

	return hs_guest_clock_summary(clock, &summary) ? 0 : summary.offset_ns;
}

static int64_t real_less_boot_ns(void)
{
	struct timespec real;

	clock_gettime(CLOCK_REALTIME, &real);
	return (int64_t)real.tv_sec * 1000000000 + real.tv_nsec - (int64_t)hs_now_ns();
}

static json_object *clock_document(struct hs_guest_clock *clock)
{
	json_object *object = json_object_new_object();

	hs_guest_clock_to_json(clock, object);
	return object;
}

/* ---- life ---- */

unsigned hs_guest_session_count(const struct hs_guest *guest)
{
	unsigned parts = 0;

	for (const struct hs_guest_session *session = guest->sessions; session; session = session->next)
		parts++;
	return parts;
}

struct hs_guest_session *hs_guest_session_new(struct hs_guest *guest, uint32_t number)
{
	struct hs_guest_session *session = calloc(1, sizeof(*session));

	if (!session) {
		hs_guest_set_error(guest, "no memory for its recording");
		return NULL;
	}
	session->number = number;
	session->part = hs_guest_session_count(guest) + 1;
	session->not_recorded = json_object_new_array();
	memcpy(session->boot_id, guest->boot_id, sizeof(session->boot_id));
	memcpy(session->kernel, guest->kernel, sizeof(session->kernel));
	session->page_bytes = guest->page_bytes;
	/* So that a reader of the folder alone shows the host's time of day, and all machines of a run the same. */
	session->clock_offset_ns = offset_ns(&guest->clock) + real_less_boot_ns();
	session->next = guest->sessions;
	guest->sessions = session;
	return session;
}

void hs_guest_session_free(struct hs_guest_session *session)
{
	if (!session)
		return;
	for (struct hs_guest_text *text = session->texts, *next; text; text = next) {
		next = text->next;
		free(text->name);
		free(text->bytes);
		free(text);
	}
	json_object_put(session->not_recorded);
	json_object_put(session->counts);
	free(session->bpf_counts);
	json_object_put(session->guest_clock);
	free(session);
}

void hs_guest_session_end(struct hs_guest *guest, struct hs_guest_session *session, const char *why)
{
	for (unsigned cpu = 0; cpu < guest->place->cpus; cpu++)
		if (guest->data[cpu].part == session->part && guest->data[cpu].number == session->number) {
			session->cpus[cpu].missing_frames = guest->data[cpu].missing_frames;
			session->cpus[cpu].dropped_bytes = guest->data[cpu].dropped_bytes;
		}
	session->guest_clock = clock_document(&guest->clock);
	session->why_over = why;
	session->is_over = true;
	hs_guests_has_work(guest->all);
}

/* ---- what the agent says ---- */

/* "kvm:kvm_exit: why not" */
static void note_missing(struct hs_guest_session *session, const char *text)
{
	const char *split = strstr(text, ": ");
	scoped(mem) char *event = strndup(text, split ? (size_t)(split - text) : strlen(text));
	json_object *row = hs_json_append_object(session->not_recorded);

	hs_json_add_string(row, "event", event);
	hs_json_add_string(row, "reason", split ? split + 2 : "its agent does not say why");
}

void hs_guest_session_note_start(struct hs_guest_session *session, const void *payload, size_t len)
{
	struct hs_wire_field field;
	char text[HS_GUEST_WORDS];
	size_t at = 0;

	while (hs_wire_next_field(payload, len, &at, &field) > 0)
		if (field.key == HS_WIRE_MISSING)
			note_missing(session, field_text(&field, text));
		else if (field.key == HS_WIRE_CLOCK)
			field_text(&field, session->clock);
		else if (field.key == HS_WIRE_BOOT_NS)
			hs_wire_field_number(&field, &session->start_ns);
		else if (field.key == HS_WIRE_PAGE_BYTES)
			hs_wire_field_number(&field, &session->page_bytes);
}

static void note_bpf_counts(struct hs_guest_session *session, const struct hs_wire_field *field)
{
	struct hs_wire_bpf_counts *grown =
		reallocarray(session->bpf_counts, session->bpf_counts_nr + 1, sizeof(*grown));

	if (!grown)
		return;
	session->bpf_counts = grown;
	if (session->bpf_counts_nr < HS_EVENT_ID_NR &&
	    !hs_wire_field_struct(field, &grown[session->bpf_counts_nr], sizeof(*grown)))
		session->bpf_counts_nr++;
}

void hs_guest_session_note_status(struct hs_guest_session *session, const void *payload, size_t len)
{
	struct hs_wire_cpu_status status;
	struct hs_wire_field field;
	size_t at = 0;

	while (hs_wire_next_field(payload, len, &at, &field) > 0)
		if (field.key == HS_WIRE_BPF_COUNTS) {
			note_bpf_counts(session, &field);
		} else if (field.key == HS_WIRE_CPU_STATUS && !hs_wire_field_struct(&field, &status, sizeof(status)) &&
			   status.cpu < HS_GUEST_CPUS_MAX) {
			session->cpus[status.cpu].status = status;
			session->cpus[status.cpu].has_status = true;
		}
}

/* The text that this part continues, or a new one. */
static struct hs_guest_text *text_of(struct hs_guest_session *session, uint64_t what, const char *name)
{
	struct hs_guest_text *newest = session->newest_text, *text;

	if (newest && !newest->is_whole && newest->what == what && !strcmp(newest->name, name))
		return newest;
	text = session->texts_nr < HS_GUEST_TEXTS_MAX ? calloc(1, sizeof(*text)) : NULL;
	if (!text)
		return NULL;
	text->what = what;
	text->name = strdup(name);
	if (!text->name) {
		free(text);
		return NULL;
	}
	*(newest ? &newest->next : &session->texts) = text;
	session->newest_text = text;
	session->texts_nr++;
	return text;
}

int hs_guest_session_note_text(struct hs_guest_session *session, const void *payload, size_t len)
{
	struct hs_wire_field bytes, name_field;
	struct hs_guest_text *text;
	char name[HS_GUEST_WORDS] = "", *grown;

	if (hs_wire_find(payload, len, HS_WIRE_BYTES, &bytes))
		return -EBADMSG;
	if (!hs_wire_find(payload, len, HS_WIRE_NAME, &name_field))
		field_text(&name_field, name);
	if (session->texts_bytes + bytes.len > HS_GUEST_TEXTS_BYTES)
		return -EMSGSIZE;
	text = text_of(session, hs_wire_find_number(payload, len, HS_WIRE_WHAT), name);
	if (!text)
		return -EMSGSIZE;
	if (hs_wire_find_number(payload, len, HS_WIRE_OFFSET) != text->len)
		return -EBADMSG;
	grown = realloc(text->bytes, text->len + bytes.len + 1);
	if (!grown)
		return -ENOMEM;
	memcpy(grown + text->len, bytes.bytes, bytes.len);
	text->bytes = grown;
	text->len += bytes.len;
	text->bytes[text->len] = '\0';
	session->texts_bytes += bytes.len;
	text->is_whole = hs_wire_find_number(payload, len, HS_WIRE_LAST) != 0;
	return 0;
}

/* ---- what came of it ---- */

static void add_transport(json_object *object, const struct hs_guest *guest, const struct hs_guest_session *session)
{
	json_object *transport = hs_json_add_object(object, "transport");
	uint64_t sent_bytes = 0, guest_dropped = 0, packets = 0, host_dropped = 0, missing = 0;

	for (unsigned cpu = 0; cpu < guest->place->cpus; cpu++) {
		const struct hs_guest_cpu *of = &session->cpus[cpu];

		sent_bytes += of->status.sent_bytes;
		guest_dropped += of->status.dropped_bytes;
		packets += of->status.dropped_packets;
		host_dropped += of->dropped_bytes;
		missing += of->missing_frames;
	}
	hs_json_add_u64(transport, "guest_sent_bytes", sent_bytes);
	hs_json_add_u64(transport, "guest_dropped_bytes", guest_dropped);
	hs_json_add_u64(transport, "guest_dropped_packets", packets);
	hs_json_add_u64(transport, "host_dropped_bytes", host_dropped);
	hs_json_add_u64(transport, "missing_frames", missing);
}

json_object *hs_guest_session_document(struct hs_guest *guest, const struct hs_guest_session *session)
{
	json_object *object = json_object_new_object();

	hs_json_add_string(object, "agent", guest->is_kernel_agent ? "kernel" : "hsbpf");
	if (!guest->is_kernel_agent) {
		hs_json_add_string(object, "boot_id", session->boot_id);
		hs_json_add_string(object, "kernel", session->kernel);
		hs_json_add_string(object, "clock", session->clock);
	}
	hs_json_add_bool(object, "complete", session->is_written && !session->why_over);
	if (session->why_over)
		hs_json_add_string(object, "ended", session->why_over);
	if (session->counts) {
		json_object_object_foreach (session->counts, key, value)
			json_object_object_add(object, key, json_object_get(value));
	}
	add_transport(object, guest, session);
	json_object_object_add(object, "not_recorded", json_object_get(session->not_recorded));
	json_object_object_add(object, "guest_clock",
			       session->is_over ? json_object_get(session->guest_clock)
						: clock_document(&guest->clock));
	hs_guest_counter_to_json(&guest->counter, object, "guest_tsc");
	return object;
}
