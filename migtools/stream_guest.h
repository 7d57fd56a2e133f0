/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The memory of the emulated guest as a migration sees it: which pages are to be sent in this round, and which were
 * written meanwhile and go into the next. One thread writes and ends rounds; senders take pages, each from its own
 * part, and none while a round is ended.
 */
#ifndef HS_MIGTOOLS_STREAM_GUEST_H
#define HS_MIGTOOLS_STREAM_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/scoped.h"

/* Parts begin at multiples of this: a word of the bitmap belongs to one sender. */
#define HS_STREAM_PART_PAGES 64u

struct hs_stream_guest;

/* All pages are to be sent. Writes go to the first working_pages. -ENOMEM with a message. */
int hs_stream_guest_open(uint64_t pages, uint64_t working_pages, uint64_t seed, struct hs_stream_guest **out);
void hs_stream_guest_free(struct hs_stream_guest *guest);
HS_SCOPED(hs_stream_guest, struct hs_stream_guest *, hs_stream_guest_free)

/* Writes to that many pages, at random; returns how many of them were clean. */
uint64_t hs_stream_guest_write(struct hs_stream_guest *guest, uint64_t writes);

/* How many pages were written since the round began. */
uint64_t hs_stream_guest_dirty_pages(const struct hs_stream_guest *guest);

/* What was written is to be sent now. */
void hs_stream_guest_next_round(struct hs_stream_guest *guest);

/* Takes the first page to be sent in [*from, to); moves *from past it. False: there is none left. */
bool hs_stream_guest_take(struct hs_stream_guest *guest, uint64_t *from, uint64_t to, uint64_t *page);

/* Where part `part` of `parts` begins; hs_stream_part(pages, parts, parts) is `pages`. */
uint64_t hs_stream_part(uint64_t pages, uint32_t part, uint32_t parts);

#endif
