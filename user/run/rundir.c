// SPDX-License-Identifier: GPL-2.0-only
/* Names and creates the files of a run. Main thread, before anything is started. */
#include "rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/io.h"
#include "base/log.h"
#include "base/unit.h"
#include "collector.h"

#define START_BYTES (4 * HS_COLLECTOR_DISK_RESERVE)

static int name_parts(struct hs_rundir *rundir, const char *stem)
{
	rundir->log = hs_format("%s.txt", stem);
	rundir->dir = hs_format("%s", stem);
	rundir->console = hs_format("%s/console", stem);
	rundir->workload = hs_format("%s/workload", stem);
	rundir->trace = hs_format("%s/trace", stem);
	rundir->last = hs_format("%s/last", stem);
	rundir->journal = hs_format("%s/log", stem);
	rundir->document = hs_format("%s/run.json", stem);
	return rundir->log && rundir->dir && rundir->console && rundir->workload && rundir->trace && rundir->last &&
			       rundir->journal && rundir->document
		       ? 0
		       : -ENOMEM;
}

/* QEMU runs elsewhere and splits its options at commas. */
static char *absolute(const char *path)
{
	char cwd[PATH_MAX];

	if (strchr(path, ',')) {
		hs_err("--out %s: a comma cannot be in the path, since QEMU splits its options there", path);
		return NULL;
	}
	if (path[0] == '/')
		return strdup(path);
	return getcwd(cwd, sizeof(cwd)) ? hs_format("%s/%s", cwd, path) : NULL;
}

int hs_rundir_name(const char *out, const char *prefix, unsigned number, struct hs_rundir **out_rundir)
{
	scoped(hs_rundir) struct hs_rundir *rundir = calloc(1, sizeof(*rundir));
	scoped(mem) char *stem = NULL;
	int err;

	if (!*prefix || strchr(prefix, '/') || strchr(prefix, ','))
		return hs_fail(-EINVAL, "--log-prefix '%s' is not a file name: it is empty or has '/' or ','", prefix);
	if (rundir)
		rundir->out = absolute(out);
	if (!rundir || !rundir->out)
		return -EINVAL;
	stem = hs_format("%s/%s_%u", rundir->out, prefix, number);
	err = stem ? name_parts(rundir, stem) : -ENOMEM;
	if (!err)
		*out_rundir = take(rundir);
	return err;
}

static void cut_suffix(char *text, const char *suffix)
{
	size_t len = strlen(text), cut = strlen(suffix);

	if (len > cut && !strcmp(text + len - cut, suffix))
		text[len - cut] = '\0';
}

int hs_rundir_find(const char *path, struct hs_rundir **out_rundir)
{
	scoped(hs_rundir) struct hs_rundir *rundir = calloc(1, sizeof(*rundir));
	scoped(mem) char *stem = strdup(path);
	int err = rundir && stem ? 0 : -ENOMEM;

	if (err)
		return err;
	cut_suffix(stem, "/run.json");
	cut_suffix(stem, "/");
	cut_suffix(stem, ".txt");
	err = name_parts(rundir, stem);
	if (!err && access(rundir->document, R_OK) < 0)
		return hs_fail(-errno, "%s is not a run: cannot read %s:", path, rundir->document);
	if (!err)
		*out_rundir = take(rundir);
	return err;
}

int hs_rundir_check_free(const struct hs_rundir *rundir)
{
	const char *paths[] = { rundir->log, rundir->dir };

	for (size_t i = 0; i < HS_ARRAY_SIZE(paths); i++)
		if (access(paths[i], F_OK) == 0)
			return hs_fail(-EEXIST,
				       "%s is there already: this folder holds that run; give another --out or "
				       "--log-prefix, or remove it",
				       paths[i]);
	return 0;
}

static int check_room(const char *path)
{
	struct statvfs fs;
	char have[32], need[32];

	if (statvfs(path, &fs) < 0 || (uint64_t)fs.f_bavail * fs.f_frsize >= START_BYTES)
		return 0;
	return hs_fail(-ENOSPC, "the disk of %s is too full: %s are free, a run needs %s to start with", path,
		       hs_format_bytes(have, sizeof(have), (uint64_t)fs.f_bavail * fs.f_frsize),
		       hs_format_bytes(need, sizeof(need), START_BYTES));
}

int hs_rundir_create(const struct hs_rundir *rundir)
{
	scoped(fd) int log = -1;
	int err = hs_make_dirs(rundir->out);

	if (!err)
		err = check_room(rundir->out);
	if (!err)
		err = hs_make_dirs(rundir->console);
	if (!err)
		err = hs_make_dirs(rundir->workload);
	if (!err)
		err = hs_make_dirs(rundir->last);
	if (err)
		return err;
	log = open(rundir->log, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return log < 0 ? hs_fail(-errno, "cannot create %s:", rundir->log) : 0;
}

void hs_rundir_free(struct hs_rundir *rundir)
{
	if (!rundir)
		return;
	free(rundir->out);
	free(rundir->log);
	free(rundir->dir);
	free(rundir->console);
	free(rundir->workload);
	free(rundir->trace);
	free(rundir->last);
	free(rundir->journal);
	free(rundir->document);
	free(rundir);
}
