/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Verbs and their options as data. One row per option gives the parser, --help, the man page and the
 * completion; a verb is one row in main.c and one file in user/cmd. Nothing here knows any verb.
 */
#ifndef HS_BASE_OPT_H
#define HS_BASE_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum hs_opt_type {
	HS_OPT_FLAG,	 /* bool; no argument */
	HS_OPT_U32,	 /* uint32_t, decimal, within [min, max] */
	HS_OPT_STR,	 /* const char *, not empty, borrowed from argv */
	HS_OPT_LIST,	 /* struct hs_opt_list: each use of the option adds one such text */
	HS_OPT_SIZE,	 /* uint64_t bytes: 64K, 256M, 2G (powers of 1024), a bare number of `unit`; in [min, max] */
	HS_OPT_DURATION, /* uint64_t ns: 50us, 5ms, 2s, 1m; a bare number is seconds; min is 0 or 1 */
	HS_OPT_CHOICE,	 /* int, index into choices */
};

#define HS_OPT_LIST_MAX 256

struct hs_opt_list {
	const char *items[HS_OPT_LIST_MAX];
	size_t count;
};

struct hs_opt {
	const char *name; /* long name without dashes */
	char key;	  /* short name or 0 */
	enum hs_opt_type type;
	const char *arg; /* name of the argument in help */
	size_t offset;	 /* of the destination in the verb's config struct */
	const char *def; /* default as the user would type it, or NULL for zero */
	const char *help;
	uint64_t min, max;	    /* of U32 and SIZE; max 0: the type's */
	uint64_t unit;		    /* of SIZE: bytes that a bare number counts; 0: 1 */
	const char *const *choices; /* of CHOICE; ends with NULL */
};

struct hs_verb {
	const char *name;     /* one word, or two as in "lab up" */
	const char *synopsis; /* what follows the options: "[-- COMMAND ARG...]" */
	const char *help;     /* one line */
	const char *text;     /* further paragraphs for --help and the man page, or NULL */
	const char *example;  /* for the list of verbs: "lab up --l2vm 2         what that does", or NULL */
	const struct hs_opt *options;
	size_t config_size;
	bool has_command; /* of the operands, whose options are not ours; without, options may follow operands */
	/* 0, -errno, or a positive exit code; argv holds what the options left over. */
	int (*run)(void *config, int argc, char **argv);
};

/* One row: HS_OPT(struct collect_config, l2vm, "l2vm", 'n', HS_OPT_U32, "N", "1", "pairs", .max = 24) */
#define HS_OPT(config_struct, path, long_name, short_key, kind, metavar, value, line, ...)                             \
	{                                                                                                              \
		.name = long_name, .key = short_key, .type = kind, .arg = metavar,                                     \
		.offset = offsetof(config_struct, path), .def = value, .help = line, ##__VA_ARGS__                     \
	}
#define HS_OPT_END                                                                                                     \
	{                                                                                                              \
		.name = NULL                                                                                           \
	}

/* Exit codes beyond 0 and 1 (DESIGN: what a user meets). */
enum hs_exit { HS_EXIT_OK, HS_EXIT_FAILURE, HS_EXIT_USAGE, HS_EXIT_LOST, HS_EXIT_PRIVILEGE, HS_EXIT_THRESHOLD };

/*
 * Fills config (zeroed, config_size bytes) with the defaults and what argv says; argv[0] is skipped.
 * Returns 0 and the index of the first operand in *operands; -EINVAL after a message; 1 when help was printed.
 */
int hs_opt_parse(const struct hs_verb *verb, void *config, int argc, char **argv, int *operands);

/* Parses and stores one value; 0, or -EINVAL or -ERANGE without a message. */
int hs_opt_set(const struct hs_opt *option, void *config, const char *value);

/* Finds the verb of argv[1..]; *words is how many words it took. NULL when there is none. */
const struct hs_verb *hs_verb_find(const struct hs_verb *const *verbs, int argc, char **argv, int *words);

/* Runs main() for a table of verbs (ends with NULL): returns the process's exit code. */
int hs_verb_main(const struct hs_verb *const *verbs, const char *summary, int argc, char **argv);

void hs_verb_print_help(FILE *out, const struct hs_verb *verb);
/* roff for hsbpf-VERB(1), and one bash completion script for the whole table. */
void hs_verb_print_man(FILE *out, const struct hs_verb *verb);
void hs_verbs_print_man(FILE *out, const struct hs_verb *const *verbs, const char *summary);
void hs_verbs_print_completion(FILE *out, const struct hs_verb *const *verbs);

#endif
