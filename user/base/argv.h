/* SPDX-License-Identifier: GPL-2.0-only */
/* A growing, NULL-terminated vector of strings: command lines that are built, printed and executed. */
#ifndef HS_BASE_ARGV_H
#define HS_BASE_ARGV_H

#include <stddef.h>

#include "scoped.h"

struct hs_argv {
	char **words; /* owned; words[count] is NULL; NULL while empty */
	size_t count;
	int err; /* -ENOMEM once an append failed: check it once, at the end */
};

/* Appends one formatted word. */
void hs_argv_add(struct hs_argv *argv, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Appends each blank-separated word of text (no quoting). */
void hs_argv_add_words(struct hs_argv *argv, const char *text);
/* Appends `flag` and one formatted word. */
void hs_argv_add_pair(struct hs_argv *argv, const char *flag, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void hs_argv_clear(struct hs_argv *argv);

/* The words as one shell command line, quoted where needed; malloc'd, NULL without memory. */
char *hs_argv_quote(char *const *words);

static inline void argv_scoped(struct hs_argv *argv)
{
	hs_argv_clear(argv);
}

#endif
