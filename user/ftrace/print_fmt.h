/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the `print fmt` of an event tells of its fields: names of values (__print_symbolic), and that one is printed in
 * hexadecimal. Only what is plainly written is understood; the expressions of the rest are never evaluated. Pure.
 */
#ifndef HS_FTRACE_PRINT_FMT_H
#define HS_FTRACE_PRINT_FMT_H

#include <stdbool.h>

#include "trace_events/events.h"

/* `print_fmt` is what follows "print fmt: ". Whether it has a conversion to hexadecimal for just that field. */
bool hs_ftrace_is_hex(const char *print_fmt, const char *field);

/*
 * The names of the field's values, NULL: it has none, or none that fit. `max`: the highest value that the field can
 * have. Owned by the caller: hs_ctf_enum_free().
 */
struct hs_enum *hs_ftrace_find_enum(const char *print_fmt, const char *field, uint32_t max);

#endif
