// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mapping between a guest's clock and the host's. Times are below 2^61 and rates are differences times a distance
 * over a distance: products take 128 bits, nothing is rounded but the result. Called by whoever pings guests, and by
 * readers of runs; see the header for who may call what when.
 */
#include <errno.h>
#include <stdlib.h>

#include "timeline/guest_clock.h"

#define TRIP_MAX_NS (1ll << 40) /* 18 minutes: nothing is learnt from a slower ping */

/* A place on the other clock: in [low, high], at best `best`. */
struct range {
	int64_t low, best, high;
};

/* a * b / c, c above 0; rounded to zero, kept below the largest time so that sums of a few have room. */
static int64_t scale(int64_t a, int64_t b, int64_t c)
{
	const int64_t limit = HS_GUEST_CLOCK_MAX_NS;
	__int128 result = (__int128)a * b / c;

	if (result > limit)
		return limit;
	return result < -limit ? -limit : (int64_t)result;
}

static int64_t ppm_of(int64_t distance_ns, int64_t ppm)
{
	return scale(distance_ns, ppm, 1000000) + 1;
}

static int64_t min64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t max64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t offset_of(const struct hs_guest_knot *knot)
{
	return knot->host_ns - knot->guest_ns;
}

static struct range around(int64_t best, int64_t error_ns)
{
	return (struct range){ best - error_ns, best, best + error_ns };
}

static void join(struct range *all, const struct range *one, bool is_first)
{
	if (is_first) {
		*all = *one;
		return;
	}
	all->low = min64(all->low, one->low);
	all->high = max64(all->high, one->high);
	all->best = all->low + (all->high - all->low) / 2;
}

/* ---- adding ---- */

/* How long the ping was under way; below 0 by more than the clocks' rates explain: it cannot be. */
static bool trip_of(const struct hs_guest_sample *sample, int64_t *trip_ns)
{
	int64_t host_ns = (int64_t)(sample->host_recv_ns - sample->host_send_ns);
	int64_t guest_ns = (int64_t)(sample->guest_send_ns - sample->guest_recv_ns);

	if (sample->host_send_ns > sample->host_recv_ns || sample->host_recv_ns >= (uint64_t)HS_GUEST_CLOCK_MAX_NS ||
	    sample->guest_recv_ns > sample->guest_send_ns || sample->guest_send_ns >= (uint64_t)HS_GUEST_CLOCK_MAX_NS ||
	    host_ns > TRIP_MAX_NS || host_ns < guest_ns - ppm_of(guest_ns, HS_GUEST_CLOCK_DRIFT_PPM))
		return false;
	*trip_ns = max64(host_ns - guest_ns, 0);
	return true;
}

static struct hs_guest_knot knot_of(const struct hs_guest_sample *sample, int64_t trip_ns)
{
	int64_t guest_ns = (int64_t)(sample->guest_send_ns - sample->guest_recv_ns);
	int64_t host_ns = (int64_t)(sample->host_recv_ns - sample->host_send_ns);

	return (struct hs_guest_knot){ .guest_ns = (int64_t)sample->guest_recv_ns + guest_ns / 2,
				       .host_ns = (int64_t)sample->host_send_ns + host_ns / 2,
				       .error_ns = trip_ns / 2 + ppm_of(guest_ns / 2, HS_GUEST_CLOCK_DRIFT_PPM) + 1 };
}

static bool is_step(const struct hs_guest_knot *a, const struct hs_guest_knot *b)
{
	int64_t length = b->guest_ns - a->guest_ns;

	return length <= 0 || llabs(offset_of(b) - offset_of(a)) >
				      a->error_ns + b->error_ns + ppm_of(length, HS_GUEST_CLOCK_DRIFT_PPM);
}

/* On the line from a to b, at a guest's time between them. */
static struct hs_guest_knot on_line(const struct hs_guest_knot *a, const struct hs_guest_knot *b, int64_t guest_ns)
{
	int64_t length = b->guest_ns - a->guest_ns, from_a = guest_ns - a->guest_ns, to_b = b->guest_ns - guest_ns;
	int64_t offset = offset_of(a) + scale(offset_of(b) - offset_of(a), from_a, length);
	int64_t error = scale(a->error_ns, to_b, length) + scale(b->error_ns, from_a, length) + 3;

