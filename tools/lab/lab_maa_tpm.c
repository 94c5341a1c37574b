/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * POST /attest/Tpm: two exchanges. A client says hello and gets a challenge, which comes back in
 * what it sends next; nothing about the client is kept in between.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "base/codec.h"
#include "lab/lab_attreq.h"
#include "lab/lab_machine.h"
#include "lab/lab_maa_priv.h"

enum {
	KEY_NAME = 32,
	SEALED = LAB_CHALLENGE + 8, /* challenge, end of its life */
	CONTEXT = 12 + SEALED + 16,
	CHALLENGE_LIFE_S = 300,
	REPORT_LIFE_MIN = 24 * 60,
	REPORT_LIFE_MAX_MIN = 365 * 24 * 60,
	NBF_BEFORE_S = 300,
	ALL_PCRS = 0xffffff,
};

static bool
add_b64url(json_t *o, const char *name, struct vs_bytes b)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = 4 << 20};
	return !vs_failed(vs_b64url_encode(b, &text, NULL)) &&
		json_object_set_new(o, name, json_string(vs_buf_cstr(&text))) == 0;
}

/* {"payload":{name: value}}, in base64url. */
static bool
answer(json_t *payload, struct vs_buf *data, struct lab_maa_error *e)
{
	json_t *o = json_pack("{s:o}", "payload", payload);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	const bool ok = text && !vs_failed(vs_b64url_encode(vs_bytes_str(text), data, NULL));
	free(text);
	json_decref(o);
	return ok || lab_maa_fail(e, 500, "InternalError", "no memory");
}

/* ---- challenge ------------------------------------------------------------------------------ */

static bool
gcm(struct lab_maa *maa, bool seal, uint8_t context[CONTEXT], uint8_t sealed[SEALED])
{
	uint8_t *iv = context, *text = context + 12, *tag = context + 12 + SEALED;
	int n = 0, end = 0;
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	bool ok = c &&
		EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, maa->context_key, iv, seal) == 1 &&
		EVP_CipherUpdate(c, seal ? text : sealed, &n, seal ? sealed : text, SEALED) == 1;
	if (ok && !seal)
		ok = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, 16, tag) == 1;
	ok = ok && EVP_CipherFinal_ex(c, (seal ? text : sealed) + n, &end) == 1;
	if (ok && seal)
		ok = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, 16, tag) == 1;
	EVP_CIPHER_CTX_free(c);
	return ok && n == SEALED;
}

/* Opaque to clients: a key's name and what only the service can read. */
static bool
add_context(struct lab_maa *maa, const uint8_t challenge[LAB_CHALLENGE], json_t *payload)
{
	uint8_t context[CONTEXT], sealed[SEALED], id[KEY_NAME];
	char name[2 * KEY_NAME + 1];
	const uint64_t until = (uint64_t)lab_now(maa->lab) + CHALLENGE_LIFE_S;
	memcpy(sealed, challenge, LAB_CHALLENGE);
	for (size_t i = 0; i < 8; i++)
		sealed[LAB_CHALLENGE + i] = (uint8_t)(until >> (56 - 8 * i));
	json_t *o = json_object();
	bool ok = o && RAND_bytes(context, 12) == 1 && RAND_bytes(id, sizeof id) == 1 &&
		gcm(maa, true, context, sealed);
	for (size_t i = 0; i < KEY_NAME; i++)
		snprintf(name + 2 * i, 3, "%02X", id[i]);
	ok = ok && json_object_set_new(o, "ProtectionKeyName", json_string(name)) == 0 &&
		add_b64url(o, "ProtectedContext", vs_bytes_of(context, CONTEXT));
	char *text = ok ? json_dumps(o, JSON_COMPACT) : NULL;
	ok = text && add_b64url(payload, "service_context", vs_bytes_str(text));
	free(text);
	json_decref(o);
	return ok;
}

static bool
give_challenge(struct lab_maa *maa, struct vs_buf *data, struct lab_maa_error *e)
{
	uint8_t bytes[LAB_CHALLENGE];
	json_t *payload = json_object();
	if (RAND_bytes(bytes, sizeof bytes) != 1 ||
		!add_b64url(payload, "challenge", vs_bytes_of(bytes, sizeof bytes)) ||
		!add_context(maa, bytes, payload)) {
		json_decref(payload);
		return lab_maa_fail(e, 500, "InternalError", "no challenge can be made");
	}
	return answer(payload, data, e);
}

