// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parses options from their rows with getopt_long and dispatches verbs. Called from main() only;
 * the documents made from the same rows are in opt_doc.c.
 */
#include "opt.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "scoped.h"
#include "unit.h"

#define MAX_OPTIONS 64
#define FIRST_LONG 256

static int set_u32(const struct hs_opt *option, uint32_t *dst, const char *value)
{
	uint64_t number;
	int err = hs_parse_u64(value, &number);

	if (err)
		return err;
	if (number < option->min || number > (option->max ? option->max : UINT32_MAX))
		return -ERANGE;
	*dst = (uint32_t)number;
	return 0;
}

static int set_size(const struct hs_opt *option, uint64_t *dst, const char *value)
{
	uint64_t bytes;
	int err = hs_parse_size(value, &bytes);

	if (err)
		return err;
	if (option->unit && !value[strspn(value, "0123456789")] && __builtin_mul_overflow(bytes, option->unit, &bytes))
		return -ERANGE;
	if (bytes < option->min || (option->max && bytes > option->max))
		return -ERANGE;
	*dst = bytes;
	return 0;
}

static int set_duration(const struct hs_opt *option, uint64_t *dst, const char *value)
{
	uint64_t ns;
	int err = hs_parse_duration(value, &ns);

	if (err || ns < option->min)
		return err ? err : -ERANGE;
	*dst = ns;
	return 0;
}

static int set_choice(const struct hs_opt *option, int *dst, const char *value)
{
	for (int i = 0; option->choices[i]; i++)
		if (!strcmp(option->choices[i], value)) {
			*dst = i;
			return 0;
		}
	return -EINVAL;
}

static int add_to_list(struct hs_opt_list *list, const char *value)
{
	if (!*value)
		return -EINVAL;
	if (list->count == HS_OPT_LIST_MAX)
		return -ERANGE;
	list->items[list->count++] = value;
	return 0;
}

int hs_opt_set(const struct hs_opt *option, void *config, const char *value)
{
	void *dst = (char *)config + option->offset;

	switch (option->type) {
	case HS_OPT_FLAG:
		*(bool *)dst = true;
		return 0;
	case HS_OPT_STR:
		if (!*value)
			return -EINVAL;
		*(const char **)dst = value;
		return 0;
	case HS_OPT_LIST:
		return add_to_list(dst, value);
	case HS_OPT_U32:
		return set_u32(option, dst, value);
	case HS_OPT_SIZE:
		return set_size(option, dst, value);
	case HS_OPT_DURATION:
		return set_duration(option, dst, value);
	case HS_OPT_CHOICE:
		return set_choice(option, dst, value);
	}
	return -EINVAL;
}

static void describe_expected(const struct hs_opt *option, char *text, size_t size)
{
	char min[32], max[32];
	size_t len;

	switch (option->type) {
	case HS_OPT_U32:
		if (!option->min && !option->max)
			snprintf(text, size, "a number");
		else
			snprintf(text, size, "a number from %llu to %llu", (unsigned long long)option->min,
				 (unsigned long long)(option->max ? option->max : UINT32_MAX));
		return;
	case HS_OPT_SIZE:
		len = (size_t)snprintf(text, size, "a size such as 64K or 512M");
		if (option->max)
			snprintf(text + len, size - len, ", from %s to %s",
				 hs_format_bytes(min, sizeof(min), option->min),
				 hs_format_bytes(max, sizeof(max), option->max));
		return;
	case HS_OPT_DURATION:
		if (option->min > 1)
			snprintf(text, size, "a time of %s or more such as 500ms or 10s",
				 hs_format_ns(min, sizeof(min), option->min));
		else
			snprintf(text, size, "a time%s such as 500ms or 10s", option->min ? " above 0" : "");
		return;
	case HS_OPT_CHOICE:
		len = (size_t)snprintf(text, size, "one of");
		for (int i = 0; option->choices[i] && len < size; i++)
			len += (size_t)snprintf(text + len, size - len, "%s %s", i ? "," : "", option->choices[i]);
		return;
	case HS_OPT_LIST:
		snprintf(text, size, "taken: the option wants a value, and can be given %d times", HS_OPT_LIST_MAX);
		return;
	default:
		snprintf(text, size, "a value");
	}
}

