/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The Reed-Solomon code that protects memory which outlives a crash (fs/pstore/ram_core.c): bytes over GF(2^8) with the
 * polynomial 0x11d, 16 bytes of parity per block whose roots are the powers 0 to 15 of 2. Up to 8 wrong bytes of a
 * block are put right. Called by ramoops.c; pure, one context may be used by any number of threads.
 */
#ifndef HS_JOURNAL_ECC_H
#define HS_JOURNAL_ECC_H

#include <stddef.h>
#include <stdint.h>

#define HS_ECC_PARITY 16
#define HS_ECC_BLOCK_MAX (255 - HS_ECC_PARITY)

struct hs_ecc {
	uint8_t power[512]; /* of 2; twice, so that sums of two logarithms need no modulus */
	uint8_t log[256];   /* of 0: not used */
};

void hs_ecc_init(struct hs_ecc *ecc);

/* The parity of `bytes` (HS_ECC_BLOCK_MAX at most). */
void hs_ecc_encode(const struct hs_ecc *ecc, const uint8_t *data, size_t bytes, uint8_t parity[HS_ECC_PARITY]);

/*
 * Puts data right in its place: how many bytes were wrong, those of the parity among them; -EBADMSG: too many were, and
 * nothing was changed.
 */
int hs_ecc_decode(const struct hs_ecc *ecc, uint8_t *data, size_t bytes, const uint8_t parity[HS_ECC_PARITY]);

#endif
