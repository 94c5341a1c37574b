/* SPDX-License-Identifier: BSD-2-Clause */
/* Signing keys of the attestation service, its key set, its tokens. */
#ifndef LAB_LAB_MAA_KEY_H
#define LAB_LAB_MAA_KEY_H

#include <stdbool.h>

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "vouchsafe/err.h"

enum lab_maa_key_kind {
	LAB_KEY_SHORT, /* 1024 bits, as in the real key sets until 2025; first, as a trap */
	LAB_KEY_GOOD, /* signs */
	LAB_KEY_EXPIRED, /* its certificate ended yesterday */
	LAB_KEY_OLD, /* signed until the last rotation; empty before it, or forgotten */
	LAB_KEYS_COUNT_,
};

struct lab_maa_key {
	EVP_PKEY *key;
	X509 *cert;
	char kid[48];
};

struct lab_maa_keys {
	struct lab_maa_key key[LAB_KEYS_COUNT_];
	/* The key with a chain to a root of its own, the same for all providers: signs Tpm tokens.
	 */
	struct lab_maa_key chained;
	X509 *chain_ca, *chain_root;
};

/* issuer: the provider's URL, subject of the certificates. same: whose keys to use, or NULL. */
VS_RC lab_maa_keys_make(const char *issuer, const struct lab_maa_keys *same,
	struct lab_maa_keys *ret, struct vs_err *err);
/* key signs from now on. */
VS_RC lab_maa_keys_rotate(
	struct lab_maa_keys *k, const char *issuer, EVP_PKEY *key, bool forget, struct vs_err *err);
void lab_maa_keys_done(struct lab_maa_keys *k);

/* A key that is in no key set: only key and kid. */
VS_RC lab_maa_key_unknown(struct lab_maa_key *ret, struct vs_err *err);

/* {"keys":[...]}; full adds alg, use, n, e as in 2026. A new object, NULL without memory. */
json_t *lab_maa_jwks(const struct lab_maa_keys *k, bool full);

/* Compact RS256 token; members of claims come out sorted. */
VS_RC lab_maa_sign(const struct lab_maa_key *key, const char *issuer, const json_t *claims,
	struct vs_buf *out, struct vs_err *err);
/*
 * The Tpm token: a header with the chain, or with its thumbprint, and no jku; members of claims
 * stay in their order.
 */
VS_RC lab_maa_sign_chained(const struct lab_maa_keys *keys, const json_t *claims, bool omit_x5c,
	struct vs_buf *out, struct vs_err *err);
/* The unsecured token of a draft policy: alg none, empty signature. */
VS_RC lab_maa_unsecured(const struct lab_maa_key *key, const char *issuer, const json_t *claims,
	struct vs_buf *out, struct vs_err *err);

/* The envelope of an AzureGuest answer around a token, for the key with modulus n. */
VS_RC lab_maa_envelope(
	struct vs_bytes token, const uint8_t n[256], struct vs_buf *out, struct vs_err *err);

#endif
