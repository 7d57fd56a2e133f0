/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The live screen of `hsbpf top`: a ranking on a terminal, and the keys pressed there. One per process, one thread.
 */
#ifndef HS_STAT_SCREEN_H
#define HS_STAT_SCREEN_H

#include <stdbool.h>

#include "stat/ranking.h"

struct hs_screen_state {
	enum hs_stat_sort sort;
	bool by_vcpu, is_paused, has_help, is_over;
	size_t first; /* first line shown */
};

/* Takes the terminal over. -ENOTTY: no terminal, -EOPNOTSUPP: one that cannot do it (TERM); not said. */
int hs_screen_open(void);

/* Draws what is known; only what differs from before is sent. `note` is a line for what the table does not hold. */
void hs_screen_draw(const struct hs_stat_report *report, const struct hs_stat_ranking *ranking,
		    const struct hs_screen_state *state, const char *note);

/* Takes in the keys pressed since the last call; true when the screen must be drawn again. Never waits. */
bool hs_screen_read_keys(struct hs_screen_state *state);

/* Gives the terminal back as it was. */
void hs_screen_close(void);

#endif
