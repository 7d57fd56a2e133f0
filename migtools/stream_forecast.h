/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a precopy will go on: memory that is written at random while it is sent. Writes hit pages that are dirty already,
 * so W pages written r times a second have W(1 - e^(-rt/W)) dirty ones after t. Pure; also asked from tests.
 */
#ifndef HS_MIGTOOLS_STREAM_FORECAST_H
#define HS_MIGTOOLS_STREAM_FORECAST_H

#include <stdbool.h>
#include <stdint.h>

#define HS_STREAM_FORECAST_ROUNDS_MAX 1000

struct hs_stream_model {
	double bytes_per_s;	    /* of the stream, headers included; above 0 */
	double writes_per_s;	    /* pages */
	double working_pages;	    /* that the writes are spread over */
	double frame_bytes;	    /* of one page with its header */
	uint64_t downtime_limit_ns; /* the guest is stopped when what is left takes no longer */
};

struct hs_stream_forecast {
	bool converges;
	uint32_t rounds;     /* still to come while the guest runs; where they get no shorter: until that is so */
	uint64_t stop_bytes; /* left to send when it is stopped, then or if it were stopped without end in sight */
	uint64_t stop_ns;    /* stop-and-copy: how long that takes */
	uint64_t total_ns;   /* from now to the end of the stop-and-copy */
};

/* remaining_pages are dirty now. */
struct hs_stream_forecast hs_stream_forecast(const struct hs_stream_model *model, uint64_t remaining_pages);

/* Pages that are dirty after that time, none being so before. */
double hs_stream_dirty_after(const struct hs_stream_model *model, double seconds);

#endif
