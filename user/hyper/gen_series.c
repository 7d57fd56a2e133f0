// SPDX-License-Identifier: GPL-2.0-only
/* Finds the logs of a series by their names. Called by the generator before it reads any. One thread. */
#include "hyper/gen_series.h"

#include <errno.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/log.h"
#include "hyper/dmatrace.h"
#include "run/rundir.h"

/* NUMBER.txt, .txt.gz, .txt.xz or .txt.zst: the number; else -1. */
static int64_t number_of(const char *rest)
{
	static const char *const suffixes[] = { ".txt", ".txt.gz", ".txt.xz", ".txt.zst" };
	uint64_t number = 0;
	const char *p = rest;

	for (; *p >= '0' && *p <= '9'; p++) {
		number = number * 10 + (uint64_t)(*p - '0');
		if (number >= HS_DMATRACE_SOURCES_MAX)
			return -1;
	}
	if (p == rest || (rest[0] == '0' && p > rest + 1))
		return -1;
	for (size_t i = 0; i < HS_ARRAY_SIZE(suffixes); i++)
		if (!strcmp(p, suffixes[i]))
			return (int64_t)number;
	return -1;
}

static int add_path(struct hs_gen_series *series, uint32_t number, char *path)
{
	scoped(mem) char *owned = path;

	if (!owned)
		return -ENOMEM;
	if (number >= series->path_nr) {
		char **grown = realloc(series->paths, (number + 1) * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		memset(grown + series->path_nr, 0, (number + 1 - series->path_nr) * sizeof(*grown));
		series->paths = grown;
		series->path_nr = number + 1;
	}
	if (series->paths[number])
		return hs_fail(-EEXIST, "log %u is there twice: %s and %s; remove one of them", number,
			       series->paths[number], owned);
	series->paths[number] = take(owned);
	return 0;
}

static int look(const char *folder, const char *base, struct hs_gen_series *series)
{
	scoped(dir) DIR *dir = opendir(folder);
	size_t len = strlen(base);
	struct dirent *entry;

	if (!dir)
		return hs_fail(-errno, "cannot look for logs in %s:", folder);
	while ((entry = readdir(dir))) {
		int64_t number;
		int err;

		if (strncmp(entry->d_name, base, len) != 0 || entry->d_name[len] != '_')
			continue;
		number = number_of(entry->d_name + len + 1);
		if (number < 0)
			continue;
		err = add_path(series, (uint32_t)number, hs_format("%s/%s", folder, entry->d_name));
		if (err)
			return err;
	}
	return 0;
}

static int check(const char *prefix, const struct hs_gen_series *series)
{
	if (!series->path_nr)
		return hs_fail(-ENOENT,
			       "there is no log %s_0.txt (or .gz, .xz, .zst), and %s is not the folder of a run",
			       prefix, prefix);
	for (uint32_t i = 0; i < series->path_nr; i++)
		if (!series->paths[i])
			return hs_fail(-ENOENT, "log %s_%u.txt is missing, %s is there: the series has a gap", prefix,
				       i, series->paths[series->path_nr - 1]);
	return 0;
}

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int hs_gen_series_find(const char *prefix, struct hs_gen_series **out)
{
	scoped(hs_gen_series) struct hs_gen_series *series = calloc(1, sizeof(*series));
	scoped(mem) char *folder = strdup(prefix), *base = strdup(prefix);
	scoped(hs_rundir) struct hs_rundir *rundir = NULL;
	int err;

	if (!series || !folder || !base)
		return -ENOMEM;
	if (is_folder(prefix)) {
		err = hs_rundir_find(prefix, &rundir);
		if (!err)
			err = add_path(series, 0, strdup(rundir->log));
	} else {
		err = look(dirname(folder), basename(base), series);
	}
	if (!err)
		err = check(prefix, series);
	if (!err)
		*out = take(series);
	return err;
}

void hs_gen_series_free(struct hs_gen_series *series)
{
	if (!series)
		return;
	for (uint32_t i = 0; i < series->path_nr; i++)
		free(series->paths[i]);
	free(series->paths);
	free(series);
}
