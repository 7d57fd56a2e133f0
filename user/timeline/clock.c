// SPDX-License-Identifier: GPL-2.0-only
/*
 * Clock samples and the mapping from CLOCK_REALTIME to CLOCK_BOOTTIME. On one machine both run at one rate
 * and their offset changes only by steps; a guest's or another machine's clock also drifts. The mapping
 * assumes neither: it bounds the offset by what the samples around say. Everything but taking a sample is
 * pure.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "timeline/clock.h"

#define TRIES 5
#define SLEW_PPM 500 /* MAXFREQ in the kernel's include/linux/timex.h */

/* Where the true time can be: [low, high], with the best guess between. */
struct range {
	int64_t low, best, high;
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static uint64_t read_tsc(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#else
	return 0;
#endif
}

void hs_clock_sample_take(struct hs_clock_sample *sample)
{
	for (int i = 0; i < TRIES; i++) {
		uint64_t before = clock_ns(CLOCK_BOOTTIME);
		uint64_t mono = clock_ns(CLOCK_MONOTONIC);
		uint64_t real = clock_ns(CLOCK_REALTIME);
		uint64_t tsc = read_tsc();
		uint64_t width = clock_ns(CLOCK_BOOTTIME) - before;

		if (!i || width < sample->width_ns)
			*sample = (struct hs_clock_sample){ before + width / 2, mono, real, tsc, width };
	}
}

static int64_t offset_of(const struct hs_clock_sample *sample)
{
	return sample->real_ns - sample->boot_ns;
}

/* By how much slewing can change the offset from this sample to the next. */
static int64_t slew_limit(const struct hs_clock_sample *sample)
{
	return (sample[1].boot_ns - sample->boot_ns) / 1000000 * SLEW_PPM;
}

int hs_clock_list_append(struct hs_clock_list *list, const struct hs_clock_sample *sample)
{
	const struct hs_clock_sample *last = list->sample_nr ? &list->samples[list->sample_nr - 1] : NULL;

	if (last && sample->boot_ns <= last->boot_ns)
		return -EINVAL;
	if (list->sample_nr == list->room) {
		size_t room = list->room ? 2 * list->room : 64;
		struct hs_clock_sample *samples = reallocarray(list->samples, room, sizeof(*samples));

		if (!samples)
			return -ENOMEM;
		list->samples = samples;
		list->room = room;
		last = list->sample_nr ? &samples[list->sample_nr - 1] : NULL;
	}
	list->samples[list->sample_nr++] = *sample;
	/* Slewing cannot make the clock go back; a step back can hide behind the time that passed. */
	if (last && offset_of(last) - offset_of(last + 1) > slew_limit(last))
		list->real_went_back = true;
	return 0;
}

void hs_clock_list_clear(struct hs_clock_list *list)
{
	free(list->samples);
	*list = (struct hs_clock_list){ 0 };
}

static int64_t half_up(uint64_t width)
{
	return width / 2 + width % 2;
}

static int64_t min64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t max64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* By how much the offset changed in interval i beyond what it would have at the pace of interval `other`. */
static int64_t surprise(const struct hs_clock_list *list, size_t i, size_t other)
{
	const struct hs_clock_sample *a = &list->samples[i], *b = &list->samples[other];
	double pace = (double)(offset_of(b + 1) - offset_of(b)) / (double)(b[1].boot_ns - b->boot_ns);
	double change = offset_of(a + 1) - offset_of(a);
	double expected = pace * (double)(a[1].boot_ns - a->boot_ns);

	return (int64_t)(change > expected ? change - expected : expected - change) + 1;
}

/*
 * How far the offset may be from the straight line between the samples. A change the neighbours share is
 * drift, which the line follows; what they do not share may have been a step anywhere in the interval.
 */
static int64_t residue(const struct hs_clock_list *list, size_t i)
{
	const struct hs_clock_sample *a = &list->samples[i];
	int64_t change = llabs(offset_of(a + 1) - offset_of(a)), worst = 0;

	if (change > slew_limit(a) || list->sample_nr < 3)
		return change;
	if (i > 0)
		worst = surprise(list, i, i - 1);
	if (i + 2 < list->sample_nr)
		worst = max64(worst, surprise(list, i, i + 1));
	return min64(worst, change);
}

/* Where in interval i (between samples i and i + 1) the clock can have shown `real`; false: nowhere. */
static bool find_in_interval(const struct hs_clock_list *list, size_t i, int64_t real, struct range *range)
{
	const struct hs_clock_sample *a = &list->samples[i], *b = a + 1;
	int64_t start = a->boot_ns, end = b->boot_ns, real_span = b->real_ns - a->real_ns;
	int64_t low = max64(real - max64(offset_of(a), offset_of(b)), start);
	int64_t high = min64(real - min64(offset_of(a), offset_of(b)), end);
	int64_t width = half_up(a->width_ns > b->width_ns ? a->width_ns : b->width_ns);
	int64_t off_line = residue(list, i), line = low;

	if (real_span > 0)
		line = start + (int64_t)((double)(real - (int64_t)a->real_ns) / (double)real_span *
					 (double)(end - start));
	if (low > high + width || line < start - off_line - width || line > end + off_line + width)
		return false;
	range->best = min64(max64(line, min64(low, high)), high);
	range->low = max64(min64(low, high), range->best - off_line) - width;
	range->high = min64(high, range->best + off_line) + width;
	return true;
}

/* Before the first or after the last sample: its offset, held, plus what slewing can do in the distance. */
static struct range extrapolate(const struct hs_clock_sample *sample, int64_t real)
{
	int64_t best = real - offset_of(sample);
	int64_t distance = llabs(best - (int64_t)sample->boot_ns);
	int64_t spread = half_up(sample->width_ns) + distance / 1000000 * SLEW_PPM + SLEW_PPM;

