// SPDX-License-Identifier: GPL-2.0-only
/*
 * Probes wait in a ring until they are judged, in order of their numbers: good when the answer came in time, else
 * missing. Answers find their probe by its number as long as the ring holds it.
 */
#include "migtools/probes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The ring holds a minute of probes within these bounds; powers of two. */
#define SLOTS_MIN (1u << 16)
#define SLOTS_MAX (1u << 20)
#define SLOTS_SPAN_NS 60000000000u

struct hs_probes_slot {
	uint64_t sent_ns, arrival_ns; /* 0: no answer */
	int error;
};

int hs_probes_start(struct hs_probes *probes, uint64_t interval_ns, uint64_t patience_ns, uint64_t start_ns)
{
	uint64_t slot_nr = SLOTS_MIN;

	while (slot_nr < SLOTS_MAX && slot_nr * interval_ns < SLOTS_SPAN_NS)
		slot_nr *= 2;
	*probes = (struct hs_probes){
		.interval_ns = interval_ns, .patience_ns = patience_ns, .start_ns = start_ns, .slot_nr = slot_nr
	};
	probes->last_arrival_ns = probes->last_good_ns = start_ns;
	probes->usual_rtt_ns = HS_PROBES_FIRST_RTT_NS;
	probes->slots = calloc(slot_nr, sizeof(*probes->slots));
	return probes->slots ? 0 : -ENOMEM;
}

void hs_probes_clear(struct hs_probes *probes)
{
	free(probes->slots);
	hs_histogram_clear(&probes->rtt);
	hs_histogram_clear(&probes->delay);
	hs_outages_clear(&probes->outages);
	*probes = (struct hs_probes){ 0 };
}

/* Learns from a round trip what is usual. */
static void take_rtt(struct hs_probes *probes, uint64_t rtt_ns)
{
	uint64_t min_ns = rtt_ns, max_ns = rtt_ns;

	probes->recent_rtt_ns[probes->answered % HS_PROBES_AGREEING] = rtt_ns;
	if (rtt_ns < probes->usual_rtt_ns)
		probes->usual_rtt_ns = rtt_ns;
	if (probes->answered < HS_PROBES_AGREEING)
		return;
	for (int i = 0; i < HS_PROBES_AGREEING; i++) {
		uint64_t recent_ns = probes->recent_rtt_ns[i];

		min_ns = recent_ns < min_ns ? recent_ns : min_ns;
		max_ns = recent_ns > max_ns ? recent_ns : max_ns;
	}
	if (max_ns - min_ns <= probes->patience_ns)
		probes->usual_rtt_ns = min_ns;
}

static struct hs_probes_slot *slot_of(const struct hs_probes *probes, uint64_t seq)
{
	return &probes->slots[seq & (probes->slot_nr - 1)];
}

/* ---- the log ----------------------------------------------------------------------------------- */

void hs_probes_log(struct hs_probes *probes, FILE *log)
{
	probes->log = log;
	fputs("seq,sent_boottime_ns,rtt_ns,what\n", log);
}

static void log_answer(const struct hs_probes *probes, uint64_t seq, uint64_t arrival_ns, const char *what)
{
	const struct hs_probes_slot *slot = slot_of(probes, seq);

	if (probes->log)
		fprintf(probes->log, "%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%s\n", seq, slot->sent_ns,
			arrival_ns - slot->sent_ns, what);
}

/* The probe leaves the ring, or the run ends: that it has no answer is known now. */
static void log_lost(const struct hs_probes *probes, uint64_t seq)
{
	const struct hs_probes_slot *slot = slot_of(probes, seq);

	if (probes->log && !slot->arrival_ns && !slot->error)
		fprintf(probes->log, "%" PRIu64 ",%" PRIu64 ",,lost\n", seq, slot->sent_ns);
}

/* ---- outages ----------------------------------------------------------------------------------- */

static int list_outage(struct hs_probes *probes, uint64_t lasted_ns)
{
	if (lasted_ns + probes->interval_ns / 2 < probes->patience_ns)
		return 0;
	return hs_outages_add(&probes->outages, &probes->current);
}

