// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any trace that the reader lets through, in any configuration that fits together: both models come to an end, what
 * they count adds up, and the same again gives the same. The first bytes choose the configuration, the others are
 * records.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/log.h"
#include "hyper/sim.h"
#include "hyper/sim_compat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                                             \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			__builtin_trap();                                                                              \
	} while (0)

#define TENANTS 7
#define RECORDS_MAX 512
#define RECORDS_AT 4096
#define RECORD_BYTES 4
#define CHOICES 12

/* A value of each by a byte of the input. */
static const char *const choices[CHOICES][6] = {
	{ "queue", "1", "2", "3", "32", "65536" },
	{ "order", "out", "in", "out", "in", "out" },
	{ "dtlb-policy", "lru", "lfu", "fifo", "random", "optimum" },
	{ "dtlb-size", "0", "4", "8", "12", "64" },
	{ "dtlb-ways", "0", "1", "2", "4", "4" },
	{ "dtlb-partitions", "1", "2", "1", "3", "1" },
	{ "prefetch-size", "0", "1", "4", "8", "64" },
	{ "prefetch-history", "1", "2", "3", "8", "64" },
	{ "prefetch-distance", "1", "2", "5", "20", "100" },
	{ "nested-levels", "0", "1", "3", "4", "5" },
	{ "context-size", "0", "1", "2", "4", "1536" },
	{ "memory", "0ns", "1ns", "50ns", "1us", "1ms" },
};

static struct hs_dmatrace_record make_record(const uint8_t *bytes)
{
	uint32_t tenant = bytes[0] % TENANTS;
	uint64_t iova = (uint64_t)(bytes[1] & 0x0f) << 12 | (uint64_t)(bytes[1] >> 4) << 21 |
			(uint64_t)(bytes[2] & 7) << 30 | (uint64_t)(bytes[2] >> 3 & 1) << 56;

	if (bytes[3] >= 0xe0)
		return hs_dmatrace_make_invalidation(tenant, HS_DMATRACE_INV_PAGES + bytes[3] % 4, iova, bytes[2] & 63);
	return hs_dmatrace_make_translation(tenant, iova, 3, bytes[3] & 3, bytes[3] & 4, bytes[3] & 8);
}

static void make_trace(uint8_t *bytes, const uint8_t *data, size_t records)
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
		.record_nr = records,
	};
	struct hs_dmatrace_tenant *tenants = (void *)(bytes + header.tenants_at);
	struct hs_dmatrace_record *record = (void *)(bytes + RECORDS_AT);

	for (uint32_t i = 0; i < TENANTS; i++)
		tenants[i] =
			(struct hs_dmatrace_tenant){ .levels = (uint8_t)(2 + i % 4), .sid = (uint16_t)(i % 5 * 8) };
	for (size_t i = 0; i < records; i++) {
		record[i] = make_record(data + i * RECORD_BYTES);
		if (hs_dmatrace_kind(&record[i]) == HS_DMATRACE_TRANSLATION) {
			header.translation_nr++;
			header.packet_nr += hs_dmatrace_is_first(&record[i]);
		}
	}
	memcpy(header.magic, HS_DMATRACE_MAGIC, sizeof(header.magic));
	memcpy(bytes, &header, sizeof(header));
}

static void run_model(const struct hs_dmatrace *trace, const struct hs_sim_config *config)
{
	scoped(hs_sim_result) struct hs_sim_result one = { 0 }, again = { 0 };
	uint64_t sum = 0;

	if (hs_sim_run(trace, config, &one))
		return;
	REQUIRE(one.translations == trace->header->translation_nr);
	REQUIRE(one.latency_ps.count == one.translations);
	REQUIRE(one.dtlb.hits + one.dtlb.misses == one.translations);
	for (unsigned int i = 0; i < HS_SIM_PART_NR; i++)
		sum += one.part_ps[i];
	REQUIRE(sum == one.latency_ps.sum);
	REQUIRE(one.link_pct <= 100.0001);
	REQUIRE(hs_sim_run(trace, config, &again) == 0);
	REQUIRE(one.elapsed_ps == again.elapsed_ps && one.walk_reads == again.walk_reads);
}

static void run_compat(const struct hs_dmatrace *trace, const struct hs_sim_config *config, unsigned int faults)
{
	struct hs_sim_compat_result one, again;

	if (hs_sim_compat_run(trace, config, faults, &one))
		return;
	REQUIRE(one.translations == trace->header->translation_nr);
	REQUIRE(one.dtlb.asked_hit + one.dtlb.asked_miss == one.translations);
	REQUIRE(hs_sim_compat_run(trace, config, faults, &again) == 0);
	REQUIRE(memcmp(&one, &again, sizeof(one)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint64_t bytes[(RECORDS_AT + RECORDS_MAX * sizeof(struct hs_dmatrace_record)) / 8];
	struct hs_sim_config config;
	struct hs_dmatrace trace;
	size_t records;

	if (size < CHOICES + 1 + RECORD_BYTES)
		return -1;
	hs_log_set_level(HS_LOG_ERR);
	records = (size - CHOICES - 1) / RECORD_BYTES;
	if (records > RECORDS_MAX)
		records = RECORDS_MAX;
	memset(bytes, 0, sizeof(bytes));
	make_trace((uint8_t *)bytes, data + CHOICES + 1, records);
	if (hs_dmatrace_parse(bytes, RECORDS_AT + records * sizeof(struct hs_dmatrace_record), &trace))
		return -1;
	REQUIRE(hs_sim_config_load("base", &config) == 0);
	for (size_t i = 0; i < CHOICES; i++)
		REQUIRE(hs_sim_config_set(&config, choices[i][0], choices[i][1 + data[i] % 5]) == 0);
	run_model(&trace, &config);
	run_compat(&trace, &config, data[CHOICES]);
	return 0;
}
