// SPDX-License-Identifier: GPL-2.0-only
/*
 * Gives virtio-serial ports their names below /dev/virtio-ports, as udev does elsewhere. A port is announced by
 * its device after its driver has loaded, and its name later still, so the kernel's announcements are listened
 * to from before the first look. Runs in PID 1's loop.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "guest.h"
#include "orchestrate/ports.h"

#define PORTS_CLASS "/sys/class/virtio-ports"

static struct hs_watch announcements = HS_WATCH_NONE;

/* The name is what QEMU's command line gave; a slash in it would leave the folder. */
static void link_port(const char *device)
{
	scoped(mem) char *name_file = hs_format(PORTS_CLASS "/%s/name", device);
	scoped(mem) char *node = hs_format("/dev/%s", device);
	scoped(mem) char *name = NULL, *link = NULL;

	if (!name_file || !node || hs_read_file(name_file, 256, &name, NULL))
		return; /* no name yet: its announcement comes */
	name[strcspn(name, "\n")] = '\0';
	if (!*name || *name == '.' || strchr(name, '/'))
		return;
	link = hs_format(HS_GUEST_PORTS_DIR "/%s", name);
	if (link && symlink(node, link) < 0 && errno != EEXIST)
		guest_say("cannot name port %s: %s", name, strerror(errno));
}

static void link_all(void)
{
	scoped(dir) DIR *dir = opendir(PORTS_CLASS);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			link_port(entry->d_name);
}

static void on_announcement(void *ctx, uint32_t events)
{
	char text[8192];

	(void)ctx, (void)events;
	while (recv(announcements.fd, text, sizeof(text), MSG_DONTWAIT) > 0 || errno == ENOBUFS || errno == EINTR)
		continue;
	link_all();
}

int guest_ports_open(struct hs_loop *loop)
{
	struct sockaddr_nl group = { .nl_family = AF_NETLINK, .nl_groups = 1 }; /* 1: from the kernel itself */
	scoped(fd) int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	int err;

	mkdir(HS_GUEST_PORTS_DIR, 0755);
	if (fd < 0 || bind(fd, (struct sockaddr *)&group, sizeof(group)) < 0)
		return -errno;
	err = hs_loop_add(loop, &announcements, fd, EPOLLIN, on_announcement, NULL);
	if (err)
		return err;
	take_fd(&fd);
	link_all();
	return 0;
}