/* An answer to probe `by` arrived and ends the current outage. */
static int end_outage(struct hs_probes *probes, uint64_t by)
{
	const struct hs_probes_slot *slot = slot_of(probes, by);
	struct hs_outage *outage = &probes->current;
	uint64_t rtt_ns = slot->arrival_ns - slot->sent_ns, usual_ns = probes->usual_rtt_ns;
	uint64_t end_ns = slot->arrival_ns - (usual_ns < rtt_ns ? usual_ns : rtt_ns);

	outage->is_open = false;
	outage->end_ns = end_ns > outage->start_ns ? end_ns : outage->start_ns;
	outage->at_most_ns = outage->end_ns - probes->last_good_ns;
	/* Answered after a wait: it was on until then. Sent when all was well again: until the last missing one, at
	 * least. */
	outage->at_least_ns = slot->sent_ns <= probes->last_missing_ns ? outage->end_ns - outage->start_ns
								       : probes->last_missing_ns - outage->start_ns;
	if (probes->error_ns >= outage->start_ns)
		outage->error = probes->error;
	return list_outage(probes, outage->end_ns - outage->start_ns);
}

/* The probe of probe `seq` or a later one whose answer arrived first; UINT64_MAX: none has yet. */
static uint64_t first_answer_since(const struct hs_probes *probes, uint64_t seq)
{
	uint64_t first = UINT64_MAX;

	for (; seq < probes->sent; seq++) {
		const struct hs_probes_slot *slot = slot_of(probes, seq);

		if (first != UINT64_MAX && slot->sent_ns >= slot_of(probes, first)->arrival_ns)
			break; /* this one's cannot be earlier, nor any later one's */
		if (slot->arrival_ns && (first == UINT64_MAX || slot->arrival_ns < slot_of(probes, first)->arrival_ns))
			first = seq;
	}
	return first;
}

static int begin_outage(struct hs_probes *probes, uint64_t seq)
{
	uint64_t answered_by = first_answer_since(probes, seq);
	uint64_t sent_ns = slot_of(probes, seq)->sent_ns;

	probes->first_missing = seq;
	probes->last_missing_ns = sent_ns;
	probes->current = (struct hs_outage){ .start_ns = sent_ns, .probes = 1, .is_open = true };
	return answered_by == UINT64_MAX ? 0 : end_outage(probes, answered_by);
}

/* In the newest outage that is over? It ended before this one was known to be missing. */
static bool was_in_outage(const struct hs_probes *probes, uint64_t sent_ns)
{
	return !probes->current.is_open && sent_ns < probes->current.end_ns;
}

static int take_missing(struct hs_probes *probes, uint64_t seq)
{
	uint64_t sent_ns = slot_of(probes, seq)->sent_ns;
	struct hs_outage *listed = NULL;

	if (!probes->current.is_open && !was_in_outage(probes, sent_ns))
		return begin_outage(probes, seq);
	probes->current.probes++;
	if (sent_ns > probes->last_missing_ns)
		probes->last_missing_ns = sent_ns;
	if (probes->current.is_open || !probes->outages.count)
		return 0;
	/* Its place in the list, unless it was too short for that. */
	listed = &probes->outages.items[probes->outages.count - 1];
	if (listed->start_ns != probes->current.start_ns)
		return 0;
	listed->probes++;
	if (listed->at_least_ns < sent_ns - listed->start_ns)
		listed->at_least_ns = sent_ns - listed->start_ns;
	return 0;
}

/* ---- what happens ------------------------------------------------------------------------------ */

static bool time_is_up(const struct hs_probes *probes, const struct hs_probes_slot *slot, uint64_t now_ns)
{
	return slot->error || now_ns > slot->sent_ns + probes->patience_ns + probes->usual_rtt_ns;
}

static int judge_next(struct hs_probes *probes)
{
	const struct hs_probes_slot *slot = slot_of(probes, probes->judged);

	probes->judged++;
	if (!slot->arrival_ns)
		return take_missing(probes, probes->judged - 1);
	probes->last_good_ns = slot->sent_ns;
	return 0;
}

int hs_probes_judge(struct hs_probes *probes, uint64_t now_ns)
{
	int err = 0;

	while (!err && probes->judged < probes->sent) {
		const struct hs_probes_slot *slot = slot_of(probes, probes->judged);

		if (!slot->arrival_ns && !time_is_up(probes, slot, now_ns))
			break;
		err = judge_next(probes);
	}
	return err;
}

