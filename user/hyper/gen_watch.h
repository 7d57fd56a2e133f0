/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How far a long trace-gen is: every ten seconds a line on standard error, with the time that is left. The readers of
 * logs and the interleaver tell what they have done. One thread.
 */
#ifndef HS_HYPER_GEN_WATCH_H
#define HS_HYPER_GEN_WATCH_H

#include <stddef.h>
#include <stdint.h>

/* Zeros: nothing is told. */
struct hs_gen_watch {
	const char *what;     /* "logs read"; borrowed */
	uint64_t whole, done; /* in any unit; whole 0: unknown, nothing is told */
	uint64_t look_at;     /* what must be done before the clock is looked at again */
	uint64_t start_ns, told_ns;
};

/* Begins now. */
void hs_gen_watch_begin(struct hs_gen_watch *watch, const char *what, uint64_t whole);
void hs_gen_watch_look(struct hs_gen_watch *watch);

static inline void hs_gen_watch_add(struct hs_gen_watch *watch, uint64_t amount)
{
	watch->done += amount;
	if (watch->done >= watch->look_at)
		hs_gen_watch_look(watch);
}

/* "logs read: 25 %, about 30 s left", or without the last part while nothing or all is done. Returns text. */
const char *hs_gen_watch_format(const struct hs_gen_watch *watch, uint64_t now_ns, char *text, size_t size);

#endif
