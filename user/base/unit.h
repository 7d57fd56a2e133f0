/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers with units, as users type and read them. Pure. Parsers take the whole text or nothing. */
#ifndef HS_BASE_UNIT_H
#define HS_BASE_UNIT_H

#include <stddef.h>
#include <stdint.h>

/* Decimal digits only. -EINVAL, or -ERANGE past 64 bits. */
int hs_parse_u64(const char *text, uint64_t *out);
/* Bytes: digits and an optional K, M, G or T (powers of 1024; "KiB" and "KB" are taken for K). */
int hs_parse_size(const char *text, uint64_t *bytes);
/* ns: digits and ns, us, ms, s, m or h; a bare number is seconds. */
int hs_parse_duration(const char *text, uint64_t *ns);

/* Bits a second: "200G", "2.5M", "800000", powers of 1000; below 1e18. -EINVAL for what is none. */
int hs_parse_rate(const char *text, uint64_t *bps);

/* "1.5 GiB", "12 KiB"; "345.1 Mbit/s"; "1.234 s", "56 us". Return text. */
const char *hs_format_bytes(char *text, size_t size, uint64_t bytes);
const char *hs_format_rate(char *text, size_t size, double bits_per_second);
const char *hs_format_ns(char *text, size_t size, uint64_t ns);

#endif
