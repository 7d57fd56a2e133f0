// SPDX-License-Identifier: GPL-2.0-only
/* What all ways of printing a record share: names of values, times. Called from one thread. */
#include "print/row.h"

#include <time.h>

#include "trace_events/exit_reason.h"

#define NS_PER_S 1000000000u
#define REASON_SLOTS 256

/* Reasons come in millions, their table is searched from its begin: what was found is kept. */
static const char *reason_text(uint32_t isa, uint32_t reason)
{
	static struct {
		uint64_t key; /* isa, reason; 0: free, no instruction set has that number */
		const char *text;
	} slots[REASON_SLOTS];
	uint64_t key = (uint64_t)isa << 32 | reason;
	unsigned int slot = (reason ^ reason >> 8 ^ isa) % REASON_SLOTS;

	if (slots[slot].key != key || !key) {
		slots[slot].text = hs_exit_reason_text(isa, reason);
		slots[slot].key = key;
	}
	return slots[slot].text;
}

const char *hs_print_value_text(const struct hs_event *event, const struct hs_field *field, const void *record,
				uint64_t value)
{
	if (field->list)
		return hs_enum_text(field->list, value);
	if (strcmp(field->name, "exit_reason") != 0 && strcmp(field->name, "exit_code") != 0)
		return NULL;
	for (unsigned int i = 0; i < event->field_nr; i++)
		if (!strcmp(event->fields[i].name, "isa"))
			return reason_text((uint32_t)hs_field_value(&event->fields[i], record), (uint32_t)value);
	return NULL;
}

void hs_print_time(struct hs_out *out, enum hs_print_clock clock, uint64_t time_ns)
{
	static time_t second = -1; /* the one that `text` is of */
	static char text[32];
	time_t now = (time_t)(time_ns / NS_PER_S);

	if (clock != HS_PRINT_REAL) {
		hs_out_u64(out, time_ns / NS_PER_S);
	} else {
		if (now != second) {
			struct tm parts = { 0 };

			gmtime_r(&now, &parts);
			strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
			second = now;
		}
		hs_out_text(out, text);
	}
	hs_out_char(out, '.');
	hs_out_u64_padded(out, time_ns % NS_PER_S, 9);
	if (clock == HS_PRINT_REAL)
		hs_out_char(out, 'Z');
}
