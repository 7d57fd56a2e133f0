/* SPDX-License-Identifier: GPL-2.0-only */
/* What killed recorders left, saved beside a new recording. Called before that one's capture is opened. */
#ifndef HS_RECORD_LAST_H
#define HS_RECORD_LAST_H

/*
 * Saves each dead recorder's rest in dir/last (dir/last2, ...): trace/<machine> and a record.json of its own. Says what
 * was saved, and what could not be; a new recording goes on in any case.
 */
void hs_last_save(const char *dir);

#endif
