/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which time is it on the other clock? Samples of all clocks taken together, and the mapping between them,
 * piecewise linear, never without its error bound. Samples are appended by one thread; mapping only reads.
 */
#ifndef HS_TIMELINE_CLOCK_H
#define HS_TIMELINE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hs_clock_sample {
	uint64_t boot_ns;  /* CLOCK_BOOTTIME in the middle of the sample */
	uint64_t mono_ns;  /* CLOCK_MONOTONIC */
	uint64_t real_ns;  /* CLOCK_REALTIME */
	uint64_t tsc;	   /* time stamp counter, 0 where there is none */
	uint64_t width_ns; /* the other clocks were read within this time around boot_ns */
};

/* A growing list; = {} is an empty one. */
struct hs_clock_list {
	struct hs_clock_sample *samples;
	size_t sample_nr;
	size_t room;
	size_t hint;	     /* interval of the last answer */
	bool real_went_back; /* somewhere: every interval must be looked at */
};

/* Reads this machine's clocks: the tightest of a few tries. */
void hs_clock_sample_take(struct hs_clock_sample *sample);

/* Samples must come in the order of boot_ns. -EINVAL when they do not, -ENOMEM. */
int hs_clock_list_append(struct hs_clock_list *list, const struct hs_clock_sample *sample);

void hs_clock_list_clear(struct hs_clock_list *list);

/* scoped(hs_clock_list) struct hs_clock_list list = { 0 }; */
static inline void hs_clock_list_scoped(struct hs_clock_list *list)
{
	hs_clock_list_clear(list);
}

/*
 * CLOCK_BOOTTIME when CLOCK_REALTIME was in [real_ns, real_ns + quantum_ns): quantum_ns is the unit that a
 * log's times are cut to, 1000 for QEMU's, 0 for exact ones. The true time is within *error_ns of *boot_ns,
 * provided the offset between the clocks moved in one direction only between two samples. Outside the samples
 * the bound grows by 500 ppm, the most by which the kernel slews a clock; a step out there cannot be seen. 0,
 * or -ENODATA when the list is empty.
 */
int hs_clock_real_to_boot(struct hs_clock_list *list, uint64_t real_ns, uint64_t quantum_ns,
			  uint64_t *boot_ns, uint64_t *error_ns);

#endif
