// SPDX-License-Identifier: GPL-2.0-only
/*
 * Encoder by division, decoder after Berlekamp-Massey, Chien and Forney (S. Lin, D. Costello, Error Control Coding,
 * chapter 7). A polynomial is an array with its lowest degree first; a block's first byte is its highest degree.
 */
#include "journal/ecc.h"

#include <errno.h>
#include <string.h>

#define POLYNOMIAL 0x11d
#define ORDER 255

void hs_ecc_init(struct hs_ecc *ecc)
{
	unsigned x = 1;

	memset(ecc, 0, sizeof(*ecc));
	for (unsigned i = 0; i < ORDER; i++) {
		ecc->power[i] = ecc->power[i + ORDER] = (uint8_t)x;
		ecc->log[x] = (uint8_t)i;
		x = x << 1 ^ (x & 0x80 ? POLYNOMIAL : 0);
	}
}

static uint8_t mul(const struct hs_ecc *ecc, uint8_t a, uint8_t b)
{
	return a && b ? ecc->power[ecc->log[a] + ecc->log[b]] : 0;
}

/* b is not 0. */
static uint8_t divide(const struct hs_ecc *ecc, uint8_t a, uint8_t b)
{
	return a ? ecc->power[ecc->log[a] + ORDER - ecc->log[b]] : 0;
}

/* The value of a polynomial with `terms` terms at x. */
static uint8_t value_at(const struct hs_ecc *ecc, const uint8_t *polynomial, size_t terms, uint8_t x)
{
	uint8_t value = 0;

	while (terms--)
		value = mul(ecc, value, x) ^ polynomial[terms];
	return value;
}

void hs_ecc_encode(const struct hs_ecc *ecc, const uint8_t *data, size_t bytes, uint8_t parity[HS_ECC_PARITY])
{
	uint8_t generator[HS_ECC_PARITY + 1] = { 1 };

	for (unsigned root = 0; root < HS_ECC_PARITY; root++) { /* times (x + 2^root), from the highest term down */
		for (unsigned i = root + 1; i > 0; i--)
			generator[i] = mul(ecc, generator[i], ecc->power[root]) ^ generator[i - 1];
		generator[0] = mul(ecc, generator[0], ecc->power[root]);
	}
	memset(parity, 0, HS_ECC_PARITY);
	for (size_t at = 0; at < bytes; at++) {
		uint8_t rest = data[at] ^ parity[0];

		memmove(parity, parity + 1, HS_ECC_PARITY - 1);
		parity[HS_ECC_PARITY - 1] = 0;
		for (unsigned i = 0; i < HS_ECC_PARITY; i++)
			parity[i] ^= mul(ecc, rest, generator[HS_ECC_PARITY - 1 - i]);
	}
}

static int find_syndromes(const struct hs_ecc *ecc, const uint8_t *data, size_t bytes, const uint8_t *parity,
			  uint8_t syndromes[HS_ECC_PARITY])
{
	uint8_t any = 0;

	for (unsigned root = 0; root < HS_ECC_PARITY; root++) {
		uint8_t value = 0;

		for (size_t i = 0; i < bytes; i++)
			value = mul(ecc, value, ecc->power[root]) ^ data[i];
		for (unsigned i = 0; i < HS_ECC_PARITY; i++)
			value = mul(ecc, value, ecc->power[root]) ^ parity[i];
		syndromes[root] = value;
		any |= value;
	}
	return any;
}

/* The shortest recurrence of the syndromes: its roots tell where the errors are. Its degree. */
static unsigned find_locator(const struct hs_ecc *ecc, const uint8_t *syndromes, uint8_t locator[HS_ECC_PARITY + 1])
{
	uint8_t before[HS_ECC_PARITY + 1] = { 1 }, kept[HS_ECC_PARITY + 1];
	uint8_t scale = 1;
	unsigned degree = 0, shift = 1;

	memset(locator, 0, HS_ECC_PARITY + 1);
	locator[0] = 1;
	for (unsigned n = 0; n < HS_ECC_PARITY; n++, shift++) {
		uint8_t off = syndromes[n], factor;

		for (unsigned i = 1; i <= degree; i++)
			off ^= mul(ecc, locator[i], syndromes[n - i]);
		if (!off)
			continue;
		factor = divide(ecc, off, scale);
		memcpy(kept, locator, sizeof(kept));
		for (unsigned i = shift; i <= HS_ECC_PARITY; i++)
			locator[i] ^= mul(ecc, factor, before[i - shift]);
		if (2 * degree > n)
			continue;
		degree = n + 1 - degree;
		memcpy(before, kept, sizeof(before));
		scale = off;
		shift = 0;
	}
	return degree;
}

/* Error values from locator and syndromes; *data is changed. How many there are, or -EBADMSG. */
static int correct(const struct hs_ecc *ecc, uint8_t *data, size_t bytes, uint8_t *parity, const uint8_t *syndromes)
{
	uint8_t locator[HS_ECC_PARITY + 1], evaluator[HS_ECC_PARITY] = { 0 }, slope[HS_ECC_PARITY] = { 0 };
	unsigned degree = find_locator(ecc, syndromes, locator), found = 0;

	if (degree > HS_ECC_PARITY / 2)
		return -EBADMSG;
	for (unsigned i = 0; i < HS_ECC_PARITY; i++)
		for (unsigned j = 0; j <= i; j++)
			evaluator[i] ^= mul(ecc, locator[j], syndromes[i - j]);
	for (unsigned i = 1; i <= HS_ECC_PARITY; i += 2) /* the derivative, where even terms vanish */
		slope[i - 1] = locator[i];
	for (size_t i = 0; i < bytes + HS_ECC_PARITY; i++) {
		unsigned degree_of_byte = (unsigned)(bytes + HS_ECC_PARITY - 1 - i);
		uint8_t x = ecc->power[degree_of_byte], inverse = ecc->power[ORDER - degree_of_byte], below;

		if (value_at(ecc, locator, degree + 1, inverse))
			continue;
		below = value_at(ecc, slope, HS_ECC_PARITY, inverse);
		if (!below)
			return -EBADMSG;
		*(i < bytes ? &data[i] : &parity[i - bytes]) ^=
			mul(ecc, x, divide(ecc, value_at(ecc, evaluator, HS_ECC_PARITY, inverse), below));
		found++;
	}
	return found == degree ? (int)found : -EBADMSG;
}

int hs_ecc_decode(const struct hs_ecc *ecc, uint8_t *data, size_t bytes, const uint8_t parity[HS_ECC_PARITY])
{
	uint8_t syndromes[HS_ECC_PARITY], tried[HS_ECC_BLOCK_MAX], tried_parity[HS_ECC_PARITY];
	int wrong;

	if (!find_syndromes(ecc, data, bytes, parity, syndromes))
		return 0;
	memcpy(tried, data, bytes);
	memcpy(tried_parity, parity, HS_ECC_PARITY);
	wrong = correct(ecc, tried, bytes, tried_parity, syndromes);
	if (wrong < 0 || find_syndromes(ecc, tried, bytes, tried_parity, syndromes))
		return -EBADMSG;
	memcpy(data, tried, bytes);
	return wrong;
}
