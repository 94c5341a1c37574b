/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The attestation policy language, versions 1.0 to 1.2: parsed and evaluated.
 *
 * Claims are (type, value, valueType, issuer). A condition holds if a claim satisfies all its
 * tests; a name in front of it stands for the set of those claims; conditions are joined by "&&".
 * With "!" in front (1.2) it holds if no claim satisfies all of them.
 * Actions: permit, deny, add, issue, issueproperty. deny wins over permit wherever it stands.
 *
 * Functions (1.2) work on values: a reference stands for the set of the values of all claims that
 * its condition matched. A call whose arguments are not what the function takes makes the whole
 * evaluation fail, which denies; so does issuing a value that comes from read-only claims (PCRs).
 */
#ifndef LAB_LAB_POLICY_H
#define LAB_LAB_POLICY_H

#include <stdbool.h>

#include <jansson.h>

#include "base/buf.h"
#include "vouchsafe/err.h"

struct lab_policy;

enum { LAB_POLICY_MAX = 64 * 1024 };

/* Error: FORMAT with line and column, in the words of the service's PolicyParsingError. */
VS_RC lab_policy_parse(struct vs_bytes text, struct lab_policy **ret, struct vs_err *err);
void lab_policy_free(struct lab_policy *p);

enum lab_decision {
	LAB_DENY_NO_PERMIT = 0, /* no permit was issued */
	LAB_DENY, /* a deny was issued */
	LAB_PERMIT,
	LAB_DENY_LIMIT, /* too many claims */
	LAB_DENY_ERROR, /* an expression has no value; error says why */
};

struct lab_policy_result {
	enum lab_decision decision;
	char denied_by[160]; /* text of the rule that denied */
	char error[160];
	json_t *issued; /* object, or NULL when nothing was issued */
	json_t *properties; /* the same */
};
void lab_policy_result_done(struct lab_policy_result *r);

/*
 * claims: an object; string, integer and boolean members are claims of the service, arrays of them
 * several claims of one type. One named "pcrs" is read-only. custom: the same, sent by a client, or
 * NULL; their issuer is CustomClaim.
 */
VS_RC lab_policy_run(const struct lab_policy *p, const json_t *claims, const json_t *custom,
	struct lab_policy_result *ret, struct vs_err *err);

/* x-ms-policy-hash: base64url(SHA-256(base64url(text))). */
VS_RC lab_policy_hash(struct vs_bytes text, struct vs_buf *out, struct vs_err *err);

#endif
