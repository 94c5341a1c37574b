/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_lie.h"
#include "lab/lab_maa.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/pem.h>
#include <openssl/rand.h>

#include "base/codec.h"
#include "lab/lab_claims.h"
#include "lab/lab_guest.h"
#include "lab/lab_machine.h"
#include "lab/lab_maa_priv.h"
#include "lab/lab_roots.h"

static const char *const tee_names[LAB_TEE_COUNT_] = {
	"AzureGuest", "SevSnpVm", "TdxVm", "SgxEnclave", "OpenEnclave", "Tpm"};

enum lab_tee_type
lab_tee_parse(const char *name)
{
	unsigned i = 0;
	while (i < LAB_TEE_COUNT_ && strcasecmp(name, tee_names[i]) != 0)
		i++;
	return (enum lab_tee_type)i;
}

const char *
lab_tee_name(enum lab_tee_type t)
{
	return tee_names[t];
}

bool
lab_maa_fail(struct lab_maa_error *e, int status, const char *code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	e->status = status;
	snprintf(e->code, sizeof e->code, "%s", code);
	vsnprintf(e->message, sizeof e->message, fmt, ap);
	va_end(ap);
	return false;
}

bool
lab_maa_refused(struct lab_maa_error *e, const struct lab_refusal *why)
{
	snprintf(e->inner, sizeof e->inner, "%s", lab_check_name(why->check));
	return lab_maa_fail(e, 400, "InvalidParameter", "Check %s failed: %s.",
		lab_check_name(why->check), why->text);
}

void
lab_maa_set_jwk_full(struct lab_maa *maa, bool full)
{
	for (; maa; maa = maa->next) {
		pthread_mutex_lock(&maa->lock);
		maa->jwk_full = full;
		pthread_mutex_unlock(&maa->lock);
	}
}

bool
lab_maa_run_policy(struct lab_maa *maa, enum lab_tee_type t, const json_t *claims,
	const json_t *custom, const char *draft, struct lab_policy_result *result, char hash[64],
	json_t **signer, struct lab_maa_error *e)
{
	struct vs_err err = {0};
	struct lab_policy *policy = NULL;
	VS_CLEANUP(vs_buf_done) struct vs_buf h = {0};
	char *text = draft ? strdup(draft) : lab_maa_policy_text(maa, t, signer);
	json_t *flat = lab_claims_for_policy(claims);
	vs_rc rc = text ? lab_policy_parse(vs_bytes_str(text), &policy, &err)
			: vs_err_put(&err, VS_E_MEMORY, __func__, __LINE__, 0, "out of memory");
	if (!vs_failed(rc))
		rc = lab_policy_run(policy, flat, custom, result, &err);
	if (!vs_failed(rc))
		rc = lab_policy_hash(vs_bytes_str(text), &h, &err);
	lab_policy_free(policy);
	json_decref(flat);
	free(text);
	if (vs_failed(rc))
		return lab_maa_fail(e, rc.code == VS_E_FORMAT ? 400 : 500,
			rc.code == VS_E_FORMAT ? "PolicyParsingError" : "InternalError", "%s",
			err.frames[0].text);
	snprintf(hash, 64, "%s", vs_buf_cstr(&h));
	return true;
}

bool
lab_maa_verdict(const struct lab_policy_result *r, enum lab_tee_type t, struct lab_maa_error *e)
{
	const char *msg =
		"No Permit claim was issued in the authorizationrules section, authorization "
		"failed.";
	if (r->decision == LAB_PERMIT)
		return true;
	if (r->decision == LAB_DENY && t == LAB_TEE_AZURE_GUEST)
		return lab_maa_fail(e, 400, "PolicyValidationFailure", "%s", r->denied_by);
	if (r->decision == LAB_DENY)
		msg = "A Deny claim was issued, authorization failed.";
	if (r->decision == LAB_DENY_LIMIT)
		msg = "The policy makes more claims than the service holds.";
	if (r->decision == LAB_DENY_ERROR)
		msg = r->error;
	return lab_maa_fail(e, 400, "PolicyEvaluationError",
		"Attestation operation failed with 65518: Exception(0) 83FFFFEE Policy Evaluation "
		"Error "
		"has occurred    Msg:[Policy Engine Exception: %s]",
		msg);
}

