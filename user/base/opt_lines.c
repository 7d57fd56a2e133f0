// SPDX-License-Identifier: GPL-2.0-only
/* Reads plans line by line, and takes lists apart. Nothing here knows any verb. */
#include "opt_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "datadir.h"
#include "io.h"
#include "log.h"
#include "scoped.h"

#define PLAN_BYTES_MAX 65536
#define ROWS_MAX 64

static size_t size_of(const struct hs_opt *row)
{
	switch (row->type) {
	case HS_OPT_FLAG:
		return sizeof(bool);
	case HS_OPT_U32:
		return sizeof(uint32_t);
	case HS_OPT_STR:
		return sizeof(const char *);
	case HS_OPT_LIST:
		return sizeof(struct hs_opt_list);
	case HS_OPT_SIZE:
	case HS_OPT_DURATION:
		return sizeof(uint64_t);
	case HS_OPT_CHOICE:
		return sizeof(int);
	}
	return 0;
}

/* Which rows somebody has said something of: their bytes in the config are not zero. */
static bool is_said(const struct hs_opt *row, const void *config)
{
	const char *at = (const char *)config + row->offset;

	for (size_t i = 0; i < size_of(row); i++)
		if (at[i])
			return true;
	return false;
}

static const struct hs_opt *find_row(const struct hs_opt_lines *lines, const char *name)
{
	for (const struct hs_opt *row = lines->rows; row->name; row++)
		if (!strcmp(row->name, name) && row->offset >= lines->from && row->offset < lines->from + lines->size)
			return row;
	return NULL;
}

static char *trim(char *text)
{
	size_t len;

	text += strspn(text, " \t\r");
	len = strlen(text);
	while (len && strchr(" \t\r", text[len - 1]))
		text[--len] = '\0';
	return text;
}

struct reading {
	const struct hs_opt_lines *lines;
	const char *path;
	bool said[ROWS_MAX]; /* by row: before this text was read */
};

static int take_line(struct reading *reading, char *line, unsigned number)
{
	char *hash = strchr(line, '#'), *equals, *name, *value;
	const struct hs_opt *row;

	if (hash)
		*hash = '\0';
	line = trim(line);
	if (!*line)
		return 0;
	equals = strchr(line, '=');
	if (equals)
		*equals = '\0';
	name = trim(line);
	value = equals ? trim(equals + 1) : NULL;
	row = value ? find_row(reading->lines, name) : NULL;
	if (!row)
		return hs_fail(-EINVAL,
			       "%s:%u: '%s' is no line of a plan: `option = value`, the options as in "
			       "`hsbpf %s --help`",
			       reading->path, number, name, reading->lines->verb);
	if (reading->said[row - reading->lines->rows])
		return 0;
	if (!*value || hs_opt_set(row, reading->lines->config, value))
		return hs_fail(-EINVAL, "%s:%u: '%s' is no value for %s", reading->path, number, value, name);
	return 0;
}

int hs_opt_lines_take(const struct hs_opt_lines *lines, const char *path, char *text)
{
	struct reading reading = { .lines = lines, .path = path };
	unsigned number = 0;

	for (const struct hs_opt *row = lines->rows; row->name; row++) {
		if (row - lines->rows == ROWS_MAX)
			return hs_fail(-E2BIG, "bug: %s has more than %d options", lines->verb, ROWS_MAX);
		reading.said[row - lines->rows] = is_said(row, lines->config);
	}
	for (char *line = text, *next; line; line = next) {
		int err;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		err = take_line(&reading, line, ++number);
		if (err)
			return err;
	}
	return 0;
}

static char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *name = strdup(slash ? slash + 1 : path), *dot = name ? strrchr(name, '.') : NULL;

	if (dot)
		*dot = '\0';
	return name;
}

int hs_opt_lines_read(const char *file, char **path, char **name, char **text)
{
	scoped(mem) char *found = hs_datadir_find(file, "data/plans", "plan"), *called = NULL, *content = NULL;
	int err;

	if (!found)
		return hs_fail(-ENOENT, "there is no plan %s: neither a file, nor one that is shipped under that name",
			       file);
	err = hs_read_file(found, PLAN_BYTES_MAX, &content, NULL);
	if (err)
		return hs_fail(err, "cannot read the plan %s:", found);
	called = name_of(found);
	if (!called)
		return -ENOMEM;
	*path = take(found);
	*name = take(called);
	*text = take(content);
	return 0;
}

int hs_opt_list_each(const struct hs_opt_list *list, hs_opt_take_word take_word, void *ctx)
{
	for (size_t i = 0; i < list->count; i++) {
		scoped(mem) char *words = strdup(list->items[i]);
		char *save = NULL;

		if (!words)
			return -ENOMEM;
		for (char *next = strtok_r(words, ",", &save); next; next = strtok_r(NULL, ",", &save)) {
			const char *word = trim(next);
			int err = *word ? take_word(ctx, word) : 0;

			if (err)
				return err;
		}
	}
	return 0;
}
