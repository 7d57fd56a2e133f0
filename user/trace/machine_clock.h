/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the times of one machine's trace lie on the host's clock: through the pings that the run's document has of that
 * machine, else through the time of day that both traces say they began at. For every reader that merges machines; one
 * clock belongs to one thread.
 */
#ifndef HS_TRACE_MACHINE_CLOCK_H
#define HS_TRACE_MACHINE_CLOCK_H

#include "base/json.h"
#include "timeline/guest_clock.h"
#include "trace/ctf_metadata.h"

struct hs_machine_clock {
	bool is_host;	    /* its times are the host's, within bound_ns */
	bool is_mapped;	    /* through pings; else nobody knows how far off the times may be */
	uint64_t bound_ns;  /* of a mapped one: how far, from the first to the last ping; 0 for the host itself */
	int64_t to_boot_ns; /* of one that is not mapped: added to its times */
	struct hs_guest_clock guest;
};

/*
 * What the host's CLOCK_REALTIME was ahead of its CLOCK_BOOTTIME, as the samples in a document (run.json, guest.json,
 * record.json; may be NULL) say it. -ENOENT: there are none.
 */
int hs_document_host_offset(json_object *document, int64_t *host_offset_ns);

/*
 * Of the trace in the folder `trace`, whose metadata says `info`. host_offset_ns: as above, of the host's trace or its
 * document. 0; -ENOMEM. Pings that make no sense are said and left out.
 */
int hs_machine_clock_open(json_object *document, const char *trace, const struct hs_ctf_info *info,
			  int64_t host_offset_ns, struct hs_machine_clock *out);

/* The host's CLOCK_BOOTTIME when the machine's clock showed ns, and the other way round (0: before that began). */
uint64_t hs_machine_clock_to_boot(struct hs_machine_clock *clock, uint64_t ns);
uint64_t hs_machine_clock_from_boot(struct hs_machine_clock *clock, uint64_t boot_ns);

void hs_machine_clock_clear(struct hs_machine_clock *clock);

#endif
