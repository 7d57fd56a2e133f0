// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device events come by netlink from the kernel itself, so that it works without udev too; a folder of links or FIFOs
 * is watched by inotify, its parent while it is not there.
 */
#include "agent/watch.h"

#include <errno.h>
#include <libgen.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

#define KERNEL_GROUP 1
#define DIR_EVENTS (IN_CREATE | IN_ATTRIB | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF)

struct hs_port_watch {
	struct hs_loop *loop;
	void (*on_change)(void *ctx);
	void *ctx;
	char *dir;
	struct hs_watch devices, folder;
	int folder_wd, parent_wd;
};

/* Again and again: a watch that exists is the same watch. */
static void watch_folder(struct hs_port_watch *watch)
{
	scoped(mem) char *copy = strdup(watch->dir);

	if (watch->folder.fd < 0 || !copy)
		return;
	if (inotify_add_watch(watch->folder.fd, watch->dir, DIR_EVENTS) < 0)
		inotify_add_watch(watch->folder.fd, dirname(copy), DIR_EVENTS);
}

static void on_folder(void *ctx, uint32_t events)
{
	struct hs_port_watch *watch = ctx;
	char bytes[4096];

	(void)events;
	while (read(watch->folder.fd, bytes, sizeof(bytes)) > 0)
		;
	watch_folder(watch);
	watch->on_change(watch->ctx);
}

/* "add@/devices/.../virtio-ports/vport1p2", "online@/devices/system/cpu/cpu1" */
static void on_devices(void *ctx, uint32_t events)
{
	struct hs_port_watch *watch = ctx;
	bool is_ours = false;
	char text[4096];
	ssize_t got;

	(void)events;
	while ((got = recv(watch->devices.fd, text, sizeof(text) - 1, 0)) >= 0 || errno == ENOBUFS) {
		text[got < 0 ? 0 : got] = '\0';
		is_ours = is_ours || got < 0 || strstr(text, "virtio-ports") || strstr(text, "/cpu/cpu");
	}
	if (is_ours)
		watch->on_change(watch->ctx);
}

static int open_devices(struct hs_port_watch *watch)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP };
	scoped(fd) int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	int err;

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)))
		return hs_fail(-errno, "cannot listen to the kernel's device events:");
	err = hs_loop_add(watch->loop, &watch->devices, fd, EPOLLIN, on_devices, watch);
	if (!err)
		take_fd(&fd);
	return err;
}

static int open_folder(struct hs_port_watch *watch)
{
	scoped(fd) int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	int err;

	if (fd < 0)
		return hs_fail(-errno, "cannot watch %s:", watch->dir);
	err = hs_loop_add(watch->loop, &watch->folder, fd, EPOLLIN, on_folder, watch);
	if (err)
		return err;
	take_fd(&fd);
	watch_folder(watch);
	return 0;
}

int hs_port_watch_open(struct hs_loop *loop, const char *dir, void (*on_change)(void *ctx), void *ctx,
		       struct hs_port_watch **out)
{
	scoped(hs_port_watch) struct hs_port_watch *watch = calloc(1, sizeof(*watch));
	int err;

	if (!watch)
		return -ENOMEM;
	watch->loop = loop;
	watch->on_change = on_change;
	watch->ctx = ctx;
	watch->devices = watch->folder = HS_WATCH_NONE;
	watch->dir = strdup(dir);
	if (!watch->dir)
		return -ENOMEM;
	err = open_devices(watch);
	if (!err)
		err = open_folder(watch);
	if (!err)
		*out = take(watch);
	return err;
}

void hs_port_watch_free(struct hs_port_watch *watch)
{
	if (!watch)
		return;
	hs_loop_close(watch->loop, &watch->devices);
	hs_loop_close(watch->loop, &watch->folder);
	free(watch->dir);
	free(watch);
}
