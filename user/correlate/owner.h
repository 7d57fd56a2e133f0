/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whose VM is it? L1's events name the process of a VM, its NICs' interrupts name the tenant. The VM that is entered
 * first after a tenant's interrupt is most often that tenant's: the majority decides. With one tenant there is nothing
 * to decide. Plain data, starts as zeros; one thread.
 */
#ifndef HS_CORRELATE_OWNER_H
#define HS_CORRELATE_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#define HS_OWNER_VMS_MAX 64
#define HS_OWNER_TENANTS_MAX 24

struct hs_owners {
	unsigned int tenant_nr; /* of the run; set by whoever has it */
	struct hs_owner {
		uint32_t tgid;
		uint64_t votes[HS_OWNER_TENANTS_MAX];
	} vms[HS_OWNER_VMS_MAX];
	unsigned int vm_nr;
	uint64_t waiting_ns[HS_OWNER_TENANTS_MAX]; /* interrupts without an entry yet; 0: none */
};

void hs_owners_interrupt(struct hs_owners *owners, unsigned int tenant, uint64_t time_ns);
void hs_owners_entry(struct hs_owners *owners, uint32_t tgid, uint64_t time_ns);

/* -1: not known (yet). */
int hs_owners_tenant(const struct hs_owners *owners, uint32_t tgid);

#endif
