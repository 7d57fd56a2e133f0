// SPDX-License-Identifier: GPL-2.0-only
/* Tokens as a double: 2^53 bytes are exact, and a burst is far less. */
#include "migtools/stream_pace.h"

void hs_stream_pace_begin(struct hs_stream_pace *pace, uint64_t bytes_per_s, uint64_t burst_bytes, uint64_t now_ns)
{
	*pace = (struct hs_stream_pace){
		.bytes_per_s = bytes_per_s, .burst_bytes = burst_bytes, .tokens = (double)burst_bytes, .last_ns = now_ns
	};
}

static void refill(struct hs_stream_pace *pace, uint64_t now_ns)
{
	if (now_ns <= pace->last_ns)
		return;
	pace->tokens += (double)(now_ns - pace->last_ns) * 1e-9 * (double)pace->bytes_per_s;
	pace->last_ns = now_ns;
	if (pace->tokens > (double)pace->burst_bytes)
		pace->tokens = (double)pace->burst_bytes;
}

uint64_t hs_stream_pace_take(struct hs_stream_pace *pace, uint64_t now_ns, uint64_t unit_bytes, uint64_t wanted)
{
	uint64_t units;

	if (!pace->bytes_per_s)
		return wanted;
	refill(pace, now_ns);
	units = (uint64_t)(pace->tokens / (double)unit_bytes);
	if (units > wanted)
		units = wanted;
	pace->tokens -= (double)(units * unit_bytes);
	return units;
}

uint64_t hs_stream_pace_wait_ns(const struct hs_stream_pace *pace, uint64_t unit_bytes)
{
	double worth = (double)pace->burst_bytes / 2;

	if (!pace->bytes_per_s)
		return 0;
	if (worth < (double)unit_bytes)
		worth = (double)unit_bytes;
	return pace->tokens >= worth ? 0 : (uint64_t)((worth - pace->tokens) * 1e9 / (double)pace->bytes_per_s) + 1;
}
