/* SPDX-License-Identifier: GPL-2.0-only */
/* Addresses of peers: a name or an IPv4 or IPv6 literal, and a port. No state; any thread. */
#ifndef HS_MIGTOOLS_ADDRESS_H
#define HS_MIGTOOLS_ADDRESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct hs_address {
	struct sockaddr_storage sa;
	socklen_t len;
};

#define HS_ADDRESS_TEXT_MAX 80

/*
 * The first address that the resolver gives for the host ("172.16.0.1", "fe80::1%eth0", "guest.example"); socktype is
 * SOCK_DGRAM or SOCK_STREAM. Message on failure: -EHOSTUNREACH when there is no such name.
 */
int hs_address_resolve(const char *host, uint16_t port, int socktype, struct hs_address *out);

/* "172.16.0.1", "fe80::1%eth0"; an IPv4 address inside an IPv6 one is shown as IPv4. Returns text. */
const char *hs_address_format(char *text, size_t size, const struct hs_address *address);

/* In host byte order; 0 of an address that has none. */
uint16_t hs_address_port(const struct hs_address *address);

#endif
