// SPDX-License-Identifier: GPL-2.0-only
/*
 * The files behind machines' crash memories. Made by the lab before a machine's first start; looked at when a dead lab
 * is swept away. Main thread.
 */
#include "crash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "base/scoped.h"

int hs_crash_memory_make(const char *dir, const char *machine)
{
	scoped(mem) char *path = hs_format("%s/%s" HS_CRASH_SUFFIX, dir, machine);
	scoped(fd) int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
	int err = fd < 0 ? errno : posix_fallocate(fd, 0, HS_CRASH_BYTES);

	if (!path)
		return -ENOMEM;
	return err ? hs_fail(-err, "cannot make %s, the crash memory of %s:", path, machine) : 0;
}

/* A zone begins with signature, start and size, of 4 bytes each (journal/ramoops.h): what is not empty is not judged.
 */
static bool has_dump(int dir_fd, const char *name)
{
	scoped(fd) int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	uint32_t header[3];

	for (unsigned i = 0; fd >= 0 && i < HS_CRASH_DUMPS; i++)
		if (pread(fd, header, sizeof(header), (off_t)i * HS_CRASH_ZONE_BYTES) == sizeof(header) && header[2])
			return true;
	return false;
}

bool hs_crash_is_left(const char *dir)
{
	scoped(dir) DIR *entries = opendir(dir);
	size_t suffix = strlen(HS_CRASH_SUFFIX);
	struct dirent *entry;

	while (entries && (entry = readdir(entries))) {
		size_t len = strlen(entry->d_name);

		if (len > suffix && !strcmp(entry->d_name + len - suffix, HS_CRASH_SUFFIX) &&
		    has_dump(dirfd(entries), entry->d_name))
			return true;
	}
	return false;
}

void hs_crash_link_set(const char *dir)
{
	unlink(HS_CRASH_LINK ".new");
	if (symlink(dir, HS_CRASH_LINK ".new") < 0 || rename(HS_CRASH_LINK ".new", HS_CRASH_LINK) < 0)
		hs_dbg("cannot set " HS_CRASH_LINK ": %s", strerror(errno));
}
