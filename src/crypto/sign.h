/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signatures and MACs, both directions, as prepared contexts: made once for a key and a set of
 * parameters, then used for any number of messages without allocation. One thread at a time.
 */
#ifndef VS_CRYPTO_SIGN_H
#define VS_CRYPTO_SIGN_H

#include "crypto/hash.h"
#include "crypto/pkey.h"

struct vs_signer;

enum vs_sign_scheme {
	VS_SIGN_NONE = 0,
	VS_SIGN_RSA_PKCS1, /* hash NONE: input is the DigestInfo (at most k-11 octets) */
	VS_SIGN_RSA_PSS, /* hash NONE: input is the digest of pss_hash */
	VS_SIGN_RSA_RAW, /* input at most k octets, left-padded with zeros, below n; hash NONE */
	VS_SIGN_ECDSA, /* r || s of fixed width; hash NONE: input is a digest */
	VS_SIGN_HMAC, /* hash is the HMAC's */
	VS_SIGN_CMAC, /* AES */
	VS_SIGN_COUNT_,
};

enum { VS_SIGN_MAX_BYTES = 1024 }; /* longest signature: RSA-8192 */

struct vs_sign_params {
	enum vs_sign_scheme scheme;
	enum vs_hash hash; /* of the message, computed here */
	enum vs_hash pss_hash; /* PSS: must equal hash where that is given */
	enum vs_hash mgf_hash; /* PSS */
	uint32_t salt_bytes; /* PSS */
	uint32_t mac_bytes; /* HMAC, CMAC: length of the output, 0 is the full one */
};

/*
 * Whether these parameters fit such a key; nothing but the description is needed.
 * Errors: PARAM, KEY_KIND, KEY_SIZE (salt and digest do not fit the modulus).
 */
VS_RC vs_sign_check(
	const struct vs_key_desc *desc, const struct vs_sign_params *params, struct vs_err *err);
/* Length of the signature, fixed for a key and parameters; 0 when they do not fit. */
size_t vs_sign_size(const struct vs_key_desc *desc, const struct vs_sign_params *params);

/*
 * verify  false makes signatures (key is private or secret), true checks them
 * Errors: as vs_sign_check; KEY_KIND when a private key is needed and this is none; CRYPTO, MEMORY.
 */
VS_RC vs_signer_new(struct vs_pkey *key, const struct vs_sign_params *params, bool verify,
	struct vs_signer **ret, struct vs_err *err);
/* Clears and frees. NULL-safe. */
void vs_signer_free(struct vs_signer *s);
/* Prepared for exactly this: then it can be used again instead of making a new one. */
bool vs_signer_fits(const struct vs_signer *s, const struct vs_pkey *key,
	const struct vs_sign_params *params, bool verify);
size_t vs_signer_size(const struct vs_signer *s);

/* A new message; also after a failure or an abandoned one. */
VS_RC vs_signer_start(struct vs_signer *s, struct vs_err *err);
/* Errors: DATA_LEN when hash is NONE and more comes than can be signed; STATE. */
VS_RC vs_signer_update(struct vs_signer *s, struct vs_bytes in, struct vs_err *err);
/* out has room for cap >= vs_signer_size() octets. Errors: ROOM, DATA_LEN, CRYPTO, STATE. */
VS_RC
vs_signer_sign(struct vs_signer *s, uint8_t *out, size_t cap, size_t *ret_n, struct vs_err *err);
/* Errors: SIGNATURE, SIGNATURE_LEN, DATA_LEN, CRYPTO, STATE. */
VS_RC vs_signer_verify(struct vs_signer *s, struct vs_bytes sig, struct vs_err *err);
/* start, update and sign or verify in one. out may be where in is. */
VS_RC vs_signer_sign_once(struct vs_signer *s, struct vs_bytes in, uint8_t *out, size_t cap,
	size_t *ret_n, struct vs_err *err);
VS_RC vs_signer_verify_once(
	struct vs_signer *s, struct vs_bytes in, struct vs_bytes sig, struct vs_err *err);

#endif
