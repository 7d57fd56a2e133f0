/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tells when a port or a CPU may have come or gone: the kernel's device events, and a folder that is watched. Nobody
 * has to look again and again. Control thread.
 */
#ifndef HS_AGENT_WATCH_H
#define HS_AGENT_WATCH_H

#include "base/loop.h"
#include "base/scoped.h"

struct hs_port_watch;

/* on_change(ctx) after something changed; look at everything then. 0 or -errno (said). */
int hs_port_watch_open(struct hs_loop *loop, const char *dir, void (*on_change)(void *ctx), void *ctx,
		       struct hs_port_watch **out);
void hs_port_watch_free(struct hs_port_watch *watch);
HS_SCOPED(hs_port_watch, struct hs_port_watch *, hs_port_watch_free)

#endif
