/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one client's datagrams say to a server that only listens: losses, order, delays, outages. Probes of ours tell
 * number and time of sending; the clocks of both machines are not compared, the quickest probe is taken for one that
 * came at once. Other datagrams (mig_mon's "echo") are ticks: the usual delay between them is learned, and a delay of
 * two of them or more is an outage. Times are BOOTTIME of the server. Trusts nothing that came. One thread.
 */
#ifndef HS_MIGTOOLS_ARRIVALS_H
#define HS_MIGTOOLS_ARRIVALS_H

#include "migtools/probe.h"
#include "migtools/probes.h"

struct hs_arrivals {
	bool is_numbered;
	uint64_t session, first_seq, interval_ns; /* of numbered ones */
	uint64_t patience_ns;			  /* 0: two intervals */
	uint64_t received, refused;		  /* refused: of another session, or a number that cannot be */
	uint64_t first_ns, last_ns;
	int64_t offset_ns;	   /* of the quickest probe: from its sender's clock to ours, and its way */
	uint64_t sent_ns;	   /* of the newest probe, in our clock */
	struct hs_histogram ticks; /* delays, but of those that were queued */
	struct hs_probes probes;   /* sent: as far as is known; rtt: how much longer than the quickest one it took */
};

/* Starts with the client's first datagram: its probe, or NULL of a tick; nothing is counted yet. 0 or -ENOMEM. */
int hs_arrivals_start(struct hs_arrivals *arrivals, const struct hs_probe *probe, uint64_t patience_ns,
		      uint64_t arrival_ns);
void hs_arrivals_clear(struct hs_arrivals *arrivals);

/* A datagram arrived. 0 or -ENOMEM. */
int hs_arrivals_add(struct hs_arrivals *arrivals, const struct hs_probe *probe, uint64_t arrival_ns);
/* Nothing comes any more. Whether the silence since the last one is an outage nobody knows: it is listed as none. */
int hs_arrivals_finish(struct hs_arrivals *arrivals);

/* From one datagram to the next: told by the client, or learned; 0: not known yet. */
uint64_t hs_arrivals_interval_ns(const struct hs_arrivals *arrivals);

#endif
