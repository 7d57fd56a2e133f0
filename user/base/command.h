/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A user's command that runs beside what we do (`hsbpf record -- COMMAND`): its start, its end by itself, and the end
 * that we ask of it. Lives in its owner, stays where it is. One thread, from the loop's callbacks.
 */
#ifndef HS_BASE_COMMAND_H
#define HS_BASE_COMMAND_H

#include <sys/types.h>

#include "loop.h"

struct hs_command {
	struct hs_loop *loop; /* borrowed */
	struct hs_watch child;
	pid_t pid;     /* 0: does not run */
	int exit_code; /* when it has ended: as a shell has it */
	void (*on_end)(void *ctx);
	void *ctx;
};

#define HS_COMMAND_NONE                                                                                                \
	{                                                                                                              \
		.child = HS_WATCH_NONE                                                                                 \
	}

/*
 * Starts argv (found through PATH) with our standard input unless that is a terminal, and our standard error. on_end is
 * called when it has ended by itself or was ended. 0 or -errno (said).
 */
int hs_command_start(struct hs_command *command, struct hs_loop *loop, char *const *argv, int stdout_fd,
		     void (*on_end)(void *ctx), void *ctx);

/* Ends it if it runs: SIGTERM, and SIGKILL when it does not listen within 5 s. Dispatches the loop meanwhile. */
void hs_command_end(struct hs_command *command);

/* Watches it no more; it is not ended. Not started is fine. */
void hs_command_close(struct hs_command *command);

#endif
