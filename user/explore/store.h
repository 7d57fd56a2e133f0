/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The results of a folder: explore.jsonl, a line for each point that came to an end, appended when it did. Points are
 * known by an id of what was simulated, so a sweep that was interrupted, or one whose plan has grown, finds what was
 * done. Main thread; one process at a time (locked).
 */
#ifndef HS_EXPLORE_STORE_H
#define HS_EXPLORE_STORE_H

#include "base/json.h"
#include "base/scoped.h"

struct hs_store;

/* Makes the folder if need be and reads what is there. A line that a killed sweep did not finish is cut off, said.
 * 0 or -errno after a message: -EBUSY while another sweep writes there. */
int hs_store_open(const char *dir, struct hs_store **out);
void hs_store_free(struct hs_store *store);
HS_SCOPED(hs_store, struct hs_store *, hs_store_free)

/* The newest row with that member "id", borrowed; NULL when there is none. */
json_object *hs_store_find(struct hs_store *store, const char *id);

/* Appends the row, an object with a member "id", in one write; takes it over in any case. 0 or -errno after a message.
 */
int hs_store_add(struct hs_store *store, json_object *row);

#endif
