/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A lab's control socket, /run/hsbpf/NAME/ctl: the process that owns the lab serves it, `hsbpf lab ...` in
 * another process asks. Frames of frame.h; EXEC's argv has the machine's name in front.
 */
#ifndef HS_ORCHESTRATE_CTL_H
#define HS_ORCHESTRATE_CTL_H

#include "base/json.h"
#include "lab.h"

/* ---- the owner's side: main thread, on the lab's loop ---- */
struct hs_ctl;

int hs_ctl_open(struct hs_lab *lab, struct hs_ctl **out);
void hs_ctl_free(struct hs_ctl *ctl);
HS_SCOPED(hs_ctl, struct hs_ctl *, hs_ctl_free)

/* TEST orders are taken from now on; until then they are refused with the reason. */
void hs_ctl_serve_tests(struct hs_ctl *ctl);
/* A TEST order's parameters, taken once (caller puts it); NULL when none waits. Answered by hs_ctl_answer_test(). */
json_object *hs_ctl_take_test(struct hs_ctl *ctl);
bool hs_ctl_has_test(const struct hs_ctl *ctl);
void hs_ctl_answer_test(struct hs_ctl *ctl, int exit_code, json_object *document);
/* DOWN was asked: the lab has been interrupted with hs_lab_interrupt(). */
bool hs_ctl_is_down_asked(const struct hs_ctl *ctl);

/* ---- the asking side: blocks; messages are printed ---- */

/* Asks STATUS (payload NULL) or TEST: the answer's exit code or -errno; *document is the caller's. */
int hs_ctl_ask(const char *lab, enum hs_frame_type what, const char *payload, json_object **document);
/* Asks for the end and waits for it. */
int hs_ctl_down(const char *lab);
/* Runs argv in a machine with our stdin, stdout and stderr: its exit code as a shell tells it, or -errno. */
int hs_ctl_exec(const char *lab, const char *machine, char *const *argv);

#endif
