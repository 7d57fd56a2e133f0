/* SPDX-License-Identifier: GPL-2.0-only */
/* Ctrl-C and friends: the first one is told to the loop, the second ends the process at once. Main thread. */
#ifndef HS_BASE_INTERRUPT_H
#define HS_BASE_INTERRUPT_H

#include "loop.h"

/* Catches SIGINT, SIGTERM and SIGHUP from now on; ignores SIGPIPE. on_interrupt may be changed later by calling again.
 */
int hs_interrupt_open(struct hs_loop *loop, void (*on_interrupt)(void *ctx), void *ctx);
/* Back to the default actions. */
void hs_interrupt_close(struct hs_loop *loop);
/* The signal that came, 0 for none: 128 + it is the exit code. */
int hs_interrupt_signal(void);

#endif
