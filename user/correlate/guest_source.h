/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The trace of a guest as far as it tells of packets, on the host's CLOCK_BOOTTIME through the pings of the run. A
 * guest's trace is not trusted: events with other fields than the kernel's are left out. One thread.
 */
#ifndef HS_CORRELATE_GUEST_SOURCE_H
#define HS_CORRELATE_GUEST_SOURCE_H

#include "base/json.h"
#include "correlate/lane.h"

struct hs_guest_source;

enum hs_guest_record_kind {
	HS_GUEST_RECORD_NET,	   /* in `net` */
	HS_GUEST_RECORD_INTERRUPT, /* in `name` */
	HS_GUEST_RECORD_ENTRY,	   /* of a VM of the guest, by its thread `tid` */
	HS_GUEST_RECORD_EXIT,
	HS_GUEST_RECORD_INJECTION, /* of `vector` into a VM of the guest, by its thread `tid` */
	HS_GUEST_RECORD_TIMER,	   /* interrupt of the local timer */
	HS_GUEST_RECORD_THREAD,	   /* thread `tid` is called `name` */
};

struct hs_guest_record {
	enum hs_guest_record_kind kind;
	struct hs_sight sight;
	struct hs_lane_guest_event net;
	char name[64]; /* of an interrupt its owner: "vfio-intx(0000:00:04.0)" */
	uint32_t tid, vector;
};

/*
 * `trace` is the folder, `document` what run.json says of it. -ENODATA: its clock cannot be compared with the host's
 * (said); -errno (said).
 */
int hs_guest_source_open(const char *trace, json_object *document, struct hs_guest_source **out);

/* 1 and the next one; 0 at the end; -errno (said). */
int hs_guest_source_next(struct hs_guest_source *source, struct hs_guest_record *out);

/* Whether it tells of packets as they come from the NIC. */
bool hs_guest_source_tells_arrivals(const struct hs_guest_source *source);

/* The largest error bound in its trace's time; how many records were of use. */
uint64_t hs_guest_source_bound_ns(struct hs_guest_source *source);
uint64_t hs_guest_source_record_nr(const struct hs_guest_source *source);

void hs_guest_source_free(struct hs_guest_source *source);
HS_SCOPED(hs_guest_source, struct hs_guest_source *, hs_guest_source_free)

#endif
