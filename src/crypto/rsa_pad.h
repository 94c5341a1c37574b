/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PKCS#1 v1.5 unpadding with implicit rejection, constant in time (T-P4). OpenSSL before 3.2 tells
 * bad padding from good; that is a decryption oracle. Here a bad padding gives a message that looks
 * like any other: its bytes and its length follow from the key and the ciphertext, so the same
 * ciphertext always gives the same answer (draft-irtf-cfrg-rsa-guidance, section 7.2).
 */
#ifndef VS_CRYPTO_RSA_PAD_H
#define VS_CRYPTO_RSA_PAD_H

#include "base/buf.h"
#include "vouchsafe/err.h"

struct vs_ossl;

enum { VS_RSA_PAD_SECRET_BYTES = 32 };

/* Per-key secret: SHA-256 of d as k big-endian octets. */
VS_RC vs_rsa_pad_secret(struct vs_ossl *o, struct vs_bytes d, size_t k,
	uint8_t ret[VS_RSA_PAD_SECRET_BYTES], struct vs_err *err);

/*
 * em          the k octets of the raw decryption; wiped by the caller
 * ciphertext  the k octets that were decrypted
 * ret_msg     k octets of room; the message stands at its start, zeros behind it
 * ret_n       its length, 0 .. k-11
 * Time, memory accesses and result codes do not depend on em.
 */
VS_RC vs_rsa_unpad_implicit(struct vs_ossl *o, const uint8_t key_secret[VS_RSA_PAD_SECRET_BYTES],
	struct vs_bytes ciphertext, const uint8_t *em, size_t k, uint8_t *ret_msg, size_t *ret_n,
	struct vs_err *err);

/*
 * The padding of signatures, EMSA-PKCS1-v1_5 without the DigestInfo (type 1): 00 01, at least eight
 * FF, 00, then the data, which *ret points to inside em. All of it is public, so time does not
 * matter. Errors: SIGNATURE.
 */
VS_RC vs_rsa_unpad_signature(struct vs_bytes em, struct vs_bytes *ret, struct vs_err *err);

#endif
