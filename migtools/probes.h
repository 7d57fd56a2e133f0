/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What became of every probe that was sent: answered in time, late, twice, out of order, or not at all; and the
 * outages that follow from it. Each answer names its probe, so an echo that comes late can never stand for a newer
 * one: a second outage shows however many echoes of the first are still on their way. Pure: times come with the calls,
 * in one clock, ns. One thread.
 *
 * A probe is missing when its answer is not there within `patience` beyond the usual round trip: the smallest one seen,
 * until HS_PROBES_AGREEING answers in a row agree, within `patience`, on a longer one (the way has become longer; what
 * was queued and is delivered late does not agree: each waited less than the one before). A run of probes that
 * are missing is an outage: from the first one's sending to the first answer to any of them or to a later one (less
 * the usual round trip, so that both ends are times of sending). One that lasted less than `patience` by more than half
 * an interval is not listed: with a patience of two intervals, a lone loss is a loss only.
 */
#ifndef HS_MIGTOOLS_PROBES_H
#define HS_MIGTOOLS_PROBES_H

#include <stdio.h>

#include "base/histogram.h"
#include "migtools/outage.h"

#define HS_PROBES_AGREEING 16
/* The usual round trip as long as there was none. */
#define HS_PROBES_FIRST_RTT_NS 1000000000u

enum hs_probes_verdict {
	HS_PROBES_IN_TIME,
	HS_PROBES_LATE,
	HS_PROBES_DUPLICATE,
	HS_PROBES_UNKNOWN, /* never sent, not sent, or so long ago that nobody remembers */
};

struct hs_probes_slot;

struct hs_probes {
	uint64_t interval_ns, patience_ns, start_ns;
	uint64_t sent, unsent; /* unsent: of those sent, the ones that the kernel did not take */
	uint64_t answered, late, duplicates, reordered, unknown;
	struct hs_histogram rtt;   /* of all answered */
	struct hs_histogram delay; /* from one answer to the next: what mig_mon calls so */
	struct hs_outages outages; /* those that are over */
	struct hs_outage current;  /* is_open: one is on */
	uint64_t last_arrival_ns;  /* of any answer; the start before the first */

	uint64_t slot_nr, judged, highest; /* judged: probes before it have been; highest: answered so far + 1 */
	struct hs_probes_slot *slots;	   /* of the newest slot_nr probes */
	uint64_t first_missing, last_good_ns, last_missing_ns; /* of the current outage */
	uint64_t usual_rtt_ns, recent_rtt_ns[HS_PROBES_AGREEING];
	uint64_t error_ns;
	int error; /* the newest of the network's, at error_ns */
	FILE *log; /* one line per probe, borrowed; or NULL */
};

/* A probe every interval_ns is expected. 0 or -ENOMEM. */
int hs_probes_start(struct hs_probes *probes, uint64_t interval_ns, uint64_t patience_ns, uint64_t start_ns);
void hs_probes_clear(struct hs_probes *probes);

/* Writes a line for each probe as soon as its end is known; the head line is written at once. */
void hs_probes_log(struct hs_probes *probes, FILE *log);

/* The next probe was sent, with number probes->sent; error: why the kernel did not take it, or 0. 0 or -ENOMEM. */
int hs_probes_sent(struct hs_probes *probes, uint64_t sent_ns, int error);
/* The network reported an error (negative) that belongs to no probe that can be told. */
void hs_probes_error(struct hs_probes *probes, uint64_t now_ns, int error);
/* An answer arrived; answers come in order of arrival. 0 or -ENOMEM. */
int hs_probes_answer(struct hs_probes *probes, uint64_t seq, uint64_t arrival_ns, enum hs_probes_verdict *verdict);
/* No answer that arrived before now_ns is still to come: probes whose time is up are missing. 0 or -ENOMEM. */
int hs_probes_judge(struct hs_probes *probes, uint64_t now_ns);
/* When the last probe's time is up: to wait longer tells nothing. */
uint64_t hs_probes_deadline_ns(const struct hs_probes *probes);
/* Nothing comes any more: what is not answered is lost, an outage that is on ends as an open one. 0 or -ENOMEM. */
int hs_probes_finish(struct hs_probes *probes, uint64_t now_ns);

/* Sent and never answered. */
uint64_t hs_probes_lost(const struct hs_probes *probes);

#endif