static int bad_value(const struct hs_verb *verb, const struct hs_opt *option, const char *value)
{
	char expected[512];

	describe_expected(option, expected, sizeof(expected));
	return hs_fail(-EINVAL, "%s: --%s '%s' is not %s", verb->name, option->name, value, expected);
}

static int build_getopt(const struct hs_verb *verb, struct option *longs, char *shorts)
{
	int count = 0;
	/* The options of a command are its own; everywhere else they may stand behind the operands. */
	char *key = shorts + sprintf(shorts, "%s:h", verb->has_command ? "+" : "");

	for (const struct hs_opt *option = verb->options; option->name; option++, count++) {
		int has_arg = option->type == HS_OPT_FLAG ? no_argument : required_argument;

		if (count == MAX_OPTIONS)
			return hs_fail(-E2BIG, "bug: %s has more than %d options", verb->name, MAX_OPTIONS);
		longs[count] = (struct option){ option->name, has_arg, NULL, FIRST_LONG + count };
		if (option->key)
			key += sprintf(key, "%c%s", option->key, has_arg ? ":" : "");
	}
	longs[count] = (struct option){ "help", no_argument, NULL, 'h' };
	return 0;
}

static int set_defaults(const struct hs_verb *verb, void *config)
{
	for (const struct hs_opt *option = verb->options; option->name; option++)
		if (option->def && hs_opt_set(option, config, option->def))
			return hs_fail(-EINVAL, "bug: bad default '%s' for --%s", option->def, option->name);
	return 0;
}

static const struct hs_opt *find_option(const struct hs_verb *verb, int key)
{
	if (key >= FIRST_LONG)
		return &verb->options[key - FIRST_LONG];
	for (const struct hs_opt *option = verb->options; option->name; option++)
		if (option->key == key)
			return option;
	return NULL;
}

