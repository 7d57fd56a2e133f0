// SPDX-License-Identifier: GPL-2.0-only
/* From options to a session's config. Called by `collect` and `lab up` before anything is touched. */
#include "lab_options.h"

#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "base/scoped.h"
#include "orchestrate/labdir.h"

#ifndef HS_DATADIR
#define HS_DATADIR "/usr/local/share/hsbpf"
#endif

const char *const lab_accels[] = { "auto", "kvm", "tcg", NULL };
const char *const lab_nics[] = { "e1000", "e1000e", NULL };
const char *const lab_clients[] = { "vm", "netns", NULL };

/* A path is taken as it is; a bare name is one of our lists, beside the build or installed. Absolute, or NULL. */
static char *find_events(const char *name)
{
	char exe[4096] = "";
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	char *candidates[3] = { NULL };
	char *found = NULL;

	if (strchr(name, '/') || access(name, R_OK) == 0) {
		found = access(name, R_OK) == 0 ? realpath(name, NULL) : NULL;
	} else {
		if (len > 0 && strrchr(exe, '/'))
			*strrchr(exe, '/') = '\0';
		candidates[0] = hs_format("%s/../trace_events/%s.events", exe, name);
		candidates[1] = hs_format(HS_DATADIR "/%s.events", name);
		for (int i = 0; i < 2 && !found; i++)
			if (candidates[i] && access(candidates[i], R_OK) == 0)
				found = realpath(candidates[i], NULL);
		free(candidates[0]);
		free(candidates[1]);
	}
	if (!found)
		hs_err("--qemu-events %s: there is no such file, nor a list of that name (iommu, iommu-inv, iommu-ir, vfio)", name);
	return found;
}

int lab_options_apply(const struct lab_options *options, const char *default_prefix, struct hs_session_config *config,
		      char **events_path)
{
	hs_log_set_level(options->verbose ? HS_LOG_DBG : HS_LOG_INFO);
	if (hs_pairs_check(options->l2vm) || hs_lab_name_check(options->name))
		return HS_EXIT_USAGE;
	if (!options->no_trace) {
		*events_path = find_events(options->qemu_events);
		if (!*events_path)
			return HS_EXIT_USAGE;
	}
	config->lab = (struct hs_lab_config){
		.name = options->name, .pairs = options->l2vm, .client_netns = options->client == 1,
		.dry_run = options->dry_run, .accel = (enum hs_accel)options->accel, .nic = lab_nics[options->nic],
		.kernel = options->kernel, .l1_cpus = options->l1_cpus,
		.memory = { options->l1_mem, options->l2_mem, options->client_mem, 0 }, .events_file = *events_path,
	};
	config->out = options->out;
	config->prefix = options->log_prefix ? options->log_prefix : default_prefix;
	config->trace = !options->no_trace;
	return 0;
}
