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

#include "base/log.h"
#include "base/scoped.h"

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

int hs_netns_inum(uint32_t *inum)
{
	struct stat netns;

	if (stat("/proc/self/ns/net", &netns))
		return hs_fail(-errno, "cannot tell the network namespace:");
	*inum = (uint32_t)netns.st_ino;
	return 0;
}
