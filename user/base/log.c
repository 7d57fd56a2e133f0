// SPDX-License-Identifier: GPL-2.0-only
/*
 * The logger: one formatted line per call, written to stderr with a single write so that lines of
 * several threads never mix. Keeps the newest error for the outcome of a run.
 */
#include "log.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096

static struct {
	pthread_mutex_t lock;
	enum hs_log_level level;
	hs_log_sink sink;
	void *sink_ctx;
	char last_error[LINE_MAX_BYTES];
} logger = { .lock = PTHREAD_MUTEX_INITIALIZER, .level = HS_LOG_INFO };

void hs_log_set_level(enum hs_log_level level)
{
	logger.level = level;
}

enum hs_log_level hs_log_level(void)
{
	return logger.level;
}

void hs_log_set_sink(hs_log_sink sink, void *ctx)
{
	pthread_mutex_lock(&logger.lock);
	logger.sink = sink;
	logger.sink_ctx = ctx;
	pthread_mutex_unlock(&logger.lock);
}

static void print_line(enum hs_log_level level, const char *text)
{
	static const char *const tags[HS_LOG_LEVEL_NR] = { "", "warning: ", "", "debug: " };
	char line[LINE_MAX_BYTES + 32];
	int len = snprintf(line, sizeof(line), "hsbpf: %s%s\n", tags[level], text);

	if (write(STDERR_FILENO, line, (size_t)len) < 0)
		return; /* stderr is gone; there is nowhere left to say so */
}

static void emit(enum hs_log_level level, const char *text)
{
	pthread_mutex_lock(&logger.lock);
	if (level == HS_LOG_ERR)
		snprintf(logger.last_error, sizeof(logger.last_error), "%s", text);
	if (level <= logger.level) {
		print_line(level, text);
		if (logger.sink)
			logger.sink(logger.sink_ctx, level, text);
	}
	pthread_mutex_unlock(&logger.lock);
}

void hs_logv(enum hs_log_level level, const char *format, va_list args)
{
	char text[LINE_MAX_BYTES];

	if (level > logger.level && level != HS_LOG_ERR)
		return;
	vsnprintf(text, sizeof(text), format, args);
	emit(level, text);
}

void hs_log(enum hs_log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	hs_logv(level, format, args);
	va_end(args);
}

int hs_fail(int err, const char *format, ...)
{
	char text[LINE_MAX_BYTES];
	size_t len;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	len = strlen(text);
	if (len > 0 && text[len - 1] == ':')
		snprintf(text + len, sizeof(text) - len, " %s", strerror(err < 0 ? -err : err));
	emit(HS_LOG_ERR, text);
	return err;
}

const char *hs_log_last_error(void)
{
	return logger.last_error;
}
