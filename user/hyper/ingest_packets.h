/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The translations of one device, cut into packets. An e1000's or e1000e's are found by what correlate/dma.h knows of
 * them (descriptor read, data, write-back, status), anything else's are so many translations each. What is in no packet
 * is left out and counted. One object for each device, one thread; bounded memory.
 */
#ifndef HS_HYPER_INGEST_PACKETS_H
#define HS_HYPER_INGEST_PACKETS_H

#include "base/scoped.h"
#include "hyper/dmatrace.h"

struct hs_ingest_packets;

struct hs_ingest_packets_config {
	uint32_t fixed; /* translations of each packet; 0: find them */
	/* Called with every record of a packet, and every invalidation, in order. */
	void (*on_record)(void *ctx, const struct hs_dmatrace_record *record);
	void (*on_packet)(void *ctx); /* behind the last record of a packet */
	void *ctx;
};

struct hs_ingest_packets_counts {
	uint64_t packets, translations, invalidations; /* that went on */
	uint64_t stray;				       /* translations that were left out */
};

int hs_ingest_packets_open(const struct hs_ingest_packets_config *config, struct hs_ingest_packets **out);
void hs_ingest_packets_free(struct hs_ingest_packets *packets);
HS_SCOPED(hs_ingest_packets, struct hs_ingest_packets *, hs_ingest_packets_free)

/* The next translation or invalidation: its flags `first` and `write` are set here. */
int hs_ingest_packets_feed(struct hs_ingest_packets *packets, struct hs_dmatrace_record record);

/* The end: invalidations that wait go on. Returns how many translations a packet without an end had. */
uint64_t hs_ingest_packets_finish(struct hs_ingest_packets *packets);

const struct hs_ingest_packets_counts *hs_ingest_packets_counts(const struct hs_ingest_packets *packets);

#endif
