// SPDX-License-Identifier: GPL-2.0-only
/*
 * A probe that comes says when those before it were sent, too. So each is told to hs_probes as sent at its time and
 * answered when it came, and losses and outages are found as client_rr finds them.
 */
#include "migtools/arrivals.h"

#include <errno.h>

/* A tick has no number: it is enough to remember a few. */
#define TICK_NS 1000000000u
/* So many delays show what is usual. */
#define TICKS_TO_LEARN 3
/* A number is no higher than what fits into the time at the client's own pace, and this many more, for clocks differ.
 * So the work that numbers make is bounded by time, whoever sends them. */
#define AHEAD_MAX 65536

int hs_arrivals_start(struct hs_arrivals *arrivals, const struct hs_probe *probe, uint64_t patience_ns,
		      uint64_t arrival_ns)
{
	bool is_numbered = probe != NULL;
	uint64_t interval_ns = is_numbered ? probe->interval_ns : 0;

	*arrivals = (struct hs_arrivals){ .is_numbered = is_numbered,
					  .patience_ns = patience_ns,
					  .first_ns = arrival_ns,
					  .last_ns = arrival_ns,
					  .sent_ns = arrival_ns };
	if (is_numbered) {
		arrivals->session = probe->session;
		arrivals->first_seq = probe->seq;
		arrivals->interval_ns = interval_ns;
		arrivals->offset_ns = (int64_t)(arrival_ns - probe->sent_ns);
	}
	return hs_probes_start(&arrivals->probes, is_numbered ? interval_ns : TICK_NS,
			       patience_ns ? patience_ns : 2 * interval_ns, arrival_ns);
}

void hs_arrivals_clear(struct hs_arrivals *arrivals)
{
	hs_probes_clear(&arrivals->probes);
	hs_histogram_clear(&arrivals->ticks);
}

uint64_t hs_arrivals_interval_ns(const struct hs_arrivals *arrivals)
{
	if (arrivals->is_numbered)
		return arrivals->interval_ns;
	return arrivals->ticks.count < TICKS_TO_LEARN ? 0 : hs_histogram_quantile(&arrivals->ticks, 0.5);
}

/* What was queued comes all at once, and may be the most of what came: far below the average it shows no interval. */
static int learn_interval(struct hs_arrivals *arrivals, uint64_t delay_ns)
{
	uint64_t average_ns = (arrivals->last_ns + delay_ns - arrivals->first_ns) / arrivals->received;

	return delay_ns < average_ns / 4 ? 0 : hs_histogram_add(&arrivals->ticks, delay_ns, 1);
}

/* In our clock: never before the one that was sent before it, never after it came. */
static uint64_t when_sent(struct hs_arrivals *arrivals, const struct hs_probe *probe, uint64_t arrival_ns)
{
	int64_t offset_ns = (int64_t)(arrival_ns - probe->sent_ns), took_ns;

	if (__builtin_sub_overflow(offset_ns, arrivals->offset_ns, &took_ns))
		took_ns = 0; /* no clock steps by centuries */
	if (took_ns < 0) {
		arrivals->offset_ns = offset_ns;
		took_ns = 0;
	}
	if (arrival_ns < arrivals->sent_ns || (uint64_t)took_ns > arrival_ns - arrivals->sent_ns)
		return arrivals->sent_ns;
	return arrival_ns - (uint64_t)took_ns;
}

/* Those before it that have not come, evenly between the two that have; then this one. */
static int add_newest(struct hs_arrivals *arrivals, uint64_t number, uint64_t sent_ns)
{
	uint64_t before_ns = arrivals->sent_ns, steps = number - arrivals->probes.sent + 1;
	int err = 0;

	for (uint64_t step = 1; step <= steps && !err; step++)
		err = hs_probes_sent(
			&arrivals->probes,
			before_ns + (uint64_t)((double)(sent_ns - before_ns) * (double)step / (double)steps), 0);
	arrivals->sent_ns = sent_ns;
	return err;
}

static int add_numbered(struct hs_arrivals *arrivals, const struct hs_probe *probe, uint64_t arrival_ns)
{
	uint64_t number = probe->seq - arrivals->first_seq;
	uint64_t elapsed_ns = arrival_ns > arrivals->first_ns ? arrival_ns - arrivals->first_ns : 0;
	enum hs_probes_verdict verdict;
	int err = 0;

	if (probe->session != arrivals->session || number > elapsed_ns / arrivals->interval_ns + AHEAD_MAX) {
		arrivals->refused++;
		return 0;
	}
	if (number >= arrivals->probes.sent)
		err = add_newest(arrivals, number, when_sent(arrivals, probe, arrival_ns));
	if (err)
		return err;
	arrivals->received++;
	return hs_probes_answer(&arrivals->probes, number, arrival_ns, &verdict);
}

static int add_tick_outage(struct hs_arrivals *arrivals, uint64_t delay_ns)
{
	uint64_t interval_ns = hs_arrivals_interval_ns(arrivals);
	uint64_t patience_ns = arrivals->patience_ns ? arrivals->patience_ns : 2 * interval_ns;
	struct hs_outage outage = { .start_ns = arrivals->last_ns + interval_ns,
				    .end_ns = arrivals->last_ns + delay_ns };

	/* The first that did not come was due an interval after the last that did. */
	if (!interval_ns || delay_ns < 2 * interval_ns || delay_ns - interval_ns + interval_ns / 2 < patience_ns)
		return 0;
	outage.at_least_ns = delay_ns - 2 * interval_ns;
	outage.at_most_ns = delay_ns;
	outage.probes = (delay_ns + interval_ns / 2) / interval_ns - 1;
	return hs_outages_add(&arrivals->probes.outages, &outage);
}

static int add_tick(struct hs_arrivals *arrivals, uint64_t arrival_ns)
{
	uint64_t delay_ns = arrival_ns > arrivals->last_ns ? arrival_ns - arrivals->last_ns : 0;
	enum hs_probes_verdict verdict;
	int err = arrivals->received ? learn_interval(arrivals, delay_ns) : 0;

	if (!err)
		err = add_tick_outage(arrivals, delay_ns);
	if (!err)
		err = hs_probes_sent(&arrivals->probes, arrival_ns, 0);
	if (err)
		return err;
	arrivals->received++;
	return hs_probes_answer(&arrivals->probes, arrivals->probes.sent - 1, arrival_ns, &verdict);
}

int hs_arrivals_add(struct hs_arrivals *arrivals, const struct hs_probe *probe, uint64_t arrival_ns)
{
	int err = 0;

	if (!arrivals->is_numbered)
		err = add_tick(arrivals, arrival_ns);
	else if (probe)
		err = add_numbered(arrivals, probe, arrival_ns);
	else
		arrivals->refused++;
	if (arrival_ns > arrivals->last_ns)
		arrivals->last_ns = arrival_ns;
	return err;
}

int hs_arrivals_finish(struct hs_arrivals *arrivals)
{
	return hs_probes_finish(&arrivals->probes, arrivals->last_ns);
}
