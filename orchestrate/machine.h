/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One machine that runs as a process on this host (L1, a client VM, or a client process in a namespace),
 * and, without a process of its own here, an L2 behind L1. Owned by the lab; main thread only.
 */
#ifndef HS_ORCHESTRATE_MACHINE_H
#define HS_ORCHESTRATE_MACHINE_H

#include <sys/types.h>

#include "base/argv.h"
#include "base/loop.h"
#include "frame.h"
#include "qmp.h"
#include "topology.h"

struct hs_machine;

/* What the lab wants to hear. Frames are those of the machine's link, L2s' routed ones among them. */
struct hs_machine_ops {
	void (*on_frame)(void *ctx, struct hs_machine *machine, const struct hs_frame *frame, const char *payload);
	/* The process has ended and was reaped. */
	void (*on_exit)(void *ctx, struct hs_machine *machine, int wait_status);
	/* A QMP event, see qmp.h; may be NULL. */
	void (*on_qmp)(void *ctx, struct hs_machine *machine, const char *name, json_object *data,
		       uint64_t realtime_us);
};

struct hs_machine {
	char name[HS_NAME_SIZE];
	enum hs_machine_kind kind;
	unsigned number, tenant;
	struct hs_loop *loop;
	const struct hs_machine_ops *ops;
	void *ctx;

	pid_t pid; /* 0: no process on this host */
	struct hs_watch exit_watch, agent_listener, qmp_listener;
	struct hs_link *link; /* to its agent; NULL until it connects, and for L2s */
	struct hs_qmp *qmp;
	char *console_path; /* serial console */
	char *errors_path;  /* its QEMU's stderr; NULL for L2s, whose QEMU writes on the console */
	int console_fd;	    /* L2s: what L1 passes on is appended here */

	enum hs_state state;
	char state_text[160];
	unsigned restarts;
	char shutdown_reason[32];	/* QMP: "guest-panic", "guest-reset", ... */
	char qemu_version[32];		/* "7.2.22", "" before QEMU has said so and for L2s */
	uint64_t state_ns[HS_STATE_NR]; /* BOOTTIME at which each state was first reached; 0: not */
};

void hs_machine_init(struct hs_machine *machine, struct hs_loop *loop, const char *name, enum hs_machine_kind kind,
		     const struct hs_machine_ops *ops, void *ctx);
/* Frees what the machine holds; kills its process if it still runs. */
void hs_machine_clear(struct hs_machine *machine);

/* Listens on RUN_DIR/NAME.agent and .qmp, then starts QEMU in the namespace. Message on failure. */
int hs_machine_start(struct hs_machine *machine, const char *run_dir, char *const *argv, int netns_fd);
/* Serves the agent from a process of ours in the namespace. Message on failure. */
int hs_machine_start_process(struct hs_machine *machine, int netns_fd);

/* Asks the process to end (SIGTERM), or ends it (SIGKILL). */
void hs_machine_signal(struct hs_machine *machine, int signal);

/* Notes a state and when it was reached first. */
void hs_machine_set_state(struct hs_machine *machine, enum hs_state state, const char *text);

/* So far back a panic's first line is looked for: its registers, and the ring of ftrace if that was on, come after it. */
#define HS_MACHINE_LAST_LINES 1000

/* The last console lines, indented, after the last lines of QEMU's own messages if any; malloc'd. */
char *hs_machine_last_words(const struct hs_machine *machine);

#endif
