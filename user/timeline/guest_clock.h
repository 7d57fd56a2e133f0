/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which time is it on the host when a guest's clock shows g? Learnt from pings that carry both clocks: each says that
 * the host's clock was at least host_send_ns when the guest's showed guest_recv_ns, and at most host_recv_ns when it
 * showed guest_send_ns. The mapping is piecewise linear between bursts of pings and never without its error bound.
 * One clock is one boot of one guest: another boot_id is another clock. Bursts are added by one thread; mapping
 * remembers the last place, so it belongs to one thread at a time too. All is pure; what a guest says is not trusted.
 *
 * The bound: half of the round trip of a burst's best ping, between bursts interpolated, and HS_GUEST_CLOCK_WANDER_PPM
 * of the distance to the nearer one: by so much the guest's rate may differ from its mean over a stretch. Where bursts
 * tell of more (the rate changed, the clock was stepped or stood still), the bound holds all that fits. Before the
 * first and after the last burst the uncertainty of the rate is added, by distance. Bursts that say less than their
 * neighbours do (slow ones) are not used, unless they contradict.
 */
#ifndef HS_TIMELINE_GUEST_CLOCK_H
#define HS_TIMELINE_GUEST_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HS_GUEST_CLOCK_WANDER_PPM 20
#define HS_GUEST_CLOCK_DRIFT_PPM 2000 /* a rate further from the host's is a step; assumed when there is one burst */
#define HS_GUEST_CLOCK_MAX_NS (1ll << 61) /* times are below */
#define HS_GUEST_CLOCK_BOOT_ID_BYTES 40

/* One ping, in ns. A guest that takes one time stamp only gives it twice. */
struct hs_guest_sample {
	uint64_t host_send_ns, guest_recv_ns, guest_send_ns, host_recv_ns;
};

/* A burst's best ping: the one that leaves the least freedom. */
struct hs_guest_burst {
	struct hs_guest_sample best;
	uint64_t sample_nr;
};

/* Where the mapping bends: at guest_ns the host's clock showed host_ns, give or take error_ns. */
struct hs_guest_knot {
	int64_t guest_ns, host_ns, error_ns;
	int64_t off_line_ns; /* how far from the line to the next knot the truth may be, beyond wandering */
	bool is_step;	     /* until the next knot: no line at all */
};

/* = {} is an empty one. */
struct hs_guest_clock {
	char boot_id[HS_GUEST_CLOCK_BOOT_ID_BYTES]; /* for whoever keeps several */
	struct hs_guest_burst *bursts;		    /* all of them, in their order */
	size_t burst_nr, burst_room;
	struct hs_guest_knot *knots;
	size_t knot_nr, knot_room;
	size_t hint;	/* interval of the last answer */
	bool went_back; /* somewhere: every interval must be looked at */
};

/*
 * Adds a burst: samples taken within a second or so, in any order, all after those of the bursts before. 0; -EINVAL:
 * none of them can be (times that run backwards, an answer that took less than no time) or they are not later than
 * the burst before; -ENOMEM. Samples that cannot be are left out.
 */
int hs_guest_clock_add_burst(struct hs_guest_clock *clock, const struct hs_guest_sample *samples, size_t sample_nr);

/*
 * The host's clock when the guest's showed guest_ns: within *error_ns of *host_ns. Where the guest's clock was set back
 * both moments are in the bound. 0; -ENODATA: no burst; -ERANGE: no such time.
 */
int hs_guest_clock_to_host(struct hs_guest_clock *clock, uint64_t guest_ns, uint64_t *host_ns, uint64_t *error_ns);

/* The other way round. 0 is answered when the guest's clock had not begun. */
int hs_guest_clock_to_guest(struct hs_guest_clock *clock, uint64_t host_ns, uint64_t *guest_ns, uint64_t *error_ns);

struct hs_guest_clock_summary {
	size_t burst_nr, sample_nr;
	size_t step_nr;		   /* places where the clock was stepped or stood still */
	uint64_t best_trip_ns;	   /* the fastest ping, without the guest's own time */
	uint64_t bound_ns;	   /* the largest error bound from the first to the last burst, steps left out */
	uint64_t begin_ns, end_ns; /* the host's clock at these */
	int64_t offset_ns;	   /* host - guest at the last burst */
	int64_t drift_ppb;	   /* how much faster than the host's the guest's clock ran, over all but steps; ppb */
};

/* -ENODATA: no burst. */
int hs_guest_clock_summary(struct hs_guest_clock *clock, struct hs_guest_clock_summary *out);

void hs_guest_clock_clear(struct hs_guest_clock *clock);

/* scoped(hs_guest_clock) struct hs_guest_clock clock = { 0 }; */
static inline void hs_guest_clock_scoped(struct hs_guest_clock *clock)
{
	hs_guest_clock_clear(clock);
}

#endif
