// SPDX-License-Identifier: GPL-2.0-only
/* A guest's time stamp counter as a second witness of its clock. Called by the draining thread, once for each burst. */
#include "counter.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/scoped.h"

#define DEBUGFS "/sys/kernel/debug"
#define BURST_MAX 16u

void hs_guest_counter_open(struct hs_guest_counter *counter, int fd)
{
	struct ucred peer;
	socklen_t bytes = sizeof(peer);

	counter->vmm = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) ? 0 : peer.pid;
}

static bool refine_all(struct hs_guest_counter *counter, const struct hs_guest_tsc *tsc, struct hs_guest_sample *pings,
		       const uint64_t *tscs, size_t ping_nr)
{
	scoped(hs_tsc_clock) struct hs_tsc_clock host = { 0 };
	struct hs_guest_sample refined[BURST_MAX];
	size_t refined_nr = 0;
	int err = hs_tsc_clock_open(&counter->samples, &host);

	for (; !err && refined_nr < ping_nr && tscs[refined_nr]; refined_nr++) {
		refined[refined_nr] = pings[refined_nr];
		err = hs_guest_tsc_refine(tsc, &host, tscs[refined_nr], &refined[refined_nr]);
	}
	if (err == -EDOM)
		counter->disagreed++;
	if (err || refined_nr < ping_nr)
		return false;
	memcpy(pings, refined, ping_nr * sizeof(*pings));
	return true;
}

void hs_guest_counter_refine(struct hs_guest_counter *counter, struct hs_guest_sample *pings, const uint64_t *tscs,
			     size_t ping_nr)
{
	struct hs_clock_sample now;
	struct hs_guest_tsc tsc;

	/* Asked every time: it changes when the guest's counter is set. */
	if (!counter->vmm || ping_nr > BURST_MAX || hs_guest_tsc_read(DEBUGFS, counter->vmm, &tsc))
		return;
	hs_clock_sample_take(&now);
	hs_clock_list_append(&counter->samples, &now);
	counter->agreed += refine_all(counter, &tsc, pings, tscs, ping_nr);
}

void hs_guest_counter_to_json(const struct hs_guest_counter *counter, json_object *object, const char *key)
{
	json_object *member;

	if (!counter->samples.sample_nr)
		return;
	member = hs_json_add_object(object, key);
	hs_json_add_u64(member, "agreed", counter->agreed);
	hs_json_add_u64(member, "disagreed", counter->disagreed);
}

void hs_guest_counter_clear(struct hs_guest_counter *counter)
{
	hs_clock_list_clear(&counter->samples);
	*counter = (struct hs_guest_counter){ 0 };
}
