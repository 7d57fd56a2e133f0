/* SPDX-License-Identifier: GPL-2.0-only */
/* Ranges of a sweep as people write them: values, `A..B` (doubling), `A..B*F` and `A..B+S`. Pure. */
#ifndef HS_EXPLORE_RANGE_H
#define HS_EXPLORE_RANGE_H

#include "base/opt_lines.h"

#define HS_RANGE_VALUES_MAX 4096

/*
 * Calls take_word with each value of `word`: with the word itself when it is no range of numbers. Both ends of a range
 * may have one unit (`100G..400G+100G`), which its values then have too; the last value is the last one within B.
 * 0, -EINVAL or -E2BIG after a message for a range that makes no sense, or what take_word said first.
 */
int hs_range_each(const char *word, hs_opt_take_word take_word, void *ctx);

#endif
