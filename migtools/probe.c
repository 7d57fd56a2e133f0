// SPDX-License-Identifier: GPL-2.0-only
/* Probes to bytes and back. Both ends' `client`, `client_rr` and `server` use it. */
#include "migtools/probe.h"

#include <endian.h>
#include <string.h>

static const char magic[8] = { 'e', 'c', 'h', 'o', 'H', 'S', 'P', '1' };

void hs_probe_encode(const struct hs_probe *probe, uint8_t bytes[HS_PROBE_BYTES])
{
	const uint64_t numbers[] = { htobe64(probe->session), htobe64(probe->seq), htobe64(probe->sent_ns),
				     htobe64(probe->interval_ns) };

	memcpy(bytes, magic, sizeof(magic));
	memcpy(bytes + sizeof(magic), numbers, sizeof(numbers));
}

bool hs_probe_decode(const uint8_t *bytes, size_t len, struct hs_probe *out)
{
	struct hs_probe probe;
	uint64_t numbers[4];

	if (len != HS_PROBE_BYTES || memcmp(bytes, magic, sizeof(magic)) != 0)
		return false;
	memcpy(numbers, bytes + sizeof(magic), sizeof(numbers));
	probe = (struct hs_probe){ .session = be64toh(numbers[0]),
				   .seq = be64toh(numbers[1]),
				   .sent_ns = be64toh(numbers[2]),
				   .interval_ns = be64toh(numbers[3]) };
	if (probe.interval_ns < HS_PROBE_INTERVAL_MIN_NS || probe.interval_ns > HS_PROBE_INTERVAL_MAX_NS)
		return false;
	*out = probe;
	return true;
}
