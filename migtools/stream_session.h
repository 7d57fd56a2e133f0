/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a source knows about its session: written by stream_source.c, printed by stream_source_report.c. Main thread.
 */
#ifndef HS_MIGTOOLS_STREAM_SESSION_H
#define HS_MIGTOOLS_STREAM_SESSION_H

#include "base/loop.h"
#include "migtools/progress.h"
#include "migtools/stream.h"
#include "migtools/stream_forecast.h"
#include "migtools/stream_sender.h"

enum hs_stream_state {
	HS_STREAM_STREAMING, /* no rounds */
	HS_STREAM_WAITING,   /* rounds begin when it is known who the peer is */
	HS_STREAM_IN_ROUND,
	HS_STREAM_STOP_AND_COPY,
	HS_STREAM_MIGRATED,
};

struct hs_stream_round {
	uint64_t pages, bytes; /* sent; bytes with headers */
	uint64_t duration_ns;
	uint64_t dirty_pages; /* written meanwhile */
	bool is_stop_and_copy;
	struct hs_stream_forecast forecast; /* made at its end */
};

struct hs_stream_interval {
	uint64_t duration_ns, bytes;
};

struct hs_stream_source {
	const struct hs_stream_config *config;
	struct hs_stream_plan plan;
	struct hs_stream_sender *senders; /* owned */
	uint32_t sender_count, started_count;
	struct hs_stream_guest *guest; /* owned */
	uint8_t *contents;	       /* owned */
	struct hs_loop *loop;	       /* owned */
	struct hs_watch tick, event, write_tick;
	struct hs_progress progress;
	enum hs_stream_state state;
	uint64_t start_ns, end_ns;
	bool is_over, was_interrupted;
	int err; /* of the first sender that failed */

	struct hs_stream_interval *intervals; /* owned */
	size_t interval_count, interval_room;
	uint64_t interval_start_ns, interval_bytes; /* total at its start */

	struct hs_stream_round *rounds; /* owned */
	size_t round_count, round_room;
	uint64_t round_start_ns, round_bytes, round_pages; /* totals at its start */
	uint64_t last_write_ns;
	double write_debt; /* pages, below 1 */
	uint64_t writes;
	bool has_converged;
};

/* The page size of what is sent now. */
uint32_t hs_stream_source_page_bytes(const struct hs_stream_source *source);
uint64_t hs_stream_source_bytes(const struct hs_stream_source *source);
uint64_t hs_stream_source_pages(const struct hs_stream_source *source);

/* A line at the end of a round. */
void hs_stream_source_print_round(struct hs_stream_source *source, const struct hs_stream_round *round);
/* Why it was refused, or how the connection was lost. */
void hs_stream_source_say_error(const struct hs_stream_source *source);
/* The summary, or the document. */
int hs_stream_source_report(struct hs_stream_source *source);

#endif
