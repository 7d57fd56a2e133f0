/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a series of logs to one trace of many tenants: every log is read once into streams on disk, then the tenants'
 * streams are interleaved. `hsbpf trace-gen` calls it. One thread; memory grows with tenants, not with logs.
 */
#ifndef HS_HYPER_GEN_H
#define HS_HYPER_GEN_H

#include "hyper/dmatrace.h"
#include "hyper/ingest_walk.h"

struct hs_gen_config {
	const char *prefix; /* of the logs, or a run folder */
	const char *output; /* the trace */
	uint32_t tenants;   /* 0: as many as the logs have */
	enum hs_dmatrace_order order;
	uint32_t burst; /* packets of one tenant in a row, 1 or more */
	uint64_t seed;
	uint32_t packet_translations; /* 0: packets are found in the log */
	bool cut_first;		      /* end where the first tenant runs out */
	uint64_t cut_packets;	      /* use so many packets of each tenant at most; 0: all */
	bool accepts_truncated;
	struct hs_ingest_walks *walks; /* page table entries of the logs go there, or NULL; borrowed */
};

/* Message on failure, nothing written then. */
int hs_gen_write(const struct hs_gen_config *config);

#endif
