// SPDX-License-Identifier: GPL-2.0-only
/* Puts a filter into the programs' constants and maps (bpf/filter.bpf.h). Called while a capture is opened. */
#include "capture/filter.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>

#include "base/cpulist.h"
#include "base/log.h"
#include "bpf/hsbpf.skel.h"

void hs_filter_prepare(const struct hs_filter *filter, uint32_t cpu_nr, struct hsbpf_bpf *bpf)
{
	bpf->rodata->by_cpu = filter->cpus != NULL;
	bpf->rodata->by_exit_reason = filter->exit_nr > 0;
	bpf->rodata->min_exit_ns = filter->min_exit_ns;
	bpf->rodata->trigger_exit_ns = filter->trigger_exit_ns;
	bpf->rodata->trigger_panic = filter->trigger_panic;
	bpf_map__set_max_entries(bpf->maps.cpus, cpu_nr);
}

static int apply_cpus(const char *text, uint32_t cpu_nr, int cpus_fd)
{
	struct hs_cpulist cpus;
	int err = hs_cpulist_parse(text, &cpus);
	uint8_t wanted = 1;
	bool has_any = false;

	for (uint32_t cpu = 0; cpu < cpu_nr && !err; cpu++) {
		if (!hs_cpulist_has(&cpus, cpu))
			continue;
		has_any = true;
		if (bpf_map_update_elem(cpus_fd, &cpu, &wanted, BPF_ANY))
			err = -errno;
	}
	if (!err && !has_any)
		return hs_fail(-ENXIO, "this machine has none of the CPUs %s", text);
	return err ? hs_fail(err, "the filter by CPU cannot be set:") : 0;
}

int hs_filter_apply(const struct hs_filter *filter, uint32_t cpu_nr, struct hsbpf_bpf *bpf)
{
	int err = filter->cpus ? apply_cpus(filter->cpus, cpu_nr, bpf_map__fd(bpf->maps.cpus)) : 0;
	uint8_t wanted = 1;

	for (size_t i = 0; i < filter->exit_nr && !err; i++) {
		uint64_t key = (uint64_t)filter->exits[i].isa << 32 | filter->exits[i].reason;

		if (bpf_map_update_elem(bpf_map__fd(bpf->maps.exit_reasons), &key, &wanted, BPF_ANY))
			err = hs_fail(-errno, "the filter by exit reason cannot be set:");
	}
	return err;
}
