/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A packet of our own recording inside a guest (ctf.h), taken apart and written anew into that machine's trace:
 * what is on disk was written by us, record by record, whatever the guest sent. Called by a guest's store.
 */
#ifndef HS_GUEST_PACKET_H
#define HS_GUEST_PACKET_H

#include <stdint.h>

#include "trace/ctf_writer.h"

/* What is known of one CPU's packets, = {} before the first. */
struct hs_guest_packet_stream {
	uint64_t next_seq;
	uint64_t discarded;	  /* events, as the newest packet said: all that the guest lost before it */
	uint64_t missing_packets; /* gaps in the numbers */
};

/*
 * One whole packet. `lost` is how many more events of that CPU are known to be lost by others. -EBADMSG: it is no
 * packet, or stops making sense (its records up to there are written); -EINVAL: no such CPU can be; -errno of the
 * writer. No message.
 */
int hs_guest_packet_add(struct hs_ctf_writer *writer, struct hs_guest_packet_stream *stream, uint32_t cpu,
			const void *bytes, uint64_t len, uint64_t lost);

#endif
