// SPDX-License-Identifier: GPL-2.0-only
/* Looks for traces from the given folder downwards, and for the documents above them. */
#include "trace/find.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"

static bool has_file(const char *dir, const char *name)
{
	scoped(mem) char *path = hs_format("%s/%s", dir, name);

	return path && !access(path, F_OK);
}

/* Takes over `trace`. */
static int add_trace(struct hs_trace_folders *folders, char *trace)
{
	char **traces = trace ? reallocarray(folders->traces, folders->trace_nr + 1, sizeof(*traces)) : NULL;

	if (!traces) {
		free(trace);
		return -ENOMEM;
	}
	folders->traces = traces;
	traces[folders->trace_nr++] = trace;
	return 0;
}

/* The traces that are folders of `parent`; none when there is no such folder. */
static int add_machines(struct hs_trace_folders *folders, const char *parent)
{
	scoped(dir) DIR *dir = opendir(parent);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		scoped(mem) char *trace = NULL;
		int err;

		if (entry->d_name[0] == '.')
			continue;
		trace = hs_format("%s/%s", parent, entry->d_name);
		if (!trace)
			return -ENOMEM;
		if (!has_file(trace, "metadata"))
			continue;
		err = add_trace(folders, take(trace));
		if (err)
			return err;
	}
	return 0;
}

static int compare_traces(const void *a, const void *b)
{
	const char *one = strrchr(*(char *const *)a, '/') + 1, *other = strrchr(*(char *const *)b, '/') + 1;
	int one_is_host = !strcmp(one, "host"), other_is_host = !strcmp(other, "host");

	return one_is_host != other_is_host ? other_is_host - one_is_host : strverscmp(one, other);
}

/* Documents lie beside the folder `trace`, in which the machines' traces are: `levels` above dir. NULL: none. */
static char *find_beside(const char *dir, unsigned int levels, const char *name)
{
	scoped(mem) char *at = realpath(dir, NULL);
	char *path;

	while (at && levels--) {
		char *slash = strrchr(at, '/');

		if (!slash || slash == at)
			return NULL;
		*slash = '\0';
		if (levels == 0 && strcmp(slash + 1, "trace"))
			return NULL;
	}
	path = at ? hs_format("%s/%s", at, name) : NULL;
	if (path && access(path, F_OK)) {
		free(path);
		return NULL;
	}
	return path;
}

static char *find_document(const char *dir, unsigned int levels)
{
	static const char *const names[] = { "run.json", "guest.json", "record.json", "trial.json" };
	char *path = NULL;

	for (size_t i = 0; i < HS_ARRAY_SIZE(names) && !path; i++)
		path = find_beside(dir, levels, names[i]);
	return path;
}

static int find_traces(const char *dir, struct hs_trace_folders *folders, unsigned int *levels)
{
	scoped(mem) char *inside = hs_format("%s/trace", dir);
	int err;

	if (!inside)
		return -ENOMEM;
	if (has_file(dir, "metadata")) {
		*levels = 2;
		return add_trace(folders, strdup(dir));
	}
	*levels = 0;
	err = add_machines(folders, inside);
	if (err || folders->trace_nr)
		return err;
	*levels = 1;
	return add_machines(folders, dir);
}

/* errno tells why not. */
static bool is_readable(const char *dir)
{
	scoped(dir) DIR *opened = opendir(dir);

	return opened != NULL;
}

int hs_trace_find(const char *dir, struct hs_trace_folders **out)
{
	scoped(hs_trace_folders) struct hs_trace_folders *folders = calloc(1, sizeof(*folders));
	unsigned int levels;
	int err = folders ? find_traces(dir, folders, &levels) : -ENOMEM;

	if (err)
		return hs_fail(err, "cannot look for traces in %s:", dir);
	if (!folders->trace_nr && !is_readable(dir))
		return hs_fail(-errno, "cannot open %s:", dir);
	if (!folders->trace_nr)
		return hs_fail(
			-ENOENT,
			"%s holds no trace: name the folder of a recording, of a run, or one with `metadata` in it",
			dir);
	if (folders->trace_nr > 1)
		qsort(folders->traces, folders->trace_nr, sizeof(*folders->traces), compare_traces);
	folders->record = find_beside(dir, levels, "record.json");
	folders->document = find_document(dir, levels);
	*out = take(folders);
	return 0;
}

void hs_trace_folders_free(struct hs_trace_folders *folders)
{
	if (!folders)
		return;
	for (size_t i = 0; i < folders->trace_nr; i++)
		free(folders->traces[i]);
	free(folders->traces);
	free(folders->record);
	free(folders->document);
	free(folders);
}
