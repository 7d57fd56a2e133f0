// SPDX-License-Identifier: GPL-2.0-only
/* A point's share of the work is its translations: what has been done in the time so far says what the rest takes. */
#include "explore/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"

#define LINE_EVERY_NS 10000000000u
#define TERMINAL_EVERY_NS 200000000u

void hs_progress_begin(struct hs_progress *progress, size_t points, uint64_t work)
{
	*progress = (struct hs_progress){ .points = points, .work = work, .start_ns = hs_now_ns() };
	progress->is_terminal = isatty(STDERR_FILENO);
	progress->shown_ns = progress->start_ns;
}

static void format_left(char *text, size_t size, uint64_t seconds)
{
	if (seconds >= 3600)
		snprintf(text, size, "%" PRIu64 "h %" PRIu64 "m", seconds / 3600, seconds / 60 % 60);
	else if (seconds >= 60)
		snprintf(text, size, "%" PRIu64 "m %" PRIu64 "s", seconds / 60, seconds % 60);
	else
		snprintf(text, size, "%" PRIu64 "s", seconds);
}

const char *hs_progress_format(const struct hs_progress *progress, uint64_t now_ns, char *text, size_t size)
{
	double share = progress->work ? (double)progress->done / (double)progress->work : 0;
	char left[48] = "", about[80] = "", failed[32] = "";

	if (progress->failed)
		snprintf(failed, sizeof(failed), ", %zu failed", progress->failed);
	if (share > 0) {
		format_left(left, sizeof(left),
			    (uint64_t)((double)(now_ns - progress->start_ns) * (1 / share - 1) / 1e9 + 0.5));
		snprintf(about, sizeof(about), ", about %s left", left);
	}
	snprintf(text, size, "%zu of %zu points%s, %.0f %%%s", progress->ended, progress->points, failed, 100 * share,
		 about);
	return text;
}

void hs_progress_hide(const struct hs_progress *progress)
{
	if (progress->is_terminal)
		fputs("\r\033[K", stderr);
}

void hs_progress_add(struct hs_progress *progress, uint64_t work, bool is_failed)
{
	uint64_t now_ns = hs_now_ns();
	char text[160];

	progress->ended++;
	progress->failed += is_failed;
	progress->done += work;
	if (now_ns - progress->shown_ns < (progress->is_terminal ? TERMINAL_EVERY_NS : LINE_EVERY_NS))
		return;
	progress->shown_ns = now_ns;
	hs_progress_format(progress, now_ns, text, sizeof(text));
	if (!progress->is_terminal) {
		hs_info("%s", text);
		return;
	}
	hs_progress_hide(progress);
	fputs(text, stderr);
}
