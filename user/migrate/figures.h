/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The measures of trials by name, what they come to over the trials of one kind, as a table and as CSV. Pure functions
 * over the document.
 */
#ifndef HS_MIGRATE_FIGURES_H
#define HS_MIGRATE_FIGURES_H

#include <stdio.h>

#include "base/json.h"

struct hs_measure {
	const char *path;  /* in a trial's document, "seen.tap_gap_ms" */
	const char *title; /* of the table; NULL: only in CSV and JSON */
};

/* Ends with a row without a path. */
extern const struct hs_measure hs_measures[];

/* Replaces "cells": for each kind of trial the figures of its valid ones, and its invalid ones by number. */
void hs_figures_derive(json_object *document);

void hs_figures_print(FILE *out, json_object *document);
/* A line for each trial. 0 or -errno after a message. */
int hs_figures_write_csv(json_object *document, const char *path);

#endif
