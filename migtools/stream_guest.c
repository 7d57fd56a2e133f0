// SPDX-License-Identifier: GPL-2.0-only
/* Two bitmaps that change places at the end of a round. */
#include "migtools/stream_guest.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "migtools/random.h"

#define WORD_BITS 64u
_Static_assert(HS_STREAM_PART_PAGES % WORD_BITS == 0, "no word is shared by two parts");

struct hs_stream_guest {
	uint64_t pages, working_pages, dirty_pages;
	uint64_t random;
	uint64_t *sending, *dirty; /* owned */
};

static uint64_t words_of(uint64_t pages)
{
	return (pages + WORD_BITS - 1) / WORD_BITS;
}

int hs_stream_guest_open(uint64_t pages, uint64_t working_pages, uint64_t seed, struct hs_stream_guest **out)
{
	scoped(hs_stream_guest) struct hs_stream_guest *guest = calloc(1, sizeof(*guest));

	if (!guest)
		return -ENOMEM;
	*guest = (struct hs_stream_guest){ .pages = pages, .working_pages = working_pages, .random = seed };
	guest->sending = calloc(words_of(pages), sizeof(uint64_t));
	guest->dirty = calloc(words_of(pages), sizeof(uint64_t));
	if (!guest->sending || !guest->dirty)
		return hs_fail(-ENOMEM, "no memory for the dirty bits of %llu pages", (unsigned long long)pages);
	memset(guest->sending, 0xff, words_of(pages) * sizeof(uint64_t));
	*out = take(guest);
	return 0;
}

void hs_stream_guest_free(struct hs_stream_guest *guest)
{
	if (!guest)
		return;
	free(guest->sending);
	free(guest->dirty);
	free(guest);
}

uint64_t hs_stream_guest_write(struct hs_stream_guest *guest, uint64_t writes)
{
	uint64_t before = guest->dirty_pages;

	for (; writes; writes--) {
		uint64_t page = hs_random_below(&guest->random, guest->working_pages);
		uint64_t bit = 1ull << page % WORD_BITS, *word = &guest->dirty[page / WORD_BITS];

		guest->dirty_pages += !(*word & bit);
		*word |= bit;
	}
	return guest->dirty_pages - before;
}

uint64_t hs_stream_guest_dirty_pages(const struct hs_stream_guest *guest)
{
	return guest->dirty_pages;
}

void hs_stream_guest_next_round(struct hs_stream_guest *guest)
{
	uint64_t *sent = guest->sending;

	guest->sending = guest->dirty;
	guest->dirty = sent;
	guest->dirty_pages = 0;
	memset(sent, 0, words_of(guest->pages) * sizeof(uint64_t)); /* pages beyond the last have bits too */
}

bool hs_stream_guest_take(struct hs_stream_guest *guest, uint64_t *from, uint64_t to, uint64_t *page)
{
	while (*from < to) {
		uint64_t *word = &guest->sending[*from / WORD_BITS];
		uint64_t left = *word >> *from % WORD_BITS;

		if (!left) {
			*from = (*from / WORD_BITS + 1) * WORD_BITS;
			continue;
		}
		*from += (unsigned int)__builtin_ctzll(left);
		if (*from >= to)
			return false;
		*word &= ~(1ull << *from % WORD_BITS);
		*page = (*from)++;
		return true;
	}
	return false;
}

uint64_t hs_stream_part(uint64_t pages, uint32_t part, uint32_t parts)
{
	uint64_t begin = (uint64_t)((unsigned __int128)pages * part / parts);

	return part == parts ? pages : begin / HS_STREAM_PART_PAGES * HS_STREAM_PART_PAGES;
}
