/* SPDX-License-Identifier: BSD-2-Clause */
/* What the verified claims say: A10 to A16, our key, lab or production. Independent of each other.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "attest/validate_run.h"
#include "base/codec.h"

enum { LIFETIME_MAX_S = 86400, TIME_LIMIT_BITS = 53 };

/* Text claims as they stand, others by kind: for people. */
static void
show(const struct vs_json *v, struct vs_check *check)
{
	struct vs_bytes text = {0};
	int64_t i = 0;
	bool b = false;
	if (vs_json_bytes(v, &text))
		vs_quote(text, check->seen, sizeof check->seen);
	else if (vs_json_int(v, &i))
		snprintf(check->seen, sizeof check->seen, "%" PRId64, i);
	else if (vs_json_bool(v, &b))
		snprintf(check->seen, sizeof check->seen, "%s", b ? "true" : "false");
	else
		snprintf(check->seen, sizeof check->seen, "%s", vs_json_kind_name(vs_json_kind(v)));
}

vs_rc
vs_check_issuer(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	const struct vs_json *iss = vs_json_get(run->claims, "iss");
	(void)row;
	snprintf(check->expected, sizeof check->expected, "%.*s", 150, run->issuer);
	show(iss, check);
	if (run->issuer[0] == '\0' || !vs_json_is_string(iss, run->issuer))
		VS_FAIL(err, REFUSED_CLAIMS, "the token is not from the configured issuer");
	return VS_OK;
}

/* ---- A11 ---------------------------------------------------------------------------------- */

static bool
time_claim(const struct vs_run *run, const char *name, int64_t *ret)
{
	return vs_json_int(vs_json_get(run->claims, name), ret) && *ret > 0 &&
		*ret < INT64_C(1) << TIME_LIMIT_BITS;
}

static int64_t
skew_of(const struct vs_run *run)
{
	const int64_t skew = run->in->skew_s;
	return skew < 0 ? 0 : skew > 60 ? 60 : skew;
}

/* For the words only: a caller's time may be at the end of the scale. */
static int64_t
at_plus(const struct vs_run *run, int64_t seconds)
{
	int64_t sum = 0;
	if (__builtin_add_overflow(run->in->at_unix, seconds, &sum))
		return run->in->at_unix;
	return sum;
}

vs_rc
vs_check_expiry(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	int64_t exp = 0;
	(void)row;
	snprintf(check->expected, sizeof check->expected, "later than %" PRId64,
		at_plus(run, -skew_of(run)));
	show(vs_json_get(run->claims, "exp"), check);
	if (!time_claim(run, "exp", &exp))
		VS_FAIL(err, REFUSED_CLAIMS, "the token has no usable expiry");
	if (!(run->in->at_unix < exp + skew_of(run)))
		VS_FAIL(err, REFUSED_CLAIMS, "the token has expired");
	return VS_OK;
}

vs_rc
vs_check_not_before(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	int64_t nbf = 0;
	(void)row;
	snprintf(check->expected, sizeof check->expected, "at most %" PRId64,
		at_plus(run, skew_of(run)));
	show(vs_json_get(run->claims, "nbf"), check);
	if (!time_claim(run, "nbf", &nbf))
		VS_FAIL(err, REFUSED_CLAIMS, "the token has no usable not-before time");
	if (!(run->in->at_unix >= nbf - skew_of(run)))
		VS_FAIL(err, REFUSED_CLAIMS,
			"the token is not valid yet; is this machine's clock right?");
	return VS_OK;
}

vs_rc
vs_check_issued_at(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	int64_t iat = 0;
	(void)row;
	snprintf(check->expected, sizeof check->expected, "at most %" PRId64,
		at_plus(run, skew_of(run)));
	show(vs_json_get(run->claims, "iat"), check);
	if (!time_claim(run, "iat", &iat))
		VS_FAIL(err, REFUSED_CLAIMS, "the token has no usable time of issue");
	if (!(run->in->at_unix >= iat - skew_of(run)))
		VS_FAIL(err, REFUSED_CLAIMS,
			"the token was issued in the future; is this machine's clock right?");
	return VS_OK;
}