/* Whether the challenge of a request is one that was given to somebody a short while ago. */
static bool
check_challenge(struct lab_maa *maa, const struct lab_attreq *r, struct lab_refusal *why)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0}, context = {0};
	uint8_t sealed[SEALED];
	uint64_t until = 0;
	json_t *o = NULL;
	if (!vs_failed(vs_b64_any_decode(vs_bytes_str(r->service_context), &text, NULL)))
		o = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
	const bool read = o && lab_maa_bytes(o, "ProtectedContext", &context);
	json_decref(o);
	if (!read || context.n != CONTEXT || !gcm(maa, false, context.p, sealed))
		return lab_refuse(
			why, LAB_CHECK_CHALLENGE, "service_context is not one of this service");
	for (size_t i = 0; i < 8; i++)
		until = until << 8 | sealed[LAB_CHALLENGE + i];
	if (!vs_bytes_eq(vs_buf_view(&r->challenge), vs_bytes_of(sealed, LAB_CHALLENGE)))
		return lab_refuse(why, LAB_CHECK_CHALLENGE,
			"challenge is not the one that service_context is about");
	return (uint64_t)lab_now(maa->lab) <= until ||
		lab_refuse(why, LAB_CHECK_CHALLENGE, "the challenge is too old");
}

/* ---- report --------------------------------------------------------------------------------- */

/* What the log does not prove is not said, so that a policy which asks for it does not permit. */
static json_t *
make_claims(const struct lab_attreq *r)
{
	char *events = lab_attreq_events(r), *pcrs = lab_attreq_pcrs(r);
	json_t *claims = NULL;
	if (events && pcrs)
		claims = json_pack("{s:b,s:s,s:i,s:b,s:b,s:b,s:s,s:s}", "aikValidated",
			r->aik_valid, "aikPubHash", r->aik_hash, "tpmVersion", 2,
			"secureBootEnabled", r->log.secure_boot, "vbsEnabled", 0,
			"vbsReportPresent", 0, "events", events, "pcrs", pcrs);
	free(events);
	free(pcrs);
	return claims;
}

/* The service puts the names of such claims behind a URL of its own; which, is not known. */
static json_t *
custom_claims(struct lab_maa *maa, const struct lab_attreq *r)
{
	json_t *out = json_object(), *v = NULL;
	const char *name = NULL;
	json_object_foreach (r->custom, name, v) {
		char full[256];
		if (snprintf(full, sizeof full, "%s/%s", lab_maa_issuer(maa), name) <
			(int)sizeof full)
			json_object_set(out, full, v);
	}
	return out;
}

/* What configuration rules demand of the evidence. */
static bool
check_properties(const struct lab_attreq *r, const json_t *properties, struct lab_refusal *why)
{
	const json_t *need = json_object_get(properties, "require_valid_aik_cert"),
		     *mask = json_object_get(properties, "required_pcr_mask");
	const json_int_t wanted = json_is_integer(mask) ? json_integer_value(mask) : ALL_PCRS;
	if (!r->aik_valid && !json_is_false(need))
		return lab_refuse(why, LAB_CHECK_AIK_CERT_CHAIN,
			"aik_cert does not vouch for aik_pub up to the LAB virtual TPM root");
	if ((wanted & ~(json_int_t)r->pcrs.mask) != 0)
		return lab_refuse(why, LAB_CHECK_QUOTE_SELECTION,
			"the quote covers PCRs 0x%06x, the policy requires 0x%06llx", r->pcrs.mask,
			(long long)wanted);
	return true;
}

static json_t *
report_claims(struct lab_maa *maa, const struct lab_attreq *r,
	const struct lab_policy_result *result, const char *hash)
{
	uint8_t id[20];
	char jti[41];
	const json_t *life = json_object_get(result->properties, "report_validity_in_minutes");
	json_int_t minutes = json_is_integer(life) ? json_integer_value(life) : REPORT_LIFE_MIN;
	const json_int_t now = (json_int_t)lab_now(maa->lab);
	if (minutes < 1 || minutes > REPORT_LIFE_MAX_MIN)
		minutes = minutes < 1 ? 1 : REPORT_LIFE_MAX_MIN;
	if (RAND_bytes(id, sizeof id) != 1)
		return NULL;
	vs_hex_str(id, sizeof id, jti, sizeof jti);
	json_t *o = json_pack("{s:I,s:I,s:I,s:s,s:s,s:s,s:s,s:s,s:s,s:{s:O},s:s,s:{s:O,s:O}}",
		"nbf", now - NBF_BEFORE_S, "exp", now + minutes * 60, "iat", now, "iss",
		lab_maa_issuer(maa), "jti", jti, "ver", "1.0", "x-ms-ver", "1.0", "rp_data",
		r->rp_data, "nonce", r->rp_data, "cnf", "jwk", (json_t *)(uintptr_t)r->jwk,
		"x-ms-policy-hash", hash, "x-ms-tpm-request-key", "jwk",
		(json_t *)(uintptr_t)r->jwk, "info", (json_t *)(uintptr_t)r->info);
	if (json_object_size(result->issued) > 0)
		json_object_set(o, "x-ms-policy", result->issued);
	return o;
}

