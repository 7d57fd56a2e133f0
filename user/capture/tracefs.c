// SPDX-License-Identifier: GPL-2.0-only
/* tracefs and debugfs. Called while a capture is opened, and when VMs are looked for. */
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/kernelfs.h"
#include "base/scoped.h"
#include "capture/tracefs.h"

int hs_tracefs_open(void)
{
	return hs_kernelfs_open("/sys/kernel/tracing", "tracefs", TRACEFS_MAGIC);
}

int hs_debugfs_open(void)
{
	return hs_kernelfs_open("/sys/kernel/debug", "debugfs", DEBUGFS_MAGIC);
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