	return (struct hs_guest_knot){
		.guest_ns = guest_ns,
		.host_ns = guest_ns + offset,
		.error_ns = error + ppm_of(min64(from_a, to_b), HS_GUEST_CLOCK_WANDER_PPM),
	};
}

/* Whether the knot between a and b says less than the line from a to b does, and agrees with it. */
static bool is_useless(const struct hs_guest_knot *a, const struct hs_guest_knot *knot, const struct hs_guest_knot *b)
{
	struct hs_guest_knot line;

	if (a->is_step || a->off_line_ns || is_step(knot, b) || is_step(a, b))
		return false;
	line = on_line(a, b, knot->guest_ns);
	return line.error_ns < knot->error_ns && llabs(line.host_ns - knot->host_ns) <= line.error_ns + knot->error_ns;
}

/*
 * What the rate in interval i differs from that of interval `other` more than the errors of both explain: a change of
 * rate, or a small step, somewhere in one of them.
 */
static int64_t surprise(const struct hs_guest_clock *clock, size_t i, size_t other)
{
	const struct hs_guest_knot *a = &clock->knots[i], *b = &clock->knots[other];
	int64_t length = a[1].guest_ns - a->guest_ns, other_length = b[1].guest_ns - b->guest_ns;
	int64_t change, noise;

	if (b->is_step)
		return 0;
	change = llabs(offset_of(a + 1) - offset_of(a) - scale(offset_of(b + 1) - offset_of(b), length, other_length));
	noise = a->error_ns + a[1].error_ns + scale(b->error_ns + b[1].error_ns, length, other_length);
	return change > noise + 2 * ppm_of(length, HS_GUEST_CLOCK_WANDER_PPM) ? change + noise : 0;
}

static void judge_interval(struct hs_guest_clock *clock, size_t i)
{
	struct hs_guest_knot *knot = &clock->knots[i];

	knot->off_line_ns = 0;
	knot->is_step = is_step(knot, knot + 1);
	if (knot->is_step)
		return;
	if (i > 0)
		knot->off_line_ns = surprise(clock, i, i - 1);
	if (i + 2 < clock->knot_nr)
		knot->off_line_ns = max64(knot->off_line_ns, surprise(clock, i, i + 1));
}

static void add_knot(struct hs_guest_clock *clock, const struct hs_guest_knot *knot)
{
	struct hs_guest_knot *knots = clock->knots;
	size_t *nr = &clock->knot_nr;

	while (*nr >= 2 && is_useless(&knots[*nr - 2], &knots[*nr - 1], knot))
		(*nr)--;
	knots[(*nr)++] = *knot;
	clock->hint = 0;
	if (*nr >= 2 && knot->guest_ns <= knots[*nr - 2].guest_ns)
		clock->went_back = true;
	if (*nr >= 2)
		judge_interval(clock, *nr - 2);
	if (*nr >= 3)
		judge_interval(clock, *nr - 3);
}

static int make_room(struct hs_guest_clock *clock)
{
	size_t room = clock->burst_room ? 2 * clock->burst_room : 16;
	struct hs_guest_burst *bursts;
	struct hs_guest_knot *knots;

	if (clock->burst_nr == clock->burst_room) {
		bursts = reallocarray(clock->bursts, room, sizeof(*bursts));
		if (!bursts)
			return -ENOMEM;
		clock->bursts = bursts;
		clock->burst_room = room;
	}
	if (clock->knot_nr == clock->knot_room) {
		knots = reallocarray(clock->knots, clock->burst_room, sizeof(*knots));
		if (!knots)
			return -ENOMEM;
		clock->knots = knots;
		clock->knot_room = clock->burst_room;
	}
	return 0;
}

