/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One attestation and the releases that follow, as blocking calls for a worker thread. Everything
 * that talks for one token hangs off a struct vs_services: HTTP, credential, signer snapshot,
 * evidence provider, vault. Inside, independent requests overlap: never more than three service
 * answers in sequence (identity token beside hardware certificates; attest; release).
 */
#ifndef VS_GATE_ATTEMPT_H
#define VS_GATE_ATTEMPT_H

#include "base/secret.h"
#include "conf/conf.h"
#include "proto/catalog.h"
#include "vouchsafe/ports.h"
#include "vouchsafe/provider.h"

struct vs_services;

struct vs_services_env {
	const struct vs_conf *conf; /* borrowed; outlives the services */
	const struct vs_conf_token *token;
	struct vs_arena *arena;
	struct vs_clock clock;
	struct vs_rng rng;
	struct vs_log log;
	struct vs_http http; /* shared by all tokens of a process */
};

/*
 * Builds credential and trust caches; no network, no TPM. The policy file is read by the first
 * attempt, so that one that cannot be read is an attempt that is refused, and recorded as such.
 */
VS_RC
vs_services_new(const struct vs_services_env *env, struct vs_services **ret, struct vs_err *err);
void vs_services_free(struct vs_services *s);

/* What one accepted attestation is. Counted, because leases and renewals overlap. */
struct vs_attestation {
	unsigned refs;
	struct vs_buf token; /* the JWS as received: confidential, never logged */
	struct vs_buf claims; /* its payload, JSON text as signed */
	struct vs_verdict verdict;
	char issuer[256], kid[128], jti[80];
	char policy_sha256[65]; /* of the local policy file's bytes, hex */
	char service_policy_hash[64]; /* x-ms-policy-hash */
	char token_sha256[65];
	int64_t iat_unix, exp_unix;
	int64_t policy_max_lease_s; /* the policy's own limit; 0: none */
	int64_t made_boot_ns;
	uint32_t reset_count, restart_count;
	char request_id[80]; /* of the attest call */
	struct vs_evidence_src evidence; /* holds the transport key in the TPM */
};
struct vs_attestation *vs_attestation_ref(struct vs_attestation *a);
void vs_attestation_unref(struct vs_attestation *a); /* last one closes the evidence source */

/*
 * Attest now: fresh nonce, fresh transport key, MAA, local validation (A1-A18, T-A2, floor,
 * policy). On refusal *ret_verdict holds every check that was made; it is always written.
 * Fallback providers are tried in order on CONNECT, TIMEOUT, UNAVAILABLE within the deadline.
 */
VS_RC vs_services_attest(struct vs_services *s, int64_t deadline_boot_ns,
	struct vs_attestation **ret, struct vs_verdict *ret_verdict, struct vs_err *err);

struct vs_release_info {
	char kid[512]; /* full identifier with version, as released */
	char enc[32];
	/* Of the release policy stored with the key: its canonical form, or its text as it came. */
	char policy_sha256[65];
	bool policy_known; /* its form is one that we understand */
	bool policy_immutable;
	char request_id[80];
};

/*
 * Release one key with a live attestation and unwrap it: JWS check, RSA-OAEP inside the TPM,
 * AES-KWP, private part matches `entry`'s public part. ret: PKCS#8 DER, or raw octets for AES.
 * Errors: REFUSED_RELEASE, REFUSED_ANSWER, REFUSED_KEY, REFUSED_BINDING, REFUSED_ACCESS, KEY_GONE,
 * REMOTE ones.
 */
VS_RC vs_services_release(struct vs_services *s, struct vs_attestation *a,
	const struct vs_cat_entry *entry, int64_t deadline_boot_ns, struct vs_secret *ret,
	struct vs_release_info *ret_info, struct vs_err *err);

/* The token's public data, from the vault's metadata (list, get) and configured certificates. */
VS_RC vs_services_catalog(struct vs_services *s, int64_t deadline_boot_ns,
	struct vs_catalog_data **ret, struct vs_err *err);

/* Reset and restart counts of the TPM now; a change ends all leases. */
VS_RC vs_services_tpm_counts(
	struct vs_services *s, uint32_t *ret_reset, uint32_t *ret_restart, struct vs_err *err);

#endif
