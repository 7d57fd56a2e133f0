/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The forms in which `hsbpf print` writes records: text, JSON lines, the inside of a JSON document, CSV. Pure but for
 * the buffer; one thread.
 */
#ifndef HS_PRINT_STYLE_H
#define HS_PRINT_STYLE_H

#include "print/row.h"

struct hs_print_style {
	enum hs_print_clock clock;
	bool with_machine;		/* text only: several machines are printed */
	const struct hs_event *columns; /* CSV only: the one event that is printed, a column a field; or NULL */
};

void hs_print_text(struct hs_out *out, const struct hs_print_style *style, const struct hs_print_row *row);
void hs_print_text_loss(struct hs_out *out, const struct hs_print_style *style, const struct hs_print_loss *loss);

/* One object, no newline. */
void hs_print_json(struct hs_out *out, const struct hs_print_row *row);
void hs_print_json_loss(struct hs_out *out, const struct hs_print_loss *loss);

void hs_print_csv_head(struct hs_out *out, const struct hs_print_style *style);
void hs_print_csv(struct hs_out *out, const struct hs_print_style *style, const struct hs_print_row *row);

#endif
