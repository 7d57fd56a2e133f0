// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any bytes as a DMA trace: what the reader lets through can be walked to its end, and agrees with what its header
 * says. A part of the inputs is a valid trace with some bytes replaced, because random ones never get past the lengths.
 */
#include <stdint.h>
#include <string.h>

#include "hyper/dmatrace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                                             \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			__builtin_trap();                                                                              \
	} while (0)

#define TENANTS 3
#define RECORDS 40
#define RECORDS_AT 4096
#define TRACE_BYTES (RECORDS_AT + RECORDS * sizeof(struct hs_dmatrace_record))

static void make_trace(uint8_t *bytes)
{
	struct hs_dmatrace_header header = {
		.version = HS_DMATRACE_VERSION,
		.header_bytes = sizeof(header),
		.source_bytes = sizeof(struct hs_dmatrace_source),
		.tenant_bytes = sizeof(struct hs_dmatrace_tenant),
		.record_bytes = sizeof(struct hs_dmatrace_record),
		.source_nr = 1,
		.tenant_nr = TENANTS,
		.sources_at = sizeof(header),
		.tenants_at = sizeof(header) + sizeof(struct hs_dmatrace_source),
		.records_at = RECORDS_AT,
		.record_nr = RECORDS,
		.translation_nr = RECORDS,
		.packet_nr = RECORDS / 4,
	};
	struct hs_dmatrace_tenant *tenants = (void *)(bytes + header.tenants_at);
	struct hs_dmatrace_record *records = (void *)(bytes + RECORDS_AT);

	memset(bytes, 0, TRACE_BYTES);
	memcpy(header.magic, HS_DMATRACE_MAGIC, sizeof(header.magic));
	memcpy(bytes, &header, sizeof(header));
	for (uint32_t i = 0; i < TENANTS; i++)
		tenants[i].levels = 3;
	for (uint32_t i = 0; i < RECORDS; i++)
		records[i] = hs_dmatrace_make_translation(i / 4 % TENANTS, 0x1000ULL * i, 3, 0, i % 4 == 0, false);
}

static void walk(const struct hs_dmatrace *trace)
{
	uint64_t translations = 0, packets = 0, names = 0;

	for (uint32_t i = 0; i < trace->header->source_nr; i++)
		names += strlen(trace->sources[i].name);
	REQUIRE(names < (uint64_t)trace->header->source_nr * HS_DMATRACE_NAME_BYTES);
	for (uint32_t i = 0; i < trace->header->tenant_nr; i++) {
		REQUIRE(trace->tenants[i].source < trace->header->source_nr);
		REQUIRE(trace->tenants[i].copy_of < trace->header->tenant_nr);
		REQUIRE(trace->tenants[i].levels >= 2 && trace->tenants[i].levels <= 5);
	}
	for (uint64_t i = 0; i < trace->header->record_nr; i++) {
		const struct hs_dmatrace_record *record = &trace->records[i];

		REQUIRE(hs_dmatrace_tenant(record) < trace->header->tenant_nr);
		REQUIRE(hs_dmatrace_kind(record) < HS_DMATRACE_KIND_NR);
		REQUIRE(hs_dmatrace_iova(record) <= HS_DMATRACE_IOVA_MASK);
		REQUIRE(hs_dmatrace_page_shift(record) <= 39);
		translations += hs_dmatrace_kind(record) == HS_DMATRACE_TRANSLATION;
		packets += hs_dmatrace_is_first(record);
	}
	REQUIRE(translations == trace->header->translation_nr);
	REQUIRE(packets == trace->header->packet_nr);
}

static void parse(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = aligned_alloc(8, (len + 7) / 8 * 8 + 8); /* so that reading beyond is seen, but for 8 bytes */
	struct hs_dmatrace trace;

	memcpy(copy, bytes, len);
	if (!hs_dmatrace_parse(copy, len, &trace))
		walk(&trace);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t bytes[TRACE_BYTES] __attribute__((aligned(8)));
	struct hs_dmatrace trace;

	parse(data, size);
	make_trace(bytes);
	REQUIRE(!hs_dmatrace_parse(bytes, sizeof(bytes), &trace));
	/* Each three bytes of the input are a place and what stands there. */
	for (size_t i = 0; i + 3 <= size && i < 30; i += 3)
		bytes[(data[i] | data[i + 1] << 8) % TRACE_BYTES] = data[i + 2];
	parse(bytes, size % 5 ? sizeof(bytes) : size % sizeof(bytes));
	return 0;
}
