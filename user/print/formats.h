/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A user's own line for each event, from a file in the grammar of acrntrace_format's formats files: `#` comments, blank
 * lines, else `EVENT <space> TEMPLATE`, EVENT being a name or an id (decimal or 0x...), a later rule replacing an
 * earlier one. In a template `%%` is a percent sign and `%(key)` is followed by flags (-0+ # and space), a width and
 * one of d x X o u c s. Keys: cpu, tsc (ns here), event, tid, vcpu (-1: unknown), vm, machine, the name of a field, or
 * 1 to 16: the fields by position. Parsed, never evaluated. Constant once parsed: any thread.
 */
#ifndef HS_PRINT_FORMATS_H
#define HS_PRINT_FORMATS_H

#include "base/scoped.h"
#include "print/row.h"

struct hs_formats;

/* `text` is `bytes` long and ends with NUL. -EINVAL: it has faults, each was said with its line; -ENOMEM. */
int hs_formats_parse(const char *name, const char *text, size_t bytes, struct hs_formats **out);

/* Reads a file. -EINVAL as above; -errno when it cannot be read (said). */
int hs_formats_read(const char *path, struct hs_formats **out);

/* One line; false: the event has no rule. */
bool hs_formats_print(const struct hs_formats *formats, struct hs_out *out, const struct hs_print_row *row);

void hs_formats_free(struct hs_formats *formats);
HS_SCOPED(hs_formats, struct hs_formats *, hs_formats_free)

#endif