int hs_probes_sent(struct hs_probes *probes, uint64_t sent_ns, int error)
{
	uint64_t seq = probes->sent;
	int err = 0;

	if (seq >= probes->slot_nr) {
		if (probes->judged == seq - probes->slot_nr)
			err = judge_next(probes);
		log_lost(probes, seq - probes->slot_nr);
	}
	*slot_of(probes, seq) = (struct hs_probes_slot){ .sent_ns = sent_ns, .error = error };
	probes->sent++;
	if (error) {
		probes->unsent++;
		if (probes->log)
			fprintf(probes->log, "%" PRIu64 ",%" PRIu64 ",,unsent\n", seq, sent_ns);
		hs_probes_error(probes, sent_ns, error);
	}
	return err;
}

void hs_probes_error(struct hs_probes *probes, uint64_t now_ns, int error)
{
	probes->error = error;
	probes->error_ns = now_ns;
}

static int count_answer(struct hs_probes *probes, uint64_t seq, uint64_t arrival_ns)
{
	struct hs_probes_slot *slot = slot_of(probes, seq);
	uint64_t since = arrival_ns > probes->last_arrival_ns ? arrival_ns - probes->last_arrival_ns : 0;

	if (hs_histogram_add(&probes->rtt, arrival_ns - slot->sent_ns, 1))
		return -ENOMEM;
	if (probes->answered && hs_histogram_add(&probes->delay, since, 1))
		return -ENOMEM;
	take_rtt(probes, arrival_ns - slot->sent_ns);
	probes->answered++;
	slot->arrival_ns = arrival_ns;
	if (arrival_ns > probes->last_arrival_ns)
		probes->last_arrival_ns = arrival_ns;
	if (seq < probes->highest)
		probes->reordered++;
	else
		probes->highest = seq + 1;
	return 0;
}

int hs_probes_answer(struct hs_probes *probes, uint64_t seq, uint64_t arrival_ns, enum hs_probes_verdict *verdict)
{
	struct hs_probes_slot *slot = slot_of(probes, seq);
	int err = hs_probes_judge(probes, arrival_ns);

	if (err)
		return err;
	*verdict = HS_PROBES_UNKNOWN;
	if (seq >= probes->sent || probes->sent - seq > probes->slot_nr || slot->error) {
		probes->unknown++;
		return 0;
	}
	/* A step of the clock that arrivals are stamped with must not make time run backwards. */
	if (arrival_ns <= slot->sent_ns)
		arrival_ns = slot->sent_ns + 1;
	if (slot->arrival_ns) {
		probes->duplicates++;
		*verdict = HS_PROBES_DUPLICATE;
		log_answer(probes, seq, arrival_ns, "duplicate");
		return 0;
	}
	*verdict = seq < probes->judged ? HS_PROBES_LATE : HS_PROBES_IN_TIME;
	probes->late += *verdict == HS_PROBES_LATE;
	err = count_answer(probes, seq, arrival_ns);
	log_answer(probes, seq, arrival_ns, *verdict == HS_PROBES_LATE ? "late" : "ok");
	if (!err && probes->current.is_open && seq >= probes->first_missing)
		err = end_outage(probes, seq);
	return err;
}

uint64_t hs_probes_deadline_ns(const struct hs_probes *probes)
{
	if (probes->judged == probes->sent)
		return 0;
	return slot_of(probes, probes->sent - 1)->sent_ns + probes->patience_ns + probes->usual_rtt_ns;
}

static int end_open_outage(struct hs_probes *probes, uint64_t now_ns)
{
	struct hs_outage *outage = &probes->current;

	outage->end_ns = now_ns > outage->start_ns ? now_ns : outage->start_ns;
	outage->at_least_ns = probes->last_missing_ns - outage->start_ns;
	outage->at_most_ns = outage->end_ns - probes->last_good_ns;
	if (probes->error_ns >= outage->start_ns)
		outage->error = probes->error;
	/* What was waited for after the last probe shows nothing: each probe stands for its interval. */
	return list_outage(probes, probes->last_missing_ns + probes->interval_ns - outage->start_ns);
}

int hs_probes_finish(struct hs_probes *probes, uint64_t now_ns)
{
	uint64_t seq = probes->sent > probes->slot_nr ? probes->sent - probes->slot_nr : 0;
	int err = 0;

	while (!err && probes->judged < probes->sent)
		err = judge_next(probes);
	for (; seq < probes->sent; seq++)
		log_lost(probes, seq);
	if (!err && probes->current.is_open)
		err = end_open_outage(probes, now_ns);
	return err;
}

uint64_t hs_probes_lost(const struct hs_probes *probes)
{
	return probes->sent - probes->unsent - probes->answered;
}
