/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of checks, and the one loop that runs it. */
#include "attest/validate.h"

#include <stdio.h>
#include <string.h>

#include "attest/validate_run.h"
#include "base/codec.h"

#define FLOOR(claim_, kind_, in_tee_) \
	{ \
		"A15", claim_ in_tee_##_WHERE, VS_E_REFUSED_FLOOR, false, vs_check_floor, \
			&(const struct vs_floor) \
		{ \
			claim_, VS_JSON_##kind_, in_tee_##_FLAG \
		} \
	}
#define TOP_WHERE ""
#define TOP_FLAG false
#define TEE_WHERE " (hardware)"
#define TEE_FLAG true

/* clang-format off */
const struct vs_check_row vs_check_rows[] = {
	{"A1", "text", VS_E_REFUSED_FORM, true, vs_check_text, NULL},
	{"A2", "segments", VS_E_REFUSED_FORM, true, vs_check_segments, NULL},
	{"A3", "base64url", VS_E_REFUSED_FORM, true, vs_check_base64, NULL},
	{"A4", "header is JSON", VS_E_REFUSED_FORM, true, vs_check_header_json, NULL},
	{"A5", "algorithm", VS_E_REFUSED_SIGNATURE, true, vs_check_alg, NULL},
	{"A6", "header members", VS_E_REFUSED_FORM, true, vs_check_header, NULL},
	{"A7", "key identifier", VS_E_REFUSED_SIGNATURE, true, vs_check_kid, NULL},
	{"A8", "signing key", VS_E_REFUSED_SIGNATURE, true, vs_check_key, NULL},
	{"A9", "signature", VS_E_REFUSED_SIGNATURE, true, vs_check_signature, NULL},
	{"A4", "claims are JSON", VS_E_REFUSED_FORM, true, vs_check_claims_json, NULL},

	{"A10", "issuer", VS_E_REFUSED_CLAIMS, false, vs_check_issuer, NULL},
	{"A11", "expiry", VS_E_REFUSED_CLAIMS, false, vs_check_expiry, NULL},
	{"A11", "not before", VS_E_REFUSED_CLAIMS, false, vs_check_not_before, NULL},
	{"A11", "time of issue", VS_E_REFUSED_CLAIMS, false, vs_check_issued_at, NULL},
	{"A11", "lifetime", VS_E_REFUSED_CLAIMS, false, vs_check_lifetime, NULL},
	{"A12", "audience", VS_E_REFUSED_CLAIMS, false, vs_check_audience, NULL},
	{"A13", "attestation type", VS_E_REFUSED_CLAIMS, false, vs_check_type, NULL},
	{"A13", "schema version", VS_E_REFUSED_CLAIMS, false, vs_check_version, NULL},
	{"A14", "nonce", VS_E_REFUSED_CLAIMS, false, vs_check_nonce, NULL},
	{"A15", "hardware claims", VS_E_REFUSED_FLOOR, false, vs_check_tee_object, NULL},
	FLOOR("x-ms-sevsnpvm-is-debuggable", BOOL, TOP),
	FLOOR("x-ms-sevsnpvm-is-debuggable", BOOL, TEE),
	FLOOR("x-ms-sevsnpvm-migration-allowed", BOOL, TOP),
	FLOOR("x-ms-sevsnpvm-migration-allowed", BOOL, TEE),
	FLOOR("tdx_td_attributes_debug", BOOL, TOP),
	FLOOR("tdx_td_attributes_debug", BOOL, TEE),
	FLOOR("x-ms-sgx-is-debuggable", BOOL, TOP),
	FLOOR("x-ms-sgx-is-debuggable", BOOL, TEE),
	FLOOR("x-ms-sevsnpvm-vmpl", INT, TOP),
	FLOOR("x-ms-sevsnpvm-vmpl", INT, TEE),
	FLOOR("dbgstat", STRING, TOP),
	FLOOR("dbgstat", STRING, TEE),
	{"T-A2", "our key in the token", VS_E_REFUSED_BINDING, false, vs_check_own_key, NULL},
	{"T-L1", "lab or production", VS_E_REFUSED_CLAIMS, false, vs_check_world, NULL},
	{"A16", "policy", VS_E_REFUSED_POLICY, false, vs_check_policy, NULL},
};
/* clang-format on */
const size_t vs_check_rows_n = sizeof vs_check_rows / sizeof vs_check_rows[0];
_Static_assert(sizeof vs_check_rows / sizeof vs_check_rows[0] <= VS_VERDICT_CHECKS_MAX,
	"every check has its line in a verdict");

