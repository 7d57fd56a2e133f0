// SPDX-License-Identifier: GPL-2.0-only
/*
 * tracefs and debugfs through a mount that is there, or through a detached one that dies with its descriptor:
 * nothing appears in anybody's mount table. Called while a capture is opened, and when VMs are looked for.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/scoped.h"
#include "capture/tracefs.h"

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

int hs_tracefs_open(void)
{
	int fd = open_mounted("/sys/kernel/tracing", TRACEFS_MAGIC);

	return fd >= 0 ? fd : open_detached("tracefs");
}

int hs_debugfs_open(void)
{
	int fd = open_mounted("/sys/kernel/debug", DEBUGFS_MAGIC);

	return fd >= 0 ? fd : open_detached("debugfs");
}

int hs_tracefs_event_id(int tracefs_fd, const char *system, const char *name)
{
	char path[128], text[16] = "";
	ssize_t got;

	snprintf(path, sizeof(path), "events/%s/%s/id", system, name);
	scoped(fd) int fd = openat(tracefs_fd, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	got = read(fd, text, sizeof(text) - 1);
	if (got < 0)
		return -errno;
	return atoi(text) > 0 ? atoi(text) : -EINVAL;
}
