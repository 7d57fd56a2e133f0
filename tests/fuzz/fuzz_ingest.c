// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as an IOMMU log, cut in any way: the same streams come of it, each line and translation is counted exactly
 * once, and a stream is packets of at least one translation. Run for N seconds from the top directory:
 *     build/tests/fuzz/fuzz_ingest -max_total_time=N -seed_inputs=tests/data/hyper_stock_0.txt
 */
#include <stdint.h>
#include <string.h>

#include "hyper/ingest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                                             \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			__builtin_trap();                                                                              \
	} while (0)

struct read {
	struct hs_gen_spool *spool;
	struct hs_ingest_result result;
	int err;
};

static void read_log(const uint8_t *text, size_t len, size_t piece, uint32_t fixed, struct read *read)
{
	struct hs_ingest_config config = { .packet_translations = fixed,
					   .keeps_order = true,
					   .accepts_truncated = true };
	scoped(hs_ingest) struct hs_ingest *ingest = NULL;

	memset(read, 0, sizeof(*read));
	REQUIRE(!hs_gen_spool_open("/dev/shm/fuzz", &read->spool));
	config.spool = read->spool;
	REQUIRE(!hs_ingest_open(&config, "log", &ingest));
	for (size_t at = 0; at < len && !read->err; at += piece) {
		size_t part = len - at < piece ? len - at : piece;
		uint8_t *copy = malloc(part); /* of exactly its size: reading beyond is seen */

		memcpy(copy, text + at, part);
		read->err = hs_ingest_feed(ingest, copy, part);
		free(copy);
	}
	if (!read->err)
		read->err = hs_ingest_finish(ingest, &read->result);
}

static void check_stream(struct hs_gen_spool *spool, const struct hs_ingest_device *device)
{
	uint64_t translations = 0, packets = 0, invalidations = 0;
	const struct hs_dmatrace_record *record;
	struct hs_gen_cursor cursor;

	REQUIRE(!hs_gen_cursor_open(&cursor, spool, device->stream, 16));
	for (; (record = hs_gen_cursor_peek(&cursor)); cursor.at++) {
		bool is_translation = hs_dmatrace_kind(record) == HS_DMATRACE_TRANSLATION;

		REQUIRE(!hs_dmatrace_is_first(record) || is_translation);
		packets += hs_dmatrace_is_first(record);
		translations += is_translation;
		invalidations += !is_translation;
		REQUIRE(!is_translation || packets);
		REQUIRE(hs_dmatrace_tenant(record) == 0);
	}
	hs_gen_cursor_close(&cursor);
	REQUIRE(translations == device->translations);
	REQUIRE(packets == device->packets);
	REQUIRE(invalidations == device->invalidations);
	REQUIRE(device->levels >= 2 && device->levels <= 5);
}

static void check(const struct read *read, const uint8_t *text, size_t len)
{
	const struct hs_dmatrace_source *source = &read->result.source;
	uint64_t lines = len && text[len - 1] != '\n', translations = 0, packets = 0;

	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	REQUIRE(source->lines == lines);
	REQUIRE(source->ignored[HS_DMATRACE_IGNORED_FOREIGN] + source->ignored[HS_DMATRACE_IGNORED_TORN] <= lines);
	for (uint32_t i = 0; i < read->result.device_nr; i++) {
		check_stream(read->spool, &read->result.devices[i]);
		translations += read->result.devices[i].translations;
		packets += read->result.devices[i].packets;
	}
	REQUIRE(translations == source->translations);
	REQUIRE(packets == source->packets && packets);
}

static void check_same(const struct read *a, const struct read *b)
{
	REQUIRE(!a->err == !b->err);
	if (a->err)
		return;
	REQUIRE(!memcmp(&a->result.source, &b->result.source, sizeof(a->result.source)));
	REQUIRE(a->result.device_nr == b->result.device_nr);
	for (uint32_t i = 0; i < a->result.device_nr; i++) {
		const struct hs_ingest_device *left = &a->result.devices[i], *right = &b->result.devices[i];

		REQUIRE(left->sid == right->sid && left->domain == right->domain && left->epochs == right->epochs);
		REQUIRE(left->packets == right->packets && left->translations == right->translations);
		REQUIRE(left->giants.nr == right->giants.nr && left->context_low == right->context_low);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t piece = size ? data[0] + 1u : 1;
	uint32_t fixed = size > 1 && data[1] & 1 ? 1 + data[1] % 7 : 0;
	struct read reads[2];

	read_log(data, size, size ? size : 1, fixed, &reads[0]);
	read_log(data, size, piece, fixed, &reads[1]);
	check_same(&reads[0], &reads[1]);
	for (int i = 0; i < 2; i++) {
		if (!reads[i].err)
			check(&reads[i], data, size);
		hs_ingest_result_clear(&reads[i].result);
		hs_gen_spool_free(reads[i].spool);
	}
	return 0;
}
