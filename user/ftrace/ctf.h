/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ftrace of a machine into its CTF trace: ring buffer pages and the texts of tracefs go in, events under the kernel's
 * names and with its fields come out. All of it comes from a guest: nothing in it is trusted. Memory is bounded, each
 * call writes what it was given. One writer belongs to one thread.
 *
 * How it lies on disk: one folder holds both of a machine. Our own BPF records are stream class 0 in the files cpu<N>;
 * ftrace is stream class 1 in the files ftrace_cpu<N>, declared behind class 0 in the same `metadata`, on the same
 * clock. So open hs_ctf_writer for the folder first where there are BPF records (always doing so is fine), then this;
 * alone, this makes the folder and its `metadata`. CTF event ids of class 1 are the kernel's own. A record is struct
 * hs_event_header (tid is common_pid, lap has common_flags and common_preempt_count) and the fields as
 * trace/ctf_events.h says. A machine that boots again starts its clock again: that is another folder.
 *
 * To read them: hs_ctf_reader_open_all() in trace/ctf_reader.h.
 */
#ifndef HS_FTRACE_CTF_H
#define HS_FTRACE_CTF_H

#include <stddef.h>
#include <stdint.h>

#include "base/scoped.h"

struct hs_ftrace;

struct hs_ftrace_config {
	const char *dir;     /* made (0755) if its parent exists; may hold a trace of the same machine and boot */
	const char *machine; /* l1, l2-0, ... */
	const char *clock;   /* its trace_clock: boot, mono, local, ...; one that counts ns. Beside BPF records: boot */
	int64_t clock_offset_ns; /* CLOCK_REALTIME - that clock; not used when the folder has a trace: its own counts */
	uint64_t start_ns;	 /* no event is earlier; a loss at the begin is said to be after it. 0: not known */
};

struct hs_ftrace_counts {
	uint64_t recorded;	 /* events in packets on disk */
	uint64_t lost;		 /* that the ring overwrote, or that never came here; as far as known now */
	uint64_t unknown_losses; /* places where the ring lost events and had no room to say how many: 1 each in lost */
	uint64_t disk_lost;	 /* in packets that could not be written */
	uint64_t no_format;	 /* events whose format nobody told; counted in lost too */
	uint64_t damaged_events; /* that do not fit their format; counted in lost too */
	uint64_t damaged_pages;	 /* that make no sense from some place on */
	uint64_t clamped;	 /* events earlier than their predecessor: written with its time */
	uint64_t pages;		 /* that came */
	uint64_t bytes;		 /* of stream files */
};

/* -EOPNOTSUPP: that clock does not count ns; -EBADMSG, -EINVAL: the folder has something else; -errno. Said. */
int hs_ftrace_open(const struct hs_ftrace_config *config, struct hs_ftrace **out);

/*
 * The guest's events/header_page: where a page has what, and its size. Before the first page; without it the layout is
 * that of x86-64 with pages of 4096 bytes. -EBADMSG: makes no sense (said).
 */
int hs_ftrace_set_header_page(struct hs_ftrace *ftrace, const char *text, size_t bytes);
uint32_t hs_ftrace_page_bytes(const struct hs_ftrace *ftrace);

/*
 * An event's events/SYSTEM/EVENT/format; before its first page, at any time. The same text again is fine. -EBADMSG:
 * makes no sense, its events will count as no_format; -EEXIST: another event has that id already (both said); -errno.
 */
int hs_ftrace_add_format(struct hs_ftrace *ftrace, const char *system, const char *text, size_t bytes);

/*
 * Whole pages of one CPU, in the order in which the ring gave them. -EINVAL: no such CPU can be, or not whole pages;
 * -errno when they could not be written (said once, counted; go on all the same). What makes no sense is counted, not
 * an error.
 */
int hs_ftrace_add_pages(struct hs_ftrace *ftrace, uint32_t cpu, const void *pages, size_t bytes);

/*
 * Of per_cpu/cpuN/stats once tracing is off: how many events the CPU produced since the first page that was given here
 * (read events + entries + overrun + dropped events). What has not come is lost, and said in a last packet.
 */
int hs_ftrace_set_produced(struct hs_ftrace *ftrace, uint32_t cpu, uint64_t events);

/* Valid until it is freed. */
const struct hs_ftrace_counts *hs_ftrace_counts(const struct hs_ftrace *ftrace);

struct hs_ftrace_event_count {
	const char *system, *name; /* the writer's */
	uint64_t recorded;
};
/* The events with a format, in the order in which they came. -ENOENT: behind the last. */
int hs_ftrace_event_count(const struct hs_ftrace *ftrace, size_t index, struct hs_ftrace_event_count *out);

void hs_ftrace_free(struct hs_ftrace *ftrace);
HS_SCOPED(hs_ftrace, struct hs_ftrace *, hs_ftrace_free)

#endif
