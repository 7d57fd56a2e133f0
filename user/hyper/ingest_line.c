// SPDX-License-Identifier: GPL-2.0-only
/*
 * The lines that are not hot: their event by name, their numbers by the words before them. Called by the reader of logs
 * for each line that its inner loop did not take. Pure; any thread.
 */
#include "hyper/ingest_line.h"

#include "base/scoped.h"

/* The text of a line behind its event's name. */
struct words {
	const char *at, *end;
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The hex number behind `word`, which ends in "0x". */
static bool number_after(const struct words *words, const char *word, uint64_t *value)
{
	const char *p = memmem(words->at, (size_t)(words->end - words->at), word, strlen(word)), *start;
	uint64_t sum = 0;

	if (!p)
		return false;
	p += strlen(word);
	for (start = p; p < words->end && hex_digit(*p) >= 0; p++)
		sum = sum << 4 | (uint64_t)hex_digit(*p);
	if (p == start || p - start > 16)
		return false;
	*value = sum;
	return true;
}

static bool domain_after(const struct words *words, struct hs_ingest_line *line)
{
	uint64_t domain;

	if (!number_after(words, "domain 0x", &domain) || domain > UINT16_MAX)
		return false;
	line->domain = (uint16_t)domain;
	line->scope = HS_INGEST_OF_DOMAIN;
	return true;
}

/* dev 00:04.00 iova 0x2bff000 -> gpa 0xf3ff000 mask 0xfff */
static bool read_translated(const struct words *words, struct hs_ingest_line *line)
{
	uint64_t mask;

	line->kind = HS_INGEST_TRANSLATED;
	if (!number_after(words, "iova 0x", &line->iova) || !number_after(words, "gpa 0x", &line->slpte) ||
	    !number_after(words, "mask 0x", &mask))
		return false;
	line->size_class = hs_ingest_size_class(mask);
	return true;
}

/* SLPTE fetch: high 0x501 low 0x3215001 iova 0x2b35000 level 0x2 addr 0x3216000 slpte 0xf200083 */
static bool read_walk(const struct words *words, struct hs_ingest_line *line)
{
	uint64_t level;

	line->kind = HS_INGEST_WALK;
	if (!number_after(words, "high 0x", &line->high) || !number_after(words, "iova 0x", &line->iova) ||
	    !number_after(words, "level 0x", &level) || !number_after(words, "addr 0x", &line->table) ||
	    !number_after(words, "slpte 0x", &line->slpte) || level > 5)
		return false;
	line->level = (uint32_t)level;
	return true;
}

static bool read_pages(const struct words *words, struct hs_ingest_line *line)
{
	uint64_t order;

	line->invalidation = HS_DMATRACE_INV_PAGES;
	if (!domain_after(words, line) || !number_after(words, "addr 0x", &line->iova) ||
	    !number_after(words, "mask 0x", &order) || order > 63)
		return false;
	line->order = (uint8_t)order;
	return true;
}

static bool read_domain(const struct words *words, struct hs_ingest_line *line)
{
	line->invalidation = HS_DMATRACE_INV_DOMAIN;
	return domain_after(words, line);
}

static bool read_global(const struct words *words, struct hs_ingest_line *line)
{
	(void)words;
	line->invalidation = HS_DMATRACE_INV_GLOBAL;
	line->scope = HS_INGEST_OF_ALL;
	return true;
}

static bool read_context_domain(const struct words *words, struct hs_ingest_line *line)
{
	line->invalidation = HS_DMATRACE_INV_CONTEXT;
	return domain_after(words, line);
}

static bool read_context_global(const struct words *words, struct hs_ingest_line *line)
{
	(void)words;
	line->invalidation = HS_DMATRACE_INV_CONTEXT;
	line->scope = HS_INGEST_OF_ALL;
	return true;
}

/* The device's source id was read with the line. */
static bool read_context_device(const struct words *words, struct hs_ingest_line *line)
{
	(void)words;
	line->invalidation = HS_DMATRACE_INV_CONTEXT;
	line->scope = HS_INGEST_OF_DEVICE;
	return true;
}

/* Function mask: so many of the sid's low three bits, from the upper on, count as equal (VT-d 6.5.2.1). */
static bool read_context_devices(const struct words *words, struct hs_ingest_line *line)
{
	static const uint8_t masks[4] = { 0, 4, 6, 7 };
	uint64_t function_mask;

	line->invalidation = HS_DMATRACE_INV_CONTEXT;
	line->scope = HS_INGEST_OF_DEVICE;
	if (!number_after(words, "fmask 0x", &function_mask) || function_mask > 3)
		return false;
	line->function_mask = masks[function_mask];
	return true;
}

#define NEEDS_SID true

static const struct event {
	const char *name;
	bool (*read)(const struct words *words, struct hs_ingest_line *line);
	bool needs_sid;
} events[] = {
	{ "vtd_dmar_translate", read_translated, NEEDS_SID },
	{ "vtd_slpte_fetch", read_walk, false },
	{ "vtd_inv_desc_iotlb_pages", read_pages, false },
	{ "vtd_inv_desc_iotlb_pasid_pages", read_pages, false },
	{ "vtd_inv_desc_iotlb_domain", read_domain, false },
	{ "vtd_inv_desc_iotlb_pasid", read_domain, false },
	{ "vtd_inv_desc_iotlb_global", read_global, false },
	{ "vtd_inv_desc_cc_device", read_context_device, NEEDS_SID },
	{ "vtd_inv_desc_cc_devices", read_context_devices, NEEDS_SID },
	{ "vtd_inv_desc_cc_domain", read_context_domain, false },
	{ "vtd_inv_desc_cc_global", read_context_global, false },
};

static const struct event *find_event(const char *name, size_t len)
{
	for (size_t i = 0; i < HS_ARRAY_SIZE(events); i++)
		if (strlen(events[i].name) == len && !memcmp(events[i].name, name, len))
			return &events[i];
	return NULL;
}

static void decode_other(const struct hs_qemulog_line *decoded, const char *end, struct hs_ingest_line *line)
{
	const struct event *event = find_event(decoded->name, decoded->name_len);
	struct words words = { .at = decoded->name + decoded->name_len, .end = end };

	line->kind = HS_INGEST_UNUSED;
	if (!event)
		return;
	line->kind = HS_INGEST_INVALIDATION;
	line->sid = decoded->sid;
	if ((event->needs_sid && !(decoded->fields & HS_QEMULOG_HAS_SID)) || !event->read(&words, line))
		line->kind = HS_INGEST_TORN;
}

void hs_ingest_line_decode(const char *text, size_t len, struct hs_ingest_line *line)
{
	enum hs_qemulog_verdict verdict;
	struct hs_qemulog_line decoded;

	memset(line, 0, sizeof(*line));
	if (len && text[len - 1] == '\r')
		len--;
	if (len + 1 <= SHAPE_SPAN - 64) {
		/* The shapes read on behind the line and end at a newline: give them a copy that has both. */
		char copy[SHAPE_SPAN] = { 0 };

		memcpy(copy, text, len);
		copy[len] = '\n';
		if (ingest_match_hot(copy, line) == copy + len + 1)
			return;
		memset(line, 0, sizeof(*line));
	}
	verdict = hs_qemulog_decode(text, len, &decoded);
	if (verdict == HS_QEMULOG_FOREIGN)
		line->kind = HS_INGEST_FOREIGN;
	else if (verdict == HS_QEMULOG_TORN)
		line->kind = HS_INGEST_TORN;
	else if (decoded.event == HS_QEMULOG_OTHER)
		decode_other(&decoded, text + len, line);
	else
		ingest_take_stock(&decoded, line); /* with numbers in its prefix that are wider than usual */
}
