// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sockets with time stamps and packet information. Stamps are CLOCK_REALTIME; each is turned into BOOTTIME by the time
 * that has passed since, so a step of the clock spoils only what waits in the socket at that moment.
 */
#include "migtools/udp.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/scoped.h"

#define BUFFER_BYTES (4 << 20)
#define NS_PER_S 1000000000

static void set_option(int fd, int level, int option, int value)
{
	/* What the kernel does not have is done without: no stamp, no count. */
	if (setsockopt(fd, level, option, &value, sizeof(value)) < 0)
		hs_dbg("socket option %d/%d: %s", level, option, strerror(errno));
}

static int open_socket(int family, int *out)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	set_option(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	set_option(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
	/* For what piles up while the other end, or the link, or this process stands still. */
	set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES);
	set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_BYTES);
	*out = fd;
	return 0;
}

int hs_udp_open(const struct hs_address *peer, int *out)
{
	int err = open_socket(peer->sa.ss_family, out);

	return err ? hs_fail(err, "cannot create a UDP socket:") : 0;
}

static int listen_on(int family, uint16_t port, int *out)
{
	struct sockaddr_in6 any6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in any4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	scoped(fd) int fd = -1;
	bool is_6 = family == AF_INET6;
	int err = open_socket(family, &fd);

	if (err)
		return err;
	if (is_6)
		set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	set_option(fd, is_6 ? IPPROTO_IPV6 : IPPROTO_IP, is_6 ? IPV6_RECVPKTINFO : IP_PKTINFO, 1);
	if (bind(fd, is_6 ? (void *)&any6 : (void *)&any4, is_6 ? sizeof(any6) : sizeof(any4)) < 0)
		return -errno;
	*out = take_fd(&fd);
	return 0;
}

int hs_udp_listen(uint16_t port, int *out)
{
	int err = listen_on(AF_INET6, port, out);

	if (err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL)
		err = listen_on(AF_INET, port, out);
	return err ? hs_fail(err, "cannot listen on UDP port %u:", port) : 0;
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static uint64_t to_boottime(const struct timespec *stamp)
{
	int64_t age_ns = clock_ns(CLOCK_REALTIME) - ((int64_t)stamp->tv_sec * NS_PER_S + stamp->tv_nsec);

	return (uint64_t)(clock_ns(CLOCK_BOOTTIME) - (age_ns > 0 ? age_ns : 0));
}

static void read_control(struct hs_datagram *datagram, struct msghdr *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		const void *data = CMSG_DATA(c);
		struct timespec stamp;

		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
			memcpy(&stamp, data, sizeof(stamp));
			datagram->arrival_ns = to_boottime(&stamp);
		} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
			memcpy(&datagram->dropped, data, sizeof(datagram->dropped));
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			datagram->local_level = IPPROTO_IPV6;
			memcpy(&datagram->local.ipv6, data, sizeof(datagram->local.ipv6));
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			datagram->local_level = IPPROTO_IP;
			memcpy(&datagram->local.ipv4, data, sizeof(datagram->local.ipv4));
		}
	}
}

int hs_udp_receive(int fd, struct hs_datagram *out)
{
	union {
		char bytes[256];
		struct cmsghdr align;
	} control;
	struct iovec iov = { out->bytes, sizeof(out->bytes) };
	struct msghdr message = {
		.msg_name = &out->from.sa,
		.msg_namelen = sizeof(out->from.sa),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t len = recvmsg(fd, &message, 0);

	if (len < 0)
		return -errno;
	out->len = (size_t)len;
	out->from.len = message.msg_namelen;
	out->arrival_ns = 0;
	out->dropped = 0;
	out->local_level = 0;
	read_control(out, &message);
	if (!out->arrival_ns)
		out->arrival_ns = (uint64_t)clock_ns(CLOCK_BOOTTIME);
	return 0;
}

/* The address alone: the way back is the routing table's to choose. */
static void add_source(struct msghdr *message, const struct hs_datagram *datagram)
{
	struct in_pktinfo ipv4 = { .ipi_spec_dst = datagram->local.ipv4.ipi_spec_dst };
	struct in6_pktinfo ipv6 = { .ipi6_addr = datagram->local.ipv6.ipi6_addr };
	bool is_6 = datagram->local_level == IPPROTO_IPV6;
	struct cmsghdr *c = CMSG_FIRSTHDR(message);

	c->cmsg_level = datagram->local_level;
	c->cmsg_type = is_6 ? IPV6_PKTINFO : IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(is_6 ? sizeof(ipv6) : sizeof(ipv4));
	memcpy(CMSG_DATA(c), is_6 ? (void *)&ipv6 : (void *)&ipv4, is_6 ? sizeof(ipv6) : sizeof(ipv4));
	message->msg_controllen = CMSG_SPACE(is_6 ? sizeof(ipv6) : sizeof(ipv4));
}

int hs_udp_answer(int fd, const struct hs_datagram *datagram)
{
	union {
		char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
		struct cmsghdr align;
	} control = { .bytes = { 0 } };
	struct iovec iov = { (void *)datagram->bytes, datagram->len };
	struct msghdr message = {
		.msg_name = (void *)&datagram->from.sa,
		.msg_namelen = datagram->from.len,
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};

	if (datagram->local_level)
		add_source(&message, datagram);
	else
		message.msg_control = NULL, message.msg_controllen = 0;
	return sendmsg(fd, &message, 0) < 0 ? -errno : 0;
}
