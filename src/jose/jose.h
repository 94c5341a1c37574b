/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Compact JWS with RS256 and nothing else, after the token acceptance profile A1-A9 of the threat
 * model. The algorithm is fixed in the code; the token can only agree with it.
 */
#ifndef VS_JOSE_JOSE_H
#define VS_JOSE_JOSE_H

#include <stdint.h>

#include "base/buf.h"
#include "jose/x509.h"

struct vs_json;

enum {
	VS_JWS_TEXT_MAX = 65536, /* A1, after trailing white space */
	VS_JWS_HEADER_MAX = 4096, /* A4, decoded; release answers have their own limit */
	VS_JWS_RELEASE_MAX = 262144, /* a release answer, with its chain in the header */
	VS_JWKS_TEXT_MAX = 1 << 20,
	VS_JWKS_KEYS_MAX = 256,
	VS_JWKS_SAME_KID_MAX = 8,
	VS_RSA_BYTES_MIN = 256,
	VS_RSA_BYTES_MAX = 1024,
};

/* ---- the text ----------------------------------------------------------------------------- */

/* Where the segments stand in the caller's text, which must outlive this. */
struct vs_jws_parts {
	struct vs_bytes header, payload, signature; /* base64url */
	struct vs_bytes signed_text; /* header "." payload */
};

/* A1: view without trailing space, tab, CR, LF; at most max bytes, none of them NUL or non-ASCII.
 * Errors: REFUSED_FORM. */
VS_RC vs_jws_trim(struct vs_bytes text, size_t max, struct vs_bytes *ret, struct vs_err *err);
/* A2: exactly three non-empty segments. Error: REFUSED_FORM. */
VS_RC vs_jws_split(struct vs_bytes text, struct vs_jws_parts *ret, struct vs_err *err);
/* A3: one segment; which names it in messages. Errors: REFUSED_FORM, LIMIT, MEMORY. */
VS_RC
vs_jws_segment(struct vs_bytes segment, const char *which, struct vs_buf *out, struct vs_err *err);
/* A5: "alg" is the string RS256. Error: REFUSED_SIGNATURE. */
VS_RC vs_jws_check_alg(const struct vs_json *header, struct vs_err *err);
/* A6: no member that changes the meaning of the rest; typ; jku on the issuer's origin (issuer NULL:
 * jku is refused). allow_x5c is for release answers, whose key comes with a chain. Error:
 * REFUSED_FORM. */
VS_RC vs_jws_check_header(
	const struct vs_json *header, const char *issuer, bool allow_x5c, struct vs_err *err);
/* A7: kid is a non-empty string; borrowed from header. Error: REFUSED_SIGNATURE. */
VS_RC vs_jws_kid(const struct vs_json *header, struct vs_bytes *ret, struct vs_err *err);

/* ---- keys --------------------------------------------------------------------------------- */

/* Modulus and exponent, big endian, without leading zero bytes. */
struct vs_rsa_num {
	uint8_t n[VS_RSA_BYTES_MAX];
	size_t n_len;
	uint8_t e[8];
	size_t e_len;
};

/* "n" and "e" of a JWK with kty RSA: strict base64url, 2048 to 8192 bits, odd, e odd and >= 65537.
 * Error: BAD_KEY. */
VS_RC vs_rsa_num_from_jwk(const struct vs_json *jwk, struct vs_rsa_num *ret, struct vs_err *err);
/* The same limits for numbers in hand. */
VS_RC
vs_rsa_num_set(struct vs_bytes n, struct vs_bytes e, struct vs_rsa_num *ret, struct vs_err *err);
bool vs_rsa_num_eq(const struct vs_rsa_num *a, const struct vs_rsa_num *b);

/* A key set; immutable, counted, any thread. */
struct vs_jwks;

/* Reads every entry; one that A8 does not allow is kept only as the reason why it is skipped.
 * Errors: FORMAT, LIMIT, MEMORY when there is no set to use. */
VS_RC vs_jwks_parse(struct vs_bytes text, struct vs_jwks **ret, struct vs_err *err);
struct vs_jwks *vs_jwks_ref(struct vs_jwks *set);
void vs_jwks_unref(struct vs_jwks *set);
void vs_jwks_unrefp(struct vs_jwks **set);
size_t vs_jwks_count(const struct vs_jwks *set);
/* An entry with this kid stands in the set, usable or not. */
bool vs_jwks_has_kid(const struct vs_jwks *set, struct vs_bytes kid);
/* One of them may be used at this time. */
bool vs_jwks_has_usable(const struct vs_jwks *set, struct vs_bytes kid, int64_t at_unix);
/*
 * A7, A8: the keys with this kid that may be used at this time, in order (a set may list one key
 * several times); borrowed from set, at least one. err says why the last other one was skipped.
 * Error: REFUSED_SIGNATURE.
 */
VS_RC vs_jwks_select(const struct vs_jwks *set, struct vs_bytes kid, int64_t at_unix,
	struct evp_pkey_st *ret[VS_JWKS_SAME_KID_MAX], size_t *ret_n, struct vs_err *err);

/*
 * The same keys with the certificates they came in; ret_certs[i] is NULL where an entry has none.
 * Both borrowed. Error: REFUSED_SIGNATURE.
 */
VS_RC vs_jwks_select_certs(const struct vs_jwks *set, struct vs_bytes kid, int64_t at_unix,
	struct evp_pkey_st *ret_keys[VS_JWKS_SAME_KID_MAX],
	const struct vs_cert *ret_certs[VS_JWKS_SAME_KID_MAX], size_t *ret_n, struct vs_err *err);

/* ---- hashes ------------------------------------------------------------------------------- */

VS_RC vs_sha256(struct vs_bytes in, uint8_t out[32], struct vs_err *err);

/* ---- signatures --------------------------------------------------------------------------- */

/* A9 with one key: length equal to the modulus, PKCS#1 v1.5, SHA-256. Errors: REFUSED_SIGNATURE,
 * CRYPTO, MEMORY. */
VS_RC vs_rs256_verify(struct evp_pkey_st *key, struct vs_bytes signed_text,
	struct vs_bytes signature, struct vs_err *err);
/*
 * A release answer (facts: key-release 1.7): compact JWS, RS256, its chain in the header's x5c ends
 * in one of the anchors at this time, leaf for TLS servers and named like the vault's host.
 * payload: the verified bytes, replaced. Nothing is written unless everything holds.
 * Errors: REFUSED_ANSWER with the reason, LIMIT, MEMORY.
 */
VS_RC vs_jws_open_x5c(struct vs_bytes text, const struct vs_certs *anchors, const char *host,
	int64_t at_unix, struct vs_buf *payload, struct vs_err *err);

#endif