/* What `tamper token` asked for: claims that are not true. */
static void
spoil_claims(json_t *claims, enum lab_token_defect defect)
{
	json_t *runtime = json_object_get(claims, "x-ms-runtime");
	json_t *key = json_array_get(json_object_get(runtime, "keys"), 0);
	const char *n = json_string_value(json_object_get(key, "n"));
	if (defect == LAB_TOKEN_NONCE)
		json_object_set_new(json_object_get(runtime, "client-payload"), "nonce",
			json_string("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="));
	else if (defect == LAB_TOKEN_ISSUER)
		json_object_set_new(claims, "iss", json_string("https://localhost:1"));
	else if (defect == LAB_TOKEN_KIND)
		json_object_set_new(claims, "x-ms-attestation-type", json_string("sevsnpvm"));
	else if (defect == LAB_TOKEN_OTHER_KEY && n && strlen(n) > 100) {
		char *other = strdup(n);
		if (other)
			other[100] = other[100] == 'A' ? 'B' : 'A';
		json_object_set_new(key, "n", json_string(other ? other : ""));
		free(other);
	}
}

static vs_rc
sign_locked(struct lab_maa *maa, json_t *claims, bool unsecured, struct vs_buf *out)
{
	const enum lab_token_defect defect = lab_machine_token_defect(maa->lab->machine);
	const char *issuer = lab_maa_issuer(maa);
	struct lab_maa_key key = maa->keys.key[LAB_KEY_GOOD], unknown = {0};
	spoil_claims(claims, defect);
	if (defect == LAB_TOKEN_SHORT_KEY)
		key = maa->keys.key[LAB_KEY_SHORT];
	else if (defect == LAB_TOKEN_EXPIRED_KEY)
		key = maa->keys.key[LAB_KEY_EXPIRED];
	else if (defect == LAB_TOKEN_UNKNOWN_KEY) {
		VS_TRY(lab_maa_key_unknown(&unknown, NULL));
		key = unknown;
	} else if (defect == LAB_TOKEN_WRONG_KEY)
		key.key = maa->keys.key[LAB_KEY_EXPIRED].key;
	const bool bare = unsecured || defect == LAB_TOKEN_ALG_NONE;
	const vs_rc rc = bare ? lab_maa_unsecured(&key, issuer, claims, out, NULL)
			      : lab_maa_sign(&key, issuer, claims, out, NULL);
	EVP_PKEY_free(unknown.key);
	return rc;
}

vs_rc
lab_maa_sign_token(struct lab_maa *maa, json_t *claims, bool unsecured, struct vs_buf *out)
{
	pthread_rwlock_rdlock(&maa->key_lock);
	const vs_rc rc = sign_locked(maa, claims, unsecured, out);
	pthread_rwlock_unlock(&maa->key_lock);
	return rc;
}

/* Which TCB baseline judged an enclave: a property of the policy. */
static void
echo_baseline(enum lab_tee_type t, const struct lab_policy_result *r, json_t *claims)
{
	static const char name[] = "x-ms-sgx-tcbidentifier";
	json_t *v = json_object_get(r->properties, name);
	if (t != LAB_TEE_SGX_ENCLAVE && t != LAB_TEE_OPEN_ENCLAVE)
		return;
	json_object_set_new(
		claims, name, json_is_string(v) ? json_incref(v) : json_string("azuredefault"));
}

