// SPDX-License-Identifier: GPL-2.0-only
/* Records as text, JSON and CSV, after the table of events alone. Called from one thread. */
#include "print/style.h"

#include "trace/ctf_events.h"

#define LABEL_WIDTH 16 /* of VM/vCPU, as trace-cmd pads the names of tasks */
#define TID_WIDTH 7

static void put_number(struct hs_out *out, const struct hs_field *field, uint64_t value)
{
	if (field->is_signed)
		hs_out_s64(out, (int64_t)value);
	else
		hs_out_u64(out, value);
}

/* As people read it: names, addresses, hex where the table says so. */
static void put_value(struct hs_out *out, const struct hs_print_row *row, const struct hs_field *field)
{
	uint64_t value = hs_field_value(field, row->header);
	const char *text = hs_print_value_text(row->event, field, row->header, value);

	if (text)
		hs_out_text(out, text);
	else if (field->format == HS_FORMAT_HEX)
		hs_out_hex(out, value);
	else if (field->format == HS_FORMAT_IPV4)
		hs_out_ipv4(out, (uint32_t)value);
	else
		put_number(out, field, value);
}

/* Everything but a NUMBER. */
static void put_content(struct hs_out *out, const struct hs_print_row *row, const struct hs_field *field, bool is_csv)
{
	bool is_text = field->kind == HS_FIELD_TEXT || field->kind == HS_FIELD_STRING;
	size_t count;
	const void *content = hs_ctf_field_content(row->event, field, row->header, &count);

	if (is_text) {
		is_csv ? hs_out_csv_bytes(out, content, count) : hs_out_safe_bytes(out, content, count);
		return;
	}
	hs_out_char(out, '[');
	for (size_t i = 0; i < count; i++) {
		uint64_t value = hs_ctf_field_number(field, content, i);

		if (i)
			hs_out_char(out, ',');
		if (field->format == HS_FORMAT_HEX)
			hs_out_hex(out, value);
		else
			put_number(out, field, value);
	}
	hs_out_char(out, ']');
}

static void put_any(struct hs_out *out, const struct hs_print_row *row, const struct hs_field *field, bool is_csv)
{
	if (field->kind == HS_FIELD_NUMBER)
		put_value(out, row, field);
	else
		put_content(out, row, field, is_csv);
}

static void put_fields(struct hs_out *out, const struct hs_print_row *row, bool is_csv)
{
	bool is_first = true;

	for (unsigned int i = 0; i < row->event->field_nr; i++) {
		const struct hs_field *field = &row->event->fields[i];

		if (!hs_field_is_shown(field))
			continue;
		if (!is_first)
			hs_out_char(out, ' ');
		is_first = false;
		hs_out_text(out, field->name);
		hs_out_char(out, '=');
		put_any(out, row, field, is_csv);
	}
}

/* ---- text -------------------------------------------------------------------------------------- */
static void put_label(struct hs_out *out, const struct hs_print_row *row)
{
	char *start = hs_out_room(out, 512);
	size_t before = out->used, length;

	if (row->vm)
		hs_out_safe(out, row->vm);
	else if (row->tgid)
		hs_out_u64(out, row->tgid);
	else
		hs_out_char(out, '-');
	if (row->vcpu >= 0) {
		hs_out_char(out, '/');
		hs_out_u64(out, (uint64_t)row->vcpu);
	}
	length = out->used - before;
	if (length >= LABEL_WIDTH)
		return;
	memmove(start + LABEL_WIDTH - length, start, length);
	memset(start, ' ', LABEL_WIDTH - length);
	out->used += LABEL_WIDTH - length;
}

static void put_tid(struct hs_out *out, uint32_t tid)
{
	size_t before, length;

	hs_out_room(out, 32);
	before = out->used;
	hs_out_u64(out, tid);
	length = out->used - before;
	if (length < TID_WIDTH)
		hs_out_fill(out, ' ', TID_WIDTH - length);
}

static void put_where(struct hs_out *out, uint32_t cpu, const struct hs_print_style *style, uint64_t time_ns)
{
	hs_out_text(out, " [");
	hs_out_u64_padded(out, cpu, 3);
	hs_out_text(out, "] ");
	hs_print_time(out, style->clock, time_ns);
	hs_out_text(out, ": ");
}

