/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Words for the user, on stderr, one line each with the prefix "hsbpf: ". Data never goes here.
 * The message is printed where the cause is known, through hs_fail(), which returns the error so that
 * `return hs_fail(-errno, "cannot open %s", path)` is the whole error path. Thread-safe.
 */
#ifndef HS_BASE_LOG_H
#define HS_BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>

enum hs_log_level { HS_LOG_ERR, HS_LOG_WARN, HS_LOG_INFO, HS_LOG_DBG, HS_LOG_LEVEL_NR };

/* Messages above `level` are dropped; HS_LOG_INFO at start. */
void hs_log_set_level(enum hs_log_level level);
enum hs_log_level hs_log_level(void);

/* Called with every message that is printed (without prefix and newline), after it was printed. */
typedef void (*hs_log_sink)(void *ctx, enum hs_log_level level, const char *text);
void hs_log_set_sink(hs_log_sink sink, void *ctx);

void hs_logv(enum hs_log_level level, const char *format, va_list args);
void hs_log(enum hs_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define hs_err(...) hs_log(HS_LOG_ERR, __VA_ARGS__)
#define hs_warn(...) hs_log(HS_LOG_WARN, __VA_ARGS__)
#define hs_info(...) hs_log(HS_LOG_INFO, __VA_ARGS__)
#define hs_dbg(...) hs_log(HS_LOG_DBG, __VA_ARGS__)

/* Prints an error; ": strerror(-err)" is appended when the format ends in ':'. Returns err. */
int hs_fail(int err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The newest error message of this process, "" before the first; valid until the next error. */
const char *hs_log_last_error(void);

#endif
