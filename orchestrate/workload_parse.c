// SPDX-License-Identifier: GPL-2.0-only
/* What the tests' own outputs say. Pure; the text comes from a guest and is not trusted. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/scoped.h"
#include "workload.h"

/* TCP has sum_sent and sum_received, UDP one sum. */
static void read_sums(json_object *end, struct hs_workload_result *result)
{
	json_object *received = hs_json_get(end, "sum_received");

	if (!received)
		received = hs_json_get(end, "sum");
	result->bits_per_second = hs_json_get_double(received, "bits_per_second");
	result->bytes = hs_json_get_u64(received, "bytes");
	result->seconds = hs_json_get_double(received, "seconds");
	result->retransmits = hs_json_get_u64(end, "sum_sent.retransmits");
}

bool hs_workload_parse_iperf3(const char *json, struct hs_workload_result *result)
{
	scoped(json) json_object *document = json_tokener_parse(json);
	const char *error = hs_json_get_string(document, "error");
	json_object *end = hs_json_get(document, "end");

	if (*error) {
		snprintf(result->error, sizeof(result->error), "iperf3: %s", error);
		return false;
	}
	if (!hs_json_get(end, "sum_received") && !hs_json_get(end, "sum")) {
		snprintf(result->error, sizeof(result->error), "iperf3's report is not whole");
		return false;
	}
	read_sums(end, result);
	return true;
}

bool hs_workload_parse_ping(const char *text, struct hs_workload_result *result)
{
	const char *line = strstr(text, "min/avg/max");
	const char *equals = line ? strchr(line, '=') : NULL;
	unsigned sent, received;
	const char *counts;

	if (!equals ||
	    sscanf(equals, "= %lf/%lf/%lf", &result->rtt_min_ms, &result->rtt_avg_ms, &result->rtt_max_ms) != 3) {
		snprintf(result->error, sizeof(result->error), "ping got no answer");
		return false;
	}
	for (counts = strstr(text, " packets transmitted");
	     counts && counts > text && counts[-1] >= '0' && counts[-1] <= '9';)
		counts--;
	if (counts && sscanf(counts, "%u packets transmitted, %u", &sent, &received) == 2)
		result->retransmits = sent > received ? sent - received : 0;
	return true;
}
