/* SPDX-License-Identifier: BSD-2-Clause */
/* One run of the table of checks; private to src/attest and its mutation test. */
#ifndef VS_ATTEST_VALIDATE_RUN_H
#define VS_ATTEST_VALIDATE_RUN_H

#include "attest/validate.h"
#include "jose/json.h"

/* What the checks hand on to those after them. Nothing of claims is set before A9 has passed. */
struct vs_run {
	const struct vs_validate_in *in;
	char issuer[512]; /* configured, one trailing slash dropped */
	struct vs_bytes text; /* A1 */
	struct vs_jws_parts parts; /* A2 */
	struct vs_buf header_bytes, payload, signature; /* A3 */
	struct vs_json *header; /* A4 */
	struct vs_bytes kid; /* A7 */
	struct evp_pkey_st *keys[VS_JWKS_SAME_KID_MAX]; /* A8 */
	size_t n_keys;
	struct vs_json *claims; /* A4, after A9 */
	struct vs_policy_report report;
	bool has_report;
};

struct vs_check_row;
typedef vs_rc vs_check_fn(struct vs_run *run, const struct vs_check_row *row,
	struct vs_check *check, struct vs_err *err);

/*
 * One check. It passes by returning VS_OK. It refuses with an error of category POLICY, PROTOCOL
 * or CRYPTO's BAD_KEY, or LIMIT; anything else ends the whole run as an error. It may fill expected
 * and seen. check->rule = NULL: there was nothing to check, no line in the verdict.
 */
struct vs_check_row {
	const char *rule, *name;
	enum vs_code code; /* of the refusal */
	bool stop; /* later checks depend on it */
	vs_check_fn *fn;
	const void *arg;
};

extern const struct vs_check_row vs_check_rows[];
extern const size_t vs_check_rows_n;

#ifdef VS_TEST_REMOVE_CHECK
/* The mutation test replaces one row's function, NULL for as it is. */
extern vs_check_fn *vs_test_instead(size_t row);
#endif

vs_check_fn vs_check_text, vs_check_segments, vs_check_base64, vs_check_header_json, vs_check_alg,
	vs_check_header, vs_check_kid, vs_check_key, vs_check_signature, vs_check_claims_json;
vs_check_fn vs_check_issuer, vs_check_expiry, vs_check_not_before, vs_check_issued_at,
	vs_check_lifetime, vs_check_audience, vs_check_type, vs_check_version, vs_check_nonce;
vs_check_fn vs_check_tee_object, vs_check_floor, vs_check_own_key, vs_check_world, vs_check_policy;

/*
 * After the policy was evaluated: the next condition for this issuer that does not hold, from
 * result *at on, as expected and seen. False when there is none any more.
 */
bool vs_check_policy_more(const struct vs_run *run, size_t *at, struct vs_check *ret);

/* A claim that must have one value wherever it stands. */
struct vs_floor {
	const char *claim;
	enum vs_json_kind kind; /* BOOL: false; INT: 0; STRING: "disabled" */
	bool in_tee; /* inside x-ms-isolation-tee, else at the top level */
};

#endif
