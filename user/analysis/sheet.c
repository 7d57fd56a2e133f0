// SPDX-License-Identifier: GPL-2.0-only
/* Result tables as text, CSV and JSON. */
#include "analysis/sheet.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CELL_BYTES 128
#define ROWS_MIN 16

struct hs_cell *hs_sheet_add_row(struct hs_sheet *sheet)
{
	struct hs_cell *row;

	if (sheet->row_nr == sheet->room) {
		size_t room = sheet->room ? sheet->room * 2 : ROWS_MIN;
		struct hs_cell *cells = reallocarray(sheet->cells, room * sheet->column_nr, sizeof(*cells));

		if (!cells)
			return NULL;
		sheet->cells = cells;
		sheet->room = room;
	}
	row = &sheet->cells[sheet->row_nr++ * sheet->column_nr];
	memset(row, 0, sheet->column_nr * sizeof(*row));
	return row;
}

void hs_cell_set_text(struct hs_cell *cell, const char *text)
{
	cell->text = strdup(text);
	cell->is_known = cell->text != NULL;
}

void hs_cell_set_number(struct hs_cell *cell, uint64_t number)
{
	cell->number = number;
	cell->is_known = true;
}

void hs_cell_set_real(struct hs_cell *cell, double real)
{
	cell->real = real;
	cell->is_known = true;
}

/* ---- order ------------------------------------------------------------------------------------- */
struct order {
	enum hs_cell_kind kind;
	size_t column, row_bytes;
};

static int compare_cells(const struct hs_cell *a, const struct hs_cell *b, enum hs_cell_kind kind)
{
	if (!a->is_known || !b->is_known)
		return b->is_known - a->is_known;
	switch (kind) {
	case HS_CELL_TEXT:
		return strverscmp(a->text, b->text);
	case HS_CELL_COUNT:
	case HS_CELL_NS:
		return (a->number < b->number) - (a->number > b->number);
	default:
		return (a->real < b->real) - (a->real > b->real);
	}
}

/* Rows stay apart by where they stood, so qsort's freedom does not show. */
struct sorted_row {
	const struct hs_cell *cells;
	size_t place;
};

static int compare_rows(const void *a, const void *b, void *ctx)
{
	const struct sorted_row *one = a, *other = b;
	const struct order *order = ctx;
	int result = compare_cells(&one->cells[order->column], &other->cells[order->column], order->kind);

	return result ? result : (one->place > other->place) - (one->place < other->place);
}

int hs_sheet_sort(struct hs_sheet *sheet, const char *key)
{
	struct order order = { .row_bytes = sheet->column_nr * sizeof(*sheet->cells) };
	scoped(mem) struct sorted_row *rows = NULL;
	struct hs_cell *cells;

	while (order.column < sheet->column_nr &&
	       (!sheet->columns[order.column].key || strcmp(sheet->columns[order.column].key, key) != 0))
		order.column++;
	if (order.column == sheet->column_nr)
		return -ENOENT;
	order.kind = sheet->columns[order.column].kind;
	rows = calloc(sheet->row_nr + 1, sizeof(*rows));
	cells = calloc(sheet->row_nr + 1, order.row_bytes);
	if (!rows || !cells) {
		free(cells);
		return -ENOMEM;
	}
	for (size_t i = 0; i < sheet->row_nr; i++)
		rows[i] = (struct sorted_row){ &sheet->cells[i * sheet->column_nr], i };
	qsort_r(rows, sheet->row_nr, sizeof(*rows), compare_rows, &order);
	for (size_t i = 0; i < sheet->row_nr; i++)
		memcpy(&cells[i * sheet->column_nr], rows[i].cells, order.row_bytes);
	free(sheet->cells);
	sheet->cells = cells;
	sheet->room = sheet->row_nr + 1;
	return 0;
}

/* ---- text -------------------------------------------------------------------------------------- */
/* Three digits that count, so that a column can be read down. */
static const char *format_ns(char *text, uint64_t ns)
{
	static const char *const units[] = { "us", "ms", "s" };
	double value = (double)ns / 1e3;
	unsigned int unit = 0;

	if (ns < 1000) {
		snprintf(text, CELL_BYTES, "%" PRIu64 " ns", ns);
		return text;
	}
	for (; value >= 999.5 && unit < 2; unit++)
		value /= 1e3;
	snprintf(text, CELL_BYTES, "%.*f %s", value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value, units[unit]);
	return text;
}

static const char *format_text_cell(const struct hs_column *column, const struct hs_cell *cell, char *text)
{
	if (!cell->is_known)
		return "-";
	switch (column->kind) {
	case HS_CELL_TEXT:
		return cell->text;
	case HS_CELL_COUNT:
		snprintf(text, CELL_BYTES, "%" PRIu64, cell->number);
		return text;
	case HS_CELL_NS:
		return format_ns(text, cell->number);
	case HS_CELL_RATE:
		snprintf(text, CELL_BYTES, "%.1f", cell->real);
		return text;
	case HS_CELL_SHARE:
		snprintf(text, CELL_BYTES, "%.2f %%", cell->real);
		return text;
	case HS_CELL_SECONDS:
		snprintf(text, CELL_BYTES, "%.6f", cell->real);
		return text;
	}
	return "";
}

