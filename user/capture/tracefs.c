// SPDX-License-Identifier: GPL-2.0-only
/*
 * tracefs through a mount that is there, or through a detached one that dies with its descriptor: nothing
 * appears in anybody's mount table. Called while a capture is opened.
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

static int open_mounted(void)
{
	scoped(fd) int fd = open("/sys/kernel/tracing", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	struct statfs status;

	if (fd < 0 || fstatfs(fd, &status))
		return -errno;
	return status.f_type == TRACEFS_MAGIC ? take_fd(&fd) : -ENODEV;
}

static int open_detached(void)
{
	scoped(fd) int context = fsopen("tracefs", FSOPEN_CLOEXEC);
	int fd;

	if (context < 0 || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return -errno;
	fd = fsmount(context, FSMOUNT_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

int hs_tracefs_open(void)
{
	int fd = open_mounted();

	return fd >= 0 ? fd : open_detached();
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
