/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guests whose traces are recorded at the same time: connects to their agents (agent/wire.h, or the kernel's own
 * virtio-trace agent), gives the orders, takes all that comes and writes each guest's trace. Two threads of its own:
 * one drains the ports and never waits for anything else, one writes; between them a queue per guest (spool.h). So a
 * guest is never stopped by us: what neither memory nor disk can hold is dropped and counted. What a guest sends can
 * spoil its own trace and nothing else. All calls are made from one thread.
 */
#ifndef HS_GUEST_GUESTS_H
#define HS_GUEST_GUESTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "place.h"

struct hs_guests;

enum hs_guest_agent {
	HS_GUEST_AGENT_HSBPF,
	HS_GUEST_AGENT_KERNEL, /* takes `1` and `0`, sends raw pages, tells nothing of itself */
};

enum hs_guest_state {
	HS_GUEST_AWAY, /* nobody at its ports, or no answer yet */
	HS_GUEST_IDLE, /* its agent answered */
	HS_GUEST_STARTING,
	HS_GUEST_RECORDING,
	HS_GUEST_STOPPING,
	HS_GUEST_STOPPED, /* and its trace is whole on the disk */
	HS_GUEST_FAILED,  /* its agent refused; the error says why */
	HS_GUEST_STATE_NR,
};

const char *hs_guest_state_name(enum hs_guest_state state);

struct hs_guests_config {
	const char *trace_dir; /* exists; TRACE_DIR/NAME is written for each guest */
	uint64_t memory_bytes; /* of one guest's queue; 0: 16 MiB */
	uint64_t disk_bytes;   /* 0: 1 GiB */
};

struct hs_guest_config {
	const char *name; /* becomes a file name */
	enum hs_guest_agent agent;
	/*
	 * A list with commas. With a colon it is a tracepoint of the guest's kernel, recorded by ftrace:
	 * "sched:sched_switch", "net:*". Without, it is an event or a profile of `hsbpf events`, recorded by BPF.
	 */
	const char *events;
	const char *const *filters; /* "sched:sched_switch prev_pid != 0", ends with NULL; may be NULL */
	uint32_t buffer_kib;	    /* of each CPU's ring; 0: the agent's choice */
};

/* *news_fd (borrowed) becomes readable when a guest's state has changed; hs_guests_heard() empties it. */
int hs_guests_open(const struct hs_guests_config *config, struct hs_guests **out, int *news_fd);
/* Adds one, before hs_guests_connect(); takes `place`, also when it fails. */
int hs_guests_add(struct hs_guests *guests, const struct hs_guest_config *config, struct hs_guest_place *place);
/* Starts the threads: from now on every guest is connected to, again and again if need be. Message on failure. */
int hs_guests_connect(struct hs_guests *guests);

/* All shall record, also those whose agent comes later, or again. */
void hs_guests_start(struct hs_guests *guests);
/* All shall stop; what is under way is taken and written: hs_guests_are_written() once it is. */
void hs_guests_stop(struct hs_guests *guests);
/* No guest records, or is about to, and whatever came is on the disk. */
bool hs_guests_are_written(struct hs_guests *guests);
void hs_guests_heard(struct hs_guests *guests);

unsigned hs_guests_count(const struct hs_guests *guests);
const char *hs_guest_name(const struct hs_guests *guests, unsigned index);
enum hs_guest_state hs_guest_state(struct hs_guests *guests, unsigned index);
/* Guests in that state. */
unsigned hs_guests_in(struct hs_guests *guests, enum hs_guest_state state);

/*
 * What is known of one guest now, owned by the caller: state, error, agent, and for each boot and session ("parts")
 * its folder, events with recorded and lost, bytes, drops, and its clock.
 */
json_object *hs_guest_document(struct hs_guests *guests, unsigned index);

/*
 * Ends the threads, when what came is written. A guest that still records is not waited for: its part is not
 * "complete". Documents can still be asked for.
 */
void hs_guests_end(struct hs_guests *guests);
void hs_guests_free(struct hs_guests *guests);
HS_SCOPED(hs_guests, struct hs_guests *, hs_guests_free)

#endif
