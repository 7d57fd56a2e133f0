// SPDX-License-Identifier: GPL-2.0-only
/*
 * A network that does anything to probes: what both ends count adds up, and outages are in order and within their
 * bounds. First byte: which end. client_rr's takes steps of three bytes (what, which, how long), server's datagrams
 * with whatever is in them.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "migtools/arrivals.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                                             \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			__builtin_trap();                                                                              \
	} while (0)

#define INTERVAL_NS 10000000u

static void check(const struct hs_probes *probes)
{
	uint64_t before_ns = 0;

	REQUIRE(probes->answered + probes->unsent <= probes->sent);
	REQUIRE(probes->rtt.count == probes->answered && probes->late <= probes->answered);
	REQUIRE(probes->delay.count == (probes->answered ? probes->answered - 1 : 0));
	for (size_t i = 0; i < probes->outages.count; i++) {
		const struct hs_outage *outage = &probes->outages.items[i];

		REQUIRE(outage->start_ns >= before_ns && outage->end_ns >= outage->start_ns && outage->probes);
		REQUIRE(outage->at_least_ns <= outage->end_ns - outage->start_ns);
		REQUIRE(outage->at_most_ns >= outage->end_ns - outage->start_ns);
		REQUIRE(!outage->is_open || i + 1 == probes->outages.count);
		before_ns = outage->end_ns;
	}
}

static void play_client(const uint8_t *data, size_t size)
{
	uint64_t now_ns = 1000 * (uint64_t)INTERVAL_NS;
	struct hs_probes probes;

	REQUIRE(!hs_probes_start(&probes, INTERVAL_NS, 2 * INTERVAL_NS, now_ns));
	for (; size >= 3; data += 3, size -= 3) {
		enum hs_probes_verdict verdict;
		uint64_t seq = probes.sent - 1 - data[1];

		now_ns += (uint64_t)data[2] * (data[0] & 0x80 ? INTERVAL_NS : INTERVAL_NS / 64);
		switch (data[0] & 3) {
		case 0:
			REQUIRE(!hs_probes_sent(&probes, now_ns, data[0] & 0x40 ? -1 - data[1] % 100 : 0));
			break;
		case 1:
			REQUIRE(!hs_probes_answer(&probes, seq, now_ns, &verdict));
			break;
		case 2:
			REQUIRE(!hs_probes_judge(&probes, now_ns));
			break;
		default:
			hs_probes_error(&probes, now_ns, -1);
		}
	}
	REQUIRE(!hs_probes_finish(&probes, now_ns));
	check(&probes);
	hs_probes_clear(&probes);
}

static void play_server(const uint8_t *data, size_t size)
{
	uint64_t now_ns = 1000 * (uint64_t)INTERVAL_NS;
	struct hs_arrivals arrivals;
	bool is_started = false;

	while (size > 2) {
		uint8_t bytes[HS_PROBE_BYTES] = { 'e', 'c', 'h', 'o', 'H', 'S', 'P', '1' };
		struct hs_probe decoded, *probe = NULL;
		size_t take = size - 2 < 32 ? size - 2 : 32;

		now_ns += data[0] * (uint64_t)INTERVAL_NS / 16;
		memcpy(bytes + 8, data + 2, take);
		/* Few steps of the fuzzer make a session of two; so most have the same, with numbers in order. */
		if (!(data[1] & 1))
			memset(bytes + 8, 0, 15);
		if (!(data[1] & 2))
			memcpy(bytes + 32, (uint8_t[]){ 0, 0, 0, 0, 0, 0x98, 0x96, 0x80 }, 8);
		bytes[37] |=
			0x10; /* 1 ms at least: a number may jump by what fits into the time, which takes its time */
		data += 2 + take;
		size -= 2 + take;
		if (hs_probe_decode(bytes, sizeof(bytes), &decoded) && !(take & 4 && data[-1] == 0xff))
			probe = &decoded;
		if (!is_started)
			REQUIRE(!hs_arrivals_start(&arrivals, probe, 0, now_ns));
		is_started = true;
		REQUIRE(!hs_arrivals_add(&arrivals, probe, now_ns));
	}
	if (!is_started)
		return;
	REQUIRE(!hs_arrivals_finish(&arrivals));
	check(&arrivals.probes);
	hs_arrivals_clear(&arrivals);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0] & 1)
		play_client(data + 1, size - 1);
	else
		play_server(data + 1, size - 1);
	return 0;
}