bool
lab_maa_issue(struct lab_maa *maa, enum lab_tee_type t, json_t *claims, const char *draft,
	int64_t now, struct vs_buf *token, struct lab_maa_error *e)
{
	struct lab_policy_result result = {0};
	json_t *signer = NULL;
	char hash[64];
	bool ok = lab_maa_run_policy(maa, t, claims, NULL, draft, &result, hash, &signer, e) &&
		lab_maa_verdict(&result, t, e);
	if (ok) {
		echo_baseline(t, &result, claims);
		const struct lab_token_frame frame = {
			.issuer = lab_maa_issuer(maa),
			.now = now,
			.life = LAB_TOKEN_LIFE_S,
			.policy_hash = hash,
			.issued = result.issued,
			.policy_signer = signer,
		};
		ok = lab_claims_frame(claims, &frame) &&
			!vs_failed(lab_maa_sign_token(maa, claims, draft != NULL, token));
		if (!ok)
			ok = lab_maa_fail(e, 500, "InternalError", "the token cannot be signed");
	}
	lab_policy_result_done(&result);
	json_decref(signer);
	return ok;
}

/* Verified facts about the text inside AttestationInfo. */
bool
lab_maa_verify_guest(
	struct lab_maa *maa, struct vs_bytes info, struct lab_facts *facts, struct lab_maa_error *e)
{
	struct lab_anchors anchors;
	struct lab_refusal why;
	if (vs_failed(lab_anchors_make(
		    lab_machine_roots(maa->lab->machine), lab_now(maa->lab), &anchors, NULL)))
		return lab_maa_fail(e, 500, "InternalError", "no memory");
	anchors.nameless = maa->lab->vm;
	if (lab_evidence_verify(info, &anchors, facts, &why))
		return true;
	return lab_maa_refused(e, &why);
}

const json_t *
lab_maa_member(const json_t *o, const char *name)
{
	const char *key = NULL;
	json_t *v = NULL;
	json_object_foreach ((json_t *)(uintptr_t)o, key, v)
		if (strcasecmp(key, name) == 0)
			return v;
	return NULL;
}

/* Each answer is kept for a moment when somebody wants it replayed. */
static bool
keep_or_replay(
	struct lab_maa *maa, enum lab_lie lie, struct vs_buf *answer, struct lab_maa_error *e)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf mine = {.max = LAB_BODY_MAX};
	pthread_mutex_lock(&maa->lock);
	vs_rc rc = vs_buf_add(&mine, answer->p, answer->n, NULL);
	if (!vs_failed(rc) && lie == LAB_LIE_REPLAY && maa->last_answer.n > 0)
		rc = vs_buf_set(answer, maa->last_answer.p, maa->last_answer.n, NULL);
	if (!vs_failed(rc))
		vs_buf_move(&maa->last_answer, &mine);
	pthread_mutex_unlock(&maa->lock);
	return !vs_failed(rc) || lab_maa_fail(e, 500, "InternalError", "no memory");
}

static bool
attest_azure_guest(
	struct lab_maa *maa, const json_t *body, struct vs_buf *answer, struct lab_maa_error *e)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf info = {.max = LAB_BODY_MAX}, token = {0};
	struct lab_facts facts;
	const json_t *v = lab_maa_member(body, "AttestationInfo");
	if (!json_is_string(v) ||
		vs_failed(vs_b64_any_decode(
			vs_bytes_of(json_string_value(v), json_string_length(v)), &info, NULL)))
		return lab_maa_fail(
			e, 400, "InvalidParameter", "AttestationInfo is missing or not base64url.");
	if (!lab_maa_verify_guest(maa, vs_buf_view(&info), &facts, e))
		return false;
	const enum lab_lie lie = lab_lie_take(maa->lab, maa->service, "/attest/AzureGuest");
	json_t *claims = lab_claims_azurevm(&facts);
	bool ok = claims &&
		lab_maa_issue(maa, LAB_TEE_AZURE_GUEST, claims, NULL, lab_now(maa->lab), &token, e);
	if (ok &&
		vs_failed(lab_lie_token(lie, &maa->keys.key[LAB_KEY_GOOD], lab_maa_issuer(maa),
			claims, &token, NULL)))
		ok = lab_maa_fail(e, 500, "InternalError", "the false token cannot be made");
	if (ok && vs_failed(lab_maa_envelope(vs_buf_view(&token), facts.enc_n, answer, NULL)))
		ok = lab_maa_fail(e, 500, "InternalError", "the token cannot be encrypted");
	json_decref(claims);
	lab_facts_done(&facts);
	return ok && keep_or_replay(maa, lie, answer, e);
}