vs_rc
vs_check_lifetime(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	int64_t exp = 0, nbf = 0, iat = 0;
	(void)row;
	snprintf(check->expected, sizeof check->expected,
		"expiry after issue and not-before, at most %d s after issue", LIFETIME_MAX_S);
	if (!time_claim(run, "exp", &exp) || !time_claim(run, "nbf", &nbf) ||
		!time_claim(run, "iat", &iat)) {
		check->rule = NULL; /* the checks above have said so */
		return VS_OK;
	}
	snprintf(check->seen, sizeof check->seen, "%" PRId64 " s after issue", exp - iat);
	if (exp <= nbf || exp <= iat)
		VS_FAIL(err, REFUSED_CLAIMS, "the token's times contradict each other");
	if (exp - iat > LIFETIME_MAX_S)
		VS_FAIL(err, REFUSED_CLAIMS, "the token lives longer than any real one");
	return VS_OK;
}

/* ---- A12, A13 ----------------------------------------------------------------------------- */

vs_rc
vs_check_audience(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	const struct vs_json *aud = vs_json_get(run->claims, "aud");
	(void)row;
	snprintf(check->expected, sizeof check->expected, "none");
	show(aud, check);
	if (aud != NULL)
		VS_FAIL(err, REFUSED_CLAIMS, "the token is meant for somebody else");
	return VS_OK;
}

vs_rc
vs_check_type(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	const struct vs_json *type = vs_json_get(run->claims, "x-ms-attestation-type");
	struct vs_bytes text = {0};
	(void)row;
	snprintf(check->expected, sizeof check->expected, "an attestation type");
	show(type, check);
	if (!vs_json_bytes(type, &text) || text.n == 0)
		VS_FAIL(err, REFUSED_CLAIMS, "the token is not an attestation token");
	return VS_OK;
}

vs_rc
vs_check_version(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	const struct vs_json *version = vs_json_get(run->claims, "x-ms-ver");
	(void)row;
	snprintf(check->expected, sizeof check->expected, "1.0");
	show(version, check);
	if (!vs_json_is_string(version, "1.0"))
		VS_FAIL(err, REFUSED_CLAIMS, "the token's schema version is not known");
	return VS_OK;
}

/* ---- A14 ---------------------------------------------------------------------------------- */

static VS_RC
azurevm_nonce(struct vs_run *run, struct vs_err *err)
{
	const struct vs_validate_in *in = run->in;
	const struct vs_json *payload =
		vs_json_get(vs_json_get(run->claims, "x-ms-runtime"), "client-payload");
	struct vs_bytes text = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf seen = {.max = VS_JWS_TEXT_MAX};
	struct vs_err why = {0};
	if (!vs_json_bytes(vs_json_get(payload, "nonce"), &text) || text.n == 0)
		VS_FAIL(err, REFUSED_CLAIMS, "the token carries no nonce");
	const vs_rc rc = vs_b64_decode(text, &seen, &why);
	if (rc.code == VS_E_MEMORY)
		VS_FAIL(err, MEMORY, "out of memory while reading a nonce");
	if (vs_failed(rc) || seen.n == 0)
		VS_FAIL(err, REFUSED_CLAIMS, "the token's nonce is not canonical base64");
	if (in->nonce.n > 0 && vs_bytes_eq(vs_buf_view(&seen), in->nonce))
		return VS_OK;
	if (in->nonce_alt.n > 0 && vs_bytes_eq(vs_buf_view(&seen), in->nonce_alt))
		return VS_OK;
	VS_FAIL(err, REFUSED_CLAIMS, "the token's nonce is not the one of this exchange");
}

