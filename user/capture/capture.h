/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Recording this kernel: BPF programs into one ring per CPU, rings into a CTF trace, everything counted. One
 * thread (the collector) calls all functions; the kernel side runs on every CPU meanwhile.
 */
#ifndef HS_CAPTURE_CAPTURE_H
#define HS_CAPTURE_CAPTURE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/scoped.h"
#include "capture/filter.h"
#include "capture/probes.h"
#include "trace/ctf_writer.h"

struct hs_capture;

struct hs_capture_config {
	const char
		*trace_dir; /* made here; its parent must exist. In flight it is not made, only told to hs_salvage() */
	const struct hs_ctf_output *output; /* packets go there; trace_dir is not used. NULL: into trace_dir */
	const char *machine;		    /* whose kernel this is: "host" */
	/*
	 * Overwriting mode: the rings keep the newest records, nothing is written and nobody reads until
	 * hs_capture_snapshot(). What was written over counts as ring_lost.
	 */
	bool flight;
	size_t ring_bytes; /* per CPU, rounded up to a power of two; 0: 8 MiB */
	/*
	 * Pins the rings under that name (letters, digits, '-', '_'), so that hs_salvage() finds what a killed recorder
	 * left. NULL: not. Where it cannot be done a warning says so and the capture goes on without.
	 */
	const char *pin;
	struct hs_event_set events;
	bool host_wide; /* events of every process, not only of watched ones */
	struct hs_filter filter;
	char *reason; /* gets one line when opening fails; may be NULL */
	size_t reason_bytes;
};

/*
 * Loads and attaches. When nothing can run here: -EPERM (not allowed) or -EOPNOTSUPP (this kernel cannot),
 * with the reason and not said, so that the caller can warn and go on without, and no trace folder. Other
 * errors are said.
 */
int hs_capture_open(const struct hs_capture_config *config, struct hs_capture **out);

/* KVM events of that process (its number in the first PID namespace) from now on. 0 or -errno (said). */
int hs_capture_watch_process(struct hs_capture *capture, pid_t tgid);

/*
 * Packets on that interface from now on, one that is watched already is fine; netns_inum is the st_ino of its
 * /proc/PID/ns/net. 0 or -errno (said).
 */
int hs_capture_watch_tap(struct hs_capture *capture, uint32_t netns_inum, uint32_t ifindex, uint16_t tenant,
			 enum hs_role role);

/* Readable (epoll, poll) when a ring passed half its size: drain now rather than at the next tick. In flight: when a
 * trigger of the filter was hit, see hs_capture_take_wake(). */
int hs_capture_fd(const struct hs_capture *capture);

/*
 * Writes everything that is complete in the rings as packets of 256 KiB at most. Call every 10 ms or so. In flight it
 * does nothing.
 */
void hs_capture_drain(struct hs_capture *capture);

/* Whether anything woke hs_capture_fd() since the last call; it is not readable any more. */
bool hs_capture_take_wake(struct hs_capture *capture);

/* Detaches and drains what is left. The counts are final after this. Stopping twice is fine. */
void hs_capture_stop(struct hs_capture *capture);

struct hs_capture_snapshot {
	uint64_t recorded[HS_EVENT_ID_NR];
	uint64_t disk_lost[HS_EVENT_ID_NR];
	uint64_t overwritten; /* records that were in the rings before these since the capture began */
	uint64_t bytes;	      /* of stream files */
};

/*
 * In flight: writes what the rings hold now as a trace of its own in `dir` (made here; its parent must exist), as often
 * as wanted; recording goes on meanwhile. After hs_capture_stop() recorded + ring_lost is exactly what was produced. 0
 * or -errno (said); -EINVAL when not in flight.
 */
int hs_capture_snapshot(struct hs_capture *capture, const char *dir, struct hs_capture_snapshot *out);

void hs_capture_free(struct hs_capture *capture);
HS_SCOPED(hs_capture, struct hs_capture *, hs_capture_free)

/* ---- counts: after stopping, recorded + ring_lost + disk_lost is exactly what the handlers produced ---- */

struct hs_capture_event_counts {
	uint64_t recorded;  /* in the trace */
	uint64_t ring_lost; /* found no room in a ring; in flight: were written over */
	uint64_t disk_lost; /* in a packet that could not be written */
	/*
	 * Times the kernel did not run the handler because it was running on that CPU already; known after
	 * stopping. No filter had run yet, so these need not have been events of ours.
	 */
	uint64_t missed;
};

struct hs_capture_tap_counts {
	uint32_t netns_inum, ifindex;
	uint16_t tenant;
	enum hs_role role;
	/*
	 * Seen by the handlers, lost or not. to_guest - refused is what the interface calls tx once the guest
	 * has read it; from_guest is its rx.
	 */
	uint64_t to_guest_packets, to_guest_bytes;
	uint64_t from_guest_packets, from_guest_bytes;
	uint64_t refused_packets, refused_bytes;
};

/* -ENOENT: no event has that id. */
int hs_capture_event_counts(const struct hs_capture *capture, uint16_t event_id,
			    struct hs_capture_event_counts *counts);
/* All events of one id that one CPU's ring had no room for; 0 for unknown ones. */
uint64_t hs_capture_ring_lost(const struct hs_capture *capture, uint32_t cpu, uint16_t event_id);
uint32_t hs_capture_cpu_nr(const struct hs_capture *capture);
/* Whether that CPU was there when the capture was opened. All that others produce counts as ring_lost. */
bool hs_capture_has_ring(const struct hs_capture *capture, uint32_t cpu);

size_t hs_capture_tap_nr(const struct hs_capture *capture);
/* The tap watched as number `index`. -ENOENT: not so many are watched. */
int hs_capture_tap_counts(const struct hs_capture *capture, size_t index, struct hs_capture_tap_counts *counts);

/* How the event got attached, see hs_probes_how(). */
const char *hs_capture_how(const struct hs_capture *capture, uint16_t event_id);
/* Wanted events that this kernel cannot give, with reasons; valid until freed. */
const struct hs_probe_missing *hs_capture_missing(const struct hs_capture *capture, size_t *missing_nr);

/* What the writer did: sorted, clamped, bytes. All 0 in flight. */
const struct hs_ctf_writer_counts *hs_capture_writer_counts(const struct hs_capture *capture);

#endif
