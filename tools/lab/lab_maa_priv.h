/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside the attestation service; for lab_maa*.c. */
#ifndef LAB_LAB_MAA_PRIV_H
#define LAB_LAB_MAA_PRIV_H

#include <pthread.h>

#include "lab/lab.h"
#include "lab/lab_evidence.h"
#include "lab/lab_maa.h"
#include "lab/lab_maa_key.h"
#include "lab/lab_policy.h"

enum lab_tee_type {
	LAB_TEE_AZURE_GUEST,
	LAB_TEE_SEV_SNP_VM,
	LAB_TEE_TDX_VM,
	LAB_TEE_SGX_ENCLAVE,
	LAB_TEE_OPEN_ENCLAVE,
	LAB_TEE_TPM,
	LAB_TEE_COUNT_,
};
/* Path elements are matched without case, as the service does. */
enum lab_tee_type lab_tee_parse(const char *name);
const char *lab_tee_name(enum lab_tee_type t);

struct lab_maa_policy {
	char *text; /* NULL: the default */
	char *jws; /* as it was put; NULL: the unsigned form of text */
	json_t *signer; /* JWK, or NULL */
};

/* Who may change policies: nobody, who has a bearer, who also has a policy certificate's key. */
enum lab_trust { LAB_TRUST_SHARED, LAB_TRUST_AAD, LAB_TRUST_ISOLATED };

enum { LAB_POLICY_CERTS_MAX = 16, LAB_TOKEN_LIFE_S = 28800 };

/* One provider. All providers of a lab have the same keys; only iss tells their tokens apart. */
struct lab_maa {
	struct lab *lab;
	enum lab_service service; /* whose URL is the issuer */
	enum lab_trust trust;
	struct lab_maa_keys keys; /* under key_lock */
	pthread_rwlock_t key_lock;
	bool jwk_full;
	pthread_mutex_t lock; /* policies, certificates, jwk_full, last_answer */
	struct vs_buf last_answer; /* for a replay */
	struct lab_maa_policy policy[LAB_TEE_COUNT_];
	json_t *policy_certs; /* array of DER in base64 */
	uint8_t context_key[32]; /* protects what the Tpm protocol leaves with clients */
	struct lab_maa *next; /* of the primary: the lab's other providers */
};
const char *lab_maa_issuer(const struct lab_maa *maa);

/* The text in force; a copy to free. */
char *lab_maa_policy_text(struct lab_maa *maa, enum lab_tee_type t, json_t **signer);

/* What an attest call did not want: for {"error":{...}}. */
struct lab_maa_error {
	int status;
	char code[48], inner[48], message[1024];
};
__attribute__((format(printf, 4, 5))) bool
lab_maa_fail(struct lab_maa_error *e, int status, const char *code, const char *fmt, ...);

/*
 * The policy in force, or draft, over claims and those that a client sent of its own (or NULL).
 * result and signer are the caller's to free, whatever comes back. lab_maa_verdict: what the result
 * means for the call.
 */
bool lab_maa_run_policy(struct lab_maa *maa, enum lab_tee_type t, const json_t *claims,
	const json_t *custom, const char *draft, struct lab_policy_result *result, char hash[64],
	json_t **signer, struct lab_maa_error *e);
bool
lab_maa_verdict(const struct lab_policy_result *r, enum lab_tee_type t, struct lab_maa_error *e);

/*
 * Policy and signature around claims, which get the frame. draft: text to use instead of the
 * policy in force; the token is then unsecured. False: e says why.
 */
bool lab_maa_issue(struct lab_maa *maa, enum lab_tee_type t, json_t *claims, const char *draft,
	int64_t now, struct vs_buf *token, struct lab_maa_error *e);

/* The service's signature, or what `tamper token` asked for instead. */
VS_RC lab_maa_sign_token(struct lab_maa *maa, json_t *claims, bool unsecured, struct vs_buf *out);

/* Verified facts about the text inside AttestationInfo. */
bool lab_maa_verify_guest(struct lab_maa *maa, struct vs_bytes info, struct lab_facts *facts,
	struct lab_maa_error *e);

/* A check of the evidence said no; always false. */
bool lab_maa_refused(struct lab_maa_error *e, const struct lab_refusal *why);

/* A member of an object; names are matched without case, as the service does. */
const json_t *lab_maa_member(const json_t *o, const char *name);
/* A member that is base64, of either alphabet. */
bool lab_maa_bytes(const json_t *body, const char *name, struct vs_buf *out);