/* ---- running ------------------------------------------------------------------------------ */

static void
run_done(struct vs_run *run)
{
	vs_buf_done(&run->header_bytes);
	vs_buf_done(&run->payload);
	vs_buf_done(&run->signature);
	vs_json_free(run->header);
	vs_json_free(run->claims);
	vs_policy_report_done(&run->report);
}

/* The check has an opinion; anything else means that it could not be made. */
static bool
is_refusal(enum vs_code code)
{
	const enum vs_cat cat = vs_code_cat(code);
	return cat == VS_CAT_POLICY || cat == VS_CAT_PROTOCOL || code == VS_E_BAD_KEY ||
		code == VS_E_LIMIT;
}

static vs_rc
call(size_t i, struct vs_run *run, struct vs_check *check, struct vs_err *err)
{
	const struct vs_check_row *row = &vs_check_rows[i];
	vs_check_fn *fn = row->fn;
#ifdef VS_TEST_REMOVE_CHECK
	if (vs_test_instead(i) != NULL)
		fn = vs_test_instead(i);
#endif
	return fn(run, row, check, err);
}

/* Behind the line of the policy itself: each further condition that does not hold. */
static void
add_conditions(const struct vs_run *run, struct vs_verdict *verdict)
{
	const struct vs_check *first = &verdict->checks[verdict->n_checks - 1];
	struct vs_check more = {.rule = first->rule, .name = "policy condition"};
	size_t at = 0;
	if (first->passed || run->report.allowed || !vs_check_policy_more(run, &at, &more))
		return;
	while (verdict->n_checks < VS_VERDICT_CHECKS_MAX && vs_check_policy_more(run, &at, &more))
		verdict->checks[verdict->n_checks++] = more;
}

/* Sets *ret_first to the first refusal; returns an error only when a check could not be made. */
static VS_RC
run_rows(struct vs_run *run, struct vs_verdict *verdict, vs_rc *ret_first, struct vs_err *err)
{
	bool all = true;
	for (size_t i = 0; i < vs_check_rows_n; i++) {
		const struct vs_check_row *row = &vs_check_rows[i];
		struct vs_err why = {0};
		struct vs_check check = {.rule = row->rule, .name = row->name};
		const vs_rc rc = call(i, run, &check, &why);
		if (vs_failed(rc) && !is_refusal(rc.code)) {
			if (err != NULL)
				*err = why;
			return vs_err_while(rc, err, "while checking %s", row->rule);
		}
		check.passed = !vs_failed(rc);
		if (check.rule != NULL || !check.passed) {
			check.rule = row->rule;
			verdict->checks[verdict->n_checks++] = check;
		}
		if (check.passed)
			continue;
		if (all)
			*ret_first = vs_err_put(err, row->code, __func__, __LINE__, 0,
				"refused by %s (%s): %s", row->rule, row->name, why.frames[0].text);
		all = false;
		if (row->stop)
			return VS_OK;
	}
	verdict->passed = all && verdict->n_checks > 0;
	if (run->has_report)
		add_conditions(run, verdict);
	return VS_OK;
}

/* ---- what an accepted token says ---------------------------------------------------------- */

static void
copy_claim(const struct vs_run *run, const char *name, char *out, size_t out_size)
{
	struct vs_bytes text = {0};
	if (vs_json_bytes(vs_json_get(run->claims, name), &text))
		vs_quote(text, out, out_size);
}

