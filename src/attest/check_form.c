/* SPDX-License-Identifier: BSD-2-Clause */
/* Form, signer, signature: A1 to A9. Each needs the one before. */
#include <stdio.h>
#include <string.h>

#include "attest/validate_run.h"
#include "base/codec.h"

vs_rc
vs_check_text(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	(void)row;
	snprintf(check->expected, sizeof check->expected, "1 to %d printable ASCII bytes",
		VS_JWS_TEXT_MAX);
	snprintf(check->seen, sizeof check->seen, "%zu bytes", run->in->token.n);
	return vs_jws_trim(run->in->token, VS_JWS_TEXT_MAX, &run->text, err);
}

vs_rc
vs_check_segments(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	(void)row;
	const char *empty = "";
	const uint8_t *from = run->text.p, *const end = from + run->text.n, *dot = NULL;
	size_t n = 1;
	for (; (dot = memchr(from, '.', (size_t)(end - from))) != NULL; from = dot + 1, n++)
		if (dot == from)
			empty = ", one of them empty";
	if (from == end)
		empty = ", the last one empty (no signature)";
	snprintf(check->expected, sizeof check->expected, "three segments, none empty");
	snprintf(check->seen, sizeof check->seen, "%zu%s", n, empty);
	return vs_jws_split(run->text, &run->parts, err);
}

vs_rc
vs_check_base64(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	(void)row;
	snprintf(check->expected, sizeof check->expected, "strict base64url");
	VS_TRY(vs_jws_segment(run->parts.header, "header", &run->header_bytes, err));
	VS_TRY(vs_jws_segment(run->parts.payload, "payload", &run->payload, err));
	return vs_jws_segment(run->parts.signature, "signature", &run->signature, err);
}

vs_rc
vs_check_header_json(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	(void)row;
	snprintf(check->expected, sizeof check->expected, "a strict JSON object");
	return vs_json_load_object(vs_buf_view(&run->header_bytes), VS_JWS_HEADER_MAX,
		"token's header", &run->header, err);
}

vs_rc
vs_check_alg(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	struct vs_bytes alg = {0};
	(void)row;
	snprintf(check->expected, sizeof check->expected, "RS256");
	if (vs_json_bytes(vs_json_get(run->header, "alg"), &alg))
		vs_quote(alg, check->seen, sizeof check->seen);
	return vs_jws_check_alg(run->header, err);
}

vs_rc
vs_check_header(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	(void)row;
	snprintf(check->expected, sizeof check->expected,
		"typ JWT, jku at the issuer, nothing that changes the meaning");
	return vs_jws_check_header(run->header, run->issuer, false, err);
}

vs_rc
vs_check_kid(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	(void)row;
	snprintf(check->expected, sizeof check->expected, "a key identifier");
	return vs_jws_kid(run->header, &run->kid, err);
}

vs_rc
vs_check_key(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	(void)row;
	snprintf(check->expected, sizeof check->expected, "a usable key of the issuer");
	vs_quote(run->kid, check->seen, sizeof check->seen);
	if (run->in->jwks == NULL)
		VS_FAIL(err, REFUSED_SIGNATURE, "the issuer's key set is not at hand");
	return vs_jwks_select(
		run->in->jwks, run->kid, run->in->at_unix, run->keys, &run->n_keys, err);
}

vs_rc
vs_check_signature(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	(void)row;
	snprintf(check->expected, sizeof check->expected, "RS256 by that key");
	vs_rc rc = vs_err_put(err, VS_E_REFUSED_SIGNATURE, __func__, __LINE__, 0, "no key");
	for (size_t i = 0; i < run->n_keys && vs_failed(rc); i++)
		rc = vs_rs256_verify(
			run->keys[i], run->parts.signed_text, vs_buf_view(&run->signature), err);
	return rc;
}

vs_rc
vs_check_claims_json(struct vs_run *run, const struct vs_check_row *row, struct vs_check *check,
	struct vs_err *err)
{
	(void)row;
	snprintf(check->expected, sizeof check->expected, "a strict JSON object");
	return vs_json_load_object(vs_buf_view(&run->payload), VS_JWS_TEXT_MAX,
		"token's claims set", &run->claims, err);
}