static bool
known_version(const char *v)
{
	static const char *const known[] = {LAB_MAA_PREVIEW, "2020-10-01", "2022-08-01",
		"2022-09-01-preview", "2023-04-01-preview", "2025-06-01", "2026-03-11-preview"};
	for (size_t i = 0; v && i < sizeof known / sizeof *known; i++) {
		if (strcmp(v, known[i]) == 0)
			return true;
	}
	return false;
}

static bool
attest(struct lab_maa *maa, const struct lab_req *req, const char *type, struct vs_buf *answer,
	struct lab_maa_error *e)
{
	const char *version = lab_req_query(req, "api-version");
	if (strcmp(req->method, "POST") != 0)
		return lab_maa_fail(e, 405, "MethodNotAllowed", "Attestation needs POST.");
	if (!known_version(version))
		return lab_maa_fail(e, 400, "InvalidParameter",
			version ? "The api-version is not supported."
				: "The api-version query parameter is required.");
	const enum lab_tee_type t = lab_tee_parse(type);
	const bool preview = lab_maa_is_preview(type, version);
	json_t *body =
		json_loadb((const char *)req->body.p, req->body.n, JSON_REJECT_DUPLICATES, NULL);
	bool ok = false;
	if (!json_is_object(body))
		lab_maa_fail(e, 400, "InvalidParameter", "The request body is not a JSON object.");
	else if (preview)
		ok = lab_maa_attest_preview(maa, req, type, body, answer, e);
	else if (t == LAB_TEE_AZURE_GUEST)
		ok = attest_azure_guest(maa, body, answer, e);
	else if (t == LAB_TEE_SEV_SNP_VM)
		ok = lab_maa_attest_snp(maa, body, answer, e);
	else if (t == LAB_TEE_TDX_VM || t == LAB_TEE_SGX_ENCLAVE || t == LAB_TEE_OPEN_ENCLAVE)
		ok = lab_maa_attest_quote(maa, t, body, answer, e);
	else if (t == LAB_TEE_TPM)
		ok = lab_maa_attest_tpm(maa, req, body, answer, e);
	else
		lab_maa_fail(e, 404, "NotFound", "The lab does not attest %.20s.", type);
	json_decref(body);
	return ok;
}

static json_t *
metadata(const char *url)
{
	static const char *const claims[] = {"cnf", "nonce", "x-ms-ver", "x-ms-attestation-type",
		"x-ms-policy-hash", "x-ms-policy-signer", "x-ms-sgx-is-debuggable",
		"x-ms-sgx-mrenclave", "x-ms-sgx-mrsigner", "x-ms-sgx-svn", "x-ms-sgx-ehd",
		"x-ms-sgx-collateral", "is-debuggable", "sgx-mrsigner", "sgx-mrenclave",
		"product-id", "svn", "tee"};
	char revoke[128], certs[128];
	snprintf(revoke, sizeof revoke, "%s/revoke", url);
	snprintf(certs, sizeof certs, "%s/certs", url);
	json_t *supported = json_array();
	for (size_t i = 0; i < sizeof claims / sizeof *claims; i++)
		json_array_append_new(supported, json_string(claims[i]));
	return json_pack("{s:[s,s],s:[s],s:s,s:s,s:s,s:o}", "response_types_supported", "token",
		"none", "id_token_signing_alg_values_supported", "RS256", "revocation_endpoint",
		revoke, "issuer", url, "jwks_uri", certs, "claims_supported", supported);
}