static VS_RC
take_facts(struct vs_run *run, struct vs_token_facts *ret, struct vs_err *err)
{
	uint8_t digest[32];
	struct vs_token_facts f = {0};
	VS_TRY(vs_sha256(run->text, digest, err));
	vs_hex_str(digest, sizeof digest, f.token_sha256, sizeof f.token_sha256);
	vs_quote(run->kid, f.kid, sizeof f.kid);
	copy_claim(run, "iss", f.issuer, sizeof f.issuer);
	copy_claim(run, "jti", f.jti, sizeof f.jti);
	copy_claim(run, "x-ms-attestation-type", f.type, sizeof f.type);
	copy_claim(run, "x-ms-policy-hash", f.service_policy_hash, sizeof f.service_policy_hash);
	(void)vs_json_int(vs_json_get(run->claims, "iat"), &f.iat_unix);
	(void)vs_json_int(vs_json_get(run->claims, "nbf"), &f.nbf_unix);
	(void)vs_json_int(vs_json_get(run->claims, "exp"), &f.exp_unix);
	vs_buf_move(&f.claims, &run->payload);
	*ret = f;
	return VS_OK;
}

void
vs_token_facts_done(struct vs_token_facts *facts)
{
	vs_buf_done(&facts->claims);
	*facts = (struct vs_token_facts){0};
}

VS_RC
vs_validate(const struct vs_validate_in *in, struct vs_token_facts *facts,
	struct vs_verdict *verdict, struct vs_policy_report *report, struct vs_err *err)
{
	VS_CLEANUP(run_done)
	struct vs_run run = {
		.in = in,
		.header_bytes = {.max = VS_JWS_TEXT_MAX},
		.payload = {.max = VS_JWS_TEXT_MAX},
		.signature = {.max = VS_JWS_TEXT_MAX},
	};
	vs_rc first = VS_OK;
	*verdict = (struct vs_verdict){0};
	VS_REQUIRE(err, in->issuer != NULL);
	size_t n = strlen(in->issuer);
	if (n > 0 && in->issuer[n - 1] == '/')
		n--;
	if (n >= sizeof run.issuer)
		VS_FAIL(err, CONFIG_VALUE, "the configured issuer is too long");
	memcpy(run.issuer, in->issuer, n);

	VS_TRY(run_rows(&run, verdict, &first, err));
	if (report != NULL && run.has_report) {
		*report = run.report;
		run.report = (struct vs_policy_report){0};
	}
	VS_TRY(first);
	VS_REQUIRE(err, verdict->passed);
	return take_facts(&run, facts, err);
}

/* ---- helpers ------------------------------------------------------------------------------ */

VS_RC
vs_token_peek_kid(struct vs_bytes token, char *out, size_t out_size, struct vs_err *err)
{
	struct vs_jws_parts parts = {0};
	struct vs_bytes kid = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf raw = {.max = VS_JWS_TEXT_MAX};
	VS_CLEANUP(vs_json_freep) struct vs_json *header = NULL;
	VS_TRY(vs_jws_trim(token, VS_JWS_TEXT_MAX, &token, err));
	VS_TRY(vs_jws_split(token, &parts, err));
	VS_TRY(vs_jws_segment(parts.header, "header", &raw, err));
	VS_TRY(vs_json_load_object(
		vs_buf_view(&raw), VS_JWS_HEADER_MAX, "token's header", &header, err));
	VS_TRY(vs_jws_kid(header, &kid, err));
	if (kid.n >= out_size)
		VS_FAIL(err, REFUSED_SIGNATURE, "the token's key identifier is too long");
	memcpy(out, kid.p, kid.n);
	out[kid.n] = '\0';
	return VS_OK;
}

VS_RC
vs_nonce_from_text(
	const char *text, struct vs_buf *hex, struct vs_validate_in *in, struct vs_err *err)
{
	const size_t n = strlen(text);
	in->nonce = in->nonce_text = vs_bytes_str(text);
	in->nonce_alt = (struct vs_bytes){0};
	if (n == 0)
		VS_FAIL(err, USAGE, "the nonce is empty");
	if (n % 2 != 0 || strspn(text, "0123456789abcdefABCDEF") != n)
		return VS_OK;
	VS_TRY(vs_hex_decode(vs_bytes_str(text), hex, err));
	in->nonce_alt = vs_buf_view(hex);
	return VS_OK;
}
