/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A key that can be used: built once from bytes, checked for bad material (T-K2), then immutable,
 * counted and shared by threads. Symmetric keys keep their octets in the arena, which must outlive
 * them (a forked child calls vs_ossl_abandon first; then the arena is not touched any more).
 */
#ifndef VS_CRYPTO_PKEY_H
#define VS_CRYPTO_PKEY_H

#include "base/buf.h"
#include "base/keytype.h"
#include "base/secret.h"
#include "vouchsafe/err.h"

struct vs_ossl;
struct vs_pkey;

enum {
	VS_RSA_MIN_BITS = 2048,
	VS_RSA_MAX_BITS = 8192,
	VS_SECRET_KEY_MAX = 4096, /* octets of a generic secret */
	VS_PKCS8_MAX = 16384, /* octets of DER we look at */
};

/* What can be known of a key without having it: enough for output sizes. */
struct vs_key_desc {
	enum vs_key_type type;
	enum vs_curve curve;
	uint32_t bits; /* RSA modulus, EC field, octets * 8 of AES and SECRET */
};

/* Big endian; leading zeros are ignored. EC: x, y. */
struct vs_key_public {
	enum vs_key_type type; /* RSA, EC */
	enum vs_curve curve;
	struct vs_bytes n, e;
	struct vs_bytes x, y;
};

/*
 * RSA: d always; p, q, dp, dq, qi all or none (then recovered from n, e, d). pub.e may be empty
 * only when p and q are given.
 * EC: d is the scalar; pub.x, pub.y may be empty, then the point is computed.
 */
struct vs_key_private {
	struct vs_key_public pub;
	struct vs_bytes d, p, q, dp, dq, qi;
};

struct vs_pkey *vs_pkey_ref(struct vs_pkey *k);
/* The last one frees with clearing. NULL-safe. */
void vs_pkey_unref(struct vs_pkey *k);

/*
 * Make a key from what a release gave: PKCS#8 DER for RSA and EC in each form services use (with
 * or without public key, named curve or explicit parameters, which are normalised to the named
 * curve), raw octets for AES. All checks of T-K2 are made, with one signature and verification.
 * Errors: BAD_KEY (the sentence names the property), KEY_SIZE, CRYPTO, MEMORY.
 */
VS_RC vs_pkey_from_released(struct vs_ossl *o, struct vs_arena *arena, enum vs_key_type type,
	const struct vs_secret *material, struct vs_pkey **ret, struct vs_err *err);
/*
 * The same of octets that our own agent has made such a key of before it handed them over. Every
 * number is checked again here (factors, exponents, CRT values, the point of the scalar, ROCA), so
 * the private part is known to be the public part's; left out is only the signature with its
 * verification, which shows that the factors are prime, that the agent has seen for these very
 * octets, and that a short process would pay for before its first signature.
 */
VS_RC vs_pkey_from_agent(struct vs_ossl *o, struct vs_arena *arena, enum vs_key_type type,
	const struct vs_secret *material, struct vs_pkey **ret, struct vs_err *err);
/* PKCS#8 of whatever asymmetric type it says; same checks. For unwrapped private keys. */
VS_RC vs_pkey_from_pkcs8(
	struct vs_ossl *o, struct vs_bytes der, struct vs_pkey **ret, struct vs_err *err);
VS_RC vs_pkey_from_private(struct vs_ossl *o, const struct vs_key_private *parts,
	struct vs_pkey **ret, struct vs_err *err);
/*
 * RSA public keys down to 1024 bits and e >= 3 are taken for verification of old signatures only if
 * allow_weak; otherwise the same bounds as for private keys hold.
 */
VS_RC vs_pkey_from_public(struct vs_ossl *o, const struct vs_key_public *parts, bool allow_weak,
	struct vs_pkey **ret, struct vs_err *err);
