/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Traces of many tenants that need no lab: each receives packets as an e1000 does, with one layout of addresses for
 * all. A packet reads its descriptor in the ring's page, writes its data into one of some 2 MiB pages that are used one
 * after another, each for a run of packets, and writes the descriptor back. The same load is the same trace everywhere.
 */
#ifndef HS_TESTS_LIB_TENANTS_H
#define HS_TESTS_LIB_TENANTS_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/io.h"
#include "hyper/dmatrace.h"

struct tenants_load {
	uint32_t tenants, packets; /* of all together */
	uint32_t burst;		   /* packets of a tenant in a row; 0: 1 */
	bool random;		   /* which tenant comes; else one after another */
	uint64_t seed;
	uint32_t data_pages, run; /* pages of data, packets in each before the next; 0: 32, 64 */
	uint32_t small_every;	  /* each so many packets of a tenant use a 4 KiB page as well; 0: none do */
	uint32_t giant_every;	  /* or a 1 GiB page, elsewhere in it each time */
	bool single;		  /* packets are their data's translation alone */
	uint32_t sids;		  /* so many: the following tenants have them again; 0: each its own */
	uint32_t unmap_every;	  /* after so many packets of a tenant its page of data is invalidated; 0: never */
	uint32_t rotate;	  /* added to each tenant's number, modulo tenants */
};

/* xorshift: the same numbers everywhere. */
static inline uint64_t tenants_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static inline void tenants_put(struct hs_dmatrace_writer *writer, uint32_t tenant, uint64_t iova, unsigned int size,
			       bool first, bool write)
{
	struct hs_dmatrace_record record =
		hs_dmatrace_make_translation(tenant, iova, 0x40000003 | (size ? 0x80 : 0), size, first, write);

	hs_dmatrace_writer_put(writer, &record);
}

static inline void tenants_put_packet(struct hs_dmatrace_writer *writer, const struct tenants_load *load,
				      uint32_t tenant, uint32_t number)
{
	uint32_t pages = load->data_pages ? load->data_pages : 32, length = load->run ? load->run : 64;
	uint64_t ring = 0x3000000000ull + number % 256 * 16, page = number / length % pages;
	uint64_t data = 0xbc000000ull + page * 0x200000 + number % length * 0x800;

	if (load->single) {
		tenants_put(writer, tenant, data, 1, true, true);
		return;
	}
	tenants_put(writer, tenant, ring, 0, true, false);
	if (load->small_every && number % load->small_every == 0)
		tenants_put(writer, tenant, 0xbc000000ull + 0x200000 * (number % 40) + number % 3 * 0x1000, 0, false,
			    true);
	if (load->giant_every && number % load->giant_every == 0)
		tenants_put(writer, tenant, 0x40000000ull * (64 + number % 9) + number * 0x200000ull, 2, false, true);
	tenants_put(writer, tenant, data, 1, false, true);
	tenants_put(writer, tenant, ring + 12, 0, false, true);
	if (load->unmap_every && (number + 1) % load->unmap_every == 0) {
		struct hs_dmatrace_record record = hs_dmatrace_make_invalidation(
			tenant, HS_DMATRACE_INV_PAGES, data & ~0x1fffffull, number % 3 ? 9 : 0);

		hs_dmatrace_writer_put(writer, &record);
	}
}

/* Writes the trace; 0 or -errno after a message. */
static inline int tenants_write(const char *path, const struct tenants_load *load)
{
	const struct hs_dmatrace_header plan = { .source_nr = 1,
						 .tenant_nr = load->tenants,
						 .order = load->random ? HS_DMATRACE_RAND : HS_DMATRACE_RR,
						 .burst = load->burst ? load->burst : 1,
						 .seed = load->seed };
	const struct hs_dmatrace_source source = { .name = "synthetic" };
	scoped(mem) struct hs_dmatrace_tenant *rows = calloc(load->tenants, sizeof(*rows));
	scoped(mem) uint32_t *numbers = calloc(load->tenants, sizeof(*numbers));
	scoped(hs_dmatrace_writer) struct hs_dmatrace_writer *writer = NULL;
	uint64_t random = load->seed * 2 + 0x9e3779b97f4a7c15ull;
	int err = rows && numbers ? hs_dmatrace_writer_open(path, &plan, &writer) : -ENOMEM;

	for (uint32_t i = 0, tenant = 0; !err && i < load->packets; i++) {
		if (i % plan.burst == 0)
			tenant = (load->random ? (uint32_t)(tenants_random(&random) % load->tenants)
					       : i / plan.burst % load->tenants);
		tenants_put_packet(writer, load, (tenant + load->rotate) % load->tenants, numbers[tenant]++);
	}
	for (uint32_t i = 0; !err && i < load->tenants; i++)
		rows[i] = (struct hs_dmatrace_tenant){ .context_high = 0x1 | (uint64_t)(i & 0xffff) << 8,
						       .copy_of = i,
						       .sid = (uint16_t)((load->sids ? i % load->sids : i) * 8),
						       .domain = (uint16_t)i,
						       .epochs = 1,
						       .levels = 3 };
	return err ? err : hs_dmatrace_writer_finish(writer, &source, rows, NULL);
}

#endif
