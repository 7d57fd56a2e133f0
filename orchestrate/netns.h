/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One network namespace and what is put into it: bridges, taps, veth pairs, addresses, a limit of bandwidth. Bound to a
 * name below /run/netns, where `ip netns` finds it. Main thread, which enters a namespace only for a few calls.
 */
#ifndef HS_ORCHESTRATE_NETNS_H
#define HS_ORCHESTRATE_NETNS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/scoped.h"

#define HS_NETNS_DIR "/run/netns"

struct hs_netns;

/* Makes it. -EEXIST after a message when it is there already. */
int hs_netns_make(const char *name, struct hs_netns **out);
/* Removes it, and with it every interface in it. NULL is fine. */
void hs_netns_free(struct hs_netns *netns);
HS_SCOPED(hs_netns, struct hs_netns *, hs_netns_free)
/* Removes what a dead process left of that name. */
void hs_netns_remove(const char *name);

const char *hs_netns_name(const struct hs_netns *netns);
/* Borrowed descriptor. */
int hs_netns_fd(const struct hs_netns *netns);
/* Its inode: what the kernel calls net->ns.inum. */
uint32_t hs_netns_inode(const struct hs_netns *netns);

/* Each returns 0, or -errno after a message. New interfaces are down. */
int hs_netns_add_bridge(struct hs_netns *netns, const char *name);
/* A persistent tap: QEMU opens it by name, and it goes with the namespace. */
int hs_netns_add_tap(struct hs_netns *netns, const char *name);
/*
 * A tap whose frames the caller reads and writes, each behind a struct virtio_net_hdr and unsegmented, without waiting.
 * It goes with *fd, which is the caller's.
 */
int hs_netns_open_tap(struct hs_netns *netns, const char *name, int *fd);
int hs_netns_add_veth(struct hs_netns *netns, const char *name, struct hs_netns *peer, const char *peer_name);
int hs_netns_add_address(struct hs_netns *netns, const char *name, const char *ip); /* of a /24 */
int hs_netns_enslave(struct hs_netns *netns, const char *name, const char *bridge);
int hs_netns_set_up(struct hs_netns *netns, const char *name, bool up);
/* What leaves through that interface is limited to so many bytes a second (tbf); 2 GiB/s at most. */
int hs_netns_limit(struct hs_netns *netns, const char *name, uint64_t bytes_per_second);

struct hs_net_counters {
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes, tx_dropped;
};
/* An interface by name: its index, or -ENOENT; the kernel's own counters. No message. */
int hs_netns_ifindex(struct hs_netns *netns, const char *name);
int hs_netns_read_counters(struct hs_netns *netns, const char *name, struct hs_net_counters *counters);

#endif
