/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which pages will be wanted soon: the tenant that was seen `distance` translations after this one the last time is
 * expected again, with the last pages that it used. Keeps the history; the fetching is the simulation's. Memory goes by
 * tenants, time does not. One belongs to one run.
 */
#ifndef HS_HYPER_SIM_PREFETCH_H
#define HS_HYPER_SIM_PREFETCH_H

#include <stdbool.h>
#include <stdint.h>

#define HS_SIM_NO_TENANT UINT32_MAX

struct hs_sim_page {
	uint64_t iova;	    /* of its begin */
	uint8_t size_class; /* as in a trace */
	bool is_coming;	    /* asked for, and not there yet */
};

struct hs_sim_prefetch {
	uint32_t distance, history;
	uint32_t *recent; /* tenants of the last `distance` translations, a ring */
	uint32_t recent_at, recent_nr;
	uint32_t *successor;	   /* by tenant */
	struct hs_sim_page *pages; /* by tenant: the newest first */
	uint8_t *page_nr;	   /* by tenant */
	uint64_t guesses, right;   /* of what comes `distance` later */
};

/* 0 or -ENOMEM. */
int hs_sim_prefetch_open(uint32_t distance, uint32_t history, uint32_t tenant_nr, struct hs_sim_prefetch *prefetch);
void hs_sim_prefetch_close(struct hs_sim_prefetch *prefetch);

/* A tenant used a page: who is expected, or HS_SIM_NO_TENANT; its pages are pages[tenant * history + 0 ..
 * page_nr[tenant]]. */
uint32_t hs_sim_prefetch_observe(struct hs_sim_prefetch *prefetch, uint32_t tenant, const struct hs_sim_page *page);

/* The page that was asked for has come. Nothing happens if it is not in the history any more. */
void hs_sim_prefetch_came(struct hs_sim_prefetch *prefetch, uint32_t tenant, uint64_t iova, uint8_t size_class);

/* What a tenant has unmapped is not asked for again: its pages from iova on, `bytes` long (0: all). */
void hs_sim_prefetch_forget(struct hs_sim_prefetch *prefetch, uint32_t tenant, uint64_t iova, uint64_t bytes);

#endif
