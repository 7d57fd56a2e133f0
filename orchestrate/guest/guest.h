/* SPDX-License-Identifier: GPL-2.0-only */
/* PID 1 of every lab guest, in parts: boot (mounts, modules, command line), net, trace ports and agent, and what only
 * L1 does. */
#ifndef HS_ORCHESTRATE_GUEST_GUEST_H
#define HS_ORCHESTRATE_GUEST_GUEST_H

#include "orchestrate/agent.h"

struct guest_args {
	char role[16];	  /* "l1", "l2", "client" */
	char address[32]; /* "172.16.0.20/24", "" for none */
	char crash[16];	  /* "1e.0": the device that is its crash memory, "" for none */
	unsigned boots;	  /* L1: how many L2 machines may boot at the same time */
};

/* Prints to the console, for a person who looks at a guest that went wrong. */
void guest_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* boot.c: each returns 0 or -errno after a message on the console. */
int guest_mount_basics(void);
/* crash_addr: SLOT.FUNCTION of the device that is the machine's crash memory, "" for none. */
void guest_load_modules(const char *crash_addr);
int guest_read_args(struct guest_args *args);
/* Waits for the agent's port to appear and for the host to be connected to it. */
int guest_open_port(int *fd);

/* net.c: gives eth0 its address and waits for its link. */
int guest_net_up(const char *address);

/* ports.c: names the virtio-serial ports that are there and those that come. */
int guest_ports_open(struct hs_loop *loop);

/* relay.c: L1 passes its L2s' trace ports on to the host, in a process of its own. */
int guest_relay_start(void);

/*
 * tracer.c: mounts tracefs; a machine with crash memory prints its top ring when it dies, so that becomes small. What
 * cannot be had is said on the console.
 */
void guest_tracefs_mount(const struct guest_args *args);
/* Starts the trace agent, if this machine was given one; starts it again when it ends. */
void guest_tracer_start(void);
/* Whether it was the trace agent that ended. */
bool guest_tracer_on_child(pid_t pid, int wait_status);

/* l1.c: host's /usr as userland, and the L2 machines. */
int guest_l1_enter_userland(void);
int guest_l1_open(struct hs_loop *loop, unsigned boots);
void guest_l1_set_agent(struct hs_agent *agent);
void guest_l1_on_frame(void *ctx, const struct hs_frame *frame, const char *payload);
void guest_l1_on_child(void *ctx, pid_t pid, int wait_status);

#endif
