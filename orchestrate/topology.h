/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who is who in a lab of N pairs: names, addresses, slots and ids, by number. Pure; the only place where
 * they are spelled.
 */
#ifndef HS_ORCHESTRATE_TOPOLOGY_H
#define HS_ORCHESTRATE_TOPOLOGY_H

#include <stddef.h>
#include <stdint.h>

#define HS_PAIRS_MAX 24u
#define HS_NIC_FIRST_SLOT 4u /* of L1's root bus; 1 to 3 are L1's own devices */
#define HS_NAME_SIZE 32

/* What one tenant (L2/client pair) is called everywhere. */
struct hs_pair {
	unsigned tenant;
	char l2[HS_NAME_SIZE], client[HS_NAME_SIZE]; /* "l2-0", "client-0" */
	char bridge[16], l2_tap[16], client_tap[16]; /* "br0", "tap0", "tapc0" */
	char bridge_ip[20], l2_ip[20], client_ip[20]; /* without prefix length, which is 24 */
	char l2_mac[18], client_mac[18];
	unsigned slot; /* of the L2's NIC on L1's bus 0 */
	uint16_t sid;  /* source id in the IOMMU log: bus << 8 | slot << 3 | function */
};

struct hs_pair hs_pair_of(unsigned tenant);

/* -ERANGE after a message that says why, unless 1 <= pairs <= 24. */
int hs_pairs_check(unsigned long pairs);

enum hs_machine_kind { HS_MACHINE_L1, HS_MACHINE_L2, HS_MACHINE_CLIENT };

/* Machines are numbered: 0 is l1, 1 + X is l2-X, 1 + pairs + X is client-X. */
unsigned hs_machine_count(unsigned pairs);
/* The number of the machine of that name, or -ENOENT. */
int hs_machine_number(unsigned pairs, const char *name);

struct hs_memory {
	uint64_t l1_bytes, l2_bytes, client_bytes; /* of one machine each; 0 in a request: the default */
	uint64_t total_bytes;			   /* what the host must have free */
};
/* Fills in what is 0 (L2 160 MiB, client 128 MiB or 0 without client VMs, L1 by what its L2s need) and the total. */
void hs_memory_plan(struct hs_memory *memory, unsigned pairs, int has_client_vms);
/* -ERANGE after a message when L1 of that plan cannot hold its L2s. */
int hs_memory_check(const struct hs_memory *memory, unsigned pairs);

#endif
