/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/rsa_pad.h"

#include <string.h>

#include "base/secret.h"
#include "crypto/hash.h"
#include "crypto/pkey.h"

enum {
	HASH_BYTES = 32,
	LENGTH_CANDIDATES = 128,
	PAD_MIN = 8, /* shortest padding string of a valid block */
	K_MAX = VS_RSA_MAX_BITS / 8,
};

/* ---- constant time: masks are all ones for true, 0 for false ------------------------------- */

/* Keeps the compiler from seeing that a mask has only two values. */
static inline uint32_t
opaque(uint32_t v)
{
	__asm__("" : "+r"(v));
	return v;
}

static inline uint32_t
mask_msb(uint32_t v)
{
	return opaque(0 - (v >> 31));
}

static inline uint32_t
mask_zero(uint32_t v)
{
	return mask_msb(~v & (v - 1));
}

static inline uint32_t
mask_eq(uint32_t a, uint32_t b)
{
	return mask_zero(a ^ b);
}

/* a < b for values below 2^31 */
static inline uint32_t
mask_lt(uint32_t a, uint32_t b)
{
	return mask_msb(a - b);
}

static inline uint32_t
pick(uint32_t mask, uint32_t yes, uint32_t no)
{
	return (mask & yes) | (~mask & no);
}

/* ---- pseudo-random octets ------------------------------------------------------------------ */

/* HMAC-SHA256 in counter mode: block i is MAC(key, i || label || number of output bits). */
static vs_rc
expand(struct vs_ossl *o, const uint8_t key[HASH_BYTES], const char *label, uint8_t *out, size_t n,
	struct vs_err *err)
{
	uint8_t input[2 + 16 + 2], block[HASH_BYTES];
	const size_t label_n = strlen(label);
	const size_t bits = n * 8;

	VS_REQUIRE(err, label_n <= 16 && bits <= UINT16_MAX);
	memcpy(input + 2, label, label_n);
	input[2 + label_n] = (uint8_t)(bits >> 8);
	input[3 + label_n] = (uint8_t)bits;
	for (size_t i = 0, at = 0; at < n; i++, at += HASH_BYTES) {
		input[0] = (uint8_t)(i >> 8);
		input[1] = (uint8_t)i;
		VS_TRY(vs_hmac_once(o, VS_HASH_SHA256, vs_bytes_of(key, HASH_BYTES),
			vs_bytes_of(input, label_n + 4), block, err));
		memcpy(out + at, block, n - at < HASH_BYTES ? n - at : HASH_BYTES);
	}
	vs_wipe(block, sizeof block);
	return VS_OK;
}

vs_rc
vs_rsa_pad_secret(struct vs_ossl *o, struct vs_bytes d, size_t k,
	uint8_t ret[VS_RSA_PAD_SECRET_BYTES], struct vs_err *err)
{
	uint8_t padded[K_MAX] = {0};

	VS_REQUIRE(err, k <= K_MAX && d.n <= k);
	memcpy(padded + k - d.n, d.p, d.n);
	const vs_rc rc = vs_hash_once(o, VS_HASH_SHA256, vs_bytes_of(padded, k), ret, err);
	vs_wipe(padded, sizeof padded);
	return rc;
}

/* The last candidate that is short enough; there always is one but for a probability of 2^-100. */
static uint32_t
choose_length(const uint8_t candidates[2 * LENGTH_CANDIDATES], uint32_t limit)
{
	uint32_t mask = limit, length = 0;

	for (uint32_t shift = 1; shift < 16; shift *= 2)
		mask |= mask >> shift;
	for (size_t i = 0; i < LENGTH_CANDIDATES; i++) {
		const uint32_t c =
			((uint32_t)candidates[2 * i] << 8 | candidates[2 * i + 1]) & mask;
		length = pick(mask_lt(c, limit), c, length);
	}
	return length;
}

/* Where the message starts in a block 00 02 PS 00 M with at least eight octets PS; good says
 * whether. */
static uint32_t
find_message(const uint8_t *em, uint32_t k, uint32_t *ret_good)
{
	uint32_t good = mask_zero(em[0]) & mask_eq(em[1], 2);
	uint32_t zero_at = 0, found = 0;

	for (uint32_t i = 2; i < k; i++) {
		const uint32_t zero = mask_zero(em[i]);
		zero_at = pick(~found & zero, i, zero_at);
		found |= zero;
	}
	good &= found & ~mask_lt(zero_at, 2 + PAD_MIN);
	*ret_good = good;
	return zero_at + 1;
}

/* The last n octets of buf move to its start; log k passes, each touching everything. */
static void
shift_down(uint8_t *buf, uint32_t k, uint32_t by)
{
	for (uint32_t step = 1; step < k; step *= 2) {
		const uint32_t mask = ~mask_zero(by & step);
		for (uint32_t i = 0; i < k; i++) {
			const uint32_t from = i + step < k ? buf[i + step] : 0;
			buf[i] = (uint8_t)pick(mask, from, buf[i]);
		}
	}
}

vs_rc
vs_rsa_unpad_implicit(struct vs_ossl *o, const uint8_t key_secret[VS_RSA_PAD_SECRET_BYTES],
	struct vs_bytes ciphertext, const uint8_t *em, size_t k, uint8_t *ret_msg, size_t *ret_n,
	struct vs_err *err)
{
	uint8_t kdk[HASH_BYTES], lengths[2 * LENGTH_CANDIDATES], synthetic[K_MAX];

	VS_REQUIRE(err, k >= 2 + PAD_MIN + 1 && k <= K_MAX && ciphertext.n == k);
	VS_TRY(vs_hmac_once(o, VS_HASH_SHA256, vs_bytes_of(key_secret, VS_RSA_PAD_SECRET_BYTES),
		ciphertext, kdk, err));
	VS_TRY(expand(o, kdk, "length", lengths, sizeof lengths, err));
	VS_TRY(expand(o, kdk, "message", synthetic, k, err));

	uint32_t good = 0;
	const uint32_t width = (uint32_t)k;
	const uint32_t real_at = find_message(em, width, &good);
	const uint32_t synthetic_at = width - choose_length(lengths, width - 2 - PAD_MIN);
	const uint32_t at = pick(good, real_at, synthetic_at);
	for (uint32_t i = 0; i < width; i++)
		ret_msg[i] = (uint8_t)pick(good, em[i], synthetic[i]);
	shift_down(ret_msg, width, at);
	vs_wipe(kdk, sizeof kdk);
	vs_wipe(lengths, sizeof lengths);
	vs_wipe(synthetic, sizeof synthetic);
	*ret_n = width - at;
	return VS_OK;
}

vs_rc
vs_rsa_unpad_signature(struct vs_bytes em, struct vs_bytes *ret, struct vs_err *err)
{
	enum { FILL_MIN = 8 };
	size_t i = 2;

	while (i < em.n && em.p[i] == 0xff)
		i++;
	if (em.n < 2 || em.p[0] != 0 || em.p[1] != 1 || i < 2 + FILL_MIN || i == em.n ||
		em.p[i] != 0)
		VS_FAIL(err, SIGNATURE, "the signature does not verify");
	*ret = vs_bytes_of(em.p + i + 1, em.n - i - 1);
	return VS_OK;
}
