/* SPDX-License-Identifier: BSD-2-Clause */
/* Policies in force, and the calls that read and change them (trust model AAD). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "base/codec.h"
#include "lab/lab_claims.h"
#include "lab/lab_maa_priv.h"

enum { RESULT_LIFE_S = 3600, JWS_MAX = 128 * 1024 };
#define UNSIGNED_HEAD "eyJhbGciOiJub25lIn0."
#define AUDIENCE "https://attest.azure.net"

/* The lab's own default: what the real one is known to deny; the claim marks lab tokens (T-L1). */
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
	"};\n"
	"issuancerules\n"
	"{\n"
	"=> issue(type=\"vouchsafe-lab\", value=true);\n"
	"};\n";
static const char default_vm[] = "version= 1.0;authorizationrules{=> permit();};"
				 "issuancerules{=> issue(type=\"vouchsafe-lab\", value=true);};";

static const char *
default_text(enum lab_tee_type t)
{
	return t == LAB_TEE_AZURE_GUEST ? default_azure_guest : default_vm;
}

char *
lab_maa_policy_text(struct lab_maa *maa, enum lab_tee_type t, json_t **signer)
{
	pthread_mutex_lock(&maa->lock);
	const struct lab_maa_policy *p = &maa->policy[t];
	char *text = strdup(p->text ? p->text : default_text(t));
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

/* A compact JWS taken apart. */
struct jws {
	struct vs_bytes text, signed_part; /* header.payload */
	json_t *header, *payload; /* payload NULL: empty */
	struct vs_buf sig;
};

static void
jws_done(struct jws *j)
{
	json_decref(j->header);
	json_decref(j->payload);
	vs_buf_done(&j->sig);
}

static json_t *
part(const char *p, size_t n)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
	if (vs_failed(vs_b64url_decode(vs_bytes_of(p, n), &b, NULL)))
		return NULL;
	return json_loadb((const char *)b.p, b.n, JSON_REJECT_DUPLICATES, NULL);
}

static bool
jws_open(struct vs_bytes text, struct jws *j)
{
	const char *s = (const char *)text.p;
	const char *dot1 = text.n > 0 && text.n < JWS_MAX ? memchr(s, '.', text.n) : NULL;
	const char *dot2 = dot1 ? memchr(dot1 + 1, '.', text.n - (size_t)(dot1 + 1 - s)) : NULL;
	if (!dot2)
		return false;
	j->text = text;
	j->signed_part = vs_bytes_of(s, (size_t)(dot2 - s));
	j->header = part(s, (size_t)(dot1 - s));
	if (dot2 > dot1 + 1 && !(j->payload = part(dot1 + 1, (size_t)(dot2 - dot1 - 1))))
		return false;
	return json_is_object(j->header) &&
		!vs_failed(vs_b64url_decode(
			vs_bytes_of(dot2 + 1, text.n - (size_t)(dot2 + 1 - s)), &j->sig, NULL));
}

static bool
rs256_ok(const struct jws *j, EVP_PKEY *key)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	const bool ok = md && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA &&
		EVP_PKEY_get_bits(key) >= 2048 &&
		EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, key) == 1 &&
		EVP_DigestVerify(md, j->sig.p, j->sig.n, j->signed_part.p, j->signed_part.n) == 1;
	EVP_MD_CTX_free(md);
	ERR_clear_error();
	return ok;
}

/* Unsigned, or signed by any CA certificate that it brings along: that is what AAD mode takes. */
static bool
signer_of(const struct jws *j, json_t **signer, struct lab_maa_error *e)
{
	const char *alg = json_string_value(json_object_get(j->header, "alg"));
	json_t *x5c = json_object_get(j->header, "x5c");
	const char *first = json_string_value(json_array_get(x5c, 0));
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	if (alg && strcmp(alg, "none") == 0)
		return j->sig.n == 0 ||
			lab_maa_fail(
				e, 400, "InvalidParameter", "An unsigned policy has a signature.");
	if (!alg || strcmp(alg, "RS256") != 0 || !first ||
		vs_failed(vs_b64_decode(vs_bytes_str(first), &der, NULL)))
		return lab_maa_fail(
			e, 400, "InvalidParameter", "The policy is not signed with RS256 and x5c.");
	const unsigned char *p = der.p;
	X509 *cert = d2i_X509(NULL, &p, (long)der.n);
	const bool ok = cert && X509_check_ca(cert) == 1 && rs256_ok(j, X509_get0_pubkey(cert));
	X509_free(cert);
	ERR_clear_error();
	if (!ok)
		return lab_maa_fail(e, 400, "InvalidParameter",
			"The policy's signature is not one of the CA certificate in its x5c.");
	*signer = json_pack(
		"{s:s,s:s,s:s,s:O}", "alg", "RS256", "kty", "RSA", "use", "sig", "x5c", x5c);
	return true;
}

/* The token that answers every policy call. */
static bool
result_token(struct lab_maa *maa, json_t *claims, struct vs_buf *out, struct lab_maa_error *e)
{
	const char *issuer = maa->lab->url[LAB_MAA];
	const json_int_t now = (json_int_t)lab_now(maa->lab);
	json_object_set_new(claims, "iss", json_string(issuer));
	json_object_set_new(claims, "iat", json_integer(now));
	json_object_set_new(claims, "nbf", json_integer(now));
	json_object_set_new(claims, "exp", json_integer(now + RESULT_LIFE_S));
	if (vs_failed(lab_maa_sign(&maa->keys.key[LAB_KEY_GOOD], issuer, claims, out, NULL)))
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
	const vs_rc rc = p->jws ? vs_buf_add_str(&jws, p->jws, NULL)
				: unsigned_jws(p->text ? p->text : default_text(t), &jws, NULL);
	pthread_mutex_unlock(&maa->lock);
	if (vs_failed(rc))
		return lab_maa_fail(e, 500, "InternalError", "no memory");
	json_object_set_new(claims, "x-ms-policy", json_string(vs_buf_cstr(&jws)));
	return true;
}

static bool
put_policy(struct lab_maa *maa, enum lab_tee_type t, const struct jws *j, json_t *signer,
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
	VS_CLEANUP(jws_done) struct jws j = {0};
	json_t *signer = NULL;
	bool ok = jws_open(body, &j) ||
		lab_maa_fail(e, 400, "InvalidParameter", "The body is not a compact JWS.");
	ok = ok && signer_of(&j, &signer, e);
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
	char why[64] = "";
	const enum lab_tee_type t = parse_target(req->path + 10, &reset);
	if (t == LAB_TEE_COUNT_)
		return lab_maa_fail(
			e, 404, "NotFound", "There is no attestation type of this name.");
	if (!lab_access_ok(maa->lab, req, AUDIENCE, why, sizeof why))
		return lab_maa_fail(e, 401, "Unauthorized",
			"Access to %.60s requires a valid JWT bearer token (%s)", req->path, why);
	json_t *claims = json_object();
	const bool get = strcmp(req->method, "GET") == 0 && !reset;
	const bool put = strcmp(req->method, reset ? "POST" : "PUT") == 0;
	bool ok = get ? get_policy(maa, t, claims, e)
		: put
		? change_policy(maa, t, reset, req->body, claims, e)
		: lab_maa_fail(e, 405, "MethodNotAllowed", "This method is not offered here.");
	ok = ok && result_token(maa, claims, token, e);
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
