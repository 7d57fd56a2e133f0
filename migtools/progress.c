// SPDX-License-Identifier: GPL-2.0-only
/* Progress lines. Every line is flushed: a tool that is killed has said what it knew. */
#include "migtools/progress.h"

#include <inttypes.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#define TERMINAL_PERIOD_NS 100000000u
#define FILE_PERIOD_NS 1000000000u

void hs_progress_start(struct hs_progress *progress, bool stdout_is_taken)
{
	*progress = (struct hs_progress){ .out = stdout_is_taken ? stderr : stdout };
	progress->is_terminal = isatty(fileno(progress->out));
}

bool hs_progress_due(const struct hs_progress *progress, uint64_t now_ns)
{
	return now_ns >= progress->next_ns;
}

static uint64_t monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void hs_progress_line(struct hs_progress *progress, uint64_t now_ns, const char *format, ...)
{
	va_list args;

	if (!hs_progress_due(progress, now_ns))
		return;
	progress->next_ns = now_ns + (progress->is_terminal ? TERMINAL_PERIOD_NS : FILE_PERIOD_NS);
	fprintf(progress->out, "%s[%" PRIu64 "] ", progress->is_terminal ? "\r" : "", monotonic_ms());
	va_start(args, format);
	vfprintf(progress->out, format, args);
	va_end(args);
	fputs(progress->is_terminal ? "\033[K" : "\n", progress->out);
	fflush(progress->out);
	progress->is_open = progress->is_terminal;
}

void hs_progress_note(struct hs_progress *progress, const char *format, ...)
{
	va_list args;

	hs_progress_end(progress);
	va_start(args, format);
	vfprintf(progress->out, format, args);
	va_end(args);
	fputc('\n', progress->out);
	fflush(progress->out);
}

void hs_progress_end(struct hs_progress *progress)
{
	if (progress->is_open)
		fputc('\n', progress->out);
	fflush(progress->out);
	progress->is_open = false;
}
