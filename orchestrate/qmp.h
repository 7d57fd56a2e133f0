/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's control socket: JSON objects, commands and their replies in order, events as they come. Host side, main
 * thread.
 */
#ifndef HS_ORCHESTRATE_QMP_H
#define HS_ORCHESTRATE_QMP_H

#include <json-c/json.h>

#include "base/loop.h"

struct hs_qmp;

/*
 * An event's name, its "data" (borrowed, may be NULL) and QEMU's time of it (CLOCK_REALTIME, us; 0: none). QEMU's
 * greeting, with its version, comes as "QMP".
 */
typedef void (*hs_qmp_on_event)(void *ctx, const char *name, json_object *data, uint64_t realtime_us);

/* Takes a connected socket, negotiates capabilities as soon as QEMU greets. */
int hs_qmp_open(struct hs_loop *loop, int fd, hs_qmp_on_event on_event, void *ctx, struct hs_qmp **out);
void hs_qmp_free(struct hs_qmp *qmp);

/* Sends a command without arguments; its reply is not waited for. 0 or -errno. */
int hs_qmp_send(struct hs_qmp *qmp, const char *command);

/*
 * Sends a command and runs the loop until its reply: *result is the reply's "return", which the caller puts; result may
 * be NULL. `arguments` (may be NULL) is taken in every case. -EREMOTEIO: refused, hs_qmp_refusal() says why in QEMU's
 * words, without a message; -EPIPE: QEMU has gone; -ETIMEDOUT (message): no reply in 30 s. Callbacks of the loop may
 * free the object meanwhile: -EPIPE.
 */
int hs_qmp_call(struct hs_qmp *qmp, const char *command, json_object *arguments, json_object **result);
/*
 * The same out of band: QEMU answers even while its main loop waits for a page of an interrupted postcopy. Only for
 * commands that QEMU allows so (migrate-pause, migrate-recover).
 */
int hs_qmp_call_urgent(struct hs_qmp *qmp, const char *command, json_object *arguments, json_object **result);
const char *hs_qmp_refusal(const struct hs_qmp *qmp);

#endif
