/* SPDX-License-Identifier: GPL-2.0-only */
/* What the generator's two files share: the tenants, and where each of them is in its stream. One thread. */
#ifndef HS_HYPER_GEN_INTERNAL_H
#define HS_HYPER_GEN_INTERNAL_H

#include "hyper/gen.h"
#include "hyper/gen_spool.h"
#include "hyper/ingest.h"

/* A device of a log that has packets. */
struct hs_gen_origin {
	const struct hs_ingest_device *device;
	uint32_t source, device_index;
};

/* A tenant while its packets are taken. */
struct hs_gen_taker {
	const struct hs_ingest_device *device;
	struct hs_gen_cursor cursor;
	uint64_t phase; /* it goes back to the stream's begin at its end, if it did not begin there */
	uint64_t left;	/* packets */
};

struct hs_gen {
	const struct hs_gen_config *config;
	struct hs_gen_spool *spool;
	struct hs_ingest_result *logs; /* log_nr */
	struct hs_dmatrace_source *sources;
	uint32_t log_nr;
	struct hs_gen_origin *origins;
	uint32_t origin_nr;
	struct hs_dmatrace_tenant *tenants; /* tenant_nr, as are takers */
	struct hs_gen_taker *takers;
	uint32_t tenant_nr;
	struct hs_gen_watch watch;
	bool is_cut; /* some packets or devices are not used */
};

/* Writes all records in the order that the config says. Message on failure. */
int hs_gen_interleave(struct hs_gen *gen, struct hs_dmatrace_writer *writer);

#endif
