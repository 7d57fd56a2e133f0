/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a page of mm_dirty's memory holds, so that a migration cannot lose, keep back, swap or damage it unseen: a
 * stamp (number, generation, sum) at its start, then random bytes that follow from its number, then zeros. A write
 * raises the generation. Pure functions over one page; whoever owns the page calls them, one thread at a time.
 */
#ifndef HS_MIGTOOLS_MM_PAGE_H
#define HS_MIGTOOLS_MM_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HS_PAGE_MAGIC 0x6d6d2e6670627368ull /* "hsbpf.mm" in memory on little-endian machines */

struct hs_page_stamp {
	uint64_t magic;
	uint64_t number;
	uint64_t generation;
	uint64_t sum; /* of number and generation, with the run's seed */
};

/* How every page of one memory looks. */
struct hs_page_format {
	uint64_t seed; /* of this run: what an earlier one left behind is not taken for ours */
	size_t page_bytes;
	bool stamped;	     /* false: zeros all through, which carry no number */
	size_t random_bytes; /* the page's start that is no zeros, the stamp included; a multiple of 8 */
};

enum hs_page_state {
	HS_PAGE_GOOD,
	HS_PAGE_LOST,	 /* all zeros */
	HS_PAGE_SWAPPED, /* another page's */
	HS_PAGE_STALE,	 /* its own of earlier */
	HS_PAGE_AHEAD,	 /* its own of later than its owner knows */
	HS_PAGE_DAMAGED, /* anything else, from byte `offset` on */
	HS_PAGE_STATE_NR
};

struct hs_page_verdict {
	enum hs_page_state state;
	uint64_t number, generation; /* what was expected */
	uint64_t found_number, found_generation;
	size_t offset;
};

/* "stamp", "zero", "random" or "compressible=P%" (P of 100 bytes are zeros). -EINVAL without a message. */
int hs_page_format_parse(const char *fill, size_t page_bytes, uint64_t seed, struct hs_page_format *out);

/* Writes the whole page. */
void hs_page_make(const struct hs_page_format *format, void *page, uint64_t number, uint32_t generation);

/* Reads the whole page; true when it is as it should be. verdict is written in any case. */
bool hs_page_check(const struct hs_page_format *format, const void *page, uint64_t number, uint32_t generation,
		   struct hs_page_verdict *verdict);

/* "lost", "swapped" ... */
const char *hs_page_state_name(enum hs_page_state state);
/* "page 7 is stale: generation 3 where 4 was written". Returns text. */
const char *hs_page_describe(const struct hs_page_verdict *verdict, char *text, size_t size);

/* David Stafford's Mix13, as in splitmix64: every bit of the input reaches every bit of the output. */
static inline uint64_t hs_page_mix(uint64_t bits)
{
	bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9ull;
	bits = (bits ^ bits >> 27) * 0x94d049bb133111ebull;
	return bits ^ bits >> 31;
}

/* Linear, for speed: what chance makes of a page passes once in 2^64 all the same. */
static inline uint64_t hs_page_sum(const struct hs_page_format *format, uint64_t number, uint64_t generation)
{
	return format->seed + number * 0x9e3779b97f4a7c15ull + generation * 0xd1342543de82ef95ull;
}

/*
 * Dirties the page: reads its stamp and writes the next one, in one cache line. False, and nothing was written,
 * when the stamp was not that of this generation: hs_page_check() tells what it was.
 */
static inline bool hs_page_touch(const struct hs_page_format *format, void *page, uint64_t number, uint32_t generation)
{
	volatile struct hs_page_stamp *stamp = page;

	if (!format->stamped) {
		if (stamp->magic)
			return false;
		stamp->magic = 0;
		return true;
	}
	if (stamp->sum != hs_page_sum(format, number, generation) || stamp->generation != generation)
		return false;
	generation++; /* wraps, on both sides */
	stamp->generation = generation;
	stamp->sum = hs_page_sum(format, number, generation);
	return true;
}

#endif
