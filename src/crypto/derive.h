/* SPDX-License-Identifier: BSD-2-Clause */
/* Key agreement and derivation; what comes out goes straight into a secret. */
#ifndef VS_CRYPTO_DERIVE_H
#define VS_CRYPTO_DERIVE_H

#include "base/secret.h"
#include "crypto/hash.h"
#include "crypto/pkey.h"

enum { VS_DERIVE_MAX = 16384, VS_DERIVE_INFO_MAX = 4096 };

struct vs_ecdh_params {
	struct vs_bytes point; /* the other side's: raw or in an OCTET STRING, uncompressed */
	bool cofactor; /* same result on our curves, whose cofactor is 1 */
	enum vs_hash kdf_hash; /* NONE: the x coordinate itself; else ANSI X9.63 */
	struct vs_bytes shared; /* KDF's shared info; empty without a KDF */
};

/*
 * out_n octets; 0 without a KDF means all. Shorter than the x coordinate: leading octets are
 * dropped, as PKCS#11 says. The point is validated on the curve, a zero result refused (T-P5).
 * Errors: PARAM (point, shared info), DATA_LEN (out_n), KEY_KIND, CRYPTO.
 */
VS_RC vs_derive_ecdh(const struct vs_pkey *key, const struct vs_ecdh_params *params, size_t out_n,
	struct vs_arena *arena, struct vs_secret *ret, struct vs_err *err);

struct vs_hkdf_params {
	bool extract, expand; /* at least one */
	enum vs_hash hash;
	struct vs_bytes salt; /* empty: zeros of the hash's length */
	struct vs_bytes info;
};

/* key: SECRET or AES (any octets). Only extract: out_n is 0 or the hash's length. */
VS_RC vs_derive_hkdf(struct vs_ossl *o, struct vs_bytes key, const struct vs_hkdf_params *params,
	size_t out_n, struct vs_arena *arena, struct vs_secret *ret, struct vs_err *err);

#endif
