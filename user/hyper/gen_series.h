/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The logs of a series: P_0.txt, P_1.txt, ... each plain or packed (.gz, .xz, .zst), or the log of one run folder.
 * Called once by the generator. Pure but for looking at a folder.
 */
#ifndef HS_HYPER_GEN_SERIES_H
#define HS_HYPER_GEN_SERIES_H

#include <stdint.h>

#include "base/scoped.h"

struct hs_gen_series {
	char **paths; /* by number; owned */
	uint32_t path_nr;
};

/* Message on failure: nothing there, a number missing, or one there twice. */
int hs_gen_series_find(const char *prefix, struct hs_gen_series **out);
void hs_gen_series_free(struct hs_gen_series *series);
HS_SCOPED(hs_gen_series, struct hs_gen_series *, hs_gen_series_free)

#endif