vs_rc
vs_check_nonce(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	struct vs_bytes text = {0};
	(void)row;
	snprintf(check->expected, sizeof check->expected, "the nonce of this exchange");
	if (vs_json_is_string(vs_json_get(run->claims, "x-ms-attestation-type"), "azurevm"))
		return azurevm_nonce(run, err);
	if (!vs_json_bytes(vs_json_get(run->claims, "nonce"), &text) || text.n == 0)
		VS_FAIL(err, REFUSED_CLAIMS, "the token carries no nonce");
	if (run->in->nonce_text.n == 0 || !vs_bytes_eq(text, run->in->nonce_text))
		VS_FAIL(err, REFUSED_CLAIMS, "the token's nonce is not the one of this exchange");
	return VS_OK;
}

/* ---- A15 ---------------------------------------------------------------------------------- */

vs_rc
vs_check_tee_object(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	const struct vs_json *tee = vs_json_get(run->claims, "x-ms-isolation-tee");
	(void)row;
	if (tee == NULL) {
		check->rule = NULL;
		return VS_OK;
	}
	snprintf(check->expected, sizeof check->expected, "an object");
	snprintf(check->seen, sizeof check->seen, "%s", vs_json_kind_name(vs_json_kind(tee)));
	if (vs_json_kind(tee) != VS_JSON_OBJECT)
		VS_FAIL(err, REFUSED_FLOOR, "the token's hardware claims are not an object");
	return VS_OK;
}

vs_rc
vs_check_floor(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	const struct vs_floor *floor = row->arg;
	const struct vs_json *at =
		floor->in_tee ? vs_json_get(run->claims, "x-ms-isolation-tee") : run->claims;
	const struct vs_json *v = vs_json_get(at, floor->claim);
	int64_t i = 1;
	bool b = true, fine = false;
	if (v == NULL) {
		check->rule = NULL;
		return VS_OK;
	}
	show(v, check);
	if (floor->kind == VS_JSON_BOOL) {
		snprintf(check->expected, sizeof check->expected, "false");
		fine = vs_json_bool(v, &b) && !b;
	} else if (floor->kind == VS_JSON_INT) {
		snprintf(check->expected, sizeof check->expected, "0");
		fine = vs_json_int(v, &i) && i == 0;
	} else {
		snprintf(check->expected, sizeof check->expected, "disabled");
		fine = vs_json_is_string(v, "disabled");
	}
	if (!fine)
		VS_FAIL(err, REFUSED_FLOOR, "the platform is in a state that is never accepted: %s",
			floor->claim);
	return VS_OK;
}

/* ---- T-A2: our key ------------------------------------------------------------------------ */

static bool
lists(const struct vs_json *array, const char *text)
{
	for (size_t i = 0; i < vs_json_count(array); i++)
		if (vs_json_is_string(vs_json_at(array, i), text))
			return true;
	return false;
}

/* A key that the vault might wrap for: RSA, for encryption by use or key_ops. */
static bool
is_wrapping_key(const struct vs_json *jwk)
{
	return vs_json_is_string(vs_json_get(jwk, "kty"), "RSA") &&
		(vs_json_is_string(vs_json_get(jwk, "use"), "enc") ||
			vs_json_is_string(vs_json_get(jwk, "key_use"), "enc") ||
			lists(vs_json_get(jwk, "key_ops"), "encrypt"));
}

vs_rc
vs_check_own_key(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	const struct vs_json *keys = vs_json_get(vs_json_get(run->claims, "x-ms-runtime"), "keys");
	const struct vs_json *found = NULL;
	struct vs_rsa_num seen = {0};
	size_t n = 0;
	(void)row;
	if (run->in->key == NULL) {
		check->rule = NULL;
		return VS_OK;
	}
	for (size_t i = 0; vs_json_kind(keys) == VS_JSON_ARRAY && i < vs_json_count(keys); i++) {
		if (!is_wrapping_key(vs_json_at(keys, i)))
			continue;
		found = vs_json_at(keys, i);
		n++;
	}
	snprintf(check->expected, sizeof check->expected, "exactly our key");
	snprintf(check->seen, sizeof check->seen, "%zu key%s for encryption", n, n == 1 ? "" : "s");
	if (n != 1)
		VS_FAIL(err, REFUSED_BINDING,
			"the token does not name exactly one key to encrypt to");
	const vs_rc rc = vs_rsa_num_from_jwk(found, &seen, err);
	if (rc.code == VS_E_MEMORY)
		return rc;
	if (vs_failed(rc) || !vs_rsa_num_eq(&seen, run->in->key))
		VS_FAIL(err, REFUSED_BINDING,
			"the token is bound to another machine's key, not to ours");
	return VS_OK;
}

