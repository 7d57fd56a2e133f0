/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a line of an IOMMU log means to a DMA trace, whichever QEMU wrote it: stock ones (the shapes of qemulog/), or
 * hypersio's, whose patch adds `pmask` to vtd_iotlb_page_hit, `level` to vtd_iotlb_page_update, and vtd_slpte_fetch.
 * Pure; any thread. Included by the reader of logs only: the inner loop is here.
 */
#ifndef HS_HYPER_INGEST_LINE_H
#define HS_HYPER_INGEST_LINE_H

#include "hyper/dmatrace.h"
#include "qemulog/shape.h"

enum hs_ingest_kind {
	HS_INGEST_PAGE,		/* sid, domain, iova, slpte; of a patched QEMU also size_class */
	HS_INGEST_CONTEXT,	/* sid, high, low */
	HS_INGEST_TRANSLATED,	/* sid, iova (of its page), slpte (the page it became), size_class */
	HS_INGEST_WALK,		/* high, iova, slpte, level, table: one step of a walk */
	HS_INGEST_INVALIDATION, /* invalidation, scope; by it domain, sid and function_mask; iova, order */
	HS_INGEST_UNUSED,	/* an event that a trace does not need */
	HS_INGEST_FOREIGN,
	HS_INGEST_TORN,
};

enum hs_ingest_scope { HS_INGEST_OF_DOMAIN, HS_INGEST_OF_DEVICE, HS_INGEST_OF_ALL };

/* Pages of 4 KiB << 9 * class; these are none of the four. */
#define HS_INGEST_SIZE_UNKNOWN 4 /* the line does not say */
#define HS_INGEST_SIZE_BAD 5	 /* it says something that is no page's size */

struct hs_ingest_line {
	enum hs_ingest_kind kind;
	bool is_patched; /* of PAGE */
	uint8_t size_class;
	uint8_t order, function_mask; /* order: below 64 */
	enum hs_dmatrace_kind invalidation;
	enum hs_ingest_scope scope;
	uint16_t sid, domain;
	uint32_t level;
	uint64_t iova, slpte, high, low, table;
};

/* Any line, without its newline, by looking at all of it. Writes *line in every case. */
void hs_ingest_line_decode(const char *text, size_t len, struct hs_ingest_line *line);

/* Of the size 2^shift that a mask of low bits says; HS_INGEST_SIZE_BAD if it is none. */
static inline uint8_t hs_ingest_size_class(uint64_t low_mask)
{
	switch (low_mask) {
	case (1ULL << 12) - 1:
		return 0;
	case (1ULL << 21) - 1:
		return 1;
	case (1ULL << 30) - 1:
		return 2;
	case (1ULL << 39) - 1:
		return 3;
	default:
		return HS_INGEST_SIZE_BAD;
	}
}

/* Takes " WORD 0x" and 1..digits hex digits. */
#define INGEST_FIELD(p, text, digits, value)                                                                           \
	do {                                                                                                           \
		if (!(p) || !SHAPE_SAME(p, text))                                                                      \
			return NULL;                                                                                   \
		(p) = match_hex((p) + sizeof(text) - 1, digits, value, true);                                          \
	} while (0)

/* The page events of a patched QEMU, from the name to behind the newline; NULL when it is none. */
static SHAPE_INLINE const char *ingest_match_patched(const char *p, struct hs_ingest_line *line)
{
	bool is_update = SHAPE_SAME(p, SHAPE_PAGE_UPDATE);
	uint64_t sid = 0, domain = 0, size = 0;

	if (is_update)
		p += sizeof(SHAPE_PAGE_UPDATE) - 1;
	else if (SHAPE_SAME(p, SHAPE_PAGE_HIT))
		p += sizeof(SHAPE_PAGE_HIT) - 1;
	else
		return NULL;
	p = match_hex(p, 4, &sid, true);
	INGEST_FIELD(p, " iova 0x", 16, &line->iova);
	if (!is_update)
		INGEST_FIELD(p, " pmask 0x", 16, &size);
	INGEST_FIELD(p, " slpte 0x", 16, &line->slpte);
	if (is_update)
		INGEST_FIELD(p, " level 0x", 8, &size);
	INGEST_FIELD(p, " domain 0x", 4, &domain);
	if (!p || *p != '\n')
		return NULL;
	line->kind = HS_INGEST_PAGE;
	line->is_patched = true;
	if (is_update)
		line->size_class = size - 1 < 4 ? (uint8_t)(size - 1) : HS_INGEST_SIZE_BAD;
	else
		line->size_class = hs_ingest_size_class(~size);
	line->sid = (uint16_t)sid;
	line->domain = (uint16_t)domain;
	return p + 1;
}

static SHAPE_INLINE void ingest_take_stock(const struct hs_qemulog_line *stock, struct hs_ingest_line *line)
{
	line->sid = stock->sid;
	if (stock->fields & HS_QEMULOG_HAS_PAGE) {
		line->kind = HS_INGEST_PAGE;
		line->is_patched = false;
		line->size_class = HS_INGEST_SIZE_UNKNOWN;
		line->domain = stock->domain;
		line->iova = stock->iova;
		line->slpte = stock->slpte;
	} else {
		line->kind = HS_INGEST_CONTEXT;
		line->high = stock->high;
		line->low = stock->low;
	}
}

/*
 * A line of the events that make up nearly all of a log: what follows its newline, or NULL for any other. SHAPE_SPAN
 * bytes at p must be readable.
 */
static SHAPE_INLINE const char *ingest_match_hot(const char *p, struct hs_ingest_line *line)
{
	struct hs_qemulog_line stock;
	const char *name, *next;

	stock.fields = 0;
	name = shape_match_prefix(p, &stock);
	if (!name)
		return NULL;
	next = shape_match_event(name, &stock, true);
	if (!next)
		return ingest_match_patched(name, line);
	ingest_take_stock(&stock, line);
	return next;
}

#endif
