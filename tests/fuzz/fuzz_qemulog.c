// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes, cut in any way, give the same counts and the same decoded lines, whether the fast loop or the
 * decoder took them, and every line is counted exactly once. Run for N seconds from the top directory:
 *     build/tests/fuzz/fuzz_qemulog -max_total_time=N -seed_inputs=tests/data/qemulog_lines.txt
 */
#include <stdint.h>
#include <string.h>

#include "qemulog/qemulog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                \
	do {                              \
		if (!(condition))         \
			__builtin_trap(); \
	} while (0)

static const struct hs_qemulog_tenant tenants[] = { { .sid = 0x20, .tenant = 1 },
						    { .sid = 0x28, .tenant = 0 },
						    { .sid = 0x30, .tenant = 1 } };

static uint64_t mix(uint64_t hash, uint64_t value)
{
	return (hash ^ value) * 0x9e3779b97f4a7c15ULL + (hash >> 31);
}

static void hash_line(void *ctx, const struct hs_qemulog_line *line)
{
	uint64_t hash = mix(*(uint64_t *)ctx, line->fields);

	REQUIRE(line->name && line->name_len);
	for (uint32_t i = 0; i < line->name_len; i++)
		hash = mix(hash, (uint8_t)line->name[i]);
	hash = mix(hash, line->event);
	if (line->fields & HS_QEMULOG_HAS_TIME)
		hash = mix(mix(hash, line->tid), line->time_ns);
	if (line->fields & HS_QEMULOG_HAS_SID)
		hash = mix(hash, line->sid);
	if (line->fields & HS_QEMULOG_HAS_PAGE)
		hash = mix(mix(mix(hash, line->iova), line->slpte), line->domain);
	if (line->fields & HS_QEMULOG_HAS_CONTEXT)
		hash = mix(mix(mix(hash, line->high), line->low), line->gen);
	if (line->fields & HS_QEMULOG_HAS_NEW_GEN)
		hash = mix(hash, line->new_gen);
	*(uint64_t *)ctx = hash;
}

static struct hs_qemulog *open_log(uint64_t *hash)
{
	struct hs_qemulog_config config = {
		.tenants = tenants, .tenant_nr = 3, .on_line = hash ? hash_line : NULL, .ctx = hash
	};
	struct hs_qemulog *log = NULL;

	REQUIRE(hs_qemulog_open(&config, &log) == 0);
	return log;
}

/* In pieces of `piece` bytes, each but single ones in memory of exactly its size. */
static struct hs_qemulog *feed_pieces(const uint8_t *text, size_t len, size_t piece, uint64_t *hash)
{
	struct hs_qemulog *log = open_log(hash);

	for (size_t at = 0; at < len; at += piece) {
		size_t part = len - at < piece ? len - at : piece;
		uint8_t *copy = piece > 1 ? malloc(part) : NULL;

		if (copy)
			memcpy(copy, text + at, part);
		hs_qemulog_feed(log, copy ? copy : text + at, part);
		free(copy);
	}
	hs_qemulog_finish(log);
	return log;
}

static uint64_t row_sum(const struct hs_qemulog_tenant_count *row)
{
	uint64_t sum = 0;

	for (int event = 0; event < HS_QEMULOG_EVENT_NR; event++)
		sum += row->decoded[event];
	return sum;
}

static void check_sums(const struct hs_qemulog_counts *counts, const uint8_t *text, size_t len)
{
	uint64_t lines = len && text[len - 1] != '\n', by_event = counts->overflow, torn = 0;
	uint64_t by_tenant = row_sum(counts->unmapped) + row_sum(counts->no_sid);

	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	for (size_t i = 0; i < counts->event_nr; i++) {
		by_event += counts->events[i].decoded;
		torn += counts->events[i].torn;
	}
	for (size_t i = 0; i < counts->tenant_nr; i++)
		by_tenant += row_sum(&counts->tenants[i]);
	REQUIRE(counts->bytes == len);
	REQUIRE(counts->lines == lines);
	REQUIRE(counts->decoded + counts->torn + counts->foreign == lines);
	REQUIRE(by_event == counts->decoded);
	REQUIRE(by_tenant == counts->decoded);
	REQUIRE(torn <= counts->torn);
}

static void check_same(const struct hs_qemulog_counts *a, const struct hs_qemulog_counts *b)
{
	REQUIRE(a->decoded == b->decoded && a->torn == b->torn && a->foreign == b->foreign);
	REQUIRE(a->over_long == b->over_long && a->overflow == b->overflow);
	REQUIRE(a->has_time == b->has_time && a->first_ns == b->first_ns && a->last_ns == b->last_ns);
	REQUIRE(a->event_nr == b->event_nr && a->tenant_nr == b->tenant_nr);
	REQUIRE(!memcmp(a->events, b->events, a->event_nr * sizeof(*a->events)));
	REQUIRE(!memcmp(a->tenants, b->tenants, a->tenant_nr * sizeof(*a->tenants)));
	REQUIRE(!memcmp(a->unmapped, b->unmapped, sizeof(*a->unmapped)));
	REQUIRE(!memcmp(a->no_sid, b->no_sid, sizeof(*a->no_sid)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Empty lines behind the input keep its last lines far enough from the end for the fast loop. */
	enum { TRAILER = 256 };
	size_t piece = size ? data[0] + 1 : 1, len = size + TRAILER;
	uint64_t hash[3] = { 0 };
	uint8_t *text = malloc(len);
	struct hs_qemulog *logs[4];

	if (size)
		memcpy(text, data, size);
	memset(text + size, '\n', TRAILER);
	logs[0] = feed_pieces(text, len, len, NULL);
	logs[1] = feed_pieces(text, len, len, &hash[0]);
	logs[2] = feed_pieces(text, len, piece, &hash[1]);
	logs[3] = feed_pieces(text, len, 1, &hash[2]);
	for (int i = 0; i < 4; i++) {
		check_sums(hs_qemulog_counts(logs[i]), text, len);
		check_same(hs_qemulog_counts(logs[0]), hs_qemulog_counts(logs[i]));
	}
	REQUIRE(hash[0] == hash[1] && hash[0] == hash[2]);
	for (int i = 0; i < 4; i++)
		hs_qemulog_free(logs[i]);

	/* The same without a newline at the end. */
	logs[0] = feed_pieces(data, size, size ? size : 1, NULL);
	logs[1] = feed_pieces(data, size, 1, NULL);
	check_sums(hs_qemulog_counts(logs[0]), data, size);
	check_same(hs_qemulog_counts(logs[0]), hs_qemulog_counts(logs[1]));
	hs_qemulog_free(logs[0]);
	hs_qemulog_free(logs[1]);
	free(text);
	return 0;
}
