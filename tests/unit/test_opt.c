// SPDX-License-Identifier: GPL-2.0-only
/* Option rows: what is taken, what is refused, and that verbs are found by their words. */
#include "cm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/opt.h"
#include "base/scoped.h"

struct config {
	bool flag;
	uint32_t count;
	const char *name;
	uint64_t size, memory, time;
	int choice;
	struct hs_opt_list words;
};

static const char *const choices[] = { "first", "second", NULL };
static const struct hs_opt options[] = {
	HS_OPT(struct config, flag, "flag", 'f', HS_OPT_FLAG, NULL, NULL, "a flag"),
	HS_OPT(struct config, count, "count", 'c', HS_OPT_U32, "N", "3", "a number", .min = 1, .max = 24),
	HS_OPT(struct config, name, "name", 0, HS_OPT_STR, "NAME", "none", "a word"),
	HS_OPT(struct config, size, "size", 0, HS_OPT_SIZE, "SIZE", "1M", "bytes", .min = 4096, .max = 1ull << 40),
	HS_OPT(struct config, memory, "memory", 'm', HS_OPT_SIZE, "SIZE", "512", "bytes, or MiB", .unit = 1 << 20),
	HS_OPT(struct config, time, "time", 0, HS_OPT_DURATION, "TIME", NULL, "a time"),
	HS_OPT(struct config, time, "span", 0, HS_OPT_DURATION, "TIME", NULL, "a time", .min = 1),
	HS_OPT(struct config, choice, "choice", 0, HS_OPT_CHOICE, "WHICH", "second", "one of", .choices = choices),
	HS_OPT(struct config, words, "word", 'w', HS_OPT_LIST, "WORD", NULL, "words"),
	HS_OPT_END,
};
static const struct hs_verb verb = {
	.name = "do", .synopsis = "", .help = "do it", .options = options, .config_size = sizeof(struct config)
};
static const struct hs_verb lab_up = { .name = "lab up", .options = options };
static const struct hs_verb lab_down = { .name = "lab down", .options = options };
static const struct hs_verb *const verbs[] = { &verb, &lab_up, &lab_down, NULL };

/* At most 6 words after the verb; the rest of the array stays NULL. */
static int parse(struct config *config, char *words[6], int *operands)
{
	char *argv[8] = { "do" };
	int argc = 1;

	*config = (struct config){ 0 };
	for (int i = 0; i < 6 && words[i]; i++)
		argv[argc++] = words[i];
	return hs_opt_parse(&verb, config, argc, argv, operands);
}

#define PARSE(config, ...) parse(config, (char *[6]){ __VA_ARGS__ }, &(int){ 0 })

static void test_options_may_follow_operands_unless_those_are_a_command(void **state)
{
	struct hs_verb with_command = verb;
	char *argv[] = { "do", "DIR", "--count", "7", NULL };
	struct config config = { 0 };
	int operands;

	(void)state;
	with_command.has_command = true;
	assert_int_equal(hs_opt_parse(&with_command, &config, 4, argv, &operands), 0);
	assert_int_equal(config.count, 3);
	assert_int_equal(operands, 1);
	assert_int_equal(hs_opt_parse(&verb, &config, 4, argv, &operands), 0);
	assert_int_equal(config.count, 7);
	assert_int_equal(operands, 3);
	assert_string_equal(argv[3], "DIR");
}

static void test_empty_words_and_no_time_are_refused(void **state)
{
	struct config config;

	(void)state;
	assert_int_equal(PARSE(&config, "--name", ""), -EINVAL);
	assert_string_equal(hs_log_last_error(), "do: --name '' is not a value");
	assert_int_equal(PARSE(&config, "--word", ""), -EINVAL);
	assert_int_equal(PARSE(&config, "--time", "0"), 0);
	assert_int_equal(PARSE(&config, "--span", "0"), -EINVAL);
	assert_string_equal(hs_log_last_error(), "do: --span '0' is not a time above 0 such as 500ms or 10s");
}

static void test_a_list_keeps_every_use_in_order(void **state)
{
	struct config config;

	(void)state;
	assert_int_equal(PARSE(&config, "-w", "one", "--word=two", "-wthree"), 0);
	assert_int_equal(config.words.count, 3);
	assert_string_equal(config.words.items[0], "one");
	assert_string_equal(config.words.items[1], "two");
	assert_string_equal(config.words.items[2], "three");
	config.words.count = HS_OPT_LIST_MAX;
	assert_int_equal(hs_opt_set(&options[HS_ARRAY_SIZE(options) - 2], &config, "more"), -ERANGE);
	assert_int_equal(config.words.count, HS_OPT_LIST_MAX);
}

static void test_defaults_are_typed_as_a_user_would(void **state)
{
	struct config config;

	(void)state;
	assert_int_equal(PARSE(&config, NULL), 0);
	assert_false(config.flag);
	assert_int_equal(config.count, 3);
	assert_string_equal(config.name, "none");
	assert_int_equal(config.size, 1 << 20);
	assert_int_equal(config.time, 0);
	assert_int_equal(config.choice, 1);
}

