// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds a device's records until the packet that they are of is complete. Called by the reader of logs for each
 * translation and invalidation of a device. One thread.
 */
#include "hyper/ingest_packets.h"

#include <errno.h>
#include <string.h>

#include "correlate/dma.h"

/* The parser keeps HS_DMA_OPEN_MAX translations at most; the rest is for invalidations between them. */
#define PENDING_MAX (4 * HS_DMA_OPEN_MAX)

struct hs_ingest_packets {
	struct hs_ingest_packets_config config;
	struct hs_ingest_packets_counts counts;
	struct hs_dma_parser *parser; /* NULL: fixed */
	uint64_t unparsed;	      /* what the parser had said so far */
	uint32_t begin, nr;	      /* of pending */
	uint32_t translations;	      /* of those in pending */
	struct hs_dmatrace_record pending[PENDING_MAX];
};

static bool is_translation(const struct hs_dmatrace_record *record)
{
	return hs_dmatrace_kind(record) == HS_DMATRACE_TRANSLATION;
}

int hs_ingest_packets_open(const struct hs_ingest_packets_config *config, struct hs_ingest_packets **out)
{
	scoped(hs_ingest_packets) struct hs_ingest_packets *packets = calloc(1, sizeof(*packets));
	int err;

	if (!packets)
		return -ENOMEM;
	packets->config = *config;
	err = config->fixed ? 0 : hs_dma_parser_open(&packets->parser);
	if (!err)
		*out = take(packets);
	return err;
}

void hs_ingest_packets_free(struct hs_ingest_packets *packets)
{
	if (!packets)
		return;
	hs_dma_parser_free(packets->parser);
	free(packets);
}

const struct hs_ingest_packets_counts *hs_ingest_packets_counts(const struct hs_ingest_packets *packets)
{
	return &packets->counts;
}

/* ---- what waits ---------------------------------------------------------------------------------- */

static void pass_on(struct hs_ingest_packets *packets, const struct hs_dmatrace_record *record)
{
	if (is_translation(record))
		packets->counts.translations++;
	else
		packets->counts.invalidations++;
	packets->config.on_record(packets->config.ctx, record);
}

/* Leaves out the oldest `nr` translations; invalidations before and between them go on. */
static void leave_out(struct hs_ingest_packets *packets, uint64_t nr)
{
	while (nr && packets->nr) {
		const struct hs_dmatrace_record *oldest = &packets->pending[packets->begin];

		if (is_translation(oldest)) {
			packets->counts.stray++;
			packets->translations--;
			nr--;
		} else {
			pass_on(packets, oldest);
		}
		packets->begin++;
		packets->nr--;
	}
}

/* The translations that wait are a packet. A received one begins with a read and then writes, a sent one reads until
 * its status is written. */
static void pass_packet(struct hs_ingest_packets *packets, bool knows_direction, bool to_guest)
{
	uint32_t number = 0, last = packets->translations - 1;

	for (uint32_t i = 0; i < packets->nr; i++) {
		struct hs_dmatrace_record record = packets->pending[packets->begin + i];

		if (is_translation(&record)) {
			if (!number)
				record.a |= HS_DMATRACE_FIRST;
			if (knows_direction && (to_guest ? number > 0 : number == last))
				record.a |= HS_DMATRACE_WRITE;
			number++;
		}
		pass_on(packets, &record);
	}
	packets->begin = packets->nr = packets->translations = 0;
	packets->counts.packets++;
	if (packets->config.on_packet)
		packets->config.on_packet(packets->config.ctx);
}

/* More invalidations than any packet has between its translations: what is open is given up. */
static int give_up(struct hs_ingest_packets *packets)
{
	leave_out(packets, packets->translations);
	for (uint32_t i = 0; i < packets->nr; i++)
		pass_on(packets, &packets->pending[packets->begin + i]);
	packets->begin = packets->nr = 0;
	if (packets->config.fixed)
		return 0;
	hs_dma_parser_free(take(packets->parser));
	packets->unparsed = 0;
	return hs_dma_parser_open(&packets->parser);
}

static int keep(struct hs_ingest_packets *packets, const struct hs_dmatrace_record *record)
{
	int err = 0;

	if (packets->begin + packets->nr == PENDING_MAX) {
		memmove(packets->pending, packets->pending + packets->begin, packets->nr * sizeof(packets->pending[0]));
		packets->begin = 0;
		if (packets->nr > PENDING_MAX / 2)
			err = give_up(packets);
	}
	packets->pending[packets->begin + packets->nr++] = *record;
	packets->translations += is_translation(record);
	return err;
}

/* ---- cutting ------------------------------------------------------------------------------------- */

static void find_packet(struct hs_ingest_packets *packets, const struct hs_dmatrace_record *record)
{
	struct hs_dma_line line = { .iova = hs_dmatrace_iova(record), .event = HS_QEMULOG_PAGE_HIT };
	struct hs_dma dma;
	bool is_whole = hs_dma_parser_feed(packets->parser, &line, &dma);
	uint64_t unparsed = hs_dma_parser_unparsed(packets->parser);

	/* The parser drops the oldest first, and what is left when a packet is whole is that packet. */
	leave_out(packets, unparsed - packets->unparsed);
	packets->unparsed = unparsed;
	if (is_whole && packets->translations)
		pass_packet(packets, true, dma.to_guest);
}

int hs_ingest_packets_feed(struct hs_ingest_packets *packets, struct hs_dmatrace_record record)
{
	int err;

	if (!is_translation(&record) && !packets->nr) {
		pass_on(packets, &record);
		return 0;
	}
	err = keep(packets, &record);
	if (err || !is_translation(&record))
		return err;
	if (!packets->config.fixed)
		find_packet(packets, &record);
	else if (packets->translations == packets->config.fixed)
		pass_packet(packets, false, false);
	return 0;
}

uint64_t hs_ingest_packets_finish(struct hs_ingest_packets *packets)
{
	uint64_t open = packets->translations;

	for (uint32_t i = 0; i < packets->nr; i++)
		if (!is_translation(&packets->pending[packets->begin + i]))
			pass_on(packets, &packets->pending[packets->begin + i]);
	packets->begin = packets->nr = packets->translations = 0;
	return open;
}
