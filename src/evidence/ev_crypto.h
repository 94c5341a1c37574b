/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cryptography of evidence verification: with ev_cert.c the only file of this folder that
 * calls libcrypto. A private library context, made once; no configuration file is read.
 */
#ifndef VS_EVIDENCE_EV_CRYPTO_H
#define VS_EVIDENCE_EV_CRYPTO_H

#include "base/buf.h"
#include "crypto/hash.h"

struct ossl_lib_ctx_st;
struct evp_pkey_st;

/* Hash of the parts, one after the other; out has vs_ev_hash_size(h) bytes. Error: CRYPTO. */
VS_RC vs_ev_hash(enum vs_hash h, const struct vs_bytes *parts, size_t n_parts, uint8_t *out,
	struct vs_err *err);
VS_RC vs_ev_sha256(struct vs_bytes in, uint8_t ret[32], struct vs_err *err);
/* SHA-1, SHA-256, SHA-384, SHA-512; 0 for others. */
size_t vs_ev_hash_size(enum vs_hash h);

/*
 * RSASSA-PKCS1-v1_5 with SHA-256; modulus of 2048 to 4096 bits, signature of its length.
 * Errors: REFUSED_EVIDENCE when it does not verify, CRYPTO.
 */
VS_RC vs_ev_rsa_verify(struct vs_bytes n, uint32_t e, struct vs_bytes data, struct vs_bytes sig,
	struct vs_err *err);

enum vs_ev_curve { VS_EV_CURVE_NONE = 0, VS_EV_P256, VS_EV_P384 };

/*
 * ECDSA (P-256 with SHA-256, P-384 with SHA-384); point is x then y, sig is r then s, all big
 * endian of the curve's length. Errors: REFUSED_EVIDENCE, CRYPTO.
 */
VS_RC vs_ev_ecdsa_verify(enum vs_ev_curve curve, struct vs_bytes point, struct vs_bytes data,
	struct vs_bytes sig, struct vs_err *err);
/* The same with a key of this curve out of a certificate. */
VS_RC vs_ev_ecdsa_verify_key(enum vs_ev_curve curve, struct evp_pkey_st *key, struct vs_bytes data,
	struct vs_bytes sig, struct vs_err *err);

/* RSA-PSS, SHA-384, MGF1 with SHA-384, salt of 48 bytes, 2048 bits or more. Errors as above. */
VS_RC vs_ev_pss384_verify(
	struct evp_pkey_st *key, struct vs_bytes data, struct vs_bytes sig, struct vs_err *err);
/*
 * A hash that was signed by itself, as Linux signs files: RSASSA-PKCS1-v1_5 of at least so many
 * bits, or ECDSA in DER. Errors as above.
 */
VS_RC vs_ev_verify_hash(struct evp_pkey_st *key, unsigned min_rsa_bits, enum vs_hash h,
	struct vs_bytes hash, struct vs_bytes sig, struct vs_err *err);

/* For the ev_*.c files. NULL when libcrypto cannot be used. */
struct ossl_lib_ctx_st *vs_ev_libctx(void);

#endif
