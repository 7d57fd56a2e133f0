/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's IOMMU log of a run, line by line, on the host's CLOCK_BOOTTIME. Reads the file in pieces, so memory does not
 * grow with it. One thread.
 */
#ifndef HS_CORRELATE_LOG_SOURCE_H
#define HS_CORRELATE_LOG_SOURCE_H

#include "correlate/dma.h"
#include "timeline/clock.h"

struct hs_log_source;

struct hs_log_line {
	struct hs_dma_line dma; /* all but its kind */
	uint16_t sid;
};

/* `clocks` is borrowed. -ENOENT: there is no such file; -errno. Said. */
int hs_log_source_open(const char *path, struct hs_clock_list *clocks, struct hs_log_source **out);

/* 1 and the next line of a translation or context of a device; 0 at the end; -errno (said). */
int hs_log_source_next(struct hs_log_source *source, struct hs_log_line *out);

void hs_log_source_free(struct hs_log_source *source);
HS_SCOPED(hs_log_source, struct hs_log_source *, hs_log_source_free)

#endif
