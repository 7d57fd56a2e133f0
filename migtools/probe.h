/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A probe on the wire: 40 bytes, numbers in network byte order. It starts with the four bytes that mig_mon sends, and
 * mig_mon's echo server returns it as it is. Pure.
 *
 *   0  "echo"
 *   4  "HSP1"
 *   8  session      u64, chosen at random by each run of a client
 *  16  seq          u64, from 0
 *  24  sent_ns      u64, CLOCK_BOOTTIME of the sender
 *  32  interval_ns  u64, how far apart the sender's probes are
 */
#ifndef HS_MIGTOOLS_PROBE_H
#define HS_MIGTOOLS_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HS_PROBE_BYTES 40
#define HS_PROBE_INTERVAL_MIN_NS 10000u
#define HS_PROBE_INTERVAL_MAX_NS 3600000000000u

struct hs_probe {
	uint64_t session, seq, sent_ns, interval_ns;
};

void hs_probe_encode(const struct hs_probe *probe, uint8_t bytes[HS_PROBE_BYTES]);
/* False when it is none: another length, other first bytes, an interval that cannot be. */
bool hs_probe_decode(const uint8_t *bytes, size_t len, struct hs_probe *out);

#endif
