/* SPDX-License-Identifier: GPL-2.0-only */
/* Ways to migrate, as rows: capabilities and parameters of QEMU, and when to switch to postcopy. Pure. */
#ifndef HS_MIGRATE_MODE_H
#define HS_MIGRATE_MODE_H

#include <stdbool.h>

#include "base/json.h"

struct hs_mode {
	const char *name;
	const char *capabilities; /* blank-separated, switched on at both ends */
	const char *parameters;	  /* JSON object for migrate-set-parameters at both ends, or NULL */
	unsigned postcopy_round;  /* switches to postcopy when that many rounds were begun; 0: never */
	const char *help;
};

/* Ends with a row without a name. */
extern const struct hs_mode hs_modes[];

/* NULL: there is none of that name. */
const struct hs_mode *hs_mode_find(const char *name);

/* Arguments of migrate-set-capabilities. */
json_object *hs_mode_capabilities(const struct hs_mode *mode);
/* Arguments of migrate-set-parameters with those that every migration gets. */
json_object *hs_mode_parameters(const struct hs_mode *mode, uint64_t downtime_limit_ms);

#endif
