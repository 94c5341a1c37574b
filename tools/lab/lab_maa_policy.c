/* SPDX-License-Identifier: BSD-2-Clause */
/* Policies in force, and the calls that read and change them (trust model AAD). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/sha.h>

#include "base/codec.h"
#include "lab/lab_claims.h"
#include "lab/lab_maa_priv.h"

enum { RESULT_LIFE_S = 3600 };
#define UNSIGNED_HEAD "eyJhbGciOiJub25lIn0."

/* The lab's own default: what the real one is known to deny; its text is not public. */
static const char default_azure_guest[] =
	"version= 1.0;\n"
	"authorizationrules\n"
	"{\n"
	"[type==\"secureboot\", value==false] => deny();\n"
	"[type==\"x-ms-azurevm-default-securebootkeysvalidated\", value==false] => deny();\n"
	"[type==\"x-ms-azurevm-debuggersdisabled\", value==false] => deny();\n"
	"[type==\"x-ms-azurevm-signingdisabled\", value==false] => deny();\n"
	"[type==\"x-ms-azurevm-dbvalidated\", value==false] => deny();\n"
	"[type==\"x-ms-azurevm-dbxvalidated\", value==false] => deny();\n"
	"=> permit();\n"
	"};\n";
/* The service's default texts, byte by byte, since tokens have their hashes. */
static const char default_vm[] = "version= 1.0;authorizationrules{=> permit();};";
static const char default_sgx[] =
	"version= 1.1;configurationrules{=> issueproperty(type=\"x-ms-sgx-tcbidentifier\", "
	"value=\"azuredefault\");};authorizationrules{=> permit();};issuancerules{"
	"c:[type==\"x-ms-sgx-is-debuggable\"] => issue(type=\"is-debuggable\", value=c.value);"
	"c:[type==\"x-ms-sgx-mrsigner\"] => issue(type=\"sgx-mrsigner\", value=c.value);"
	"c:[type==\"x-ms-sgx-mrenclave\"] => issue(type=\"sgx-mrenclave\", value=c.value);"
	"c:[type==\"x-ms-sgx-product-id\"] => issue(type=\"product-id\", value=c.value);"
	"c:[type==\"x-ms-sgx-svn\"] => issue(type=\"svn\", value=c.value);"
	"c:[type==\"x-ms-attestation-type\"] => issue(type=\"tee\", value=c.value);};";

/* NULL: there is none, which is so for Tpm. */
static const char *
default_text(enum lab_tee_type t)
{
	switch (t) {
	case LAB_TEE_AZURE_GUEST: return default_azure_guest;
	case LAB_TEE_SGX_ENCLAVE:
	case LAB_TEE_OPEN_ENCLAVE: return default_sgx;
	case LAB_TEE_TPM:
	case LAB_TEE_COUNT_: return NULL;
	case LAB_TEE_SEV_SNP_VM:
	case LAB_TEE_TDX_VM: break;
	}
	return default_vm;
}

char *
lab_maa_policy_text(struct lab_maa *maa, enum lab_tee_type t, json_t **signer)
{
	pthread_mutex_lock(&maa->lock);
	const struct lab_maa_policy *p = &maa->policy[t];
	const char *in_force = p->text ? p->text : default_text(t);
	char *text = strdup(in_force ? in_force : "");
	if (signer)
		*signer = json_incref(p->signer);
	pthread_mutex_unlock(&maa->lock);
	return text;
}

/* Takes text, jws and signer; all NULL: the default. */
static void
replace(struct lab_maa *maa, enum lab_tee_type t, struct lab_maa_policy with)
{
	pthread_mutex_lock(&maa->lock);
	struct lab_maa_policy old = maa->policy[t];
	maa->policy[t] = with;
	pthread_mutex_unlock(&maa->lock);
	free(old.text);
	free(old.jws);
	json_decref(old.signer);
}

static vs_rc
check_text(const char *text, struct vs_err *err)
{
	struct lab_policy *policy = NULL;
	VS_TRY(lab_policy_parse(vs_bytes_str(text), &policy, err));
	lab_policy_free(policy);
	return VS_OK;
}

vs_rc
lab_maa_set_policy(struct lab_maa *maa, const char *type, const char *text, struct vs_err *err)
{
	const enum lab_tee_type t = lab_tee_parse(type);
	if (t == LAB_TEE_COUNT_)
		VS_FAIL(err, USAGE, "there is no attestation type of this name");
	if (text)
		VS_TRY(check_text(text, err));
	char *copy = text ? strdup(text) : NULL;
	if (text && !copy)
		VS_FAIL(err, MEMORY, "out of memory");
	replace(maa, t, (struct lab_maa_policy){.text = copy});
	return VS_OK;
}

