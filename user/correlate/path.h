/* SPDX-License-Identifier: GPL-2.0-only */
/* The path of one packet, printed: what it is, where it was when, the translations made for it. */
#ifndef HS_CORRELATE_PATH_H
#define HS_CORRELATE_PATH_H

#include <stdio.h>

#include "base/json.h"
#include "correlate/packet.h"

/* Times are printed after origin_ns. */
void hs_path_print(const struct hs_packet *packet, uint64_t origin_ns, FILE *out);

/* Adds the members of a packet to `object`. Times are the host's CLOCK_BOOTTIME. */
void hs_path_to_json(const struct hs_packet *packet, json_object *object);

#endif