static void put_machine(struct hs_out *out, const struct hs_print_style *style, const char *machine)
{
	if (!style->with_machine)
		return;
	hs_out_safe(out, machine);
	hs_out_char(out, ' ');
}

void hs_print_text(struct hs_out *out, const struct hs_print_style *style, const struct hs_print_row *row)
{
	put_machine(out, style, row->machine);
	put_label(out, row);
	hs_out_char(out, '-');
	put_tid(out, row->header->tid);
	put_where(out, row->cpu, style, row->time_ns);
	hs_out_text(out, row->event->name);
	hs_out_text(out, ": ");
	put_fields(out, row, false);
	hs_out_char(out, '\n');
}

static void put_count(struct hs_out *out, uint64_t count, const char *what, bool *is_first)
{
	if (!count)
		return;
	hs_out_text(out, *is_first ? "" : ", ");
	hs_out_u64(out, count);
	hs_out_text(out, what);
	*is_first = false;
}

void hs_print_text_loss(struct hs_out *out, const struct hs_print_style *style, const struct hs_print_loss *lost)
{
	const struct hs_ctf_loss *loss = &lost->loss;
	bool is_first = true;

	put_machine(out, style, lost->machine);
	hs_out_fill(out, ' ', LABEL_WIDTH + 1 + TID_WIDTH);
	put_where(out, loss->cpu, style, loss->begin_ns);
	hs_out_text(out, "LOST: ");
	put_count(out, loss->events, " events", &is_first);
	put_count(out, loss->packets, " packets", &is_first);
	put_count(out, loss->bytes, " bytes that make no sense", &is_first);
	if (loss->end_ns == UINT64_MAX) {
		hs_out_text(out, " up to the end\n");
		return;
	}
	hs_out_text(out, " up to ");
	hs_print_time(out, style->clock, loss->end_ns);
	hs_out_char(out, '\n');
}

/* ---- JSON -------------------------------------------------------------------------------------- */
static void put_key(struct hs_out *out, const char *key)
{
	hs_out_text(out, ",\"");
	hs_out_text(out, key);
	hs_out_text(out, "\":");
}

static void put_key_u64(struct hs_out *out, const char *key, uint64_t value)
{
	put_key(out, key);
	hs_out_u64(out, value);
}

static void put_json_content(struct hs_out *out, const struct hs_print_row *row, const struct hs_field *field)
{
	size_t count;
	const void *content = hs_ctf_field_content(row->event, field, row->header, &count);

	if (field->kind == HS_FIELD_TEXT || field->kind == HS_FIELD_STRING) {
		hs_out_json_bytes(out, content, count);
		return;
	}
	hs_out_char(out, '[');
	for (size_t i = 0; i < count; i++) {
		if (i)
			hs_out_char(out, ',');
		put_number(out, field, hs_ctf_field_number(field, content, i));
	}
	hs_out_char(out, ']');
}

static void put_json_value(struct hs_out *out, const struct hs_print_row *row, const struct hs_field *field)
{
	uint64_t value = hs_field_value(field, row->header);
	const char *text = hs_print_value_text(row->event, field, row->header, value);

	if (!text && field->format != HS_FORMAT_IPV4) {
		put_number(out, field, value);
		return;
	}
	hs_out_char(out, '"');
	if (text)
		hs_out_text(out, text);
	else
		hs_out_ipv4(out, (uint32_t)value);
	hs_out_char(out, '"');
}

static void put_json_fields(struct hs_out *out, const struct hs_print_row *row)
{
	char separator = '{';

	put_key(out, "fields");
	for (unsigned int i = 0; i < row->event->field_nr; i++) {
		const struct hs_field *field = &row->event->fields[i];

		if (!hs_field_is_shown(field))
			continue;
		hs_out_char(out, separator);
		separator = ',';
		hs_out_char(out, '"');
		hs_out_text(out, field->name);
		hs_out_text(out, "\":");
		if (field->kind == HS_FIELD_NUMBER)
			put_json_value(out, row, field);
		else
			put_json_content(out, row, field);
	}
	if (separator == '{')
		hs_out_char(out, '{');
	hs_out_char(out, '}');
}

