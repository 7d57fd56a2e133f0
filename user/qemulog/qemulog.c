// SPDX-License-Identifier: GPL-2.0-only
/*
 * The streaming parser: splits what it is fed into lines, has them decoded and counts them. Hot lines are
 * taken by the shapes without looking for their newline; every other line, and every line near the end of a
 * feed, goes through hs_qemulog_decode(). Called by the collector thread; nothing here is shared.
 */
#include "qemulog/qemulog.h"

#include <errno.h>

#include "base/log.h"
#include "qemulog/shape.h"

#define NO_SID_ROW 0
#define UNMAPPED_ROW 1
#define FIRST_TENANT_ROW 2
#define SLOT_NR (2 * HS_QEMULOG_NAMES_MAX) /* a power of two; at most half full */
#define FREE_SLOT 0 /* else 1 + index into events */

struct hs_qemulog {
	struct hs_qemulog_config config;
	struct hs_qemulog_counts counts;
	struct hs_qemulog_tenant_count *rows;
	uint16_t row_of_sid[1 << 16];
	struct hs_qemulog_event_count events[HS_QEMULOG_NAMES_MAX];
	uint16_t slots[SLOT_NR];
	bool skipping; /* inside an over-long line */
	size_t carry_len;
	char carry[HS_QEMULOG_LINE_MAX]; /* the beginning of a line whose end was not fed yet */
};

/* ---- names --------------------------------------------------------------------------------------- */

static uint32_t name_hash(const char *name, size_t len)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)name[i]) * 16777619u;
	return hash ^ hash >> 15;
}

/* The row of a name, made at its first appearance; NULL when there is no room for it. */
static struct hs_qemulog_event_count *event_row(struct hs_qemulog *log, const char *name, size_t len)
{
	struct hs_qemulog_event_count *row;
	uint32_t slot;

	if (len >= HS_QEMULOG_NAME_BYTES)
		return NULL;
	for (slot = name_hash(name, len) % SLOT_NR; log->slots[slot] != FREE_SLOT;
	     slot = (slot + 1) % SLOT_NR) {
		row = &log->events[log->slots[slot] - 1];
		if (!memcmp(row->name, name, len) && row->name[len] == '\0')
			return row;
	}
	if (log->counts.event_nr == HS_QEMULOG_NAMES_MAX)
		return NULL;
	row = &log->events[log->counts.event_nr++];
	memcpy(row->name, name, len);
	log->slots[slot] = (uint16_t)log->counts.event_nr;
	return row;
}

/* ---- tenants ------------------------------------------------------------------------------------- */

static int compare_tenants(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return a < b ? -1 : a > b;
}

static int map_sid(struct hs_qemulog *log, const struct hs_qemulog_tenant *map)
{
	uint16_t *row = &log->row_of_sid[map->sid];
	const struct hs_qemulog_counts *counts = &log->counts;
	const struct hs_qemulog_tenant_count *found;

	found = bsearch(&map->tenant, counts->tenants, counts->tenant_nr, sizeof(*found), compare_tenants);
	if (*row != UNMAPPED_ROW && &log->rows[*row] != found)
		return hs_fail(-EINVAL,
			       "sid 0x%x belongs to tenants %u and %u: give each device to one tenant",
			       map->sid, log->rows[*row].tenant, map->tenant);
	*row = (uint16_t)(found - log->rows);
	return 0;
}

static int map_tenants(struct hs_qemulog *log, const struct hs_qemulog_config *config)
{
	struct hs_qemulog_tenant_count *tenants;
	size_t distinct = 0;
	int err = 0;

	/* There are no more sids than that, and a row's number has to fit 16 bits. */
	if (config->tenant_nr > UINT16_MAX - FIRST_TENANT_ROW)
		return hs_fail(-EINVAL, "%zu devices for the IOMMU log, it can tell %u apart",
			       config->tenant_nr, UINT16_MAX - FIRST_TENANT_ROW);
	log->rows = calloc(FIRST_TENANT_ROW + config->tenant_nr, sizeof(*log->rows));
	if (!log->rows)
		return -ENOMEM;
	tenants = log->rows + FIRST_TENANT_ROW;
	for (size_t i = 0; i < config->tenant_nr; i++)
		tenants[i].tenant = config->tenants[i].tenant;
	qsort(tenants, config->tenant_nr, sizeof(*tenants), compare_tenants);
	for (size_t i = 0; i < config->tenant_nr; i++) {
		if (!i || tenants[i].tenant != tenants[distinct - 1].tenant)
			tenants[distinct++].tenant = tenants[i].tenant;
	}
	log->counts.tenants = tenants;
	log->counts.tenant_nr = distinct;
	log->counts.unmapped = &log->rows[UNMAPPED_ROW];
	log->counts.no_sid = &log->rows[NO_SID_ROW];
	for (size_t sid = 0; sid < HS_ARRAY_SIZE(log->row_of_sid); sid++)
		log->row_of_sid[sid] = UNMAPPED_ROW;
	for (size_t i = 0; i < config->tenant_nr && !err; i++)
		err = map_sid(log, &config->tenants[i]);
	return err;
}

/* ---- life ---------------------------------------------------------------------------------------- */