int hs_guest_clock_add_burst(struct hs_guest_clock *clock, const struct hs_guest_sample *samples, size_t sample_nr)
{
	const struct hs_guest_sample *best = NULL;
	struct hs_guest_knot knot;
	uint64_t possible_nr = 0;
	int64_t trip, best_trip = 0;

	for (size_t i = 0; i < sample_nr; i++) {
		if (!trip_of(&samples[i], &trip))
			continue;
		if (!best || trip < best_trip) {
			best = &samples[i];
			best_trip = trip;
		}
		possible_nr++;
	}
	if (!best)
		return -EINVAL;
	knot = knot_of(best, best_trip);
	if (clock->burst_nr && best->host_send_ns <= clock->bursts[clock->burst_nr - 1].best.host_send_ns)
		return -EINVAL;
	if (clock->knot_nr && knot.host_ns <= clock->knots[clock->knot_nr - 1].host_ns)
		return -EINVAL;
	if (make_room(clock))
		return -ENOMEM;
	clock->bursts[clock->burst_nr++] = (struct hs_guest_burst){ *best, possible_nr };
	add_knot(clock, &knot);
	return 0;
}

void hs_guest_clock_clear(struct hs_guest_clock *clock)
{
	free(clock->bursts);
	free(clock->knots);
	*clock = (struct hs_guest_clock){ 0 };
}

/* ---- mapping ---- */

/* How the offset changes with the guest's time: change_ns in length_ns, that much ppm wrong at the most. */
struct rate {
	int64_t change_ns, length_ns, error_ppm;
};

/*
 * The rate at the first or last knot, from the stretch that tells it best: errors weigh less over a long one, but it
 * must not cross a place where the rate changed.
 */
static struct rate rate_at_end(const struct hs_guest_clock *clock, bool is_first)
{
	size_t last = clock->knot_nr - 1, end = is_first ? 0 : last;
	struct rate best = { 0, 1, HS_GUEST_CLOCK_DRIFT_PPM };

	for (size_t span = 1, seen = 0; span <= last; span *= 2) {
		const struct hs_guest_knot *a = &clock->knots[is_first ? 0 : last - span], *b = a + span;
		int64_t length = b->guest_ns - a->guest_ns, off_line = 0, error;

		for (; seen < span; seen++) {
			const struct hs_guest_knot *interval = &clock->knots[is_first ? end + seen : end - seen - 1];

			if (interval->is_step || (seen && interval->off_line_ns))
				return best;
			off_line = max64(off_line, interval->off_line_ns);
		}
		error = scale(a->error_ns + b->error_ns + off_line, 1000000, length) + 1 +
			2 * HS_GUEST_CLOCK_WANDER_PPM;
		if (error < best.error_ppm)
			best = (struct rate){ offset_of(b) - offset_of(a), length, error };
		if (off_line)
			break;
	}
	return best;
}

/* Before the first or after the last knot. */
static struct range extrapolate(const struct hs_guest_clock *clock, bool is_first, int64_t guest_ns)
{
	const struct hs_guest_knot *knot = &clock->knots[is_first ? 0 : clock->knot_nr - 1];
	struct rate rate = rate_at_end(clock, is_first);
	int64_t distance = guest_ns - knot->guest_ns;
	int64_t best = guest_ns + offset_of(knot) + scale(rate.change_ns, distance, rate.length_ns);

	return around(best, knot->error_ns + ppm_of(llabs(distance), rate.error_ppm));
}

/*
 * Between knots with a step between them, which may be anywhere: the clock went on from a for as long as it can have,
 * or came to b. False: it never showed that.
 */
static bool across_step(const struct hs_guest_knot *a, const struct hs_guest_knot *b, int64_t guest_ns,
			struct range *range)
{
	int64_t from_a = guest_ns - a->guest_ns, to_b = b->guest_ns - guest_ns, duration = b->host_ns - a->host_ns;
	int64_t slack = ppm_of(duration, HS_GUEST_CLOCK_DRIFT_PPM);
	bool is_found = false;
	struct range one;

