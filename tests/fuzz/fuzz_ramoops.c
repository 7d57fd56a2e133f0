// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any memory is decoded without a fault, and what is said of it adds up. Bytes 0 and 1 choose the layout; where byte 2
 * says so, headers and parity are made right first, so that what lies behind them is reached too.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "journal/ecc.h"
#include "journal/pstore.h"
#include "journal/ramoops.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                                             \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			__builtin_trap();                                                                              \
	} while (0)

#define HEADER 12
#define BLOCK 128

static void seal(uint8_t *zone, size_t zone_bytes, unsigned what)
{
	size_t blocks = (zone_bytes - HEADER - 16 + 143) / 144, capacity = zone_bytes - HEADER - (blocks + 1) * 16;
	struct hs_ecc ecc;

	hs_ecc_init(&ecc);
	memcpy(zone, "DBGC", 4);
	zone[6] = zone[7] = zone[10] = zone[11] = 0;
	if (what & 2)
		hs_ecc_encode(&ecc, zone, HEADER, zone + zone_bytes - 16);
	for (size_t at = 0, block = 0; at < capacity; at += BLOCK, block++)
		if (!(what & 4) || block % 3)
			hs_ecc_encode(&ecc, zone + HEADER + at, capacity - at < BLOCK ? capacity - at : BLOCK,
				      zone + HEADER + capacity + block * 16);
}

static void check(const struct hs_ramoops_record *record, size_t zone_bytes)
{
	const char *at = record->text, *end = record->text + record->len;
	struct hs_pstore_line line;
	size_t lines = 0;

	REQUIRE(record->damaged_blocks < record->blocks || !record->blocks);
	REQUIRE(record->lost_bytes <= zone_bytes);
	REQUIRE(record->was_packed || record->lost_bytes || !record->damaged_blocks || record->has_bad_header ||
		record->kind == HS_RAMOOPS_FTRACE);
	while (hs_pstore_line_next(&at, end, &line)) {
		REQUIRE(line.text >= record->text && line.text + line.len <= end && line.time_len <= line.len);
		lines++;
	}
	REQUIRE(lines <= record->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hs_ramoops_layout layout = { 0 };
	struct hs_ramoops *ramoops = NULL;
	size_t zone;
	uint8_t *region;

	if (size < 3 + 256)
		return 0;
	zone = 256 + (data[0] & 15u) * 128;
	layout.dump_bytes = zone;
	layout.console_bytes = data[1] & 1 ? zone : 0;
	layout.ftrace_bytes = data[1] & 2 ? zone : 0;
	layout.pmsg_bytes = data[1] & 4 ? zone : 0;
	region = malloc(size - 3);
	memcpy(region, data + 3, size - 3);
	for (size_t at = 0; data[2] & 1 && at + zone <= size - 3; at += zone)
		seal(region + at, zone, data[2]);
	if (!hs_ramoops_decode(region, size - 3, &layout, &ramoops)) {
		for (size_t i = 0; i < ramoops->nr; i++)
			check(&ramoops->record[i], size);
		hs_ramoops_free(ramoops);
	}
	free(region);
	return 0;
}