/* Unsigned, or signed by any CA certificate that it brings along; isolated: by one we know. */
static bool
signer_of(
	struct lab_maa *maa, const struct lab_maa_jws *j, json_t **signer, struct lab_maa_error *e)
{
	if (maa->trust == LAB_TRUST_SHARED)
		return lab_maa_fail(
			e, 403, "Forbidden", "A shared provider's policies cannot be changed.");
	if (lab_maa_jws_unsigned(j) && maa->trust == LAB_TRUST_AAD)
		return true;
	if (lab_maa_jws_unsigned(j))
		return lab_maa_fail(e, 400, "InvalidOperation",
			"An isolated provider takes policies only that one of its policy "
			"certificates signed.");
	if (!lab_maa_jws_signer(j, signer))
		return lab_maa_fail(e, 400, "InvalidParameter",
			"The policy is neither unsigned nor signed with RS256 by the CA "
			"certificate in its x5c.");
	return maa->trust == LAB_TRUST_AAD || lab_maa_knows_signer(maa, *signer) ||
		lab_maa_fail(e, 400, "InvalidOperation",
			"The policy's signer is none of the provider's policy certificates.");
}

bool
lab_maa_allowed(struct lab_maa *maa, const struct lab_req *req, struct lab_maa_error *e)
{
	char why[64] = "";
	return lab_access_ok(maa->lab, req, LAB_MAA_AUDIENCE, why, sizeof why) ||
		lab_maa_fail(e, 401, "Unauthorized",
			"Access to %.60s requires a valid JWT bearer token (%s)", req->path, why);
}

/* The token that answers every policy call. */
bool
lab_maa_result(struct lab_maa *maa, json_t *claims, struct vs_buf *out, struct lab_maa_error *e)
{
	const char *issuer = lab_maa_issuer(maa);
	const json_int_t now = (json_int_t)lab_now(maa->lab);
	json_object_set_new(claims, "iss", json_string(issuer));
	json_object_set_new(claims, "iat", json_integer(now));
	json_object_set_new(claims, "nbf", json_integer(now));
	json_object_set_new(claims, "exp", json_integer(now + RESULT_LIFE_S));
	pthread_rwlock_rdlock(&maa->key_lock);
	const vs_rc rc = lab_maa_sign(&maa->keys.key[LAB_KEY_GOOD], issuer, claims, out, NULL);
	pthread_rwlock_unlock(&maa->key_lock);
	if (vs_failed(rc))
		return lab_maa_fail(e, 500, "InternalError", "the answer cannot be signed");
	return true;
}

static vs_rc
unsigned_jws(const char *text, struct vs_buf *out, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf inner = {0}, payload = {0};
	VS_TRY(vs_b64url_encode(vs_bytes_str(text), &inner, err));
	VS_TRY(vs_buf_addf(&payload, err, "{\"AttestationPolicy\":\"%s\"}", vs_buf_cstr(&inner)));
	VS_TRY(vs_buf_add_str(out, UNSIGNED_HEAD, err));
	VS_TRY(vs_b64url_encode(vs_buf_view(&payload), out, err));
	return vs_buf_add_u8(out, '.', err);
}

static bool
get_policy(struct lab_maa *maa, enum lab_tee_type t, json_t *claims, struct lab_maa_error *e)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf jws = {0};
	pthread_mutex_lock(&maa->lock);
	const struct lab_maa_policy *p = &maa->policy[t];
	const char *text = p->text ? p->text : default_text(t);
	const vs_rc rc = p->jws ? vs_buf_add_str(&jws, p->jws, NULL)
		: text          ? unsigned_jws(text, &jws, NULL)
				: vs_buf_add_str(&jws, UNSIGNED_HEAD ".", NULL);
	pthread_mutex_unlock(&maa->lock);
	if (vs_failed(rc))
		return lab_maa_fail(e, 500, "InternalError", "no memory");
	json_object_set_new(claims, "x-ms-policy", json_string(vs_buf_cstr(&jws)));
	return true;
}

