// SPDX-License-Identifier: GPL-2.0-only
/* The network's share is what is left of the total; a clock that was set meanwhile leaves nonsense, which is dropped.
 */
#include "migtools/stream_latency.h"

#include <errno.h>

int hs_stream_latency_add(struct hs_stream_latency *latency, uint64_t total_ns, uint64_t receive_ns)
{
	latency->open_total_ns = receive_ns == UINT64_MAX ? 0 : total_ns;
	latency->open_receive_ns = receive_ns;
	latency->interval_count++;
	latency->interval_sum_ns += total_ns;
	if (total_ns > latency->interval_max_ns)
		latency->interval_max_ns = total_ns;
	return hs_histogram_add(&latency->total, total_ns, 1);
}

int hs_stream_latency_split(struct hs_stream_latency *latency, const struct hs_stream_times *times)
{
	uint64_t total_ns = latency->open_total_ns, queued_ns;

	latency->open_total_ns = 0;
	if (!total_ns || times->program_ns > total_ns || times->socket_ns > total_ns)
		return 0;
	queued_ns = times->program_ns + times->socket_ns + latency->open_receive_ns;
	if (queued_ns > total_ns)
		return 0;
	if (hs_histogram_add(&latency->program, times->program_ns, 1) ||
	    hs_histogram_add(&latency->socket, times->socket_ns, 1) ||
	    hs_histogram_add(&latency->receive, latency->open_receive_ns, 1) ||
	    hs_histogram_add(&latency->network, total_ns - queued_ns, 1))
		return -ENOMEM;
	return 0;
}

void hs_stream_latency_next(struct hs_stream_latency *latency)
{
	latency->interval_count = latency->interval_sum_ns = latency->interval_max_ns = 0;
}

void hs_stream_latency_clear(struct hs_stream_latency *latency)
{
	hs_histogram_clear(&latency->total);
	hs_histogram_clear(&latency->program);
	hs_histogram_clear(&latency->socket);
	hs_histogram_clear(&latency->network);
	hs_histogram_clear(&latency->receive);
}
