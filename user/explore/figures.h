/* SPDX-License-Identifier: GPL-2.0-only */
/* What is shown of each point: one row of hs_explore_measures each, for the table, the CSV and the page. Pure. */
#ifndef HS_EXPLORE_FIGURES_H
#define HS_EXPLORE_FIGURES_H

#include <stdio.h>

#include "base/json.h"

struct hs_explore_measure {
	const char *name; /* of the CSV's column */
	const char *path; /* of the number in a point's result */
	const char *text; /* for people, with its unit */
	const char *head; /* short, for the table on a terminal; NULL: not there */
	const char *of;	  /* path of the size of the cache that it is about: of one without entries it says nothing */
};

/* Ends with a row without a name. */
extern const struct hs_explore_measure hs_explore_measures[];

/* The number of a point's row, borrowed; NULL when there is none. */
json_object *hs_explore_measure_get(json_object *row, const struct hs_explore_measure *measure);

/* The rows of the table above, as the document has them, added to the array. */
void hs_explore_describe_measures(json_object *array);

/* A line for each point of the document: what varies, what came out. */
void hs_explore_print(FILE *out, json_object *document);

/* A line for each point: every parameter that the plan names, outcome, reason, every measure. 0 or -errno after a
 * message. */
int hs_explore_write_csv(json_object *document, const char *path);

#endif
