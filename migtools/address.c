// SPDX-License-Identifier: GPL-2.0-only
/*
 * Names to addresses and back. In the static program the C library needs no file of its own for literals, /etc/hosts
 * and DNS; only other services of nsswitch.conf are not there.
 */
#include "migtools/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/scoped.h"

static inline void free_addresses(struct addrinfo *addresses)
{
	if (addresses)
		freeaddrinfo(addresses);
}

HS_SCOPED(addresses, struct addrinfo *, free_addresses)

int hs_address_resolve(const char *host, uint16_t port, int socktype, struct hs_address *out)
{
	struct addrinfo hints = { .ai_socktype = socktype };
	scoped(addresses) struct addrinfo *found = NULL;
	char service[8];
	int error;

	snprintf(service, sizeof(service), "%u", port);
	error = getaddrinfo(host, service, &hints, &found);
	if (error == EAI_SYSTEM)
		return hs_fail(-errno, "cannot look up the address of '%s':", host);
	if (error)
		return hs_fail(-EHOSTUNREACH, "'%s' is no address, and no name that can be looked up: %s", host,
			       gai_strerror(error));
	*out = (struct hs_address){ .len = found->ai_addrlen };
	memcpy(&out->sa, found->ai_addr, found->ai_addrlen);
	return 0;
}

static const char *format_ipv6(char *text, size_t size, const struct sockaddr_in6 *in6)
{
	char name[IF_NAMESIZE];
	size_t len;

	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		inet_ntop(AF_INET, in6->sin6_addr.s6_addr + 12, text, (socklen_t)size);
		return text;
	}
	inet_ntop(AF_INET6, &in6->sin6_addr, text, (socklen_t)size);
	len = strlen(text);
	if (in6->sin6_scope_id && if_indextoname(in6->sin6_scope_id, name))
		snprintf(text + len, size - len, "%%%s", name);
	else if (in6->sin6_scope_id)
		snprintf(text + len, size - len, "%%%u", in6->sin6_scope_id);
	return text;
}

const char *hs_address_format(char *text, size_t size, const struct hs_address *address)
{
	if (address->sa.ss_family == AF_INET6)
		return format_ipv6(text, size, (const struct sockaddr_in6 *)&address->sa);
	text[0] = '\0';
	if (address->sa.ss_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)&address->sa)->sin_addr, text, (socklen_t)size);
	return text;
}

uint16_t hs_address_port(const struct hs_address *address)
{
	if (address->sa.ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)&address->sa)->sin6_port);
	if (address->sa.ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)&address->sa)->sin_port);
	return 0;
}
