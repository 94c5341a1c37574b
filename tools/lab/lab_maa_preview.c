/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * POST /attest/Tee/OpenEnclave and its like in the API of 2018: other members, a bearer is needed,
 * the answer is the token alone, and its claims have the names of 2020.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/sha.h>

#include "base/codec.h"
#include "lab/lab_maa_priv.h"

enum { OE_HEADER = 16 };

static enum lab_tee_type
type_of(const char *type)
{
	return lab_tee_parse(strncasecmp(type, "Tee/", 4) == 0 ? type + 4 : type);
}

/* The other types came with later versions; they answer this one as they do the others. */
bool
lab_maa_is_preview(const char *type, const char *version)
{
	const enum lab_tee_type t = type_of(type);
	return version && strcmp(version, LAB_MAA_PREVIEW) == 0 &&
		(t == LAB_TEE_SGX_ENCLAVE || t == LAB_TEE_OPEN_ENCLAVE);
}

void
lab_maa_preview_challenge(const struct lab_maa *maa, struct lab_resp *resp)
{
	char text[256];
	snprintf(text, sizeof text, "Bearer authorization_uri=\"%s/%s\", resource=\"%s\"",
		maa->lab->url[LAB_ENTRA], maa->lab->tenant_id, LAB_MAA_AUDIENCE);
	lab_resp_header(resp, "WWW-Authenticate", text);
}

static void
set_hash(json_t *o, const char *name, struct vs_bytes b)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	char hex[2 * sizeof digest + 1];
	SHA256(b.p, b.n, digest);
	vs_hex_str(digest, sizeof digest, hex, sizeof hex);
	json_object_set_new(o, name, json_string(hex));
}

/* The same request in the words of today. */
static json_t *
translate(enum lab_tee_type t, const json_t *body)
{
	const json_t *quote = lab_maa_member(body, "Quote");
	const json_t *held = lab_maa_member(body, "EnclaveHeldData");
	json_t *now = json_object();
	if (quote)
		json_object_set(now, t == LAB_TEE_OPEN_ENCLAVE ? "report" : "quote",
			(json_t *)(uintptr_t)quote);
	if (held && !json_is_null(held))
		json_object_set_new(now, "runtimeData",
			json_pack("{s:O,s:s}", "data", (json_t *)(uintptr_t)held, "dataType",
				"Binary"));
	return now;
}

/* Here the hash is that of the quote alone, without OpenEnclave's header. */
static bool
add_collateral(enum lab_tee_type t, const json_t *now, const json_t *claims, json_t *old)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf sent = {.max = LAB_BODY_MAX};
	const size_t header = t == LAB_TEE_OPEN_ENCLAVE ? OE_HEADER : 0;
	const char *name = NULL;
	json_t *v = NULL, *o = json_object();
	if (!lab_maa_bytes(now, header ? "report" : "quote", &sent) || sent.n < header) {
		json_decref(o);
		return false;
	}
	json_object_foreach (json_object_get(claims, "x-ms-sgx-collateral"), name, v) {
		char long_name[64];
		snprintf(long_name, sizeof long_name, "maa-%s", name);
		json_object_set(o, long_name, v);
	}
	set_hash(o, "maa-quotehash", vs_bytes_of(sent.p + header, sent.n - header));
	return json_object_set_new(old, "maa-attestationcollateral", o) == 0;
}

/* What the policy issued, and nothing of the names that came later. */
static bool
old_claims(struct lab_maa *maa, enum lab_tee_type t, const json_t *now, const json_t *claims,
	const char *policy, const struct lab_policy_result *r, json_t *old)
{
	const json_int_t at = (json_int_t)lab_now(maa->lab);
	if (r->issued)
		json_object_update(old, r->issued);
	if (json_object_get(claims, "maa-ehd"))
		json_object_set(old, "maa-ehd", json_object_get(claims, "maa-ehd"));
	set_hash(old, "maa-policyHash", vs_bytes_str(policy));
	json_object_set_new(old, "iss", json_string(lab_maa_issuer(maa)));
	json_object_set_new(old, "iat", json_integer(at));
	json_object_set_new(old, "nbf", json_integer(at));
	json_object_set_new(old, "exp", json_integer(at + LAB_TOKEN_LIFE_S));
	return add_collateral(t, now, claims, old);
}

static bool
issue(struct lab_maa *maa, enum lab_tee_type t, const json_t *now, const json_t *claims,
	const char *policy, bool unsecured, struct vs_buf *token, struct lab_maa_error *e)
{
	struct lab_policy_result result = {0};
	json_t *signer = NULL, *old = json_object();
	char hash[64];
	bool ok = lab_maa_run_policy(maa, t, claims, NULL, policy, &result, hash, &signer, e) &&
		lab_maa_verdict(&result, t, e);
	if (ok &&
		(!old_claims(maa, t, now, claims, policy, &result, old) ||
			vs_failed(lab_maa_sign_token(maa, old, unsecured, token))))
		ok = lab_maa_fail(e, 500, "InternalError", "the token cannot be signed");
	lab_policy_result_done(&result);
	json_decref(signer);
	json_decref(old);
	return ok;
}

bool
lab_maa_attest_preview(struct lab_maa *maa, const struct lab_req *req, const char *type,
	const json_t *body, struct vs_buf *token, struct lab_maa_error *e)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf draft = {.max = LAB_POLICY_MAX};
	const enum lab_tee_type t = type_of(type);
	bool has_draft = false;
	json_t *signer = NULL;
	if (!lab_maa_allowed(maa, req, e) || !lab_maa_draft(body, &draft, &has_draft, e))
		return false;
	char *policy =
		has_draft ? strdup(vs_buf_cstr(&draft)) : lab_maa_policy_text(maa, t, &signer);
	json_t *now = translate(t, body), *claims = json_object();
	const bool ok = policy ? lab_maa_quote_claims(t, now, claims, e) &&
			issue(maa, t, now, claims, policy, has_draft, token, e)
			       : lab_maa_fail(e, 500, "InternalError", "no memory");
	json_decref(signer);
	json_decref(claims);
	json_decref(now);
	free(policy);
	return ok;
}
