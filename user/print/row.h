/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One record as `hsbpf print` shows it: with its machine, VM and vCPU, and its time on the clock that was asked for.
 * Plain data, valid until the next record; one thread.
 */
#ifndef HS_PRINT_ROW_H
#define HS_PRINT_ROW_H

#include "print/out.h"
#include "trace/ctf_reader.h"

enum hs_print_clock { HS_PRINT_BOOT, HS_PRINT_REAL, HS_PRINT_RELATIVE };

struct hs_print_row {
	const struct hs_event *event;
	const struct hs_event_header *header; /* the record */
	const char *machine;
	uint64_t time_ns;
	uint32_t cpu;
	uint32_t tgid;	/* process of the VM, 0: the record does not say it */
	const char *vm; /* its name; NULL: not known */
	int64_t vcpu;	/* -1: not known */
};

/* A loss with its times on the clock that was asked for; 0 and UINT64_MAX as in struct hs_ctf_loss. */
struct hs_print_loss {
	const char *machine;
	struct hs_ctf_loss loss;
};

/* Fields that only fill up a record are called so; only templates that name them show them. */
static inline bool hs_field_is_shown(const struct hs_field *field)
{
	return strcmp(field->name, "unused") != 0;
}

/* The name of a field's value: of an enum, or of an exit's reason. NULL: it has none. */
const char *hs_print_value_text(const struct hs_event *event, const struct hs_field *field, const void *record,
				uint64_t value);

/* "1234.000000567"; of HS_PRINT_REAL "2026-11-21T09:05:18.123456789Z". */
void hs_print_time(struct hs_out *out, enum hs_print_clock clock, uint64_t time_ns);

#endif