/* SubjectPublicKeyInfo in the form vs_pkey_spki writes: DER, named curve, uncompressed point. */
VS_RC
vs_pkey_from_spki(struct vs_ossl *o, struct vs_bytes der, struct vs_pkey **ret, struct vs_err *err);
/* AES (16, 24, 32 octets) or SECRET (1..VS_SECRET_KEY_MAX): copied into the arena. */
VS_RC vs_pkey_from_octets(struct vs_ossl *o, struct vs_arena *arena, enum vs_key_type type,
	struct vs_bytes octets, struct vs_pkey **ret, struct vs_err *err);

/* e: empty means 65537; otherwise odd, >= 65537, at most 64 bits. */
VS_RC vs_pkey_generate_rsa(struct vs_ossl *o, uint32_t bits, struct vs_bytes e,
	struct vs_pkey **ret, struct vs_err *err);
VS_RC vs_pkey_generate_ec(
	struct vs_ossl *o, enum vs_curve curve, struct vs_pkey **ret, struct vs_err *err);
VS_RC vs_pkey_generate_octets(struct vs_ossl *o, struct vs_arena *arena, enum vs_key_type type,
	size_t n, struct vs_pkey **ret, struct vs_err *err);
/* The public half of a private key as a key of its own. */
VS_RC vs_pkey_public_half(struct vs_pkey *k, struct vs_pkey **ret, struct vs_err *err);

struct vs_key_desc vs_pkey_desc(const struct vs_pkey *k);
bool vs_pkey_is_private(const struct vs_pkey *k); /* private or secret */
struct vs_ossl *vs_pkey_ossl(const struct vs_pkey *k); /* borrowed */

/*
 * Views into the key, valid while it lives: n, e without leading zeros; x, y of fixed field
 * length. Empty for symmetric keys.
 */
struct vs_key_public vs_pkey_public(const struct vs_pkey *k);
/* Equal public parts (leading zeros do not matter). False for any missing part. */
bool vs_pkey_matches_public(const struct vs_pkey *k, const struct vs_key_public *pub);

/* Uncompressed point 04 || x || y, without any DER around it. */
VS_RC vs_pkey_ec_point(const struct vs_pkey *k, struct vs_buf *out, struct vs_err *err);
VS_RC vs_pkey_spki(const struct vs_pkey *k, struct vs_buf *out, struct vs_err *err);
/* For wrapping: PKCS#8 DER (EC: named curve, with public key); octets of a symmetric key. */
VS_RC vs_pkey_export(
	const struct vs_pkey *k, struct vs_arena *arena, struct vs_secret *ret, struct vs_err *err);
/* Private components for readable session objects; views into ret_store. */
VS_RC vs_pkey_private(const struct vs_pkey *k, struct vs_arena *arena, struct vs_secret *ret_store,
	struct vs_key_private *ret, struct vs_err *err);
/* Octets of AES and SECRET, borrowed; empty for others. */
struct vs_bytes vs_pkey_octets(const struct vs_pkey *k);

/* ---- curves ------------------------------------------------------------------------------ */

/* Octets of one coordinate: 32, 48, 66, 32; 0 for none. */
size_t vs_curve_bytes(enum vs_curve c);
uint32_t vs_curve_bits(enum vs_curve c);
/* DER of the curve's OBJECT IDENTIFIER, as CKA_EC_PARAMS holds it. */
struct vs_bytes vs_curve_oid_der(enum vs_curve c);
/* From EC_PARAMS: a named curve's OID or its PrintableString name; NONE when not one of ours. */
enum vs_curve vs_curve_from_params(struct vs_bytes der);
/*
 * The point of a CKA_EC_POINT or an ECDH parameter: raw or wrapped in an OCTET STRING,
 * uncompressed, exact length. Only cuts it; the curve equation is checked when a key is made of it.
 */
VS_RC vs_curve_split_point(enum vs_curve c, struct vs_bytes point, struct vs_bytes *ret_x,
	struct vs_bytes *ret_y, struct vs_err *err);

#endif
