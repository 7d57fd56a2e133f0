// SPDX-License-Identifier: GPL-2.0-only
/* Stamps of sent bytes come through the socket's error queue, those of read ones beside the bytes. */
#include "migtools/stream_socket.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "base/log.h"
#include "base/scoped.h"

#define BACKLOG 64
#define KEEPALIVE_IDLE_S 10
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_PROBES 4

union stamp_control {
	char bytes[CMSG_SPACE(sizeof(struct scm_timestamping)) + CMSG_SPACE(sizeof(struct sock_extended_err) + 32)];
	struct cmsghdr align;
};

uint64_t hs_stream_realtime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* A connect() under way ends well, fails, or takes too long. */
static int await_connection(int fd, uint64_t timeout_ns)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };
	int error = 0, count;
	socklen_t len = sizeof(error);

	do
		count = poll(&poll_fd, 1, (int)(timeout_ns / 1000000u));
	while (count < 0 && errno == EINTR);
	if (count <= 0)
		return count < 0 ? -errno : -ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	return -error;
}

int hs_stream_connect(const struct hs_address *address, uint64_t timeout_ns, int *out)
{
	scoped(fd) int fd = socket(address->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char text[HS_ADDRESS_TEXT_MAX];
	int err = 0;

	if (fd < 0)
		return hs_fail(-errno, "cannot create a socket:");
	if (connect(fd, (const struct sockaddr *)&address->sa, address->len) < 0)
		err = errno == EINPROGRESS ? await_connection(fd, timeout_ns) : -errno;
	if (err)
		return hs_fail(err,
			       "cannot connect to %s, TCP port %u:", hs_address_format(text, sizeof(text), address),
			       hs_address_port(address));
	*out = take_fd(&fd);
	return 0;
}

static int bind_all(uint16_t port, int *out)
{
	struct sockaddr_in6 any6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in any4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	scoped(fd) int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool has_ipv6 = fd >= 0 && !set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);

	if (!has_ipv6) { /* a kernel without IPv6 */
		fd_scoped(&fd);
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	}
	if (fd < 0)
		return -errno;
	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (has_ipv6 ? bind(fd, (struct sockaddr *)&any6, sizeof(any6))
		     : bind(fd, (struct sockaddr *)&any4, sizeof(any4)))
		return -errno;
	*out = take_fd(&fd);
	return 0;
}

static int bind_one(const struct hs_address *address, int *out)
{
	scoped(fd) int fd = socket(address->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (bind(fd, (const struct sockaddr *)&address->sa, address->len) < 0)
		return -errno;
	*out = take_fd(&fd);
	return 0;
}

int hs_stream_listen(const struct hs_address *address, uint16_t port, int *out)
{
	scoped(fd) int fd = -1;
	int err = address ? bind_one(address, &fd) : bind_all(port, &fd);

	if (!err && listen(fd, BACKLOG) < 0)
		err = -errno;
	if (err)
		return hs_fail(err, "cannot listen on TCP port %u:", port);
	*out = take_fd(&fd);
	return 0;
}

void hs_stream_tune(int fd, uint32_t unsent_bytes)
{
	/* Each one makes it better; none is needed. */
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
	set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
	if (unsent_bytes)
		set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, (int)unsent_bytes);
}

bool hs_stream_stamp(int fd)
{
	return !set_option(fd, SOL_SOCKET, SO_TIMESTAMPING,
			   SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_OPT_TSONLY);
}

static uint64_t find_stamp(struct msghdr *message)
{
	struct scm_timestamping stamps;

	for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control; control = CMSG_NXTHDR(message, control))
		if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_TIMESTAMPING) {
			memcpy(&stamps, CMSG_DATA(control), sizeof(stamps));
			return (uint64_t)stamps.ts[0].tv_sec * 1000000000u + (uint64_t)stamps.ts[0].tv_nsec;
		}
	return 0;
}

ssize_t hs_stream_receive(int fd, void *bytes, size_t size, int flags, uint64_t *arrival_ns)
{
	struct iovec piece = { .iov_base = bytes, .iov_len = size };
	union stamp_control control;
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
	ssize_t got;

	do {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control);
		got = recvmsg(fd, &message, flags);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	*arrival_ns = find_stamp(&message);
	return got;
}

ssize_t hs_stream_send(int fd, struct iovec *pieces, size_t count, bool is_stamped)
{
	union {
		char bytes[CMSG_SPACE(sizeof(uint32_t))];
		struct cmsghdr align;
	} control = { 0 };
	const uint32_t stamp = SOF_TIMESTAMPING_TX_SOFTWARE;
	struct msghdr message = { .msg_iov = pieces, .msg_iovlen = count };
	ssize_t sent;

	if (is_stamped) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control);
		control.align = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(stamp)),
						  .cmsg_level = SOL_SOCKET,
						  .cmsg_type = SO_TIMESTAMPING };
		memcpy(CMSG_DATA(&control.align), &stamp, sizeof(stamp));
	}
	do
		sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

uint64_t hs_stream_departure(int fd)
{
	uint64_t newest_ns = 0;

	for (;;) {
		union stamp_control control;
		struct msghdr message = { .msg_control = control.bytes, .msg_controllen = sizeof(control) };
		uint64_t stamp_ns;

		if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
			return newest_ns;
		stamp_ns = find_stamp(&message);
		if (stamp_ns)
			newest_ns = stamp_ns;
	}
}

uint64_t hs_stream_unacknowledged(int fd)
{
	int bytes = 0;

	return ioctl(fd, SIOCOUTQ, &bytes) < 0 ? 0 : (uint64_t)bytes;
}
