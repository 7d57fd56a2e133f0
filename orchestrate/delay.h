/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A link between two namespaces on which every frame takes a time: a tap in each, and a thread that carries frames from
 * one to the other when their time has come. For kernels with or without netem. One object belongs to one thread; its
 * own thread carries. Closing it, or the program's end, removes both interfaces.
 */
#ifndef HS_ORCHESTRATE_DELAY_H
#define HS_ORCHESTRATE_DELAY_H

#include "netns.h"

struct hs_delay;

/* Both interfaces are called `name`, and down. Each way takes delay_ns. 0 or -errno after a message. */
int hs_delay_open(struct hs_netns *one, struct hs_netns *other, const char *name, uint64_t delay_ns,
		  struct hs_delay **out);
void hs_delay_free(struct hs_delay *delay);
HS_SCOPED(hs_delay, struct hs_delay *, hs_delay_free)

#endif
