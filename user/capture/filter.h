/* SPDX-License-Identifier: GPL-2.0-only */
/* What a capture leaves out in the kernel, beside VMs and taps. = {} leaves out nothing. Plain data. */
#ifndef HS_CAPTURE_FILTER_H
#define HS_CAPTURE_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hs_exit_filter {
	uint32_t isa;	 /* HS_ISA_VMX or HS_ISA_SVM */
	uint32_t reason; /* trace_events/exit_reason.h */
};

#define HS_EXIT_FILTERS_MAX 128

struct hs_filter {
	const char *cpus;				  /* "0-3,7": only events of these; NULL: all */
	struct hs_exit_filter exits[HS_EXIT_FILTERS_MAX]; /* only these exits; none: all */
	size_t exit_nr;
	uint64_t min_exit_ns; /* not 0: kvm_exit and kvm_entry become kvm_exit_long, and only the long ones */
	/* What wakes the reader of a flight: an exit that took so long (0: none), a panic told through pvpanic. */
	uint64_t trigger_exit_ns;
	bool trigger_panic;
};

struct hsbpf_bpf;

/* Before loading: constants, and room for cpu_nr CPUs. */
void hs_filter_prepare(const struct hs_filter *filter, uint32_t cpu_nr, struct hsbpf_bpf *bpf);
/* After loading: the lists. -EINVAL: `cpus` is no list; -ENXIO: of CPUs that are not there; -errno. Said. */
int hs_filter_apply(const struct hs_filter *filter, uint32_t cpu_nr, struct hsbpf_bpf *bpf);

#endif