/* lab_maa_data.c: runtimeData or initTimeData. Zero-initialise. */
struct lab_maa_data {
	bool there, json;
	struct vs_buf bytes;
};
void lab_maa_data_done(struct lab_maa_data *d);
bool lab_maa_data_read(
	const json_t *body, const char *name, struct lab_maa_data *d, struct lab_maa_error *e);
/* Whether the evidence has the data's SHA-256, if there are data. */
bool lab_maa_data_bound(const struct lab_maa_data *d, const uint8_t hash[32], enum lab_check check,
	struct lab_maa_error *e);
/* JSON data as a claim. */
bool lab_maa_data_claim(const struct lab_maa_data *d, const char *name, const char *claim,
	json_t *claims, struct lab_maa_error *e);
void lab_maa_nonce(const json_t *body, json_t *claims);
/* The text of draftPolicyForAttestation, given as text or as JWS. */
bool lab_maa_draft(const json_t *body, struct vs_buf *text, bool *there, struct lab_maa_error *e);

/* lab_maa_quote.c: SgxEnclave, OpenEnclave, TdxVm. */
bool lab_maa_attest_quote(struct lab_maa *maa, enum lab_tee_type t, const json_t *body,
	struct vs_buf *token, struct lab_maa_error *e);

/* What a verified quote says. */
bool lab_maa_quote_claims(
	enum lab_tee_type t, const json_t *body, json_t *claims, struct lab_maa_error *e);

/* lab_maa_preview.c: enclaves' quotes in the API of 2018. */
#define LAB_MAA_PREVIEW "2018-09-01-preview"
bool lab_maa_is_preview(const char *type, const char *version);
bool lab_maa_attest_preview(struct lab_maa *maa, const struct lab_req *req, const char *type,
	const json_t *body, struct vs_buf *token, struct lab_maa_error *e);
/* What a caller without a bearer is told beside the error. */
void lab_maa_preview_challenge(const struct lab_maa *maa, struct lab_resp *resp);

/* lab_maa_tpm.c: challenge and report. */
bool lab_maa_attest_tpm(struct lab_maa *maa, const struct lab_req *req, const json_t *body,
	struct vs_buf *data, struct lab_maa_error *e);

/* lab_maa_snp.c: claims of a bare SNP report. */
bool lab_maa_attest_snp(
	struct lab_maa *maa, const json_t *body, struct vs_buf *token, struct lab_maa_error *e);

/* lab_maa_policy.c: /policies/{type}, /policies/{type}:reset; false: not one of these. */
bool lab_maa_policies(struct lab_maa *maa, const struct lab_req *req, struct lab_resp *resp);

/* The policy text inside a compact JWS, whose signature is not looked at. */
bool lab_maa_jws_policy(const char *jws, struct vs_buf *text, struct lab_maa_error *e);

/* lab_maa_jws.c: a compact JWS that a client sent, taken apart. Zero-initialise. */
struct lab_maa_jws {
	struct vs_bytes text, signed_part; /* header.payload */
	json_t *header, *payload; /* payload NULL: empty */
	struct vs_buf sig;
};
void lab_maa_jws_done(struct lab_maa_jws *j);
bool lab_maa_jws_open(struct vs_bytes text, struct lab_maa_jws *j);
/* RS256 by the first certificate of x5c, which must be a CA's; *signer gets its JWK (a new one). */
bool lab_maa_jws_signer(const struct lab_maa_jws *j, json_t **signer);
/* Whether the JWS is unsecured: alg none and no signature. */
bool lab_maa_jws_unsigned(const struct lab_maa_jws *j);

/* lab_maa_certs.c: /certificates and :add, :remove; false: not one of these. */
bool lab_maa_certificates(struct lab_maa *maa, const struct lab_req *req, struct lab_resp *resp);
/* The isolated provider's first policy certificate; its key into D/secrets/policy-signer.pem. */
VS_RC lab_maa_first_cert(struct lab_maa *maa, EVP_PKEY *key, struct vs_err *err);
/* Whether a signer's JWK names one of the provider's certificates. */
bool lab_maa_knows_signer(struct lab_maa *maa, const json_t *signer);

/* The token that answers calls about policies and certificates; takes claims' members over. */
bool
lab_maa_result(struct lab_maa *maa, json_t *claims, struct vs_buf *out, struct lab_maa_error *e);
#define LAB_MAA_AUDIENCE "https://attest.azure.net"
/* A bearer for the service. */
bool lab_maa_allowed(struct lab_maa *maa, const struct lab_req *req, struct lab_maa_error *e);

void lab_maa_answer_error(struct lab_resp *resp, const struct lab_maa_error *e);

#endif