/* ---- T-L1: lab or production -------------------------------------------------------------- */

vs_rc
vs_check_world(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	static const char mark[] = "vouchsafe-lab";
	const struct vs_json *top = vs_json_get(run->claims, mark);
	const struct vs_json *issued = vs_json_get(vs_json_get(run->claims, "x-ms-policy"), mark);
	bool b = false;
	(void)row;
	if (run->in->world == VS_WORLD_EITHER) {
		check->rule = NULL;
		return VS_OK;
	}
	const bool lab = run->in->world == VS_WORLD_LAB;
	snprintf(check->expected, sizeof check->expected, lab ? "the lab's mark" : "no lab mark");
	snprintf(check->seen, sizeof check->seen,
		top != NULL || issued != NULL ? "the lab's mark" : "no lab mark");
	if (!lab && (top != NULL || issued != NULL))
		VS_FAIL(err, REFUSED_CLAIMS, "a lab's token is never accepted in production");
	if (lab && !(vs_json_bool(top, &b) && b))
		VS_FAIL(err, REFUSED_CLAIMS, "the token is not from a lab, but this is one");
	return VS_OK;
}

/* ---- A16 ---------------------------------------------------------------------------------- */

/* A condition that the policy sets for this issuer and that does not hold. */
static bool
is_missing(const struct vs_run *run, const struct vs_policy_result *r)
{
	return r->claim != NULL && !r->holds &&
		strcmp(vs_policy_authority(run->in->policy, r->authority), run->issuer) == 0;
}

static void
show_condition(const struct vs_policy_result *r, struct vs_check *check)
{
	char claim[61];
	snprintf(check->expected, sizeof check->expected, "%s %s %.80s",
		vs_quote(vs_bytes_str(r->claim), claim, sizeof claim), vs_policy_op_name(r->op),
		r->expected);
	snprintf(check->seen, sizeof check->seen, "%.150s", r->seen);
}

bool
vs_check_policy_more(const struct vs_run *run, size_t *at, struct vs_check *ret)
{
	const struct vs_policy_report *report = &run->report;
	for (; *at < report->n; ++*at) {
		if (!is_missing(run, &report->results[*at]))
			continue;
		show_condition(&report->results[(*at)++], ret);
		return true;
	}
	return false;
}

vs_rc
vs_check_policy(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	const char *iss = NULL;
	(void)row;
	snprintf(check->expected, sizeof check->expected, "the local policy is met");
	if (run->in->policy == NULL)
		VS_FAIL(err, REFUSED_POLICY, "there is no policy, so nothing is allowed");
	if (!vs_json_string(vs_json_get(run->claims, "iss"), &iss))
		VS_FAIL(err, REFUSED_POLICY, "the token names no issuer");
	VS_TRY(vs_policy_eval(run->in->policy, run->claims, iss, &run->report, err));
	run->has_report = true;
	if (run->report.allowed) {
		snprintf(check->seen, sizeof check->seen, "met");
		return VS_OK;
	}
	if (!run->report.authority_known) {
		snprintf(check->seen, sizeof check->seen, "no entry for this issuer");
		VS_FAIL(err, REFUSED_POLICY, "the policy has no entry for this issuer");
	}
	size_t first = 0;
	if (!vs_check_policy_more(run, &first, check))
		VS_FAIL(err, REFUSED_POLICY, "the policy's conditions are not met");
	VS_FAIL(err, REFUSED_POLICY, "the policy's condition %.160s is not met", check->expected);
}
