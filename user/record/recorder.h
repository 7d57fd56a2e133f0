/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One recording of this host's kernel: from the first event to record.json. `hsbpf record` configures and runs it; a
 * main loop of one thread drains the rings, follows VMs, takes clock samples and waits for the end.
 */
#ifndef HS_RECORD_RECORDER_H
#define HS_RECORD_RECORDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/loop.h"
#include "base/opt.h"
#include "base/scoped.h"
#include "capture/capture.h"
#include "capture/vm.h"

#define HS_RECORD_SCHEMA "hsbpf.record/1"
/* In the recording's folder while it runs: room for record.json on a disk that fills up. */
#define HS_RECORD_RESERVE ".reserve"

struct hs_recorder;

struct hs_recorder_config {
	const char *dir; /* made here; must not hold a recording */
	struct hs_event_set events;
	struct hs_opt_list vms;	 /* names or PIDs; none: every VM of the host */
	struct hs_opt_list taps; /* interfaces of this network namespace; none: all of its taps */
	uint64_t ring_bytes;	 /* per CPU; 0: the default */
	uint64_t duration_ns;	 /* 0: until it is ended */
	char *const *command;	 /* runs while we record; NULL: none */
	int command_stdout_fd;	 /* where its output goes */
	struct hs_filter filter;
	bool flight;	     /* keep the newest in the rings, write them at snapshots only, the last one at the end */
	bool trigger_vm_end; /* of a flight: a VM that ends is a snapshot */
};

/*
 * Finds the VMs, loads, attaches, starts the command. 0; -EPERM or -EOPNOTSUPP where this kernel or user cannot;
 * -ENOENT for a VM or interface that is not there; -EEXIST for a folder in use; -errno. All said.
 */
int hs_recorder_open(const struct hs_recorder_config *config, struct hs_loop *loop, struct hs_recorder **out);

/* Records until the time is over, the command has ended or hs_recorder_end() was called. 0 or -errno (said). */
int hs_recorder_run(struct hs_recorder *recorder);
/* From a callback of the loop: `outcome` is "ok" or "interrupted". */
void hs_recorder_end(struct hs_recorder *recorder, const char *outcome);

/*
 * Of a flight: DIR/snapshot-N with trace/host and a record.json of its own. `why` is for the document. 0 or -errno
 * (said). SIGUSR1 and the triggers of the filter come here too.
 */
int hs_recorder_snapshot(struct hs_recorder *recorder, const char *why);

/* Stops, drains and writes record.json; the counts are final. 0 or -errno (said). */
int hs_recorder_finish(struct hs_recorder *recorder);

/* The document as it stands; the recorder's. */
json_object *hs_recorder_document(struct hs_recorder *recorder);
/* Events that found no room in a ring or on the disk; of a flight, which writes over the oldest, on the disk. */
uint64_t hs_recorder_lost(const struct hs_recorder *recorder);
/* The command's exit code as a shell has it; 0 without one. */
int hs_recorder_command_status(const struct hs_recorder *recorder);

void hs_recorder_free(struct hs_recorder *recorder);
HS_SCOPED(hs_recorder, struct hs_recorder *, hs_recorder_free)

#endif
