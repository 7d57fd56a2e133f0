/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The machines of a raised lab as guests whose traces are recorded: L1, the L2 VMs behind it, and the client VMs.
 * Called by a session between the raising of its lab and its end; main thread, on the lab's loop.
 */
#ifndef HS_RUN_LAB_GUESTS_H
#define HS_RUN_LAB_GUESTS_H

#include "base/json.h"
#include "base/scoped.h"
#include "orchestrate/lab.h"

struct hs_lab_guests;

/*
 * Connects to every machine that is ready and lets it record into TRACE_DIR/MACHINE. events: for all, as in
 * guest/guests.h; NULL: what each kind of machine is recorded for by default. Returns when all record. A machine
 * that does not within half a minute is warned about and may begin later. -EINTR, -EIO as hs_lab_wait(); -errno.
 */
int hs_lab_guests_start(struct hs_lab *lab, const char *trace_dir, const char *events, struct hs_lab_guests **out);

/* Lets all stop and waits until what they sent is on the disk; the machines still run. */
void hs_lab_guests_stop(struct hs_lab_guests *guests);

/* Adds each machine to the document's `trace`, and to `not_recorded` what is missing. After the host's trace. */
void hs_lab_guests_add_to(struct hs_lab_guests *guests, json_object *document);

void hs_lab_guests_free(struct hs_lab_guests *guests);
HS_SCOPED(hs_lab_guests, struct hs_lab_guests *, hs_lab_guests_free)

#endif
