/* SPDX-License-Identifier: GPL-2.0-only */
/* What a destination knows: kept by stream_destination.c, printed by stream_destination_report.c. Main thread. */
#ifndef HS_MIGTOOLS_STREAM_DESTINATION_H
#define HS_MIGTOOLS_STREAM_DESTINATION_H

#include "base/loop.h"
#include "base/unit.h"
#include "migtools/progress.h"
#include "migtools/stream.h"
#include "migtools/stream_receiver.h"

struct hs_stream_destination {
	const struct hs_stream_config *config;
	struct hs_loop *loop; /* owned */
	struct hs_watch listener, event, tick;
	struct hs_progress progress;
	struct hs_stream_receiver *running;		/* owned; newest first */
	struct hs_stream_receiver *ended, **ended_tail; /* owned, in that order; only kept for a document */
	uint64_t accepted;
	bool is_over;
};

/* A summary of one connection that has ended, on stdout. */
void hs_stream_receiver_print(const struct hs_stream_receiver *receiver);

int hs_stream_destination_print_json(const struct hs_stream_destination *destination, uint64_t duration_ns);

#endif
