/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TCP sockets of `vm`: made, tuned, and read and written with the kernel's time stamps, which tell how long a request
 * or an answer lay in a queue of ours. Stamps are CLOCK_REALTIME ns, 0: none. A socket belongs to one thread.
 */
#ifndef HS_MIGTOOLS_STREAM_SOCKET_H
#define HS_MIGTOOLS_STREAM_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "migtools/address.h"

/* Connects within timeout_ns. Message on failure. */
int hs_stream_connect(const struct hs_address *address, uint64_t timeout_ns, int *fd);

/* Listens on the address, or on every one, IPv6 and IPv4, when it is NULL. Message on failure. */
int hs_stream_listen(const struct hs_address *address, uint16_t port, int *fd);

/*
 * No waiting for more bytes before a segment leaves; a dead host is noticed within half a minute; what is handed over
 * and not sent yet stays below unsent_bytes (0: as much as the kernel takes), so that an answer finds a short queue.
 */
void hs_stream_tune(int fd, uint32_t unsent_bytes);

/* Switches stamps of what is read on. False where the kernel has none. */
bool hs_stream_stamp(int fd);

/* recv(); *arrival_ns is when the newest byte read came. Bytes, 0 at the end, or -errno. */
ssize_t hs_stream_receive(int fd, void *bytes, size_t size, int flags, uint64_t *arrival_ns);

/* Hands over without blocking, no SIGPIPE; with is_stamped the last byte's departure can be read later. */
ssize_t hs_stream_send(int fd, struct iovec *pieces, size_t count, bool is_stamped);

/* When the newest stamped send left for the device; forgets it. */
uint64_t hs_stream_departure(int fd);

/* Bytes that the peer's kernel has not acknowledged yet. */
uint64_t hs_stream_unacknowledged(int fd);

uint64_t hs_stream_realtime_ns(void);

#endif
