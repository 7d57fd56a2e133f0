// SPDX-License-Identifier: GPL-2.0-only
/* Votes on which tenant a VM in L1 belongs to. Called by the correlator for L1's interrupts and entries. */
#include <stddef.h>

#include "correlate/owner.h"

#define WAIT_NS 1000000 /* an entry later than that has another reason */

static struct hs_owner *find_vm(struct hs_owners *owners, uint32_t tgid)
{
	for (unsigned int i = 0; i < owners->vm_nr; i++)
		if (owners->vms[i].tgid == tgid)
			return &owners->vms[i];
	if (owners->vm_nr == HS_OWNER_VMS_MAX)
		return NULL;
	owners->vms[owners->vm_nr] = (struct hs_owner){ .tgid = tgid };
	return &owners->vms[owners->vm_nr++];
}

void hs_owners_interrupt(struct hs_owners *owners, unsigned int tenant, uint64_t time_ns)
{
	owners->waiting_ns[tenant] = time_ns;
}

void hs_owners_entry(struct hs_owners *owners, uint32_t tgid, uint64_t time_ns)
{
	struct hs_owner *vm = find_vm(owners, tgid);

	for (unsigned int i = 0; vm && i < owners->tenant_nr; i++) {
		if (!owners->waiting_ns[i])
			continue;
		vm->votes[i] += time_ns <= owners->waiting_ns[i] + WAIT_NS;
		owners->waiting_ns[i] = 0;
	}
}

int hs_owners_tenant(const struct hs_owners *owners, uint32_t tgid)
{
	int best = -1;

	if (owners->tenant_nr == 1)
		return 0;
	for (unsigned int i = 0; i < owners->vm_nr; i++) {
		const struct hs_owner *vm = &owners->vms[i];

		if (vm->tgid != tgid)
			continue;
		for (unsigned int j = 0; j < owners->tenant_nr; j++)
			if (vm->votes[j] && (best < 0 || vm->votes[j] > vm->votes[best]))
				best = (int)j;
	}
	return best;
}
