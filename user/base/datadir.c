// SPDX-License-Identifier: GPL-2.0-only
/* Looks beside the running program first: what was just built goes with its own files. */
#include "datadir.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "scoped.h"

#ifndef HS_DATADIR
#define HS_DATADIR "/usr/local/share/hsbpf"
#endif

static char *absolute_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, R_OK) == 0 ? realpath(path, NULL) : NULL;
}

char *hs_datadir_find(const char *name, const char *folder, const char *suffix)
{
	char exe[4096] = "";
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	scoped(mem) char *beside = NULL, *installed = NULL;
	char *found = absolute_file(name);

	if (found || strchr(name, '/'))
		return found;
	if (len > 0 && strrchr(exe, '/'))
		*strrchr(exe, '/') = '\0';
	beside = hs_format("%s/../%s/%s.%s", exe, folder, name, suffix);
	installed = hs_format(HS_DATADIR "/%s.%s", name, suffix);
	found = beside ? absolute_file(beside) : NULL;
	return found || !installed ? found : absolute_file(installed);
}
