/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * UDP as the probing tools need it: the kernel's time of arrival instead of ours, answers that leave from the address
 * that was asked, and every datagram that found no room counted. No state beyond the descriptor.
 */
#ifndef HS_MIGTOOLS_UDP_H
#define HS_MIGTOOLS_UDP_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "migtools/address.h"

/*
 * mig_mon gives its port 12323 without swapping bytes: on the wire it is 9008 where it runs on a little-endian machine,
 * 12323 on a big-endian one.
 */
#define HS_UDP_PORT 9008
#define HS_UDP_PORT_BIG_ENDIAN 12323
/* mig_mon's echo server returns that many bytes at most. */
#define HS_UDP_PAYLOAD_MAX 1024

struct hs_datagram {
	uint8_t bytes[HS_UDP_PAYLOAD_MAX];
	size_t len; /* what was longer is cut */
	struct hs_address from;
	uint64_t arrival_ns; /* BOOTTIME, when the kernel took it from the interface */
	uint32_t dropped;    /* by this socket since it was opened, for want of room */
	int local_level;     /* cmsg level of `local`; 0: not known which address it was sent to */
	union {
		struct in_pktinfo ipv4;
		struct in6_pktinfo ipv6;
	} local;
};

/* A socket on every address of the machine, IPv6 too where there is any. Message on failure. */
int hs_udp_listen(uint16_t port, int *out);
/* A socket to send to peers of the address's family from, not connected. Message on failure. */
int hs_udp_open(const struct hs_address *peer, int *out);

/* The next datagram: 0; -EAGAIN when there is none now; any other error that the network reported. No message. */
int hs_udp_receive(int fd, struct hs_datagram *out);
/* Sends the same bytes back to where they came from, from the address that they were sent to. 0 or -errno. */
int hs_udp_answer(int fd, const struct hs_datagram *datagram);

#endif
