/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's control socket: JSON objects, one command at a time, events as they come. Host side, main thread.
 */
#ifndef HS_ORCHESTRATE_QMP_H
#define HS_ORCHESTRATE_QMP_H

#include <json-c/json.h>

#include "base/loop.h"

struct hs_qmp;

/* An event's name and its "data" (borrowed, may be NULL); QEMU's greeting, with its version, comes as "QMP". */
typedef void (*hs_qmp_on_event)(void *ctx, const char *name, json_object *data);

/* Takes a connected socket, negotiates capabilities as soon as QEMU greets. */
int hs_qmp_open(struct hs_loop *loop, int fd, hs_qmp_on_event on_event, void *ctx, struct hs_qmp **out);
void hs_qmp_free(struct hs_qmp *qmp);

/* Sends a command without arguments; its reply is not waited for. 0 or -errno. */
int hs_qmp_send(struct hs_qmp *qmp, const char *command);

#endif
