// SPDX-License-Identifier: GPL-2.0-only
/*
 * tracefs and debugfs through a mount that is there, or through a detached one that dies with its descriptor:
 * nothing appears in anybody's mount table. Called while a capture is opened, and when VMs are looked for.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/syscall.h>
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

struct bpf_link *hs_tracefs_attach(int tracefs_fd, const struct bpf_program *program, const char *system,
				   const char *name)
{
	int id = hs_tracefs_event_id(tracefs_fd, system, name);
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr), .config = id };
	scoped(fd) int fd = -1;
	struct bpf_link *link;

	if (id < 0) {
		errno = -id;
		return NULL;
	}
	/* One event on one CPU is the handle; the program then runs on every CPU. */
	fd = syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return NULL;
	link = bpf_program__attach_perf_event(program, fd);
	if (link)
		take_fd(&fd);
	return link;
}
