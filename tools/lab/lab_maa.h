/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lab's attestation service: routes, policies, token signing. It believes nothing that
 * lab_evidence.c did not verify.
 */
#ifndef LAB_LAB_MAA_H
#define LAB_LAB_MAA_H

#include <stdbool.h>

#include "base/buf.h"
#include "lab/lab_http.h"
#include "vouchsafe/err.h"

struct lab;
struct lab_maa;
struct evp_pkey_st;

/*
 * Makes the signing keys. lab->machine must have been started (its roots are the trusted ones) and
 * lab->url[LAB_MAA] be set: it is the issuer. Errors: CRYPTO, MEMORY.
 */
VS_RC lab_maa_new(struct lab *lab, struct lab_maa **ret, struct vs_err *err);
void lab_maa_free(struct lab_maa *maa);
/*
 * The region's shared provider, whose policies nobody can change, and an isolated one, which takes
 * policies that signer's key signed; certificate and key go to D/secrets/policy-signer.pem. Both
 * have the keys of maa, as all providers of a region do. Their URLs must be set.
 */
VS_RC lab_maa_add_providers(struct lab_maa *maa, struct evp_pkey_st *signer, struct vs_err *err);
/* A new signing key for all providers; the old one stays in the key set unless forgotten. */
VS_RC lab_maa_rotate(struct lab_maa *maa, bool forget, struct vs_err *err);

/*
 * POST /attest/{type}, GET /certs, GET /.well-known/openid-configuration, /policies/{type},
 * /certificates.
 * Uses lab->maa.
 */
lab_handler lab_maa_handle;

/*
 * A token about the lab's machine as it is now: the lab collects and verifies evidence like a
 * guest would. expired: ended an hour ago. software_key: out is a JSON object {"token",
 * "private_key_pem"} and x-ms-runtime.keys names that key instead of one in the TPM; otherwise
 * out is the compact token. Errors: what verification says (REFUSED_ATTESTATION), TPM, CRYPTO.
 */
VS_RC lab_maa_token(struct lab_maa *maa, bool expired, bool software_key, struct vs_buf *out,
	struct vs_err *err);

/* "AzureGuest", "SevSnpVm", ... : replace the policy; text NULL restores the default. */
VS_RC
lab_maa_set_policy(struct lab_maa *maa, const char *type, const char *text, struct vs_err *err);

/* The key set's shape: false is the one until 2023 (x5c, kid, kty), true the one of 2026. */
void lab_maa_set_jwk_full(struct lab_maa *maa, bool full);

#endif
