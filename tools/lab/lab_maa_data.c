/* SPDX-License-Identifier: BSD-2-Clause */
/* runtimeData, initTimeData, nonce and draft policies: what all attest calls have in common. */
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "base/codec.h"
#include "lab/lab_maa_priv.h"

void
lab_maa_data_done(struct lab_maa_data *d)
{
	vs_buf_done(&d->bytes);
	*d = (struct lab_maa_data){0};
}

bool
lab_maa_bytes(const json_t *body, const char *name, struct vs_buf *out)
{
	const json_t *v = lab_maa_member(body, name);
	return json_is_string(v) &&
		!vs_failed(vs_b64_any_decode(
			vs_bytes_of(json_string_value(v), json_string_length(v)), out, NULL));
}

bool
lab_maa_data_read(
	const json_t *body, const char *name, struct lab_maa_data *d, struct lab_maa_error *e)
{
	const json_t *v = lab_maa_member(body, name);
	if (v == NULL || json_is_null(v))
		return true;
	const char *type = json_string_value(lab_maa_member(v, "dataType"));
	d->there = true;
	d->json = type && strcmp(type, "JSON") == 0;
	if (!lab_maa_bytes(v, "data", &d->bytes) ||
		(!d->json && !(type && strcmp(type, "Binary") == 0)))
		return lab_maa_fail(
			e, 400, "InvalidParameter", "%s has no data or dataType.", name);
	return true;
}

bool
lab_maa_data_bound(const struct lab_maa_data *d, const uint8_t hash[32], enum lab_check check,
	struct lab_maa_error *e)
{
	uint8_t digest[32];
	struct lab_refusal why = {0};
	if (!d->there)
		return true;
	SHA256(d->bytes.p ? d->bytes.p : (const uint8_t *)"", d->bytes.n, digest);
	if (CRYPTO_memcmp(digest, hash, sizeof digest) == 0)
		return true;
	lab_refuse(&why, check, "the evidence does not have the SHA-256 of this data");
	return lab_maa_refused(e, &why);
}

bool
lab_maa_data_claim(const struct lab_maa_data *d, const char *name, const char *claim,
	json_t *claims, struct lab_maa_error *e)
{
	if (!d->there || !d->json)
		return true;
	/* One NUL behind the text is tolerated and is part of the hash. */
	const size_t n = d->bytes.n - (d->bytes.n > 0 && d->bytes.p[d->bytes.n - 1] == 0);
	json_t *o = json_loadb((const char *)d->bytes.p, n, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(o)) {
		json_decref(o);
		return lab_maa_fail(e, 400, "InvalidParameter", "%s is not a JSON object.", name);
	}
	json_object_set_new(claims, claim, o);
	return true;
}

void
lab_maa_nonce(const json_t *body, json_t *claims)
{
	const json_t *nonce = lab_maa_member(body, "nonce");
	if (json_is_string(nonce))
		json_object_set_new(claims, "nonce", json_copy((json_t *)(uintptr_t)nonce));
}

bool
lab_maa_draft(const json_t *body, struct vs_buf *text, bool *there, struct lab_maa_error *e)
{
	const json_t *v = lab_maa_member(body, "draftPolicyForAttestation");
	const char *s = json_string_value(v);
	*there = v && !json_is_null(v);
	if (!*there)
		return true;
	if (!s || strlen(s) != json_string_length(v))
		return lab_maa_fail(
			e, 400, "InvalidParameter", "draftPolicyForAttestation is not a text.");
	if (strncmp(s, "eyJ", 3) == 0)
		return lab_maa_jws_policy(s, text, e);
	return !vs_failed(vs_buf_add_str(text, s, NULL)) ||
		lab_maa_fail(e, 500, "InternalError", "no memory");
}