/* Tpm has its own protocol inside "data", and goes out in chunks; in 2018 the token went bare. */
static void
answer_attest(const struct lab_req *req, struct vs_buf *answer, struct lab_resp *resp)
{
	const char *type = req->path + 8;
	const bool tpm = lab_tee_parse(type) == LAB_TEE_TPM;
	if (lab_maa_is_preview(type, lab_req_query(req, "api-version"))) {
		lab_resp_json(resp, 200, json_string(vs_buf_cstr(answer)));
		return;
	}
	lab_resp_json(resp, 200, json_pack("{s:s}", tpm ? "data" : "token", vs_buf_cstr(answer)));
	resp->chunked = tpm;
}

/* One route names its requests in another form than the rest. */
static void
service_headers(struct lab_resp *resp, bool short_id)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf b64 = {0};
	uint8_t id[24];
	char hex[49], text[64];
	if (RAND_bytes(id, sizeof id) != 1)
		memset(id, 0, sizeof id);
	vs_hex_str(id, sizeof id, hex, sizeof hex);
	snprintf(text, sizeof text, "00-%.32s-%s-00", hex, hex + 32);
	if (short_id && !vs_failed(vs_b64_encode(vs_bytes_of(id, 12), &b64, NULL)))
		snprintf(text, sizeof text, "%s", vs_buf_cstr(&b64));
	lab_resp_header(resp, "Server", "Kestrel");
	lab_resp_header(resp, "x-ms-request-id", text);
	lab_resp_header(resp, "x-ms-maa-service-version", "1.11.00000.0-LAB");
}

/* The inner error repeats the outer one; where a check of evidence failed, it names the check. */
void
lab_maa_answer_error(struct lab_resp *resp, const struct lab_maa_error *e)
{
	const char *code = e->code[0] ? e->code : "InternalError";
	lab_resp_json(resp, e->status ? e->status : 500,
		json_pack("{s:{s:s,s:s,s:{s:s,s:s}}}", "error", "code", code, "message", e->message,
			"innererror", "code", e->inner[0] ? e->inner : code, "message",
			e->message));
	resp->chunked = true;
}

static struct lab_maa *
provider(struct lab *lab, int service)
{
	struct lab_maa *maa = lab->maa;
	while (maa->next && (int)maa->service != service)
		maa = maa->next;
	return (int)maa->service == service ? maa : lab->maa;
}

static void
answer_keys(struct lab_maa *maa, struct lab_resp *resp)
{
	pthread_mutex_lock(&maa->lock);
	const bool full = maa->jwk_full;
	pthread_mutex_unlock(&maa->lock);
	pthread_rwlock_rdlock(&maa->key_lock);
	lab_resp_json(resp, 200, lab_maa_jwks(&maa->keys, full));
	pthread_rwlock_unlock(&maa->key_lock);
}

void
lab_maa_handle(struct lab *lab, const struct lab_req *req, struct lab_resp *resp)
{
	struct lab_maa *maa = provider(lab, req->service);
	struct lab_maa_error e = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf answer = {.max = LAB_BODY_MAX};
	const char *path = req->path;
	service_headers(resp, strncasecmp(path, "/attest/Tpm", 11) == 0);
	if (lab_req_is(req, "GET", "/certs")) {
		answer_keys(maa, resp);
	} else if (lab_req_is(req, "GET", "/.well-known/openid-configuration")) {
		lab_resp_json(resp, 200, metadata(lab_maa_issuer(maa)));
	} else if (strncasecmp(path, "/attest/", 8) == 0) {
		if (attest(maa, req, path + 8, &answer, &e))
			answer_attest(req, &answer, resp);
		else
			lab_maa_answer_error(resp, &e);
	} else if (!lab_maa_policies(maa, req, resp) && !lab_maa_certificates(maa, req, resp)) {
		lab_maa_fail(&e, 404, "NotFound", "There is nothing at this path.");
		lab_maa_answer_error(resp, &e);
	}
	const char *version = lab_req_query(req, "api-version");
	if (resp->status == 401 && version && strcmp(version, LAB_MAA_PREVIEW) == 0)
		lab_maa_preview_challenge(maa, resp);
	if (resp->status >= 400 && version && strcmp(version, "2025-06-01") >= 0)
		lab_resp_header(resp, "x-ms-error-code", e.code[0] ? e.code : "InternalError");
}
