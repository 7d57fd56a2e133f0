// SPDX-License-Identifier: GPL-2.0-only
/* A guest's only NIC: address, up, and a wait for the carrier, told by rtnetlink. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "guest.h"

#define NIC "eth0"

static int set_address(int sock, unsigned long request, const char *name, in_addr_t address)
{
	struct ifreq ifr = { 0 };
	struct sockaddr_in *in = (struct sockaddr_in *)&ifr.ifr_addr;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = address;
	return ioctl(sock, request, &ifr) < 0 ? -errno : 0;
}

static int set_up(int sock, const char *name)
{
	struct ifreq ifr = { 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(sock, SIOCGIFFLAGS, &ifr) < 0)
		return -errno;
	ifr.ifr_flags |= IFF_UP;
	return ioctl(sock, SIOCSIFFLAGS, &ifr) < 0 ? -errno : 0;
}

/* Not IFF_RUNNING, which the kernel updates up to a second late. */
static bool has_carrier(int sock)
{
	scoped(mem) char *text = NULL;

	(void)sock;
	return hs_read_file("/sys/class/net/" NIC "/carrier", 16, &text, NULL) == 0 && text[0] == '1';
}

/* Every change of any link is reported on `events`; it was subscribed before the first look. */
static int wait_for(int events, int sock, bool (*condition)(int sock))
{
	char bytes[8192];

	while (!condition(sock))
		if (recv(events, bytes, sizeof(bytes), 0) < 0 && errno != EINTR && errno != ENOBUFS)
			return -errno;
	return 0;
}

static bool exists(int sock)
{
	struct ifreq ifr = { .ifr_name = NIC };

	return ioctl(sock, SIOCGIFINDEX, &ifr) == 0;
}

static int configure(int sock, int events, const char *address)
{
	unsigned prefix = 24;
	char host[32] = "";
	struct in_addr in;
	int err;

	if (sscanf(address, "%31[0-9.]/%u", host, &prefix) < 1 || !inet_aton(host, &in) || prefix < 1 || prefix > 32)
		return -EINVAL;
	err = wait_for(events, sock, exists);
	if (!err)
		err = set_address(sock, SIOCSIFADDR, NIC, in.s_addr);
	if (!err)
		err = set_address(sock, SIOCSIFNETMASK, NIC, htonl(~0u << (32 - prefix)));
	if (!err)
		err = set_up(sock, NIC);
	return err ? err : wait_for(events, sock, has_carrier);
}

int guest_net_up(const char *address)
{
	struct sockaddr_nl group = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	scoped(fd) int events = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	scoped(fd) int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err;

	if (events < 0 || sock < 0 || bind(events, (struct sockaddr *)&group, sizeof(group)) < 0)
		err = -errno;
	else
		err = set_up(sock, "lo");
	if (!err && *address)
		err = configure(sock, events, address);
	if (err)
		guest_say("cannot bring up " NIC " with '%s': %s", address, strerror(-err));
	return err;
}
