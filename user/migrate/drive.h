/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One live migration by QMP, from the first order to its end, with what was asked for broken on the way. Main thread;
 * a trial owns one.
 */
#ifndef HS_MIGRATE_DRIVE_H
#define HS_MIGRATE_DRIVE_H

#include "migrate/site.h"

enum hs_outcome { HS_OUTCOME_COMPLETED, HS_OUTCOME_CANCELLED, HS_OUTCOME_FAILED };
const char *hs_outcome_name(enum hs_outcome outcome);

struct hs_drive {
	struct hs_site *site;
	const struct hs_mode *mode;
	const struct hs_plan_options *options;
	const bool *is_interrupted;
	bool has_news; /* QEMU told something since the last look */
	/* What came of it. */
	enum hs_outcome outcome;
	char why[256];		      /* not completed: a sentence */
	uint64_t start_ns, end_ns;    /* BOOTTIME of the order and of its end */
	uint64_t postcopy_ns;	      /* when postcopy was ordered; 0: not */
	uint64_t fault_ns;	      /* when something was broken; 0: nothing was */
	bool is_recovered;	      /* postcopy went on after its link had been down */
	bool is_gone[HS_END_NR];      /* its QEMU ended before it was told to */
	json_object *events;	      /* [{end, event, realtime_us, ...}], of QMP */
	json_object *polls;	      /* [{boottime_ns, status, round, remaining_bytes, ...}] */
	json_object *last[HS_END_NR]; /* query-migrate when it was over; NULL: not to be had */
};

void hs_drive_init(struct hs_drive *drive, struct hs_site *site, const struct hs_mode *mode,
		   const struct hs_plan_options *options, const bool *is_interrupted);
void hs_drive_clear(struct hs_drive *drive);

/* From the machines' callbacks. */
void hs_drive_on_event(struct hs_drive *drive, enum hs_end end, const char *name, json_object *data,
		       uint64_t realtime_us);

/* Runs it. 0 when it has come to an end, whichever; -EINTR, or -errno after a message. */
int hs_drive_run(struct hs_drive *drive);

/* Tells both capabilities and parameters of the mode. -EREMOTEIO: QEMU refused, *why says what. */
int hs_drive_set_mode(struct hs_qmp *qmp, const struct hs_mode *mode, uint64_t downtime_limit_ms, const char **why);

/* Whether the guest runs there now. */
bool hs_drive_runs_at(struct hs_drive *drive, enum hs_end end);

#endif
