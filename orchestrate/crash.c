// SPDX-License-Identifier: GPL-2.0-only
/* Makes the file behind a machine's crash memory. Called by the lab before the machine's first start; main thread. */
#include "crash.h"

#include <errno.h>
#include <fcntl.h>

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
