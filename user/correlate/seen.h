/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one machine saw of packets: a packet that its stack gave to its NIC, or that came from it. Shared by whoever
 * waits for it, so counted. And the two sides of a guest: a row of its departures or arrivals, kept until their second
 * sight. One thread.
 */
#ifndef HS_CORRELATE_SEEN_H
#define HS_CORRELATE_SEEN_H

#include "correlate/packet.h"

/* A guest's sight: of a packet that leaves, or comes; or on the client's tap of a packet that its segments share. */
struct hs_seen {
	unsigned int ref_nr;
	unsigned int hold_nr; /* joins that are not decided */
	struct hs_sight stack, nic, tap;
	uint64_t skb;  /* address in the guest */
	uint32_t len;  /* as the guest says it */
	uint16_t segs; /* of a packet that the NIC cuts; 1 */
	struct hs_identity identity;
};

/* With one reference; NULL: no memory. */
struct hs_seen *hs_seen_new(void);
struct hs_seen *hs_seen_get(struct hs_seen *seen);
void hs_seen_put(struct hs_seen *seen);

#define HS_SEEN_RECENT 256

/* The newest of a kind; each holds a reference. */
struct hs_recent {
	struct hs_seen *seen[HS_SEEN_RECENT];
	uint64_t nr; /* that ever came: the newest is seen[(nr - 1) % HS_SEEN_RECENT] */
};

/* The one with that age, 0 being the newest; NULL: it is not there any more. */
struct hs_seen *hs_recent_at(const struct hs_recent *recent, uint64_t age);
void hs_recent_add(struct hs_recent *recent, struct hs_seen *seen); /* takes a reference of its own */
void hs_recent_clear(struct hs_recent *recent);

/*
 * The stack of a receiver was given `len` bytes in skb at `sight`: marks the arrival with that skb, and those behind it
 * that were merged into it (GRO), which its length tells.
 */
void hs_recent_mark_stack(struct hs_recent *arrivals, uint64_t skb, uint32_t len, const struct hs_sight *sight);

#endif
