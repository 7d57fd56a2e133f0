/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The test that every pair runs at the same time: a server in the L2, a client in the client machine. A test
 * is one row (name, two command lines, how its output is read); all servers listen before the first client starts.
 */
#ifndef HS_ORCHESTRATE_WORKLOAD_H
#define HS_ORCHESTRATE_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "lab.h"

struct hs_workload_test;

/* NULL after a message that lists the names. */
const struct hs_workload_test *hs_workload_find(const char *name);
const char *hs_workload_name(const struct hs_workload_test *test);
/* All names, NULL at the end. */
const char *const *hs_workload_names(void);

struct hs_workload_config {
	const struct hs_workload_test *test;
	unsigned seconds;
	const char *iperf3_args; /* more words for the iperf3 client, or NULL */
	const char *out_dir;	 /* exists; outputs of both ends are written there */
};

/* What one pair did. Figures that a test does not have are 0. */
struct hs_workload_result {
	unsigned tenant;
	bool ok;
	char error[256]; /* why not */
	double bits_per_second;
	uint64_t bytes, retransmits; /* payload bytes the receiver counted */
	double seconds;
	double rtt_min_ms, rtt_avg_ms, rtt_max_ms; /* ping */
};

/*
 * Runs it in every pair that is ready and waits for all; results[pairs] is filled. 0 when every pair of the lab
 * has a result; -EIO when one has not (told); -EINTR.
 */
int hs_workload_run(struct hs_lab *lab, const struct hs_workload_config *config, struct hs_workload_result *results);

/* Reads an iperf3 -J document of the client into the result; pure. False when it tells of an error (result->error). */
bool hs_workload_parse_iperf3(const char *json, struct hs_workload_result *result);
/* Reads busybox ping's or iputils' last lines. */
bool hs_workload_parse_ping(const char *text, struct hs_workload_result *result);

#endif
