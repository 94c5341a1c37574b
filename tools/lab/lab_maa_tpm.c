/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * POST /attest/Tpm: the first exchange, in which a client gets its challenge. A report about the
 * challenge is refused: the lab judges vTPM evidence at /attest/AzureGuest only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "base/codec.h"
#include "lab/lab_maa_priv.h"

enum { CHALLENGE = 16, KEY_NAME = 32, CONTEXT = 96 };

static bool
add_b64url(json_t *o, const char *name, struct vs_bytes b)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	return !vs_failed(vs_b64url_encode(b, &text, NULL)) &&
		json_object_set_new(o, name, json_string(vs_buf_cstr(&text))) == 0;
}

/* Opaque to clients: a key's name and what only the service can read. */
static bool
add_context(json_t *payload)
{
	uint8_t bytes[KEY_NAME + CONTEXT];
	char name[2 * KEY_NAME + 1];
	json_t *o = json_object();
	bool ok = o && RAND_bytes(bytes, sizeof bytes) == 1;
	for (size_t i = 0; i < KEY_NAME; i++)
		snprintf(name + 2 * i, 3, "%02X", bytes[i]);
	ok = ok && json_object_set_new(o, "ProtectionKeyName", json_string(name)) == 0 &&
		add_b64url(o, "ProtectedContext", vs_bytes_of(bytes + KEY_NAME, CONTEXT));
	char *text = ok ? json_dumps(o, JSON_COMPACT) : NULL;
	ok = text && add_b64url(payload, "service_context", vs_bytes_str(text));
	free(text);
	json_decref(o);
	return ok;
}

static bool
challenge(struct vs_buf *data, struct lab_maa_error *e)
{
	uint8_t bytes[CHALLENGE];
	json_t *payload = json_object();
	bool ok = RAND_bytes(bytes, sizeof bytes) == 1 &&
		add_b64url(payload, "challenge", vs_bytes_of(bytes, sizeof bytes)) &&
		add_context(payload);
	json_t *o = json_pack("{s:o}", "payload", payload);
	char *text = ok ? json_dumps(o, JSON_COMPACT) : NULL;
	ok = text && !vs_failed(vs_b64url_encode(vs_bytes_str(text), data, NULL));
	free(text);
	json_decref(o);
	return ok || lab_maa_fail(e, 500, "InternalError", "no challenge can be made");
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
	bool ok = false;
	if (type && strcmp(type, "aikcert") == 0)
		ok = challenge(data, e);
	else
		lab_maa_fail(e, 400, "InvalidParameter",
			json_object_get(payload, "request")
				? "The lab does not judge reports of this protocol."
				: "data is not base64url of a JSON object with a payload.");
	json_decref(o);
	return ok;
}
