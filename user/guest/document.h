/* SPDX-License-Identifier: GPL-2.0-only */
/* What became of recorded guests, as parts of a document: the same in a run's run.json and in a guest.json. */
#ifndef HS_GUEST_DOCUMENT_H
#define HS_GUEST_DOCUMENT_H

#include "guests.h"

/*
 * Adds to the document's `trace` each folder of a guest (MACHINE; MACHINE.2 after it booted or was started again) with
 * its events, recorded, lost, bytes, its clock against the host's, and to `not_recorded` the rows of what is missing
 * and why.
 */
void hs_guests_add_to(struct hs_guests *guests, json_object *document);

/* The sum of all `lost` in the document's `trace`. */
uint64_t hs_trace_document_lost(json_object *document);

#endif
