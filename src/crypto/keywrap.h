/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AES key wrap (RFC 3394), with padding (RFC 5649), and behind RSA-OAEP (CKM_RSA_AES_KEY_WRAP).
 * Integrity is checked before a byte is given out; everything that can be wrong with wrapped data
 * is the same error DATA with the same sentence (T-K3).
 */
#ifndef VS_CRYPTO_KEYWRAP_H
#define VS_CRYPTO_KEYWRAP_H

#include "base/secret.h"
#include "crypto/hash.h"

struct vs_ossl;
struct vs_pkey;

enum { VS_WRAP_MAX = 16384 }; /* octets of wrapped data */

enum vs_wrap_mode { VS_WRAP_NONE = 0, VS_WRAP_KW, VS_WRAP_KWP, VS_WRAP_COUNT_ };

/* The release: kek has 32 octets, wrapped is the AES-KWP part. */
VS_RC vs_release_unwrap(struct vs_ossl *o, const struct vs_secret *kek, struct vs_bytes wrapped,
	struct vs_arena *arena, struct vs_secret *ret, struct vs_err *err);

/* Length of the wrapping of n octets; 0 when n is not possible in this mode. */
size_t vs_wrap_size(enum vs_wrap_mode mode, size_t n);
/*
 * key is AES. iv: empty for the standard's, else 8 octets (KW) or 4 (KWP).
 * Errors: KEY_KIND, PARAM, DATA_LEN (nothing to wrap, KW and not a multiple of 8), CRYPTO.
 */
VS_RC vs_wrap(const struct vs_pkey *key, enum vs_wrap_mode mode, struct vs_bytes iv,
	struct vs_bytes plain, struct vs_buf *out, struct vs_err *err);
/* Errors: KEY_KIND, PARAM; DATA for whatever is wrong with the wrapped octets. */
VS_RC vs_unwrap(const struct vs_pkey *key, enum vs_wrap_mode mode, struct vs_bytes iv,
	struct vs_bytes wrapped, struct vs_arena *arena, struct vs_secret *ret, struct vs_err *err);

/* OAEP(pub, fresh AES key of aes_bits) || KWP(AES key, plain); label may be empty. */
VS_RC vs_rsa_aes_wrap(const struct vs_pkey *pub, uint32_t aes_bits, enum vs_hash hash,
	enum vs_hash mgf, struct vs_bytes label, struct vs_bytes plain, struct vs_arena *arena,
	struct vs_buf *out, struct vs_err *err);
VS_RC vs_rsa_aes_unwrap(const struct vs_pkey *priv, uint32_t aes_bits, enum vs_hash hash,
	enum vs_hash mgf, struct vs_bytes label, struct vs_bytes wrapped, struct vs_arena *arena,
	struct vs_secret *ret, struct vs_err *err);

#endif
