/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of a machine that takes orders: runs programs and streams their output. PID 1 of every guest
 * serves it on the virtio-serial port; `--client netns` serves it from a plain process on a socket pair.
 */
#ifndef HS_ORCHESTRATE_AGENT_H
#define HS_ORCHESTRATE_AGENT_H

#include "frame.h"

struct hs_agent;

/* Frames that are not for this machine, or that the agent does not know; may be NULL. */
typedef void (*hs_agent_on_other)(void *ctx, const struct hs_frame *frame, const char *payload);
/* A child that the agent did not start has ended (PID 1 reaps all); may be NULL. */
typedef void (*hs_agent_on_child)(void *ctx, pid_t pid, int wait_status);

/* Takes fd. SIGCHLD must be blocked by the caller. */
int hs_agent_open(struct hs_loop *loop, int fd, hs_agent_on_other on_other, hs_agent_on_child on_child, void *ctx,
		  struct hs_agent **out);
void hs_agent_free(struct hs_agent *agent);

bool hs_agent_is_closed(const struct hs_agent *agent);
struct hs_link *hs_agent_link(struct hs_agent *agent);

/* Tells the host; text may be NULL. machine as in struct hs_frame. */
int hs_agent_tell(struct hs_agent *agent, uint16_t machine, enum hs_state state, const char *text);

/* Serves until the other end closes. Never returns an error: it is a process's main. */
void hs_agent_serve(int fd);

#endif
