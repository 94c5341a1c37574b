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

struct lab_maa {
	struct lab *lab;
	struct lab_maa_keys keys;
	bool jwk_full;
	pthread_mutex_t lock; /* policies, jwk_full, last_answer */
	struct vs_buf last_answer; /* for a replay */
	struct lab_maa_policy policy[LAB_TEE_COUNT_];
};

/* The text in force; a copy to free. */
char *lab_maa_policy_text(struct lab_maa *maa, enum lab_tee_type t, json_t **signer);

/* What an attest call did not want: for {"error":{...}}. */
struct lab_maa_error {
	int status;
	char code[48], inner[48], message[512];
};
__attribute__((format(printf, 4, 5))) bool
lab_maa_fail(struct lab_maa_error *e, int status, const char *code, const char *fmt, ...);

/*
 * Policy and signature around claims, which get the frame. draft: text to use instead of the
 * policy in force; the token is then unsecured. False: e says why.
 */
bool lab_maa_issue(struct lab_maa *maa, enum lab_tee_type t, json_t *claims, const char *draft,
	int64_t now, struct vs_buf *token, struct lab_maa_error *e);

/* A check of the evidence said no; always false. */
bool lab_maa_refused(struct lab_maa_error *e, const struct lab_refusal *why);

/* lab_maa_snp.c: claims of a bare SNP report. */
bool lab_maa_attest_snp(
	struct lab_maa *maa, const json_t *body, struct vs_buf *token, struct lab_maa_error *e);

/* lab_maa_policy.c: /policies/{type}, /policies/{type}:reset; false: not one of these. */
bool lab_maa_policies(struct lab_maa *maa, const struct lab_req *req, struct lab_resp *resp);

void lab_maa_answer_error(struct lab_resp *resp, const struct lab_maa_error *e);

#endif
