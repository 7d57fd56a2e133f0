/* SPDX-License-Identifier: GPL-2.0-only */
/* Sets of small numbers as users and the kernel write them: "0-3,7". CPUs, vCPUs. Plain data; any thread. */
#ifndef HS_BASE_CPULIST_H
#define HS_BASE_CPULIST_H

#include <stdbool.h>
#include <stdint.h>

#define HS_CPULIST_MAX 4096 /* numbers are below; no kernel has more CPUs */

struct hs_cpulist {
	uint64_t bits[HS_CPULIST_MAX / 64];
};

/* Numbers and ranges in any order, with commas between; a trailing newline is taken. -EINVAL: no list; -ERANGE. */
int hs_cpulist_parse(const char *text, struct hs_cpulist *out);

static inline bool hs_cpulist_has(const struct hs_cpulist *list, uint32_t number)
{
	return number < HS_CPULIST_MAX && list->bits[number / 64] >> number % 64 & 1;
}

#endif
