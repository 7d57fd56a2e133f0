// SPDX-License-Identifier: GPL-2.0-only
/* Rounds played through in numbers, until what is left fits into the downtime or gets no less. */
#include "migtools/stream_forecast.h"

#include <math.h>

/* A round that leaves more than this share of the one before gets nowhere. */
#define NO_PROGRESS 0.999

double hs_stream_dirty_after(const struct hs_stream_model *model, double seconds)
{
	return model->working_pages > 0
		       ? model->working_pages * -expm1(-model->writes_per_s * seconds / model->working_pages)
		       : 0;
}

struct hs_stream_forecast hs_stream_forecast(const struct hs_stream_model *model, uint64_t remaining_pages)
{
	struct hs_stream_forecast forecast = { 0 };
	double limit_s = (double)model->downtime_limit_ns * 1e-9, pages = (double)remaining_pages, total_s = 0;
	double left_s = pages * model->frame_bytes / model->bytes_per_s;

	while (left_s > limit_s && forecast.rounds < HS_STREAM_FORECAST_ROUNDS_MAX) {
		double next = hs_stream_dirty_after(model, left_s);

		total_s += left_s;
		forecast.rounds++;
		left_s = next * model->frame_bytes / model->bytes_per_s;
		if (next > NO_PROGRESS * pages && left_s > limit_s)
			break;
		pages = next;
	}
	forecast.converges = left_s <= limit_s;
	forecast.stop_bytes = (uint64_t)(left_s * model->bytes_per_s);
	forecast.stop_ns = (uint64_t)(left_s * 1e9);
	forecast.total_ns = (uint64_t)((total_s + left_s) * 1e9);
	return forecast;
}
