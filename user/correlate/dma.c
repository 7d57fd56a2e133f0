// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parser of a NIC's translations: a chain of lines is open until its status is written. Where a chain began is
 * guessed at first and found again when a status tells: it is 8 or 12 bytes behind its descriptor. Called by the
 * correlator with every line of a source id.
 */
#include <errno.h>
#include <string.h>

#include "correlate/dma.h"

#define DESCRIPTOR_BYTES 16
#define STATUS_OFFSET 12    /* struct e1000_rx_desc, e1000_tx_desc */
#define STATUS_OFFSET_EXT 8 /* union e1000_rx_desc_extended, written back */
#define RING_BYTES_MAX (4096 * DESCRIPTOR_BYTES)

struct hs_dma_parser {
	struct hs_dma_line open[HS_DMA_OPEN_MAX];
	uint32_t open_nr;
	uint64_t base; /* the descriptor that the open lines are of */
	bool is_written_back;
	uint64_t send_ring; /* where the ring of sent packets begins, as far as was seen; 0: none was */
	uint64_t unparsed;
};

int hs_dma_parser_open(struct hs_dma_parser **out)
{
	struct hs_dma_parser *parser = calloc(1, sizeof(*parser));

	if (!parser)
		return -ENOMEM;
	*out = parser;
	return 0;
}

void hs_dma_parser_free(struct hs_dma_parser *parser)
{
	free(parser);
}

uint64_t hs_dma_parser_unparsed(const struct hs_dma_parser *parser)
{
	return parser->unparsed;
}

static bool is_context(enum hs_qemulog_event event)
{
	return event == HS_QEMULOG_CC_HIT || event == HS_QEMULOG_CC_UPDATE;
}

static void add_line(struct hs_dma *dma, const struct hs_dma_line *line)
{
	if (dma->line_nr < HS_DMA_LINES_MAX)
		dma->lines[dma->line_nr++] = *line;
	dma->kinds[line->kind]++;
	dma->events[line->event]++;
	dma->end_ns = line->time_ns;
	if (line->error_ns > dma->error_ns)
		dma->error_ns = line->error_ns;
}

/* Drops the first lines that are open: they belong to nothing. */
static void drop(struct hs_dma_parser *parser, uint32_t line_nr)
{
	parser->unparsed += line_nr;
	parser->open_nr -= line_nr;
	memmove(parser->open, parser->open + line_nr, parser->open_nr * sizeof(*parser->open));
}

static void learn_ring(struct hs_dma_parser *parser, uint64_t base)
{
	if (base < parser->send_ring ? parser->send_ring - base >= RING_BYTES_MAX
				     : base - parser->send_ring >= RING_BYTES_MAX)
		parser->send_ring = base;
	else if (base < parser->send_ring)
		parser->send_ring = base;
}

static bool close_chain(struct hs_dma_parser *parser, struct hs_dma *dma)
{
	const struct hs_dma_line *first = parser->open;

	memset(dma, 0, sizeof(*dma));
	dma->begin_ns = first->time_ns;
	dma->tid = first->tid;
	for (uint32_t i = 0; i < parser->open_nr; i++)
		add_line(dma, &parser->open[i]);
	dma->to_guest = dma->kinds[HS_DMA_WRITE_BACK] > 0;
	for (uint32_t i = 0; !dma->to_guest && i < parser->open_nr; i++)
		if (parser->open[i].kind == HS_DMA_DESCRIPTOR_READ) {
			learn_ring(parser, parser->open[i].iova);
			break;
		}
	parser->open_nr = 0;
	parser->base = 0;
	parser->is_written_back = false;
	return true;
}

static void push(struct hs_dma_parser *parser, const struct hs_dma_line *line, enum hs_dma_kind kind)
{
	if (parser->open_nr == HS_DMA_OPEN_MAX) {
		drop(parser, parser->open_nr);
		parser->base = 0;
		parser->is_written_back = false;
		parser->unparsed++;
		return;
	}
	parser->open[parser->open_nr] = *line;
	parser->open[parser->open_nr++].kind = kind;
}

