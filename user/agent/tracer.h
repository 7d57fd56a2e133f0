/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * This kernel's ftrace as the agent uses it: an instance of its own for what the host orders, so that nobody else's
 * tracing is disturbed, or somebody's ring as it is for a host that knows only `1` and `0`. The control thread opens
 * and frees; reading numbers and texts is fine on any thread.
 */
#ifndef HS_AGENT_TRACER_H
#define HS_AGENT_TRACER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/wire.h"
#include "base/argv.h"
#include "base/scoped.h"

struct hs_tracer;

struct hs_tracer_config {
	const char *dir; /* tracefs or an instance in it; NULL: the kernel's tracefs, mounted privately if it is not */
	bool as_it_is;	 /* the ring of `dir` with whatever its user switched on; nothing below is used, nothing changed
			  */
	struct hs_argv events;	/* "sched:sched_switch", "kvm:*" */
	struct hs_argv filters; /* "sched:sched_switch prev_pid != 0" */
	uint64_t buffer_kib;	/* of each CPU; 0: the kernel's choice */
	const char *clock;	/* NULL: boot, else mono, else local */
};

/*
 * Makes an instance of ftrace that is off; one that a dead agent left goes. Where there can be none (`dir` is one) the
 * ring of `dir` is emptied and used. An event that cannot be had goes into `missing` as "EVENT: why"; -EINVAL: the
 * clock or a filter is refused; -EPERM, -ENODEV, ...: no ftrace here. Errors are said.
 */
int hs_tracer_open(const struct hs_tracer_config *config, struct hs_argv *missing, struct hs_tracer **out);

/* Tracing on or off; nothing when it is as it is. 0 or -errno (said). */
int hs_tracer_switch(struct hs_tracer *tracer, bool on);

/* trace_pipe_raw of that CPU, non-blocking, the caller's; -errno. */
int hs_tracer_open_ring(const struct hs_tracer *tracer, uint32_t cpu);

/* Fills the ring's numbers and sets HS_WIRE_CPU_RING, or leaves all. */
void hs_tracer_read_stats(const struct hs_tracer *tracer, uint32_t cpu, struct hs_wire_cpu_status *status);

/* The trace_clock in use, and all there are, into `text`; "" when it cannot be read. */
void hs_tracer_clock(const struct hs_tracer *tracer, char *text, size_t size);
/* Of a folder as in hs_tracer_config. */
void hs_tracer_clocks(const char *dir, char *text, size_t size);
/* Bytes of a ring page, 0 without ftrace. */
uint32_t hs_tracer_page_bytes(const char *dir);

/* Pages of a CPU's ring; as many can be read after tracing went off. */
uint32_t hs_tracer_ring_pages(const struct hs_tracer *tracer);
uint32_t hs_tracer_ring_page_bytes(const struct hs_tracer *tracer);
/* Its ring is somebody else's and stays on. */
bool hs_tracer_is_live(const struct hs_tracer *tracer);

/* "sched:sched_switch" of every event that is on, in the kernel's order. 0 or -errno. */
int hs_tracer_list_events(const struct hs_tracer *tracer, struct hs_argv *events);
/* A file of it or, if it has none of that name, of the tracefs around it ("events/header_page"). fd or -errno. */
int hs_tracer_open_file(const struct hs_tracer *tracer, const char *path);

/* The instance goes. */
void hs_tracer_free(struct hs_tracer *tracer);
HS_SCOPED(hs_tracer, struct hs_tracer *, hs_tracer_free)

#endif
