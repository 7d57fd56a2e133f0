// SPDX-License-Identifier: GPL-2.0-only
/* What the kernel says of interfaces: for who watches taps. */
#include "capture/tap.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/log.h"
#include "base/scoped.h"
#include "capture/capture.h"

#define FDINFO_BYTES_MAX 4096

bool hs_tap_is(const char *name)
{
	struct ethtool_drvinfo driver = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq request = { .ifr_data = (void *)&driver };
	scoped(fd) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(name) >= sizeof(request.ifr_name))
		return false;
	strcpy(request.ifr_name, name);
	return !ioctl(fd, SIOCETHTOOL, &request) && !strcmp(driver.driver, "tun") && !strcmp(driver.bus_info, "tap");
}

/* A descriptor of /dev/net/tun tells its interface: "iff:\ttap0" in its fdinfo (drivers/net/tun.c). */
static bool is_of_tap(pid_t tgid, const char *fd, const char *name)
{
	scoped(mem) char *path = hs_format("/proc/%d/fdinfo/%s", tgid, fd);
	scoped(mem) char *line = hs_format("\niff:\t%s\n", name);
	scoped(mem) char *text = NULL;

	return path && line && !hs_read_file(path, FDINFO_BYTES_MAX, &text, NULL) && strstr(text, line);
}

bool hs_tap_is_held(pid_t tgid, const char *name)
{
	scoped(mem) char *path = hs_format("/proc/%d/fd", tgid);
	scoped(dir) DIR *dir = path ? opendir(path) : NULL;
	struct dirent *entry;
	char target[32];

	while (dir && (entry = readdir(dir))) {
		ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

		if (len <= 0)
			continue;
		target[len] = '\0';
		if (!strcmp(target, "/dev/net/tun") && is_of_tap(tgid, entry->d_name, name))
			return true;
	}
	return false;
}

int hs_netns_inum(uint32_t *inum)
{
	struct stat netns;

	if (stat("/proc/self/ns/net", &netns))
		return hs_fail(-errno, "cannot tell the network namespace:");
	*inum = (uint32_t)netns.st_ino;
	return 0;
}

static bool is_watched(const struct hs_capture *capture, unsigned int ifindex)
{
	struct hs_capture_tap_counts counts;

	for (size_t i = 0; !hs_capture_tap_counts(capture, i, &counts); i++)
		if (counts.ifindex == ifindex)
			return true;
	return false;
}

int hs_taps_watch_new(struct hs_capture *capture)
{
	struct if_nameindex *interfaces;
	uint32_t netns_inum;
	int err = hs_netns_inum(&netns_inum);

	if (err)
		return err;
	interfaces = if_nameindex();
	for (struct if_nameindex *at = interfaces; at && at->if_index && !err; at++) {
		if (is_watched(capture, at->if_index) || !hs_tap_is(at->if_name))
			continue;
		err = hs_capture_watch_tap(capture, netns_inum, at->if_index, (uint16_t)hs_capture_tap_nr(capture),
					   HS_ROLE_OTHER);
		if (!err)
			hs_dbg("the capture watches %s", at->if_name);
	}
	if_freenameindex(interfaces);
	return err;
}