void hs_print_json(struct hs_out *out, const struct hs_print_row *row)
{
	hs_out_text(out, "{\"time_ns\":");
	hs_out_u64(out, row->time_ns);
	put_key(out, "machine");
	hs_out_json(out, row->machine);
	put_key_u64(out, "cpu", row->cpu);
	put_key_u64(out, "tid", row->header->tid);
	put_key(out, "vm");
	if (row->vm)
		hs_out_json(out, row->vm);
	else
		hs_out_text(out, "null");
	put_key(out, "vcpu");
	if (row->vcpu >= 0)
		hs_out_u64(out, (uint64_t)row->vcpu);
	else
		hs_out_text(out, "null");
	put_key(out, "event");
	hs_out_char(out, '"');
	hs_out_text(out, row->event->name);
	hs_out_char(out, '"');
	put_json_fields(out, row);
	hs_out_char(out, '}');
}

void hs_print_json_loss(struct hs_out *out, const struct hs_print_loss *lost)
{
	const struct hs_ctf_loss *loss = &lost->loss;

	hs_out_text(out, "{\"machine\":");
	hs_out_json(out, lost->machine);
	put_key_u64(out, "cpu", loss->cpu);
	put_key_u64(out, "begin_ns", loss->begin_ns);
	put_key(out, "end_ns");
	if (loss->end_ns == UINT64_MAX)
		hs_out_text(out, "null");
	else
		hs_out_u64(out, loss->end_ns);
	put_key_u64(out, "lost_events", loss->events);
	put_key_u64(out, "lost_packets", loss->packets);
	put_key_u64(out, "unread_bytes", loss->bytes);
	hs_out_char(out, '}');
}

/* ---- CSV --------------------------------------------------------------------------------------- */
void hs_print_csv_head(struct hs_out *out, const struct hs_print_style *style)
{
	hs_out_text(out, "time_ns,machine,cpu,tid,vm,vcpu,event");
	if (!style->columns)
		hs_out_text(out, ",fields");
	for (unsigned int i = 0; style->columns && i < style->columns->field_nr; i++) {
		if (!hs_field_is_shown(&style->columns->fields[i]))
			continue;
		hs_out_char(out, ',');
		hs_out_text(out, style->columns->fields[i].name);
	}
	hs_out_char(out, '\n');
}

/* All fields as one; those that a guest chose may hold anything. */
static void put_csv_fields(struct hs_out *out, const struct hs_print_row *row)
{
	const char *quote = row->event->is_foreign ? "\"" : "";

	hs_out_text(out, quote);
	put_fields(out, row, true);
	hs_out_text(out, quote);
}

void hs_print_csv(struct hs_out *out, const struct hs_print_style *style, const struct hs_print_row *row)
{
	hs_out_u64(out, row->time_ns);
	hs_out_char(out, ',');
	hs_out_csv(out, row->machine);
	hs_out_char(out, ',');
	hs_out_u64(out, row->cpu);
	hs_out_char(out, ',');
	hs_out_u64(out, row->header->tid);
	hs_out_char(out, ',');
	if (row->vm)
		hs_out_csv(out, row->vm);
	hs_out_char(out, ',');
	if (row->vcpu >= 0)
		hs_out_u64(out, (uint64_t)row->vcpu);
	hs_out_char(out, ',');
	hs_out_text(out, row->event->name);
	hs_out_char(out, ',');
	if (!style->columns) {
		put_csv_fields(out, row);
		hs_out_char(out, '\n');
		return;
	}
	for (unsigned int i = 0, shown = 0; i < row->event->field_nr; i++) {
		const struct hs_field *field = &row->event->fields[i];
		bool is_number = field->kind == HS_FIELD_NUMBER && !(row->event->is_foreign && field->list);
		const char *quote = is_number ? "" : "\"";

		if (!hs_field_is_shown(field))
			continue;
		if (shown++)
			hs_out_char(out, ',');
		hs_out_text(out, quote);
		put_any(out, row, field, true);
		hs_out_text(out, quote);
	}
	hs_out_char(out, '\n');
}
