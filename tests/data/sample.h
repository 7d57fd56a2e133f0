/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Unpacks a sample of tests/data for a test or benchmark, which runs in the top directory. Link with -llzma.
 * qemu_iommu_2vm_20k.txt.xz: 20000 lines that QEMU 7.2 wrote with `-trace 'vtd_iotlb*' -msg timestamp=on` for
 * two e1000 devices (sid 0x20 and 0x28) passed to two nested guests under iperf3.
 */
#ifndef HS_TESTS_DATA_SAMPLE_H
#define HS_TESTS_DATA_SAMPLE_H

#include <lzma.h>
#include <stdint.h>

#include "base/scoped.h"

#define SAMPLE_IOMMU "tests/data/qemu_iommu_2vm_20k.txt.xz"

/* The whole unpacked file, to be freed; NULL if it cannot be had. */
static inline char *sample_load(const char *path, size_t *len)
{
	enum { PACKED_MAX = 1 << 20, TEXT_MAX = 8 << 20 };
	scoped(file) FILE *file = fopen(path, "r");
	scoped(mem) uint8_t *packed = malloc(PACKED_MAX);
	scoped(mem) uint8_t *text = malloc(TEXT_MAX);
	uint64_t memory = UINT64_MAX;
	size_t packed_len, in = 0, out = 0;
	lzma_ret result;

	if (!file || !packed || !text)
		return NULL;
	packed_len = fread(packed, 1, PACKED_MAX, file);
	result = lzma_stream_buffer_decode(&memory, 0, NULL, packed, &in, packed_len, text, &out, TEXT_MAX);
	if (result != LZMA_OK)
		return NULL;
	*len = out;
	return (char *)take(text);
}

#endif
