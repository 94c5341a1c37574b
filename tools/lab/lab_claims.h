/* SPDX-License-Identifier: BSD-2-Clause */
/* From verified facts to the members of a token, in the names and types of the real service. */
#ifndef LAB_LAB_CLAIMS_H
#define LAB_LAB_CLAIMS_H

#include <stdint.h>

#include <jansson.h>

#include "lab/lab_evidence.h"

/* The claims of an azurevm token without times and policy; a new object, NULL without memory. */
json_t *lab_claims_azurevm(const struct lab_facts *facts);
/* x-ms-sevsnpvm-* of a report into o. */
void lab_claims_snp(json_t *o, const uint8_t report[1184]);
/* What a policy may ask about: the scalar claims, those of the TEE beside those of the VM. */
json_t *lab_claims_for_policy(const json_t *claims);

struct lab_token_frame {
	const char *issuer;
	int64_t now;
	int64_t life; /* seconds */
	const char *policy_hash;
	const json_t *issued; /* by the policy; or NULL */
	const json_t *policy_signer; /* JWK, or NULL */
};
/* Adds iss, iat, nbf, exp, jti, x-ms-ver, x-ms-policy-hash, x-ms-policy and the issued claims. */
bool lab_claims_frame(json_t *claims, const struct lab_token_frame *frame);

#endif
