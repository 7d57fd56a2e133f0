// SPDX-License-Identifier: GPL-2.0-only
/* Opening ports. Called when the agent starts and whenever something appears where ports are. */
#include "agent/port.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/io.h"
#include "base/scoped.h"

#define SYS_PORTS "/sys/class/virtio-ports/*/name"

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	scoped(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return -errno;
	return take_fd(&fd);
}

static int open_path(const char *path, struct hs_port *out)
{
	struct stat status;
	int fd;

	if (stat(path, &status))
		return -errno;
	if (S_ISSOCK(status.st_mode))
		fd = connect_to(path);
	else
		fd = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return S_ISSOCK(status.st_mode) ? fd : -errno;
	*out = (struct hs_port){ .fd = fd,
				 .answers = !S_ISFIFO(status.st_mode),
				 .hangs_up_for_good = S_ISSOCK(status.st_mode) };
	return 0;
}

/* /sys/class/virtio-ports/vport1p2/name holds the name that the host gave the port /dev/vport1p2. */
static int open_device(const char *name, struct hs_port *out)
{
	glob_t found;
	int err = -ENOENT;

	if (glob(SYS_PORTS, 0, NULL, &found))
		return -ENOENT;
	for (size_t i = 0; i < found.gl_pathc && err == -ENOENT; i++) {
		scoped(mem) char *text = NULL, *path = NULL;
		char *device = found.gl_pathv[i] + strlen(SYS_PORTS) - strlen("*/name");

		if (hs_read_file(found.gl_pathv[i], 256, &text, NULL))
			continue;
		text[strcspn(text, "\n")] = '\0';
		if (strcmp(text, name))
			continue;
		path = hs_format("/dev/%.*s", (int)strcspn(device, "/"), device);
		err = path ? open_path(path, out) : -ENOMEM;
	}
	globfree(&found);
	return err;
}

int hs_port_open(const char *dir, const char *name, struct hs_port *out)
{
	scoped(mem) char *path = hs_format("%s/%s", dir ? dir : HS_PORTS_DIR, name);
	int err = path ? open_path(path, out) : -ENOMEM;

	return err == -ENOENT && !dir ? open_device(name, out) : err;
}

int hs_port_open_stdout(void)
{
	struct stat status;
	int fd;

	if (fstat(STDOUT_FILENO, &status))
		return -errno;
	/* A pipe opened anew has flags of its own; a file would begin at its start again. */
	fd = S_ISFIFO(status.st_mode) ? open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_CLOEXEC)
				      : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? -errno : fd;
}
