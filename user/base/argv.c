// SPDX-License-Identifier: GPL-2.0-only
/* Command lines as vectors. Allocation failures are remembered, so that builders stay readable. */
#include "argv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void append(struct hs_argv *argv, char *word)
{
	char **grown = word ? realloc(argv->words, (argv->count + 2) * sizeof(*grown)) : NULL;

	if (!grown) {
		free(word);
		argv->err = -ENOMEM;
		return;
	}
	argv->words = grown;
	argv->words[argv->count++] = word;
	argv->words[argv->count] = NULL;
}

static void append_format(struct hs_argv *argv, const char *format, va_list args)
{
	char *word = NULL;

	append(argv, vasprintf(&word, format, args) < 0 ? NULL : word);
}

void hs_argv_add(struct hs_argv *argv, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	append_format(argv, format, args);
	va_end(args);
}

void hs_argv_add_pair(struct hs_argv *argv, const char *flag, const char *format, ...)
{
	va_list args;

	append(argv, strdup(flag));
	va_start(args, format);
	append_format(argv, format, args);
	va_end(args);
}

void hs_argv_add_words(struct hs_argv *argv, const char *text)
{
	while (*(text += strspn(text, " \t\n"))) {
		size_t len = strcspn(text, " \t\n");

		append(argv, strndup(text, len));
		text += len;
	}
}

void hs_argv_clear(struct hs_argv *argv)
{
	for (size_t i = 0; i < argv->count; i++)
		free(argv->words[i]);
	free(argv->words);
	*argv = (struct hs_argv){ 0 };
}

static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%";

static void quote_word(FILE *out, const char *word)
{
	if (*word && word[strspn(word, plain)] == '\0') {
		fputs(word, out);
		return;
	}
	fputc('\'', out);
	for (; *word; word++)
		fputs(*word == '\'' ? "'\\''" : (char[]){ *word, 0 }, out);
	fputc('\'', out);
}

char *hs_argv_quote(char *const *words)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (size_t i = 0; words && words[i]; i++) {
		if (i)
			fputc(' ', out);
		quote_word(out, words[i]);
	}
	fclose(out);
	return text;
}