	if (from_a >= 0 && from_a <= duration + slack) {
		*range = around(a->host_ns + from_a, a->error_ns + slack);
		is_found = true;
	}
	if (to_b >= 0 && to_b <= duration + slack) {
		one = around(b->host_ns - to_b, b->error_ns + slack);
		join(range, &one, !is_found);
		is_found = true;
	}
	if (!is_found && from_a >= 0 && to_b >= 0) { /* jumped over: at the moment of the step, if ever */
		*range =
			(struct range){ a->host_ns - a->error_ns, a->host_ns + duration / 2, b->host_ns + b->error_ns };
		is_found = true;
	}
	return is_found;
}

static bool in_interval(const struct hs_guest_clock *clock, size_t i, int64_t guest_ns, struct range *range)
{
	const struct hs_guest_knot *a = &clock->knots[i], *b = a + 1;
	struct hs_guest_knot line;

	if (a->is_step)
		return across_step(a, b, guest_ns, range);
	if (guest_ns < a->guest_ns || guest_ns > b->guest_ns)
		return false;
	line = on_line(a, b, guest_ns);
	*range = around(line.host_ns, line.error_ns + a->off_line_ns);
	return true;
}

static int64_t time_of(const struct hs_guest_knot *knot, bool by_host)
{
	return by_host ? knot->host_ns : knot->guest_ns;
}

/* The interval whose times `ns` is in, where they run forward; there are two knots at least and ns is between them. */
static size_t search(struct hs_guest_clock *clock, int64_t ns, bool by_host)
{
	size_t low = 0, high = clock->knot_nr - 1, at = clock->hint;

	if (at + 1 < clock->knot_nr && time_of(&clock->knots[at], by_host) <= ns &&
	    ns < time_of(&clock->knots[at + 1], by_host))
		return at;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (time_of(&clock->knots[middle], by_host) <= ns)
			low = middle;
		else
			high = middle;
	}
	clock->hint = low;
	return low;
}

static struct range find_host(struct hs_guest_clock *clock, int64_t guest_ns)
{
	const struct hs_guest_knot *first = clock->knots, *last = first + clock->knot_nr - 1;
	struct range all, one;
	bool is_found = false;

	if (!clock->went_back) {
		if (guest_ns < first->guest_ns || guest_ns >= last->guest_ns)
			return extrapolate(clock, guest_ns < first->guest_ns, guest_ns);
		in_interval(clock, search(clock, guest_ns, false), guest_ns, &all);
		return all;
	}
	for (size_t i = 0; i + 1 < clock->knot_nr; i++) {
		if (!in_interval(clock, i, guest_ns, &one))
			continue;
		join(&all, &one, !is_found);
		is_found = true;
	}
	return is_found ? all : extrapolate(clock, guest_ns < last->guest_ns, guest_ns);
}

static int answer(const struct range *range, uint64_t *ns, uint64_t *error_ns)
{
	int64_t best = max64(range->best, 0);

	*ns = (uint64_t)best;
	*error_ns = (uint64_t)max64(range->high - best, best - range->low);
	return 0;
}

int hs_guest_clock_to_host(struct hs_guest_clock *clock, uint64_t guest_ns, uint64_t *host_ns, uint64_t *error_ns)
{
	struct range range;

	if (!clock->knot_nr)
		return -ENODATA;
	if (guest_ns >= (uint64_t)HS_GUEST_CLOCK_MAX_NS)
		return -ERANGE;
	range = find_host(clock, (int64_t)guest_ns);
	return answer(&range, host_ns, error_ns);
}

static struct range extrapolate_to_guest(const struct hs_guest_clock *clock, bool is_first, int64_t host_ns)
{
	const struct hs_guest_knot *knot = &clock->knots[is_first ? 0 : clock->knot_nr - 1];
	struct rate rate = rate_at_end(clock, is_first);
	int64_t distance = host_ns - knot->host_ns;
	int64_t guest_distance = scale(distance, rate.length_ns, rate.length_ns + rate.change_ns);

