// SPDX-License-Identifier: GPL-2.0-only
/* From options to a session's config. Called by `collect` and `lab up` before anything is touched. */
#include "lab_options.h"

#include <stdlib.h>
#include <string.h>

#include "base/datadir.h"
#include "base/log.h"
#include "base/scoped.h"
#include "orchestrate/labdir.h"

const char *const lab_accels[] = { "auto", "kvm", "tcg", NULL };
const char *const lab_nics[] = { "e1000", "e1000e", NULL };
const char *const lab_clients[] = { "vm", "netns", NULL };

/* A file is taken as it is; a bare name is one of our lists. Absolute, or NULL after a message. */
static char *find_events(const char *name)
{
	char *found = hs_datadir_find(name, "trace_events", "events");

	if (!found)
		hs_err("--qemu-events %s: there is no such file, nor a list of that name (iommu, iommu-inv, iommu-ir, "
		       "vfio)",
		       name);
	else if (strchr(found, ','))
		hs_err("--qemu-events %s: a comma cannot be in the path, since QEMU splits its options there", found);
	else
		return found;
	free(found);
	return NULL;
}

/* Everything that can be wrong with the values alone. */
static bool are_valid(const struct lab_options *options, const char *prefix)
{
	struct hs_memory memory = { options->l1_mem, options->l2_mem, options->client_mem, 0 };
	scoped(hs_rundir) struct hs_rundir *rundir = NULL;

	if (hs_pairs_check(options->l2vm) || hs_lab_name_check(options->name) ||
	    hs_rundir_name(options->out, prefix, 0, &rundir))
		return false;
	hs_memory_plan(&memory, options->l2vm, options->client == 0);
	return hs_memory_check(&memory, options->l2vm) == 0;
}

int lab_options_apply(const struct lab_options *options, const char *default_prefix, struct hs_session_config *config,
		      char **events_path)
{
	hs_log_set_level(options->verbose ? HS_LOG_DBG : HS_LOG_INFO);
	config->out = options->out;
	config->prefix = options->log_prefix ? options->log_prefix : default_prefix;
	if (!are_valid(options, config->prefix))
		return HS_EXIT_USAGE;
	if (!options->no_trace) {
		*events_path = find_events(options->qemu_events);
		if (!*events_path)
			return HS_EXIT_USAGE;
	}
	config->lab = (struct hs_lab_config){
		.name = options->name,
		.pairs = options->l2vm,
		.client_netns = options->client == 1,
		.dry_run = options->dry_run,
		.accel = (enum hs_accel)options->accel,
		.nic = lab_nics[options->nic],
		.kernel = options->kernel,
		.l1_cpus = options->l1_cpus,
		.memory = { options->l1_mem, options->l2_mem, options->client_mem, 0 },
		.events_file = *events_path,
		.guest_trace = !options->no_guest_trace && !options->no_trace,
	};
	config->guest_events = options->guest_events;
	config->trace = !options->no_trace;
	return 0;
}