int hs_opt_parse(const struct hs_verb *verb, void *config, int argc, char **argv, int *operands)
{
	struct option longs[MAX_OPTIONS + 2] = { 0 };
	char shorts[2 * MAX_OPTIONS + 8];
	int key, err;

	err = build_getopt(verb, longs, shorts);
	if (!err)
		err = set_defaults(verb, config);
	if (err)
		return err;
	optind = 0;
	while ((key = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const struct hs_opt *option;

		if (key == 'h') {
			hs_verb_print_help(stdout, verb);
			return 1;
		}
		if (key == '?' || key == ':')
			return hs_fail(-EINVAL, "%s: %s '%s'; see `hsbpf %s --help`", verb->name,
				       key == '?' ? "unknown option" : "missing value for", argv[optind - 1],
				       verb->name);
		option = find_option(verb, key);
		if (!option || hs_opt_set(option, config, optarg))
			return bad_value(verb, option, optarg ? optarg : "");
	}
	*operands = optind;
	return 0;
}

/* How many words of the verb's name argv[1..] spells; 0 when it is another verb. */
static int match_words(const char *name, int argc, char **argv)
{
	int word = 1;

	while (*name) {
		size_t len = strcspn(name, " ");

		if (word >= argc || strlen(argv[word]) != len || strncmp(argv[word], name, len) != 0)
			return 0;
		name += len + (name[len] == ' ');
		word++;
	}
	return word - 1;
}

const struct hs_verb *hs_verb_find(const struct hs_verb *const *verbs, int argc, char **argv, int *words)
{
	for (; *verbs; verbs++) {
		*words = match_words((*verbs)->name, argc, argv);
		if (*words)
			return *verbs;
	}
	return NULL;
}

static int exit_code(int result)
{
	if (result >= 0)
		return result;
	if (result == -EPERM || result == -EACCES || result == -EOPNOTSUPP)
		return HS_EXIT_PRIVILEGE;
	return HS_EXIT_FAILURE;
}

static void print_summary(FILE *out, const struct hs_verb *const *verbs, const char *summary)
{
	const struct hs_verb *const *examples = verbs;

	fprintf(out, "%s\n\nUsage: hsbpf VERB [OPTION]...\n\nVerbs:\n", summary);
	for (; *verbs; verbs++)
		fprintf(out, "  %-14s %s\n", (*verbs)->name, (*verbs)->help);
	fprintf(out, "\n`hsbpf VERB --help` tells a verb's options. Examples:\n");
	for (; *examples; examples++)
		if ((*examples)->example)
			fprintf(out, "  hsbpf %s\n", (*examples)->example);
}

/* Of a word that begins several verbs, such as `report`: those. */
static bool print_group(FILE *out, const struct hs_verb *const *verbs, const char *word)
{
	size_t len = strlen(word);
	bool has_any = false;

	for (; *verbs; verbs++) {
		if (strncmp((*verbs)->name, word, len) != 0 || (*verbs)->name[len] != ' ')
			continue;
		if (!has_any)
			fprintf(out, "Usage: hsbpf %s WHAT [OPTION]..., with one of\n", word);
		has_any = true;
		fprintf(out, "  %-14s %s\n", (*verbs)->name, (*verbs)->help);
	}
	return has_any;
}

static void suggest(const struct hs_verb *const *verbs, const char *word)
{
	for (; *verbs; verbs++)
		if (!strncmp((*verbs)->name, word, strlen(word) > 2 ? 3 : strlen(word)))
			hs_err("did you mean `hsbpf %s`?", (*verbs)->name);
}

static int run_verb(const struct hs_verb *verb, int argc, char **argv)
{
	scoped(mem) void *config = calloc(1, verb->config_size ? verb->config_size : 1);
	int operands = 0, err;

	if (!config)
		return HS_EXIT_FAILURE;
	err = hs_opt_parse(verb, config, argc, argv, &operands);
	if (err)
		return err > 0 ? HS_EXIT_OK : HS_EXIT_USAGE;
	return exit_code(verb->run(config, argc - operands, argv + operands));
}

/* What was printed has to have arrived: a document that a full disk cut off is no success. */
static int end_output(int code)
{
	errno = 0;
	if ((!fflush(stdout) && !ferror(stdout)) || code != HS_EXIT_OK)
		return code;
	hs_err("cannot write to standard output: %s", strerror(errno ? errno : EIO));
	return HS_EXIT_FAILURE;
}

static int run_main(const struct hs_verb *const *verbs, const char *summary, int argc, char **argv)
{
	const struct hs_verb *verb;
	int words;

	if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		print_summary(argc < 2 ? stderr : stdout, verbs, summary);
		return argc < 2 ? HS_EXIT_USAGE : HS_EXIT_OK;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("hsbpf %s\n", HS_VERSION);
		return HS_EXIT_OK;
	}
	verb = hs_verb_find(verbs, argc, argv, &words);
	if (!verb && argc == 2 && print_group(stderr, verbs, argv[1]))
		return HS_EXIT_USAGE;
	if (!verb && argc == 3 && !strcmp(argv[2], "--help") && print_group(stdout, verbs, argv[1]))
		return HS_EXIT_OK;
	if (!verb) {
		hs_err("there is no verb '%s'; `hsbpf --help` lists them", argv[1]);
		suggest(verbs, argv[1]);
		return HS_EXIT_USAGE;
	}
	return run_verb(verb, argc - words, argv + words);
}

int hs_verb_main(const struct hs_verb *const *verbs, const char *summary, int argc, char **argv)
{
	return end_output(run_main(verbs, summary, argc, argv));
}
