/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The agent in a guest: finds its ports, takes orders, keeps one mover per online CPU, and runs one session at a time.
 * One control thread with a loop does everything but moving data.
 */
#ifndef HS_AGENT_AGENT_H
#define HS_AGENT_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "base/scoped.h"

struct hs_agent_config {
	const char *ports_dir; /* NULL: the virtio-serial ports of this guest */
	const char *tracefs;   /* NULL: the kernel's */
	size_t pipe_bytes;     /* whole pages */
	uint32_t sources;      /* HS_WIRE_SOURCE_... bits that may be used */
	bool to_stdout;	       /* no ports: record at once, frames to stdout until it is closed or the end */
};

struct hs_tracing_agent;

/* 0 or -errno (said). A port that is not there is waited for. */
int hs_tracing_agent_open(const struct hs_agent_config *config, struct hs_loop *loop, struct hs_tracing_agent **out);

/* Ends a session that runs, within a second, then hs_tracing_agent_is_done(). */
void hs_tracing_agent_end(struct hs_tracing_agent *agent);
bool hs_tracing_agent_is_done(void *agent);
/* Why it ended by itself, -errno (said); 0: it did not, or whoever read has enough. */
int hs_tracing_agent_error(const struct hs_tracing_agent *agent);

void hs_tracing_agent_free(struct hs_tracing_agent *agent);
HS_SCOPED(hs_tracing_agent, struct hs_tracing_agent *, hs_tracing_agent_free)

#endif
