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
 * Copies the host's pstore to LAST_DIR/host (host.2, ... for another crash) unless what is there was copied already.
 * source_fd: the folder, or -1 for the host's pstore itself. Nothing is removed from it: that is the administrator's,
 * or systemd-pstore's. How many files were copied; 0: there is nothing, or nothing new; -errno after a message.
 */
int hs_pstore_save(const char *last_dir, int source_fd);

#endif
