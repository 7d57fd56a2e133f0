/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * mig_mon's view of a run, in mig_mon's words: the delay from one datagram to the next, its maximum, and a log of the
 * large ones ("<unix seconds>,<ms>"). What client_rr and server share. One thread.
 */
#ifndef HS_MIGTOOLS_SPIKES_H
#define HS_MIGTOOLS_SPIKES_H

#include "migtools/progress.h"

#define HS_SPIKES_LOG "/tmp/spike.log"

struct hs_spikes {
	struct hs_progress *progress; /* borrowed */
	FILE *log;
	uint64_t throttle_ns, received, last_ns, cur_ns, max_ns, logged_ns, spikes;
};

/*
 * Opens the log anew: the one that was asked for, or with NULL mig_mon's (its folder is everybody's, so a link is not
 * followed, and without it the run goes on). A delay of throttle_ns or more is a spike. Message on failure.
 */
int hs_spikes_start(struct hs_spikes *spikes, const char *path, uint64_t throttle_ns, struct hs_progress *progress);
/* Closes the log; path as at the start. -EIO after a message when one that was asked for did not take all. */
int hs_spikes_close(struct hs_spikes *spikes, const char *path);
void hs_spikes_clear(struct hs_spikes *spikes);

/* A datagram arrived (BOOTTIME); they come in order. */
void hs_spikes_arrival(struct hs_spikes *spikes, uint64_t arrival_ns);
/* An outage from start to end: logged if no delay that was logged says it, as echoes of before went on arriving. */
void hs_spikes_outage(struct hs_spikes *spikes, uint64_t start_ns, uint64_t end_ns);
/* The line "max_delay: X (ms), cur: Y (ms)", if it is due; cur is the newest delay, or the one that is on. */
void hs_spikes_show(struct hs_spikes *spikes, uint64_t now_ns);

#endif
