// SPDX-License-Identifier: GPL-2.0-only
/* Called where such a file system is needed: while a capture is opened, VMs are looked for, crash logs are saved. */
#include "base/kernelfs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/scoped.h"

static int open_mounted(const char *path, long magic)
{
	scoped(fd) int fd = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	struct statfs status;

	if (fd < 0 || fstatfs(fd, &status))
		return -errno;
	return status.f_type == magic ? take_fd(&fd) : -ENODEV;
}

static int open_detached(const char *type)
{
	scoped(fd) int context = fsopen(type, FSOPEN_CLOEXEC);
	int fd;

	if (context < 0 || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return -errno;
	fd = fsmount(context, FSMOUNT_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

int hs_kernelfs_open(const char *path, const char *type, long magic)
{
	int fd = open_mounted(path, magic);

	return fd >= 0 ? fd : open_detached(type);
}
