/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Plans: texts of `option = value` lines, which go through the rows of a verb's options. What somebody said before
 * (on the command line, in a text read earlier) weighs more than a line. One thread.
 */
#ifndef HS_BASE_OPT_LINES_H
#define HS_BASE_OPT_LINES_H

#include "opt.h"

struct hs_opt_lines {
	const char *verb; /* whose --help names the options: for messages */
	const struct hs_opt *rows;
	void *config;
	size_t from, size; /* the bytes of config that lines may set: other rows cannot stand in a plan */
};

/*
 * Sets what `text` says and config leaves open (its bytes are zero). '#' begins a comment. Cuts text in place, whose
 * pieces stay in use by rows of type STR and LIST; `path` is its name in messages. 0, or -EINVAL after a message.
 */
int hs_opt_lines_take(const struct hs_opt_lines *lines, const char *path, char *text);

/*
 * Reads the plan that a user names: a file, or the name of one that is shipped in data/plans. *text is malloc'd; *name
 * is the file's, malloc'd, without folder and ending; *path is where it lies, malloc'd. 0, -ENOENT when there is none
 * (said), or another -errno after a message.
 */
int hs_opt_lines_read(const char *file, char **path, char **name, char **text);

/* Takes one word of a list; 0, -E2BIG when there is no room, or -errno after a message. */
typedef int (*hs_opt_take_word)(void *ctx, const char *word);
/* Each word between the commas of each item, without blanks around it. 0, or what take_word said first. */
int hs_opt_list_each(const struct hs_opt_list *list, hs_opt_take_word take_word, void *ctx);

#endif
