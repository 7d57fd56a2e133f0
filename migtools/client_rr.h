/* SPDX-License-Identifier: GPL-2.0-only */
/* What `client` takes over from `client_rr` when it is called as mig_mon's README has it. */
#ifndef HS_MIGTOOLS_CLIENT_RR_H
#define HS_MIGTOOLS_CLIENT_RR_H

#include "migtools/prober.h"

struct hs_client_rr_config {
	struct hs_prober_config prober;
	uint64_t patience_ns;
	const char *probes;
	bool json;
};

extern const struct hs_opt hs_client_rr_options[];

/* The verb: probes until the end, then prints the summary. argv: IP [INTERVAL_MS [LOG]]. */
int hs_client_rr_run(void *config, int argc, char **argv);

#endif
