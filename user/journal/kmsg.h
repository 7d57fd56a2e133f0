/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One record as /dev/kmsg gives it (Documentation/ABI/testing/dev-kmsg): "6,1234,56789012,-,caller=T55;text\n" and
 * lines of " KEY=value". Used for the host's own log and for what agents of guests pass on. Pure; nothing is trusted.
 */
#ifndef HS_JOURNAL_KMSG_H
#define HS_JOURNAL_KMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More than a read of /dev/kmsg can give: the kernel's text is 1 KiB, each byte escaped, and a dictionary. */
#define HS_KMSG_BYTES_MAX 16384

struct hs_kmsg {
	int severity;	   /* 0 to 7 */
	unsigned facility; /* 0: the kernel */
	uint64_t seq, time_us;
	bool is_continuation; /* of the record before, or of the same caller's */
	int tid, cpu;	      /* HS_JOURNAL_UNKNOWN: not told */
	size_t len;	      /* of the text */
};

/* Takes one record apart; its text, escapes undone, goes into `text`, which has room for len bytes. -EBADMSG. */
int hs_kmsg_parse(const char *bytes, size_t len, char *text, struct hs_kmsg *out);

#endif
