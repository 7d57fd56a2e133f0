/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The time stamp counter of a KVM guest: what KVM tells of it (offset and scale, in debugfs), and what that says about
 * a ping that carries it. The host's counter is aligned with its CLOCK_BOOTTIME by the samples of a run, so the moment
 * at which a guest read its counter is known far better than from the round trip; and the round trip is a check of it.
 * One thread for each object.
 */
#ifndef HS_TIMELINE_GUEST_TSC_H
#define HS_TIMELINE_GUEST_TSC_H

#include <sys/types.h>

#include "timeline/clock.h"
#include "timeline/guest_clock.h"

/* The guest's counter is (the host's * ratio >> ratio_bits) + offset, modulo 2^64. */
struct hs_guest_tsc {
	uint64_t offset;
	uint64_t ratio;		 /* 1 << ratio_bits: as fast as the host's */
	unsigned int ratio_bits; /* below 64 */
	unsigned int vcpu_nr;
};

/*
 * Reads tsc-* of every vCPU of PID in folder kvm below `debugfs` ("/sys/kernel/debug"). An offset of 0 is one. -ENOENT:
 * KVM tells nothing of that process; -EXDEV: its vCPUs differ; -EBADMSG: no numbers; -errno. No message: it is of use
 * where it is there.
 */
int hs_guest_tsc_read(const char *debugfs, pid_t pid, struct hs_guest_tsc *out);

/* The host's counter when the guest's showed guest_tsc: the one nearest to `near`, for offsets wrap around. */
uint64_t hs_guest_tsc_to_host(const struct hs_guest_tsc *tsc, uint64_t guest_tsc, uint64_t near);

/* The host's own counter against its CLOCK_BOOTTIME. = {} is an empty one. */
struct hs_tsc_clock {
	uint64_t first_tsc;
	int64_t first_ns;
	uint64_t ticks;	  /* between the first and the last sample */
	uint64_t span_ns; /* the same */
	struct hs_guest_clock clock;
};

/* From the samples of a run. -ENODATA: there are no two with a counter that runs; -ENOMEM. */
int hs_tsc_clock_open(const struct hs_clock_list *samples, struct hs_tsc_clock *out);
/* As hs_guest_clock_to_host(). */
int hs_tsc_clock_to_boot(struct hs_tsc_clock *clock, uint64_t tsc, uint64_t *boot_ns, uint64_t *error_ns);
void hs_tsc_clock_clear(struct hs_tsc_clock *clock);

/* scoped(hs_tsc_clock) struct hs_tsc_clock clock = { 0 }; */
static inline void hs_tsc_clock_scoped(struct hs_tsc_clock *clock)
{
	hs_tsc_clock_clear(clock);
}

/*
 * Narrows a ping by the guest's counter, which was read between guest_recv_ns and guest_send_ns: host_send_ns and
 * host_recv_ns move towards each other. 0; -EDOM: what KVM tells and what the ping tells cannot both be true: the
 * sample stays as it is; -errno as above.
 */
int hs_guest_tsc_refine(const struct hs_guest_tsc *tsc, struct hs_tsc_clock *host, uint64_t guest_tsc,
			struct hs_guest_sample *sample);

#endif
