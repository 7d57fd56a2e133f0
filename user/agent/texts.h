/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The answer to FORMATS: texts of tracefs and /proc, one after the other in pieces, no faster than the host reads them.
 * Control thread.
 */
#ifndef HS_AGENT_TEXTS_H
#define HS_AGENT_TEXTS_H

#include "agent/control.h"
#include "agent/tracer.h"

struct hs_texts;

/*
 * Prepares the texts of `what` (HS_WIRE_WHAT_... bits); tracer NULL: without those of tracefs. Both stay the caller's
 * and live as long. 0 or -ENOMEM.
 */
int hs_texts_open(struct hs_control *control, const struct hs_wire_frame *order, uint64_t what,
		  const struct hs_tracer *tracer, struct hs_texts **out);

/* Sends what there is room for; call again when there is more. True when all is sent: RESULT is the caller's. */
bool hs_texts_send(struct hs_texts *texts);
const struct hs_wire_frame *hs_texts_order(const struct hs_texts *texts);

void hs_texts_free(struct hs_texts *texts);
HS_SCOPED(hs_texts, struct hs_texts *, hs_texts_free)

#endif
