/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_lie.h"

#include <jansson.h>
#include <string.h>

#include "lab/lab_fault.h"
#include "lab/lab_maa_key.h"

enum { HOUR_S = 3600 };

enum lab_lie
lab_lie_take(struct lab *lab, enum lab_service service, const char *path)
{
	const struct lab_fault f = lab_fault_take(lab->faults, (int)service, LAB_FAULT_LIE, path);
	return f.kind == LAB_FAULT_LIES ? (enum lab_lie)f.status : LAB_LIE_NONE;
}

static void
shift_times(json_t *claims, json_int_t by)
{
	static const char *const times[] = {"exp", "iat", "nbf"};
	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
		const json_int_t t = json_integer_value(json_object_get(claims, times[i]));
		json_object_set_new(claims, times[i], json_integer(t + by));
	}
}

/* One character of a base64 text: the first, so that no padding rule is touched. */
static bool
change_text(json_t *holder, const char *name)
{
	char text[1024];
	const char *old = json_string_value(json_object_get(holder, name));
	if (!old || strlen(old) >= sizeof text)
		return false;
	memcpy(text, old, strlen(old) + 1);
	text[8] = text[8] == 'A' ? 'B' : 'A';
	return json_object_set_new(holder, name, json_string(text)) == 0;
}

static bool
tell(enum lab_lie lie, json_t *claims)
{
	json_t *runtime = json_object_get(claims, "x-ms-runtime");
	switch ((int)lie) {
	case LAB_LIE_TOKEN_EXPIRED: shift_times(claims, -9 * HOUR_S); return true;
	case LAB_LIE_TOKEN_FUTURE: shift_times(claims, HOUR_S); return true;
	case LAB_LIE_TOKEN_ISSUER:
		return json_object_set_new(
			       claims, "iss", json_string("https://another.localhost:4433")) == 0;
	case LAB_LIE_TOKEN_NONCE:
		return change_text(json_object_get(runtime, "client-payload"), "nonce");
	case LAB_LIE_TOKEN_OTHER_KEY:
		return change_text(json_array_get(json_object_get(runtime, "keys"), 0), "n");
	default: return true;
	}
}

/* Another signature of the right length: that over other bytes by the same key. */
static VS_RC
spoil_signature(struct vs_buf *token, struct vs_err *err)
{
	VS_REQUIRE(err, token->n > 20);
	uint8_t *c = token->p + token->n - 20;
	*c = *c == 'A' ? 'B' : 'A';
	return VS_OK;
}

VS_RC
lab_lie_token(enum lab_lie lie, const struct lab_maa_key *key, const char *issuer,
	const json_t *claims, struct vs_buf *token, struct vs_err *err)
{
	if (lie < LAB_LIE_TOKEN_OTHER_KEY || lie > LAB_LIE_TOKEN_NONCE)
		return VS_OK;
	if (lie == LAB_LIE_TOKEN_SIGNATURE)
		return spoil_signature(token, err);
	json_t *false_claims = json_deep_copy(claims);
	VS_CLEANUP(vs_buf_done) struct vs_buf fresh = {0};
	vs_rc rc = VS_OK;
	if (!false_claims || !tell(lie, false_claims))
		rc = vs_err_put(err, VS_E_MEMORY, __func__, __LINE__, 0, "the lie cannot be told");
	else if (lie == LAB_LIE_TOKEN_ALG_NONE)
		rc = lab_maa_unsecured(key, issuer, false_claims, &fresh, err);
	else
		rc = lab_maa_sign(key, issuer, false_claims, &fresh, err);
	json_decref(false_claims);
	VS_TRY(rc);
	vs_buf_move(token, &fresh);
	return VS_OK;
}