static bool
put_policy(struct lab_maa *maa, enum lab_tee_type t, const struct lab_maa_jws *j, json_t *signer,
	json_t *claims, struct lab_maa_error *e)
{
	const char *inner = json_string_value(json_object_get(j->payload, "AttestationPolicy"));
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = LAB_POLICY_MAX}, hash = {0};
	struct vs_err err = {0};
	uint8_t digest[32];
	if (!inner || vs_failed(vs_b64url_decode(vs_bytes_str(inner), &text, NULL)) ||
		memchr(text.p ? text.p : (const uint8_t *)"", 0, text.n))
		return lab_maa_fail(
			e, 400, "InvalidParameter", "The payload has no AttestationPolicy.");
	if (vs_failed(check_text(vs_buf_cstr(&text), &err)))
		return lab_maa_fail(e, 400, "PolicyParsingError", "%s", err.frames[0].text);
	SHA256(j->text.p, j->text.n, digest);
	char *copy = strdup(vs_buf_cstr(&text)), *jws = strndup((const char *)j->text.p, j->text.n);
	if (!copy || !jws || vs_failed(vs_b64url_encode(vs_bytes_of(digest, 32), &hash, NULL))) {
		free(copy);
		free(jws);
		return lab_maa_fail(e, 500, "InternalError", "no memory");
	}
	replace(maa, t,
		(struct lab_maa_policy){.text = copy, .jws = jws, .signer = json_incref(signer)});
	json_object_set_new(claims, "x-ms-policy-result", json_string("Updated"));
	json_object_set_new(claims, "x-ms-policy-token-hash", json_string(vs_buf_cstr(&hash)));
	if (signer)
		json_object_set(claims, "x-ms-policy-signer", signer);
	return true;
}

static bool
change_policy(struct lab_maa *maa, enum lab_tee_type t, bool reset, struct vs_bytes body,
	json_t *claims, struct lab_maa_error *e)
{
	VS_CLEANUP(lab_maa_jws_done) struct lab_maa_jws j = {0};
	json_t *signer = NULL;
	bool ok = lab_maa_jws_open(body, &j) ||
		lab_maa_fail(e, 400, "InvalidParameter", "The body is not a compact JWS.");
	ok = ok && signer_of(maa, &j, &signer, e);
	if (ok && reset && j.payload)
		ok = lab_maa_fail(e, 400, "InvalidParameter", "A reset has an empty payload.");
	else if (ok && reset) {
		replace(maa, t, (struct lab_maa_policy){0});
		json_object_set_new(claims, "x-ms-policy-result", json_string("Removed"));
	} else if (ok)
		ok = put_policy(maa, t, &j, signer, claims, e);
	json_decref(signer);
	return ok;
}

/* "SgxEnclave" or "SgxEnclave:reset" behind /policies/. */
static enum lab_tee_type
parse_target(const char *name, bool *reset)
{
	char type[24];
	const char *colon = strchr(name, ':');
	*reset = colon && strcasecmp(colon, ":reset") == 0;
	if (strlen(name) >= sizeof type + 6 || (colon && !*reset))
		return LAB_TEE_COUNT_;
	snprintf(type, sizeof type, "%.*s", (int)(colon ? colon - name : 23), name);
	return lab_tee_parse(type);
}

static bool
serve(struct lab_maa *maa, const struct lab_req *req, struct vs_buf *token, struct lab_maa_error *e)
{
	bool reset = false;
	const enum lab_tee_type t = parse_target(req->path + 10, &reset);
	if (t == LAB_TEE_COUNT_)
		return lab_maa_fail(
			e, 404, "NotFound", "There is no attestation type of this name.");
	if (!lab_maa_allowed(maa, req, e))
		return false;
	json_t *claims = json_object();
	const bool get = strcmp(req->method, "GET") == 0 && !reset;
	const bool put = strcmp(req->method, reset ? "POST" : "PUT") == 0;
	bool ok = get ? get_policy(maa, t, claims, e)
		: put
		? change_policy(maa, t, reset, req->body, claims, e)
		: lab_maa_fail(e, 405, "MethodNotAllowed", "This method is not offered here.");
	ok = ok && lab_maa_result(maa, claims, token, e);
	json_decref(claims);
	return ok;
}

bool
lab_maa_policies(struct lab_maa *maa, const struct lab_req *req, struct lab_resp *resp)
{
	struct lab_maa_error e = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf token = {0};
	if (strncasecmp(req->path, "/policies/", 10) != 0)
		return false;
	if (serve(maa, req, &token, &e))
		lab_resp_json(resp, 200, json_pack("{s:s}", "token", vs_buf_cstr(&token)));
	else
		lab_maa_answer_error(resp, &e);
	return true;
}
