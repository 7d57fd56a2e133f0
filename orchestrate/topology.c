// SPDX-License-Identifier: GPL-2.0-only
/* Names and numbers of a lab. Pure functions; measured memory needs come from runs with 1 to 24 pairs. */
#include "topology.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/unit.h"

#define MIB (1ull << 20)
#define L1_BASE_MIB 1024
#define L2_OVERHEAD_MIB 170 /* QEMU and page tables of one L2, inside L1 */
#define L1_LEAST_MIB 192    /* L1 itself, by trying; and below it, of each L2 beside its memory */
#define L2_LEAST_OVERHEAD_MIB 32
#define QEMU_OVERHEAD_MIB 90 /* translation cache and heap of one TCG QEMU on the host */

struct hs_pair hs_pair_of(unsigned tenant)
{
	struct hs_pair pair = { .tenant = tenant, .slot = HS_NIC_FIRST_SLOT + tenant };

	pair.sid = (uint16_t)(pair.slot << 3);
	snprintf(pair.l2, sizeof(pair.l2), "l2-%u", tenant);
	snprintf(pair.client, sizeof(pair.client), "client-%u", tenant);
	snprintf(pair.bridge, sizeof(pair.bridge), "br%u", tenant);
	snprintf(pair.l2_tap, sizeof(pair.l2_tap), "tap%u", tenant);
	snprintf(pair.client_tap, sizeof(pair.client_tap), "tapc%u", tenant);
	snprintf(pair.bridge_ip, sizeof(pair.bridge_ip), "172.16.%u.10", tenant);
	snprintf(pair.l2_ip, sizeof(pair.l2_ip), "172.16.%u.20", tenant);
	snprintf(pair.client_ip, sizeof(pair.client_ip), "172.16.%u.21", tenant);
	snprintf(pair.l2_mac, sizeof(pair.l2_mac), "52:54:00:12:%02x:20", tenant & 0xff);
	snprintf(pair.client_mac, sizeof(pair.client_mac), "52:54:00:12:%02x:21", tenant & 0xff);
	return pair;
}

int hs_pairs_check(unsigned long pairs)
{
	if (pairs >= 1 && pairs <= HS_PAIRS_MAX)
		return 0;
	if (pairs == 0)
		return hs_fail(-ERANGE, "--l2vm 0: a lab has at least one pair of L2 VM and client");
	return hs_fail(-ERANGE,
		       "--l2vm %lu: a lab has at most %u pairs, since each L2 needs a NIC of its own in slots 0x%x to "
		       "0x%x of L1's root bus, and the other slots are taken by L1's own devices",
		       pairs, HS_PAIRS_MAX, HS_NIC_FIRST_SLOT, HS_NIC_FIRST_SLOT + HS_PAIRS_MAX - 1);
}

unsigned hs_machine_count(unsigned pairs)
{
	return 1 + 2 * pairs;
}

int hs_machine_number(unsigned pairs, const char *name)
{
	if (!strcmp(name, "l1"))
		return 0;
	for (unsigned tenant = 0; tenant < pairs; tenant++) {
		struct hs_pair pair = hs_pair_of(tenant);

		if (!strcmp(name, pair.l2))
			return (int)(1 + tenant);
		if (!strcmp(name, pair.client))
			return (int)(1 + pairs + tenant);
	}
	return -ENOENT;
}

void hs_memory_plan(struct hs_memory *memory, unsigned pairs, int has_client_vms)
{
	if (!memory->l2_bytes)
		memory->l2_bytes = 160 * MIB;
	if (!memory->l1_bytes)
		memory->l1_bytes = L1_BASE_MIB * MIB + pairs * (memory->l2_bytes + L2_OVERHEAD_MIB * MIB);
	if (!has_client_vms)
		memory->client_bytes = 0;
	else if (!memory->client_bytes)
		memory->client_bytes = 128 * MIB;
	memory->total_bytes = memory->l1_bytes + QEMU_OVERHEAD_MIB * MIB;
	if (has_client_vms)
		memory->total_bytes += pairs * (memory->client_bytes + QEMU_OVERHEAD_MIB * MIB);
}

int hs_memory_check(const struct hs_memory *memory, unsigned pairs)
{
	uint64_t least_bytes = L1_LEAST_MIB * MIB + pairs * (memory->l2_bytes + L2_LEAST_OVERHEAD_MIB * MIB);
	char least[32], given[32];

	if (memory->l1_bytes >= least_bytes)
		return 0;
	return hs_fail(
		-ERANGE,
		"--l1-mem %s is too little for %u L2 VM%s: L1 needs %s or more; without --l1-mem it gets what fits",
		hs_format_bytes(given, sizeof(given), memory->l1_bytes), pairs, pairs == 1 ? "" : "s",
		hs_format_bytes(least, sizeof(least), least_bytes));
}
