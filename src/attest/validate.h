/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The decision "this token proves what we need", as one ordered const table of checks: rules A1-A17
 * of the threat model, then our own key in the token (T-A2), lab or production (T-L1), and the
 * local policy. `vouchsafe token verify` and the gate run the same table. No network, no clock, no
 * environment: the same inputs give the same verdict.
 */
#ifndef VS_ATTEST_VALIDATE_H
#define VS_ATTEST_VALIDATE_H

#include <stdint.h>

#include "conf/policy.h"
#include "jose/jose.h"
#include "vouchsafe/provider.h"

enum vs_token_world {
	VS_WORLD_PRODUCTION = 0, /* a token with the lab's mark is refused */
	VS_WORLD_LAB, /* a token without it is refused */
	VS_WORLD_EITHER, /* checking a file by hand against a loopback issuer */
};

struct vs_validate_in {
	struct vs_bytes token; /* the text as received */
	const struct vs_jwks *jwks; /* the issuer's keys */
	const char *issuer; /* configured; one trailing slash is dropped */
	const struct vs_policy *policy; /* NULL denies */
	struct vs_bytes nonce; /* expected bytes (azurevm) */
	struct vs_bytes nonce_alt; /* second reading of the same, or n = 0 */
	struct vs_bytes nonce_text; /* as text, for other types of token; n = 0 denies those */
	int64_t at_unix;
	int64_t skew_s; /* allowance, 0 to 60 */
	enum vs_token_world world;
	const struct vs_rsa_num *key; /* our transport key; NULL: not asked (a file by hand) */
};

/* What an accepted token says. Texts are cut copies for records, not for decisions. */
struct vs_token_facts {
	struct vs_buf claims; /* the payload, exactly the bytes that were signed */
	char issuer[256], kid[128], jti[80];
	char type[32]; /* x-ms-attestation-type */
	char service_policy_hash[64]; /* x-ms-policy-hash, or empty */
	char token_sha256[65]; /* of the trimmed text, hex */
	int64_t iat_unix, nbf_unix, exp_unix;
};
void vs_token_facts_done(struct vs_token_facts *facts);

/*
 * Run the table. verdict is always written (also on failure, with every check that ran). Form,
 * signature and signer stop at the first refusal, because nothing unsigned is looked at; all later
 * checks run to the end. facts is written on success only; report may be NULL, and is filled as
 * soon as the policy was evaluated. Errors: the category POLICY code of the first refusal
 * (REFUSED_FORM, _SIGNATURE, _CLAIMS, _FLOOR, _POLICY, _BINDING), its sentence naming the rule;
 * MEMORY, CRYPTO, INTERNAL.
 */
VS_RC vs_validate(const struct vs_validate_in *in, struct vs_token_facts *facts,
	struct vs_verdict *verdict, struct vs_policy_report *report, struct vs_err *err);

/* The kid that a token names, unverified, to ask whether the key set at hand knows it. */
VS_RC vs_token_peek_kid(struct vs_bytes token, char *out, size_t out_size, struct vs_err *err);

/* The two readings of a nonce argument: its own bytes; if it is an even number of hex digits, also
 * what they denote, appended to hex (in->nonce_alt then points there). */
VS_RC vs_nonce_from_text(
	const char *text, struct vs_buf *hex, struct vs_validate_in *in, struct vs_err *err);

#endif
