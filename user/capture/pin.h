/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Maps that outlive their recorder: a folder of bpffs per capture, locked while the recorder lives. /sys/fs/bpf where
 * that is a bpffs, else one of our own below /run/hsbpf. Any process; the lock orders them.
 */
#ifndef HS_CAPTURE_PIN_H
#define HS_CAPTURE_PIN_H

#include "base/scoped.h"

struct hs_pin;

/*
 * Makes and locks the folder `name` (letters, digits, '-' and '_'). -EEXIST: a live recorder has it, or a dead one left
 * it; -errno. Not said.
 */
int hs_pin_open(const char *name, struct hs_pin **out);

/* Puts a map in. 0 or -errno (not said). */
int hs_pin_add(const struct hs_pin *pin, const char *map_name, int map_fd);

/* Removes the folder with what was put in. */
void hs_pin_free(struct hs_pin *pin);
HS_SCOPED(hs_pin, struct hs_pin *, hs_pin_free)

/*
 * Calls on_dead with the folder of every capture whose recorder is dead, locked meanwhile, and removes those for which
 * it returns 0. 0 or the first error of on_dead; no bpffs and no folder are fine.
 */
int hs_pins_each_dead(int (*on_dead)(void *ctx, const char *path), void *ctx);

#endif
