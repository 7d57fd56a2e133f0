/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One guest recorded into a folder of its own: DIR/guest.json, renewed as it goes on, and DIR/trace/NAME. It can be
 * found by the guest's name while it runs, so that another process can ask for its state and for its end. Used by
 * `hsbpf guest`; main thread.
 */
#ifndef HS_GUEST_RECORDING_H
#define HS_GUEST_RECORDING_H

#include <sys/types.h>

#include "base/loop.h"
#include "guests.h"

#define HS_GUEST_SCHEMA "hsbpf.guest/1"

struct hs_guest_recording;

struct hs_guest_recording_config {
	const char *dir; /* made; must not hold a recording */
	struct hs_guest_config guest;
	struct hs_guests_config queue; /* its trace_dir is filled in */
	uint64_t duration_ns;	       /* of recording; 0: until it is ended */
};

/* Takes `place`. -EEXIST: the folder has one, or the guest is being recorded; -errno. Said. */
int hs_guest_recording_open(struct hs_loop *loop, const struct hs_guest_recording_config *config,
			    struct hs_guest_place *place, struct hs_guest_recording **out);
/*
 * Runs the loop until the guest records. -ETIMEDOUT when it does not by the deadline (BOOTTIME, 0: none), -EREMOTEIO
 * when its agent refused (both said), -EINTR when hs_guest_recording_end() was called.
 */
int hs_guest_recording_wait(struct hs_guest_recording *recording, uint64_t deadline_ns);
/* Records until the time is over or hs_guest_recording_end() was called. */
int hs_guest_recording_run(struct hs_guest_recording *recording);
/* From a callback of the loop. */
void hs_guest_recording_end(struct hs_guest_recording *recording);
/* Stops, writes what came and guest.json with that outcome (0: ok). */
int hs_guest_recording_finish(struct hs_guest_recording *recording, int result);

/* Complete after hs_guest_recording_finish(); the recording's. */
json_object *hs_guest_recording_document(struct hs_guest_recording *recording);

void hs_guest_recording_free(struct hs_guest_recording *recording);
HS_SCOPED(hs_guest_recording, struct hs_guest_recording *, hs_guest_recording_free)

/* The folder and the process of the recording of that name that runs: malloc'd; NULL (no message) when none does. */
char *hs_guest_recording_find(const char *name, pid_t *pid);

#endif
