// SPDX-License-Identifier: GPL-2.0-only
/* Remembers which tenant L1's threads work for. Called by the correlator for L1's events. */
#include <stdlib.h>
#include <string.h>

#include "correlate/owner.h"

void hs_owners_name(struct hs_owners *owners, uint32_t tid, const char *name)
{
	uint32_t place = tid % HS_OWNER_THREADS;
	unsigned long tenant;
	char *end;

	if (!tid)
		return;
	if (!strncmp(name, "l2-", 3) && name[3]) {
		tenant = strtoul(name + 3, &end, 10);
		if (!*end && tenant < owners->tenant_nr) {
			owners->threads[place].tid = tid;
			owners->threads[place].tenant = (uint32_t)tenant;
			return;
		}
	}
	if (owners->threads[place].tid == tid)
		owners->threads[place].tid = 0;
}

int hs_owners_tenant(const struct hs_owners *owners, uint32_t tid)
{
	uint32_t place = tid % HS_OWNER_THREADS;

	if (owners->tenant_nr == 1)
		return 0;
	return tid && owners->threads[place].tid == tid ? (int)owners->threads[place].tenant : -1;
}
