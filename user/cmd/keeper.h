/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A lab that stays up needs an owner that stays: the work is done in a child, whose words and exit code the
 * first process passes on, and which goes on alone once it has detached. Main thread, before any other thread.
 */
#ifndef HS_CMD_KEEPER_H
#define HS_CMD_KEEPER_H

#include <stdbool.h>

struct hs_keeper {
	int report_fd;
	bool detached;
};

/* In the child false; in the parent true, when the child has detached or ended, with the exit code. */
bool hs_keeper_fork(struct hs_keeper *keeper, int *exit_code);
/* Child: lets the parent end with that code; from now on no terminal, no session, output to nowhere. */
void hs_keeper_detach(struct hs_keeper *keeper, int exit_code);
/* Child: ends the process; the parent, if it still waits, ends with that code. */
void hs_keeper_end(struct hs_keeper *keeper, int exit_code) __attribute__((noreturn));

#endif
