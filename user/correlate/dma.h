/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From the translations of one NIC to what it did for packets. An e1000 or e1000e reads a descriptor, reads or writes
 * data, and writes back: QEMU's log has one line for each page that this touches, in this order. A received packet is
 * read, data..., write-back (the same address), status (8 or 12 bytes on); a sent one is one or more of read, data...,
 * and at last status (12 bytes on) without the write before. Descriptors have 16 bytes and follow each other in a ring.
 * Pure; one parser for each source id, one thread. Bounded memory whatever the lines are.
 */
#ifndef HS_CORRELATE_DMA_H
#define HS_CORRELATE_DMA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/scoped.h"
#include "qemulog/line.h"

#define HS_DMA_LINES_MAX 8  /* lines that are kept of one packet; all are counted */
#define HS_DMA_OPEN_MAX 512 /* lines without an end that are looked through */

enum hs_dma_kind {
	HS_DMA_DESCRIPTOR_READ,
	HS_DMA_DATA,
	HS_DMA_WRITE_BACK,
	HS_DMA_STATUS,
	HS_DMA_CONTEXT, /* the device's context entry: read with a translation that the IOTLB does not have */
	HS_DMA_KIND_NR,
};

struct hs_dma_line {
	uint64_t time_ns, error_ns; /* on the host's CLOCK_BOOTTIME */
	uint64_t iova;
	uint32_t tid;
	enum hs_qemulog_event event; /* not HS_QEMULOG_OTHER */
	enum hs_dma_kind kind;	     /* set by the parser */
};

/* What was done for one packet, or for a descriptor of one that is written back of its own. */
struct hs_dma {
	uint64_t begin_ns, end_ns, error_ns; /* first and last line; the largest error */
	uint32_t tid;			     /* QEMU's thread */
	bool to_guest;
	uint32_t kinds[HS_DMA_KIND_NR];
	uint32_t events[HS_QEMULOG_EVENT_NR];
	uint32_t line_nr; /* of lines[] */
	struct hs_dma_line lines[HS_DMA_LINES_MAX];
};

struct hs_dma_parser;

int hs_dma_parser_open(struct hs_dma_parser **out);

/* The next line of the NIC, in the log's order. True: *dma is complete with it. */
bool hs_dma_parser_feed(struct hs_dma_parser *parser, const struct hs_dma_line *line, struct hs_dma *dma);

/* Lines that make no sense where they stand, up to now. */
uint64_t hs_dma_parser_unparsed(const struct hs_dma_parser *parser);

/* Adds what was done before for the same packet. */
void hs_dma_prepend(struct hs_dma *dma, const struct hs_dma *before);

void hs_dma_parser_free(struct hs_dma_parser *parser);
HS_SCOPED(hs_dma_parser, struct hs_dma_parser *, hs_dma_parser_free)

#endif
