/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The lab's network: one namespace per lab, a bridge and two taps per pair in it, and a namespace per
 * client where clients are plain processes. Nothing outside these namespaces is ever touched.
 */
#ifndef HS_ORCHESTRATE_NET_H
#define HS_ORCHESTRATE_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/scoped.h"
#include "netns.h"
#include "topology.h"

struct hs_net;

struct hs_net_config {
	const char *lab;   /* the namespace is hsbpf-LAB, a client's hsbpf-LAB-cX */
	bool client_netns; /* clients are processes: tapcX is a veth into the client's namespace */
	bool dry_run;	   /* print the commands instead */
};

/* Makes the namespace. -EEXIST after a message when it is there already. */
int hs_net_open(const struct hs_net_config *config, struct hs_net **out);
/* Removes every namespace that this object made, and with them every interface. NULL is fine. */
void hs_net_free(struct hs_net *net);
HS_SCOPED(hs_net, struct hs_net *, hs_net_free)

/* Makes one pair's bridge, taps (or veth) and address; on the host's side they are still down. */
int hs_net_add_pair(struct hs_net *net, const struct hs_pair *pair);
/* Brings them up: from now on packets flow, so whoever counts them must watch already. */
int hs_net_pair_up(struct hs_net *net, const struct hs_pair *pair);

/* Descriptors of the namespaces (borrowed); -1 in a dry run or when there is none. */
int hs_net_fd(const struct hs_net *net);
int hs_net_client_fd(const struct hs_net *net, unsigned tenant);
/* Inode of the lab's namespace: what the kernel calls net->ns.inum. */
uint32_t hs_net_inum(const struct hs_net *net);

/* An interface of the lab's namespace by name: index, or -ENOENT; the kernel's own counters. No message. */
int hs_net_ifindex(struct hs_net *net, const char *name);
int hs_net_read_counters(struct hs_net *net, const char *name, struct hs_net_counters *counters);

/* Removes what a dead lab of that name left behind: namespaces hsbpf-LAB and hsbpf-LAB-c*. */
void hs_net_sweep(const char *lab);

#endif
