/* SPDX-License-Identifier: GPL-2.0-only */
/* One migration from boot to measures: a site, a load, a drive, a recording, and the document of it. Main thread. */
#ifndef HS_MIGRATE_TRIAL_H
#define HS_MIGRATE_TRIAL_H

#include "migrate/drive.h"

struct hs_trial_config {
	struct hs_site_config site; /* dir is the trial's folder, made here */
	const struct hs_mode *mode;
	uint64_t dirty_mib;
	unsigned number; /* of its kind, from 1 */
	const bool *is_interrupted;
};

/*
 * Runs it, takes everything down and gives its document, also written as DIR/trial.json: outcome "completed",
 * "cancelled" or "failed" with "why". A migration that fails is a result. -EINTR, or -errno after a message.
 */
int hs_trial_run(const struct hs_trial_config *config, json_object **out);

#endif