	return around(knot->guest_ns + guest_distance, knot->error_ns + ppm_of(llabs(distance), rate.error_ppm));
}

static struct range find_guest(struct hs_guest_clock *clock, int64_t host_ns)
{
	const struct hs_guest_knot *first = clock->knots, *last = first + clock->knot_nr - 1, *a, *b;
	struct hs_guest_knot line;
	struct range all, one;
	int64_t slack;

	if (host_ns < first->host_ns || host_ns >= last->host_ns)
		return extrapolate_to_guest(clock, host_ns < first->host_ns, host_ns);
	a = first + search(clock, host_ns, true);
	b = a + 1;
	if (!a->is_step) {
		line = on_line(a, b,
			       a->guest_ns +
				       scale(host_ns - a->host_ns, b->guest_ns - a->guest_ns, b->host_ns - a->host_ns));
		/* An error of the host's time is one of the guest's, but for the difference of their rates. */
		return around(line.guest_ns, line.error_ns + a->off_line_ns +
						     ppm_of(line.error_ns + a->off_line_ns, HS_GUEST_CLOCK_DRIFT_PPM));
	}
	slack = ppm_of(b->host_ns - a->host_ns, HS_GUEST_CLOCK_DRIFT_PPM);
	all = around(host_ns - offset_of(a), a->error_ns + slack);
	one = around(host_ns - offset_of(b), b->error_ns + slack);
	join(&all, &one, false);
	return all;
}

int hs_guest_clock_to_guest(struct hs_guest_clock *clock, uint64_t host_ns, uint64_t *guest_ns, uint64_t *error_ns)
{
	struct range range;

	if (!clock->knot_nr)
		return -ENODATA;
	if (host_ns >= (uint64_t)HS_GUEST_CLOCK_MAX_NS)
		return -ERANGE;
	range = find_guest(clock, (int64_t)host_ns);
	return answer(&range, guest_ns, error_ns);
}

/* ---- telling ---- */

/* The largest bound in an interval: at its ends or in its middle, being linear between these. */
static int64_t worst_in(const struct hs_guest_knot *a)
{
	const struct hs_guest_knot *b = a + 1;
	int64_t worst = max64(a->error_ns, b->error_ns);

	if (a->is_step)
		return worst;
	worst = max64(worst, on_line(a, b, a->guest_ns + (b->guest_ns - a->guest_ns) / 2).error_ns);
	return worst + a->off_line_ns;
}

int hs_guest_clock_summary(struct hs_guest_clock *clock, struct hs_guest_clock_summary *out)
{
	const struct hs_guest_knot *knots = clock->knots;
	struct hs_guest_clock_summary summary = { .burst_nr = clock->burst_nr, .best_trip_ns = UINT64_MAX };
	int64_t change = 0, length = 0, bound;

	if (!clock->knot_nr)
		return -ENODATA;
	for (size_t i = 0; i < clock->burst_nr; i++) {
		int64_t trip = 0;

		trip_of(&clock->bursts[i].best, &trip);
		summary.sample_nr += clock->bursts[i].sample_nr;
		if ((uint64_t)trip < summary.best_trip_ns)
			summary.best_trip_ns = (uint64_t)trip;
	}
	bound = knots[clock->knot_nr - 1].error_ns;
	for (size_t i = 0; i + 1 < clock->knot_nr; i++) {
		summary.step_nr += knots[i].is_step;
		bound = max64(bound, worst_in(&knots[i]));
		if (knots[i].is_step)
			continue;
		change += offset_of(&knots[i + 1]) - offset_of(&knots[i]);
		length += knots[i + 1].host_ns - knots[i].host_ns;
	}
	summary.bound_ns = (uint64_t)bound;
	summary.begin_ns = (uint64_t)knots[0].host_ns;
	summary.end_ns = (uint64_t)knots[clock->knot_nr - 1].host_ns;
	summary.offset_ns = offset_of(&knots[clock->knot_nr - 1]);
	summary.drift_ppb = length ? -scale(change, 1000000000, length) : 0;
	*out = summary;
	return 0;
}