static bool
issue(struct lab_maa *maa, const struct lab_attreq *r, struct vs_buf *report,
	struct lab_maa_error *e)
{
	struct lab_policy_result result = {0};
	struct lab_refusal why = {0};
	char hash[64] = "";
	json_t *signer = NULL, *claims = make_claims(r), *custom = custom_claims(maa, r);
	bool ok = claims || lab_maa_fail(e, 500, "InternalError", "no memory");
	ok = ok &&
		lab_maa_run_policy(
			maa, LAB_TEE_TPM, claims, custom, NULL, &result, hash, &signer, e) &&
		(check_properties(r, result.properties, &why) || lab_maa_refused(e, &why)) &&
		lab_maa_verdict(&result, LAB_TEE_TPM, e);
	if (ok) {
		const bool omit = json_is_true(json_object_get(result.properties, "omit_x5c"));
		json_t *o = report_claims(maa, r, &result, hash);
		if (o && signer)
			json_object_set(o, "x-ms-policy-signer", signer);
		pthread_rwlock_rdlock(&maa->key_lock);
		ok = o && !vs_failed(lab_maa_sign_chained(&maa->keys, o, omit, report, NULL));
		pthread_rwlock_unlock(&maa->key_lock);
		json_decref(o);
		if (!ok)
			lab_maa_fail(e, 500, "InternalError", "the report cannot be signed");
	}
	lab_policy_result_done(&result);
	json_decref(signer);
	json_decref(claims);
	json_decref(custom);
	return ok;
}

static bool
give_report(struct lab_maa *maa, struct vs_bytes jws, struct vs_buf *data, struct lab_maa_error *e)
{
	VS_CLEANUP(lab_attreq_done) struct lab_attreq r = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf report = {.max = 4 << 20};
	struct lab_anchors anchors;
	struct lab_refusal why = {0};
	if (vs_failed(lab_anchors_make(
		    lab_machine_roots(maa->lab->machine), lab_now(maa->lab), &anchors, NULL)))
		return lab_maa_fail(e, 500, "InternalError", "no memory");
	if (!lab_attreq_open(jws, &r, &why) || !check_challenge(maa, &r, &why) ||
		!lab_attreq_verify(&r, &anchors, &why))
		return lab_maa_refused(e, &why);
	return issue(maa, &r, &report, e) &&
		answer(json_pack("{s:s}", "report", vs_buf_cstr(&report)), data, e);
}

bool
lab_maa_attest_tpm(struct lab_maa *maa, const struct lab_req *req, const json_t *body,
	struct vs_buf *data, struct lab_maa_error *e)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = LAB_BODY_MAX};
	if (!lab_maa_allowed(maa, req, e))
		return false;
	if (maa->trust == LAB_TRUST_SHARED)
		return lab_maa_fail(
			e, 400, "InvalidOperation", "Shared providers do not attest TPMs.");
	char *policy = lab_maa_policy_text(maa, LAB_TEE_TPM, NULL);
	const bool has_policy = policy && *policy;
	free(policy);
	if (!has_policy)
		return lab_maa_fail(e, 400, "PolicyEvaluationError",
			"There is no policy for Tpm, and no default.");
	json_t *o = lab_maa_bytes(body, "data", &text)
		? json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL)
		: NULL;
	const json_t *payload = json_object_get(o, "payload");
	const char *type = json_string_value(json_object_get(payload, "type"));
	const char *request = json_string_value(json_object_get(payload, "request"));
	bool ok = false;
	if (type && strcmp(type, "aikcert") == 0)
		ok = give_challenge(maa, data, e);
	else if (request)
		ok = give_report(maa, vs_bytes_str(request), data, e);
	else
		lab_maa_fail(e, 400, "InvalidParameter",
			"data is not base64url of a JSON object with a payload of type aikcert or "
			"a "
			"request.");
	json_decref(o);
	return ok;
}
