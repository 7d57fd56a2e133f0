/* SPDX-License-Identifier: GPL-2.0-only */
/* The taps of this process's network namespace. No state; any thread. */
#ifndef HS_CAPTURE_TAP_H
#define HS_CAPTURE_TAP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Whether that interface is a tap, as its driver says (/sys/class/net may be another namespace's). */
bool hs_tap_is(const char *name);

/* Whether that process has the tap of that name open, in whatever network namespace. */
bool hs_tap_is_held(pid_t tgid, const char *name);

/* st_ino of this process's network namespace: what the BPF programs know it by. 0 or -errno (said). */
int hs_netns_inum(uint32_t *inum);

struct hs_capture;

/* Watches every tap of this network namespace that is not watched yet, numbered on. 0 or -errno (said). */
int hs_taps_watch_new(struct hs_capture *capture);

#endif
