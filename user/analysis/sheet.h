/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A table of results: columns with a name for each way of printing, rows of cells. One analysis fills it, it prints
 * itself as text, CSV and JSON. One sheet belongs to one thread.
 */
#ifndef HS_ANALYSIS_SHEET_H
#define HS_ANALYSIS_SHEET_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/json.h"
#include "base/scoped.h"

enum hs_cell_kind {
	HS_CELL_TEXT,
	HS_CELL_COUNT,
	HS_CELL_NS,    /* text "1.20 ms"; CSV and JSON whole ns */
	HS_CELL_RATE,  /* per second */
	HS_CELL_SHARE, /* in percent */
	HS_CELL_SECONDS,
};

struct hs_column {
	const char *key;   /* member of a JSON row; NULL: not in JSON */
	const char *title; /* in text; NULL: not there */
	const char *csv;   /* NULL: not in CSV */
	uint8_t csv_place; /* CSV columns stand in the order of this number */
	enum hs_cell_kind kind;
};

struct hs_cell {
	bool is_known; /* else "-", nothing, null */
	union {
		char *text;
		uint64_t number;
		double real;
	};
};

struct hs_sheet {
	const struct hs_column *columns;
	size_t column_nr, row_nr, room;
	struct hs_cell *cells; /* row after row */
	bool continues;	       /* the table printed before it: in CSV without a header */
};

/* The columns are borrowed; an array of them. */
#define HS_SHEET(column_array)                                                                                         \
	{                                                                                                              \
		.columns = (column_array), .column_nr = sizeof(column_array) / sizeof(*(column_array))                 \
	}

/* A new row of unknown cells, NULL without memory; until the next row is added. */
struct hs_cell *hs_sheet_add_row(struct hs_sheet *sheet);

/* What is put into a cell; texts are copied, without memory the cell stays unknown. */
void hs_cell_set_text(struct hs_cell *cell, const char *text);
void hs_cell_set_number(struct hs_cell *cell, uint64_t number);
void hs_cell_set_real(struct hs_cell *cell, double real);

/* Rows by this column: numbers from the largest, texts from A; the same stay in their order. -ENOENT: no such key. */
int hs_sheet_sort(struct hs_sheet *sheet, const char *key);

/* Header and rows, as wide as they need to be. */
void hs_sheet_print_text(const struct hs_sheet *sheet, FILE *out);
void hs_sheet_print_csv(const struct hs_sheet *sheet, FILE *out);
/* An array of one object per row as member `key`. */
json_object *hs_sheet_to_json(const struct hs_sheet *sheet, json_object *object, const char *key);

/* Frees the rows. */
void hs_sheet_clear(struct hs_sheet *sheet);

/* scoped(hs_sheet) struct hs_sheet sheet = HS_SHEET(columns); */
static inline void hs_sheet_scoped(struct hs_sheet *sheet)
{
	hs_sheet_clear(sheet);
}

#endif