	return (struct range){ best - spread, best, best + spread };
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

/* The interval that `real` is in, when the clock never went back. */
static size_t search(struct hs_clock_list *list, int64_t real)
{
	size_t low = 0, high = list->sample_nr - 1, at = list->hint;

	if (at + 1 < list->sample_nr && (int64_t)list->samples[at].real_ns <= real &&
	    real < (int64_t)list->samples[at + 1].real_ns)
		return at;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if ((int64_t)list->samples[middle].real_ns <= real)
			low = middle;
		else
			high = middle;
	}
	list->hint = low;
	return low;
}

static struct range find(struct hs_clock_list *list, int64_t real)
{
	const struct hs_clock_sample *last = &list->samples[list->sample_nr - 1];
	struct range all, one;
	bool is_found = false;
	size_t i = 0, end = list->sample_nr - 1;

	if (!list->real_went_back && end > 0) {
		size_t at = search(list, real);

		/* The neighbours too: a step too small to be told from slewing may lie just beside a sample.
		 */
		i = at > 0 ? at - 1 : 0;
		end = at + 2 < end ? at + 2 : end;
	}
	for (; i < end; i++) {
		if (!find_in_interval(list, i, real, &one))
			continue;
		join(&all, &one, !is_found);
		is_found = true;
	}
	if (is_found)
		return all;
	return extrapolate(real < (int64_t)list->samples->real_ns ? list->samples : last, real);
}

int hs_clock_real_to_boot(struct hs_clock_list *list, uint64_t real_ns, uint64_t quantum_ns,
			  uint64_t *boot_ns, uint64_t *error_ns)
{
	int64_t half_quantum = half_up(quantum_ns);
	struct range range;

	if (!list->sample_nr)
		return -ENODATA;
	range = find(list, real_ns + quantum_ns / 2);
	*boot_ns = max64(range.best, 0);
	*error_ns = max64(range.high - range.best, range.best - range.low) + half_quantum;
	return 0;
}