static bool is_status(const struct hs_dma_parser *parser, uint64_t iova)
{
	uint64_t offset = iova - parser->base;

	return offset == STATUS_OFFSET || (parser->is_written_back && offset == STATUS_OFFSET_EXT);
}

/* The next descriptor of a packet that is sent; a received one takes one only. */
static bool is_next_descriptor(const struct hs_dma_parser *parser, uint64_t iova)
{
	if (parser->is_written_back)
		return false;
	return iova == parser->base + DESCRIPTOR_BYTES || (parser->send_ring && iova == parser->send_ring);
}

/*
 * Looks for a descriptor among the open lines to which `iova` is the status: then what is before it was misread, for
 * lines were missing. Gives the lines behind it their kinds.
 */
static bool find_begin(struct hs_dma_parser *parser, uint64_t iova)
{
	for (uint32_t i = parser->open_nr; i-- > 1;) {
		uint64_t base = parser->open[i].iova;
		bool is_written_back = false;

		if (base % DESCRIPTOR_BYTES || is_context(parser->open[i].event) ||
		    (iova - base != STATUS_OFFSET && iova - base != STATUS_OFFSET_EXT))
			continue;
		/* The second time that the descriptor was touched; without one it was a sent one's only touch. */
		for (uint32_t j = i; j-- > 1;)
			if (parser->open[j].iova == base && !is_context(parser->open[j].event)) {
				parser->open[i].kind = HS_DMA_WRITE_BACK;
				is_written_back = true;
				i = j;
				break;
			}
		if (!is_written_back && iova - base != STATUS_OFFSET)
			continue;
		parser->open[i].kind = HS_DMA_DESCRIPTOR_READ;
		parser->base = base;
		parser->is_written_back = is_written_back;
		drop(parser, i);
		return true;
	}
	return false;
}

static void begin_chain(struct hs_dma_parser *parser, const struct hs_dma_line *line)
{
	if (line->iova % DESCRIPTOR_BYTES) {
		drop(parser, parser->open_nr);
		parser->unparsed++;
		return;
	}
	parser->base = line->iova;
	push(parser, line, HS_DMA_DESCRIPTOR_READ);
}

bool hs_dma_parser_feed(struct hs_dma_parser *parser, const struct hs_dma_line *line, struct hs_dma *dma)
{
	uint64_t iova = line->iova;

	if (is_context(line->event)) {
		push(parser, line, HS_DMA_CONTEXT);
		return false;
	}
	if (!parser->base) {
		begin_chain(parser, line);
		return false;
	}
	if (iova == parser->base && !parser->is_written_back) {
		push(parser, line, HS_DMA_WRITE_BACK);
		parser->is_written_back = parser->base != 0;
		return false;
	}
	if (is_status(parser, iova) || find_begin(parser, iova)) {
		push(parser, line, HS_DMA_STATUS);
		return parser->open_nr ? close_chain(parser, dma) : false;
	}
	if (is_next_descriptor(parser, iova)) {
		parser->base = iova;
		push(parser, line, HS_DMA_DESCRIPTOR_READ);
		return false;
	}
	push(parser, line, HS_DMA_DATA);
	return false;
}

void hs_dma_prepend(struct hs_dma *dma, const struct hs_dma *before)
{
	struct hs_dma sum = *before;

	for (uint32_t i = 0; i < dma->line_nr && sum.line_nr < HS_DMA_LINES_MAX; i++)
		sum.lines[sum.line_nr++] = dma->lines[i];
	for (int i = 0; i < HS_DMA_KIND_NR; i++)
		sum.kinds[i] += dma->kinds[i];
	for (int i = 0; i < HS_QEMULOG_EVENT_NR; i++)
		sum.events[i] += dma->events[i];
	sum.end_ns = dma->end_ns;
	if (dma->error_ns > sum.error_ns)
		sum.error_ns = dma->error_ns;
	*dma = sum;
}