int hs_qemulog_open(const struct hs_qemulog_config *config, struct hs_qemulog **out)
{
	scoped(hs_qemulog) struct hs_qemulog *log = calloc(1, sizeof(*log));
	int err;

	if (!log)
		return -ENOMEM;
	log->config.on_line = config->on_line;
	log->config.ctx = config->ctx;
	err = map_tenants(log, config);
	if (err)
		return err;
	log->counts.events = log->events;
	for (int event = 0; event < HS_QEMULOG_OTHER; event++)
		event_row(log, hs_qemulog_event_name(event), strlen(hs_qemulog_event_name(event)));
	*out = take(log);
	return 0;
}

void hs_qemulog_free(struct hs_qemulog *log)
{
	if (!log)
		return;
	free(log->rows);
	free(log);
}

const struct hs_qemulog_counts *hs_qemulog_counts(const struct hs_qemulog *log)
{
	return &log->counts;
}

/* ---- lines --------------------------------------------------------------------------------------- */

static SHAPE_INLINE void count_decoded(struct hs_qemulog *log, const struct hs_qemulog_line *line)
{
	size_t row = line->fields & HS_QEMULOG_HAS_SID ? log->row_of_sid[line->sid] : NO_SID_ROW;

	log->counts.lines++;
	log->counts.decoded++;
	log->rows[row].decoded[line->event]++;
	if (line->fields & HS_QEMULOG_HAS_TIME) {
		if (!log->counts.has_time)
			log->counts.first_ns = line->time_ns;
		log->counts.has_time = true;
		log->counts.last_ns = line->time_ns;
	}
}

static void count_line(struct hs_qemulog *log, enum hs_qemulog_verdict verdict,
		       const struct hs_qemulog_line *line)
{
	struct hs_qemulog_event_count *event = NULL;

	if (line->name)
		event = event_row(log, line->name, line->name_len);
	if (verdict == HS_QEMULOG_DECODED) {
		count_decoded(log, line);
		*(event ? &event->decoded : &log->counts.overflow) += 1;
		if (log->config.on_line)
			log->config.on_line(log->config.ctx, line);
		return;
	}
	log->counts.lines++;
	if (verdict == HS_QEMULOG_FOREIGN) {
		log->counts.foreign++;
		return;
	}
	log->counts.torn++;
	if (event)
		event->torn++;
}

static void count_over_long(struct hs_qemulog *log)
{
	log->counts.lines++;
	log->counts.foreign++;
	log->counts.over_long++;
}

static void take_line(struct hs_qemulog *log, const char *text, size_t len)
{
	struct hs_qemulog_line line;
	enum hs_qemulog_verdict verdict;

	if (len > HS_QEMULOG_LINE_MAX) {
		count_over_long(log);
		return;
	}
	verdict = hs_qemulog_decode(text, len, &line);
	count_line(log, verdict, &line);
}

/* Appends to the line that is not complete yet. */
static void keep(struct hs_qemulog *log, const char *text, size_t len)
{
	if (log->skipping || len > sizeof(log->carry) - log->carry_len) {
		log->skipping = true;
		log->carry_len = 0;
		return;
	}
	memcpy(log->carry + log->carry_len, text, len);
	log->carry_len += len;
}

/* Completes the line that the last feed left, if any; returns where the next begins. */
static const char *feed_kept(struct hs_qemulog *log, const char *p, const char *end)
{
	const char *newline;

	if (!log->skipping && !log->carry_len)
		return p;
	newline = memchr(p, '\n', (size_t)(end - p));
	keep(log, p, (size_t)((newline ? newline : end) - p));
	if (!newline)
		return end;
	if (log->skipping)
		count_over_long(log);
	else
		take_line(log, log->carry, log->carry_len);
	log->skipping = false;
	log->carry_len = 0;
	return newline + 1;
}

/* All hot lines from p on; returns where the first line begins that is not one, or is too near to the end. */
static SHAPE_INLINE const char *feed_hot(struct hs_qemulog *log, const char *p, const char *end, bool full)
{
	struct hs_qemulog_line line = { 0 };

	while (end - p >= SHAPE_SPAN) {
		const char *next = shape_match_line(p, &line, full);

		if (!next)
			break;
		count_decoded(log, &line);
		log->events[line.event].decoded++; /* hot events have the first rows */
		if (full)
			log->config.on_line(log->config.ctx, &line);
		p = next;
	}
	return p;
}

void hs_qemulog_feed(struct hs_qemulog *log, const void *bytes, size_t len)
{
	const char *p = bytes, *end, *newline;

	if (!len)
		return;
	log->counts.bytes += len;
	end = p + len;
	p = feed_kept(log, p, end);
	while (p < end) {
		if (log->config.on_line)
			p = feed_hot(log, p, end, true);
		else
			p = feed_hot(log, p, end, false);
		newline = memchr(p, '\n', (size_t)(end - p));
		if (!newline) {
			keep(log, p, (size_t)(end - p));
			return;
		}
		take_line(log, p, (size_t)(newline - p));
		p = newline + 1;
	}
}

void hs_qemulog_finish(struct hs_qemulog *log)
{
	struct hs_qemulog_line line;
	enum hs_qemulog_verdict verdict;

	if (log->skipping)
		count_over_long(log);
	if (log->carry_len) {
		verdict = hs_qemulog_decode(log->carry, log->carry_len, &line);
		if (verdict == HS_QEMULOG_DECODED && line.event == HS_QEMULOG_OTHER)
			verdict = HS_QEMULOG_TORN;
		count_line(log, verdict, &line);
	}
	log->skipping = false;
	log->carry_len = 0;
}
