/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The clock of the kernel's log. Records carry the scheduler's clock, which no system call gives; perf's records carry
 * the same one, so one is provoked (this thread gets the name that it has) between two looks at CLOCK_BOOTTIME: known
 * to a microsecond, without a line in anybody's log. Belongs to the thread that opened it.
 */
#ifndef HS_TIMELINE_SCHED_CLOCK_H
#define HS_TIMELINE_SCHED_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/scoped.h"

struct hs_sched_clock;

struct hs_sched_sample {
	uint64_t before_ns, sched_ns, after_ns; /* BOOTTIME, the log's clock, BOOTTIME */
};

/* 0, or -errno without a message (perf is forbidden here): hs_sched_clock_guess() serves. */
int hs_sched_clock_open(struct hs_sched_clock **out);
/* 0 or -EIO. */
int hs_sched_clock_sample(struct hs_sched_clock *clock, struct hs_sched_sample *sample);
void hs_sched_clock_free(struct hs_sched_clock *clock);
HS_SCOPED(hs_sched_clock, struct hs_sched_clock *, hs_sched_clock_free)

/* Without perf: the log's clock is MONOTONIC's, which runs at another rate by 500 ppm at most since the boot. */
struct hs_sched_sample hs_sched_clock_guess(void);

/*
 * BOOTTIME when the log's clock showed sched_ns, within *error_ns, by a sample. Away from it the bound grows by 500
 * ppm, the most by which a kernel slews BOOTTIME. Pure; a sample of a guest is not trusted.
 */
uint64_t hs_sched_to_boot(const struct hs_sched_sample *sample, uint64_t sched_ns, uint64_t *error_ns);

#endif
