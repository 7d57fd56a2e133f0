/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The texts that a kernel leaves through pstore, and the host's own: files below /sys/fs/pstore, which the kernel
 * fills from what firmware or memory kept over a crash (Documentation/ABI/testing/pstore). Main thread.
 */
#ifndef HS_JOURNAL_PSTORE_H
#define HS_JOURNAL_PSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A line of a dump or of a console: "<6>[   12.345678] text", of which all but the text may be missing. */
struct hs_pstore_line {
	int severity; /* 0 to 7, or -1 */
	bool has_machine_ns;
	uint64_t machine_ns;  /* by the clock of the kernel's log */
	const char *text;     /* behind the severity: its time and words */
	size_t len, time_len; /* time_len: how much of it is the time, with what separates it */
};

/* The line at *at, which moves behind it; false: none is left before `end`. */
bool hs_pstore_line_next(const char **at, const char *end, struct hs_pstore_line *out);

/*
 * Copies what the host's kernel left to LAST_DIR/host (host.2, ...): from its pstore, and what systemd-pstore has moved
 * away from there since the host started; each once. Nothing is removed: that is the administrator's, or systemd's. How
 * many files were copied; 0: there is nothing, nothing new, or it cannot be read; -errno after a message.
 */
int hs_pstore_save(const char *last_dir);

/* The same from any folder: its files whose inode has changed since then (CLOCK_REALTIME ns; 0: all). */
int hs_pstore_save_from(const char *last_dir, int source_fd, uint64_t since_ns);

#endif