static void test_every_type_is_parsed(void **state)
{
	struct config config;

	(void)state;
	assert_int_equal(PARSE(&config, "-f", "--count=24", "--name", "x y", "--time=1500us"), 0);
	assert_true(config.flag);
	assert_int_equal(config.count, 24);
	assert_string_equal(config.name, "x y");
	assert_int_equal(config.time, 1500000);
	assert_int_equal(PARSE(&config, "--size", "2G", "--choice", "first", "-c", "1"), 0);
	assert_int_equal(config.size, 2ull << 30);
	assert_int_equal(config.choice, 0);
	assert_int_equal(config.count, 1);
}

static void test_a_bare_size_counts_the_rows_unit(void **state)
{
	struct config config;

	(void)state;
	assert_int_equal(PARSE(&config, NULL), 0);
	assert_int_equal(config.memory, 512ull << 20);
	assert_int_equal(PARSE(&config, "-m", "100"), 0);
	assert_int_equal(config.memory, 100ull << 20);
	assert_int_equal(PARSE(&config, "-m", "100K"), 0);
	assert_int_equal(config.memory, 100ull << 10);
	assert_int_equal(PARSE(&config, "-m", "17592186044416"), -EINVAL); /* 2^44 MiB are 2^64 bytes */
}

static void test_bad_values_are_refused(void **state)
{
	static char *const bad[] = { "--count=0",	   "--count=25",
				     "--count=x",	   "--count=-1",
				     "--count=1x",	   "--count=",
				     "--count=4294967297", "--count=99999999999999999999",
				     "--size=1",	   "--size=2Q",
				     "--size=16777216T",   "--time=fast",
				     "--time=-1s",	   "--time=99999999999h",
				     "--choice=third",	   "--choice=",
				     "--unknown",	   "-x" };
	struct config config;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(PARSE(&config, bad[i]), -EINVAL);
	assert_int_equal(PARSE(&config, "--count"), -EINVAL);
}

static void test_messages_name_what_was_expected(void **state)
{
	struct config config;

	(void)state;
	PARSE(&config, "--count=x");
	assert_string_equal(hs_log_last_error(), "do: --count 'x' is not a number from 1 to 24");
	PARSE(&config, "--choice=third");
	assert_string_equal(hs_log_last_error(), "do: --choice 'third' is not one of first, second");
	PARSE(&config, "--nosuch");
	assert_non_null(strstr(hs_log_last_error(), "unknown option '--nosuch'"));
}

static void test_operands_stay_with_the_verb(void **state)
{
	struct config config;
	int operands = 0;

	(void)state;
	assert_int_equal(parse(&config, (char *[6]){ "-f", "machine", "--", "-c", "x" }, &operands), 0);
	assert_int_equal(operands, 3);
	assert_int_equal(config.count, 3); /* what follows -- is not ours */
}

static void test_verbs_of_two_words_are_found(void **state)
{
	int words = 0;

	(void)state;
	assert_ptr_equal(hs_verb_find(verbs, 3, (char *[]){ "hsbpf", "lab", "down" }, &words), &lab_down);
	assert_int_equal(words, 2);
	assert_ptr_equal(hs_verb_find(verbs, 2, (char *[]){ "hsbpf", "do" }, &words), &verb);
	assert_int_equal(words, 1);
	assert_null(hs_verb_find(verbs, 2, (char *[]){ "hsbpf", "lab" }, &words));
	assert_null(hs_verb_find(verbs, 3, (char *[]){ "hsbpf", "lab", "upp" }, &words));
	assert_null(hs_verb_find(verbs, 2, (char *[]){ "hsbpf", "d" }, &words));
}

static void test_help_man_and_completion_have_every_option(void **state)
{
	char *text[3] = { NULL };
	size_t size;

	(void)state;
	for (int i = 0; i < 3; i++) {
		FILE *out = open_memstream(&text[i], &size);

		if (i == 0)
			hs_verb_print_help(out, &verb);
		else if (i == 1)
			hs_verb_print_man(out, &verb);
		else
			hs_verbs_print_completion(out, verbs);
		fclose(out);
		for (const struct hs_opt *option = options; option->name; option++)
			assert_non_null(strstr(text[i], option->name));
		free(text[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_list_keeps_every_use_in_order),
		cmocka_unit_test(test_options_may_follow_operands_unless_those_are_a_command),
		cmocka_unit_test(test_empty_words_and_no_time_are_refused),
		cmocka_unit_test(test_defaults_are_typed_as_a_user_would),
		cmocka_unit_test(test_every_type_is_parsed),
		cmocka_unit_test(test_a_bare_size_counts_the_rows_unit),
		cmocka_unit_test(test_bad_values_are_refused),
		cmocka_unit_test(test_messages_name_what_was_expected),
		cmocka_unit_test(test_operands_stay_with_the_verb),
		cmocka_unit_test(test_verbs_of_two_words_are_found),
		cmocka_unit_test(test_help_man_and_completion_have_every_option),
	};

	return RUN_TESTS("opt", tests);
}