/* Texts stand left, numbers right. The last column is not filled up. */
static void print_padded(FILE *out, const struct hs_column *column, const char *text, int width, bool is_first)
{
	fprintf(out, column->kind == HS_CELL_TEXT ? "%s%-*s" : "%s%*s", is_first ? "" : "  ", width, text);
}

static int text_width(const struct hs_sheet *sheet, size_t column)
{
	size_t width = strlen(sheet->columns[column].title);
	char text[CELL_BYTES];

	for (size_t row = 0; row < sheet->row_nr; row++) {
		const struct hs_cell *cell = &sheet->cells[row * sheet->column_nr + column];
		size_t len = strlen(format_text_cell(&sheet->columns[column], cell, text));

		width = len > width ? len : width;
	}
	return (int)width;
}

void hs_sheet_print_text(const struct hs_sheet *sheet, FILE *out)
{
	scoped(mem) int *widths = calloc(sheet->column_nr, sizeof(*widths));
	char text[CELL_BYTES];

	for (size_t i = 0; widths && i < sheet->column_nr; i++)
		widths[i] = sheet->columns[i].title ? text_width(sheet, i) : 0;
	for (size_t row = 0; widths && row <= sheet->row_nr; row++) {
		bool is_first = true;

		for (size_t i = 0; i < sheet->column_nr; i++) {
			const struct hs_column *column = &sheet->columns[i];

			if (!column->title)
				continue;
			print_padded(
				out, column,
				row ? format_text_cell(column, &sheet->cells[(row - 1) * sheet->column_nr + i], text)
				    : column->title,
				widths[i], is_first);
			is_first = false;
		}
		fputc('\n', out);
	}
}

/* ---- CSV --------------------------------------------------------------------------------------- */
/* Quoted when it needs to be (RFC 4180). */
static void print_csv_text(FILE *out, const char *text)
{
	if (!strpbrk(text, ",\"\r\n")) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void print_csv_cell(FILE *out, const struct hs_column *column, const struct hs_cell *cell)
{
	if (!cell->is_known)
		return;
	switch (column->kind) {
	case HS_CELL_TEXT:
		print_csv_text(out, cell->text);
		return;
	case HS_CELL_COUNT:
	case HS_CELL_NS:
		fprintf(out, "%" PRIu64, cell->number);
		return;
	case HS_CELL_RATE:
	case HS_CELL_SHARE:
		fprintf(out, "%.2f", cell->real);
		return;
	case HS_CELL_SECONDS:
		fprintf(out, "%.6f", cell->real);
	}
}

/* The column at that place, sheet->column_nr when there is none. */
static size_t find_csv_place(const struct hs_sheet *sheet, unsigned int place)
{
	size_t i = 0;

	while (i < sheet->column_nr && (!sheet->columns[i].csv || sheet->columns[i].csv_place != place))
		i++;
	return i;
}

void hs_sheet_print_csv(const struct hs_sheet *sheet, FILE *out)
{
	for (size_t row = sheet->continues; row <= sheet->row_nr; row++) {
		for (unsigned int place = 1; place <= sheet->column_nr; place++) {
			size_t column = find_csv_place(sheet, place);

			if (column == sheet->column_nr)
				break;
			fputs(place > 1 ? "," : "", out);
			if (row)
				print_csv_cell(out, &sheet->columns[column],
					       &sheet->cells[(row - 1) * sheet->column_nr + column]);
			else
				fputs(sheet->columns[column].csv, out);
		}
		fputc('\n', out);
	}
}

/* ---- JSON -------------------------------------------------------------------------------------- */
static void cell_to_json(json_object *object, const struct hs_column *column, const struct hs_cell *cell)
{
	if (!cell->is_known) {
		json_object_object_add(object, column->key, NULL);
		return;
	}
	switch (column->kind) {
	case HS_CELL_TEXT:
		hs_json_add_string(object, column->key, cell->text);
		return;
	case HS_CELL_COUNT:
	case HS_CELL_NS:
		hs_json_add_u64(object, column->key, cell->number);
		return;
	default:
		hs_json_add_double(object, column->key, cell->real, 6);
	}
}

json_object *hs_sheet_to_json(const struct hs_sheet *sheet, json_object *object, const char *key)
{
	json_object *array = hs_json_add_array(object, key);

	for (size_t row = 0; row < sheet->row_nr; row++) {
		json_object *element = hs_json_append_object(array);

		for (size_t i = 0; i < sheet->column_nr; i++)
			if (sheet->columns[i].key)
				cell_to_json(element, &sheet->columns[i], &sheet->cells[row * sheet->column_nr + i]);
	}
	return array;
}

void hs_sheet_clear(struct hs_sheet *sheet)
{
	for (size_t i = 0; i < sheet->row_nr * sheet->column_nr; i++)
		if (sheet->columns[i % sheet->column_nr].kind == HS_CELL_TEXT)
			free(sheet->cells[i].text);
	free(sheet->cells);
	sheet->cells = NULL;
	sheet->row_nr = sheet->room = 0;
}
