/* SPDX-License-Identifier: BSD-2-Clause */
#include "keys/release.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"
#include "base/log.h"
#include "crypto/keywrap.h"
#include "crypto/ossl.h"
#include "crypto/pkey.h"
#include "jose/jose.h"
#include "jose/json.h"
#include "net/url.h"

enum {
	PAYLOAD_MAX = VS_JWS_RELEASE_MAX,
	KEY_HSM_MAX = 64 * 1024,
	POLICY_MAX = 64 * 1024,
	KEK_BYTES = 32,
	KWP_MIN = 16,
};

/* A released key as it stands in a verified answer. */
struct answer {
	struct vs_buf payload;
	struct vs_json *root;
	struct vs_buf key_hsm;
	struct vs_json *envelope;
	struct vs_buf ciphertext;
};

static void
answer_done(struct answer *a)
{
	vs_buf_done(&a->payload);
	vs_json_free(a->root);
	vs_buf_done(&a->key_hsm);
	vs_json_free(a->envelope);
	vs_buf_done(&a->ciphertext);
}

void
vs_release_facts_done(struct vs_release_facts *f)
{
	vs_buf_done(&f->policy);
	*f = (struct vs_release_facts){0};
}

/*
 * The one sentence for everything that is wrong with an answer (T-K3). Why it was refused goes to
 * the log where the reason is in what was signed, and nowhere where it is in what was wrapped.
 */
static VS_RC
refuse(const struct vs_release_want *want, const char *why, struct vs_err *err)
{
	char name[140];

	vs_quote(want->entry->name, name, sizeof name);
	if (why != NULL)
		vs_log(&want->log, VS_LOG_WARN, "keys", "release of key %s refused: %s", name, why);
	VS_FAIL(err, REFUSED_ANSWER,
		"the answer to the release of key %s is not one that the vault %s can have given "
		"to us; nothing of "
		"it was used",
		name, want->vault);
}

/* Errors that say nothing about the answer go through as they are. */
static bool
is_ours(vs_rc rc)
{
	switch (vs_code_cat(rc.code)) {
	case VS_CAT_RESOURCE: return rc.code != VS_E_LIMIT;
	case VS_CAT_INTERNAL:
	case VS_CAT_EVIDENCE:
	case VS_CAT_REMOTE:
	case VS_CAT_IO:
	case VS_CAT_STATE: return true;
	case VS_CAT_NONE:
	case VS_CAT_USAGE:
	case VS_CAT_CONFIG:
	case VS_CAT_PROTOCOL:
	case VS_CAT_CRYPTO:
	case VS_CAT_POLICY:
	case VS_CAT_GONE:
	case VS_CAT_COUNT_: break;
	}
	return false;
}

/* ---- what was signed ------------------------------------------------------------------------ */

static VS_RC
open_jws(const struct vs_release_want *want, struct vs_bytes jws, struct answer *a,
	struct vs_err *err)
{
	struct vs_url vault = {0};
	struct vs_err why = {0};
	char sentence[400];

	VS_TRY(vs_url_parse(want->vault, &vault, err));
	const vs_rc rc =
		vs_jws_open_x5c(jws, want->anchors, vault.host, want->now_unix, &a->payload, &why);
	if (!vs_failed(rc))
		return VS_OK;
	if (is_ours(rc)) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	vs_err_sentence(&why, sentence, sizeof sentence);
	return refuse(want, sentence, err);
}

static bool
bytes_equal_fold(struct vs_bytes a, const char *b, size_t n)
{
	return a.n == n && (n == 0 || strncasecmp((const char *)a.p, b, n) == 0);
}

/* Exactly this vault, name and version. */
static bool
is_our_key(const struct vs_release_want *want, const struct vs_json *kid)
{
	static const char prefix[] = "/keys/";
	struct vs_url vault = {0};
	struct vs_url u = {0};
	const char *text = NULL;

	if (!vs_json_string(kid, &text) || vs_failed(vs_url_parse(text, &u, NULL)) ||
		vs_failed(vs_url_parse(want->vault, &vault, NULL)) ||
		!vs_url_same_origin(&u, &vault))
		return false;
	if (strncmp(u.target, prefix, sizeof prefix - 1) != 0)
		return false;
	const char *name = u.target + sizeof prefix - 1;
	const size_t n = strcspn(name, "/");
	return name[n] == '/' && bytes_equal_fold(want->entry->name, name, n) &&
		want->entry->version.n > 0 &&
		bytes_equal_fold(want->entry->version, name + n + 1, strlen(name + n + 1));
}

/* base64url; leading zeros do not count, neither there nor here. */
static bool
number_equal(const struct vs_json *jwk, const char *name, struct vs_bytes want)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf seen = {0};
	struct vs_bytes text = {0};

	if (!vs_json_bytes(vs_json_get(jwk, name), &text) ||
		vs_failed(vs_b64_any_decode(text, &seen, NULL)))
		return false;
	struct vs_bytes got = vs_buf_view(&seen);
	while (got.n > 0 && got.p[0] == 0) {
		got.p++;
		got.n--;
	}
	while (want.n > 0 && want.p[0] == 0) {
		want.p++;
		want.n--;
	}
	return want.n > 0 && vs_bytes_eq(got, want);
}

static const char *
curve_name(enum vs_curve c)
{
	switch (c) {
	case VS_CURVE_P256: return "P-256";
	case VS_CURVE_P384: return "P-384";
	case VS_CURVE_P521: return "P-521";
	case VS_CURVE_P256K: return "P-256K";
	case VS_CURVE_NONE:
	case VS_CURVE_COUNT_: break;
	}
	return "";
}

static bool
kty_is(const struct vs_json *jwk, const char *plain, const char *hsm)
{
	const struct vs_json *kty = vs_json_get(jwk, "kty");

	return vs_json_is_string(kty, plain) || vs_json_is_string(kty, hsm);
}

/* Type and public part are those that the catalog shows. */
static bool
is_shown_key(const struct vs_cat_entry *entry, const struct vs_json *jwk)
{
	switch (entry->type) {
	case VS_KEY_RSA:
		return kty_is(jwk, "RSA", "RSA-HSM") && number_equal(jwk, "n", entry->n) &&
			number_equal(jwk, "e", entry->e);
	case VS_KEY_EC:
		return kty_is(jwk, "EC", "EC-HSM") &&
			vs_json_is_string(vs_json_get(jwk, "crv"), curve_name(entry->curve)) &&
			number_equal(jwk, "x", entry->x) && number_equal(jwk, "y", entry->y);
	case VS_KEY_AES: return kty_is(jwk, "oct", "oct-HSM");
	case VS_KEY_NONE:
	case VS_KEY_SECRET:
	case VS_KEY_COUNT_: break;
	}
	return false;
}

/* NULL when all is well, else the reason. */
static const char *
find_fault(const struct vs_release_want *want, const struct vs_json *root)
{
	const struct vs_json *key = vs_json_path(root, "response.key");
	const struct vs_json *jwk = vs_json_get(key, "key");
	bool flag = false;

	if (!vs_json_is_string(vs_json_path(root, "request.enc"), want->enc))
		return "it was made for a request with another enc";
	if (!is_our_key(want, vs_json_path(root, "request.kid")))
		return "it answers a request for another key or version";
	if (!is_our_key(want, vs_json_get(jwk, "kid")))
		return "it holds another key or version";
	if (!is_shown_key(want->entry, jwk))
		return "its key has another type or public part than the one shown";
	if (!vs_json_bool(vs_json_path(key, "attributes.exportable"), &flag) || !flag)
		return "its key is not marked exportable";
	if (!vs_json_bool(vs_json_path(key, "attributes.enabled"), &flag) || !flag)
		return "its key is not enabled";
	return NULL;
}

/* The wrapped key: base64url of JSON with the wrapping's name and the two blocks. */
static const char *
open_envelope(const struct vs_release_want *want, struct answer *a)
{
	const struct vs_json *key_hsm = vs_json_path(a->root, "response.key.key.key_hsm");
	struct vs_bytes text = {0};

	a->key_hsm.max = KEY_HSM_MAX;
	a->ciphertext.max = KEY_HSM_MAX;
	if (!vs_json_bytes(key_hsm, &text) ||
		vs_failed(vs_b64_any_decode(text, &a->key_hsm, NULL)) ||
		vs_failed(vs_json_load_object(
			vs_buf_view(&a->key_hsm), KEY_HSM_MAX, "key_hsm", &a->envelope, NULL)))
		return "its key_hsm cannot be read";
	if (!vs_json_is_string(vs_json_get(a->envelope, "schema_version"), "1.0") ||
		!vs_json_is_string(vs_json_path(a->envelope, "header.alg"), "dir") ||
		!vs_json_is_string(vs_json_path(a->envelope, "header.enc"), want->enc))
		return "its key_hsm is of another form than the one asked for";
	if (!vs_json_bytes(vs_json_get(a->envelope, "ciphertext"), &text) ||
		vs_failed(vs_b64_any_decode(text, &a->ciphertext, NULL)))
		return "its key_hsm has no ciphertext";
	const size_t rsa = want->wrap_bytes;
	if (rsa == 0 || a->ciphertext.n < rsa + KWP_MIN || a->ciphertext.n > rsa + VS_WRAP_MAX ||
		(a->ciphertext.n - rsa) % 8 != 0)
		return "its ciphertext has a length that is not possible";
	return NULL;
}

static VS_RC
read_answer(const struct vs_release_want *want, struct vs_bytes jws, struct answer *a,
	struct vs_err *err)
{
	a->payload.max = PAYLOAD_MAX;
	VS_TRY(open_jws(want, jws, a, err));
	if (vs_failed(vs_json_load_object(
		    vs_buf_view(&a->payload), PAYLOAD_MAX, "release", &a->root, NULL)))
		return refuse(want, "its payload is not strict JSON", err);
	const char *fault = find_fault(want, a->root);
	if (fault == NULL)
		fault = open_envelope(want, a);
	return fault == NULL ? VS_OK : refuse(want, fault, err);
}

static VS_RC
read_facts(const struct vs_release_want *want, const struct answer *a, struct vs_release_facts *f,
	struct vs_err *err)
{
	const struct vs_json *policy = vs_json_path(a->root, "response.key.release_policy");
	const char *kid = NULL;
	struct vs_bytes data = {0};

	VS_REQUIRE(err, vs_json_string(vs_json_path(a->root, "response.key.key.kid"), &kid));
	(void)snprintf(f->kid, sizeof f->kid, "%s", kid);
	(void)snprintf(f->enc, sizeof f->enc, "%s", want->enc);
	f->policy.max = POLICY_MAX;
	if (!vs_json_bytes(vs_json_get(policy, "data"), &data) ||
		vs_failed(vs_b64_any_decode(data, &f->policy, NULL)))
		return refuse(want, "its key has no release policy that can be read", err);
	f->policy_immutable = false;
	(void)vs_json_bool(vs_json_get(policy, "immutable"), &f->policy_immutable);
	return VS_OK;
}

/* ---- what was wrapped ----------------------------------------------------------------------- */

static enum vs_unwrap
scheme_of(const char *enc)
{
	if (strcmp(enc, "CKM_RSA_AES_KEY_WRAP") == 0)
		return VS_UNWRAP_OAEP_SHA1;
	return strcmp(enc, "RSA_AES_KEY_WRAP_384") == 0 ? VS_UNWRAP_OAEP_SHA384
							: VS_UNWRAP_OAEP_SHA256;
}

/*
 * Both steps are always made, the second with random octets when the first one failed, and both
 * failures are one: nobody learns which of them it was, neither by words nor by time.
 */
static VS_RC
unwrap(const struct vs_release_want *want, const struct answer *a, const struct vs_evidence_src *ev,
	struct vs_arena *arena, struct vs_secret *ret, struct vs_err *err)
{
	VS_CLEANUP(vs_secret_done) struct vs_secret kek = {0};
	VS_CLEANUP(vs_secret_done) struct vs_secret decoy = {0};
	VS_CLEANUP(vs_secret_done) struct vs_secret material = {0};
	const struct vs_bytes rsa = vs_bytes_of(a->ciphertext.p, want->wrap_bytes);
	const struct vs_bytes kwp = vs_bytes_of(a->ciphertext.p + rsa.n, a->ciphertext.n - rsa.n);
	struct vs_err why = {0};

	VS_TRY(vs_secret_new(arena, KEK_BYTES, &decoy, err));
	VS_TRY(vs_random(decoy.p, decoy.n, err));
	vs_rc rc = ev->ops->unwrap(ev->self, scheme_of(want->enc), rsa, arena, &kek, &why);
	if (is_ours(rc) || rc.code == VS_E_REFUSED_BINDING) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	const bool opened = !vs_failed(rc) && kek.n == KEK_BYTES;
	rc = vs_release_unwrap(want->ossl, opened ? &kek : &decoy, kwp, arena, &material, &why);
	if (is_ours(rc)) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	if (!opened || vs_failed(rc))
		return refuse(want, NULL, err);
	vs_secret_move(ret, &material);
	return VS_OK;
}

static void
unref_pkey(struct vs_pkey **k)
{
	vs_pkey_unref(*k);
}

/* The private part is good material and belongs to the public part that everybody sees. */
static VS_RC
accept_key(const struct vs_release_want *want, const struct vs_secret *material,
	struct vs_arena *arena, struct vs_secret *ret, struct vs_err *err)
{
	const struct vs_cat_entry *e = want->entry;
	VS_CLEANUP(unref_pkey) struct vs_pkey *key = NULL;
	struct vs_err why = {0};
	char sentence[240];
	char name[140];

	vs_quote(e->name, name, sizeof name);
	const vs_rc rc = vs_pkey_from_released(want->ossl, arena, e->type, material, &key, &why);
	if (vs_failed(rc) && is_ours(rc)) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	if (vs_failed(rc)) {
		vs_err_sentence(&why, sentence, sizeof sentence);
		VS_FAIL(err, REFUSED_KEY, "what was released as key %s cannot be used: %s", name,
			sentence);
	}
	const struct vs_key_desc desc = vs_pkey_desc(key);
	const struct vs_key_public shown = {
		.type = e->type, .curve = e->curve, .n = e->n, .e = e->e, .x = e->x, .y = e->y};
	const bool same = e->type == VS_KEY_AES ? e->bits == 0 || desc.bits == e->bits
						: vs_pkey_matches_public(key, &shown);
	if (desc.type != e->type || !same)
		VS_FAIL(err, REFUSED_KEY,
			"the private key released as %s does not belong to the public key that is "
			"shown",
			name);
	return vs_pkey_export(key, arena, ret, err);
}

vs_rc
vs_release_open(const struct vs_release_want *want, struct vs_bytes jws,
	const struct vs_evidence_src *ev, struct vs_arena *arena, struct vs_secret *ret,
	struct vs_release_facts *ret_facts, struct vs_err *err)
{
	VS_CLEANUP(answer_done) struct answer a = {0};
	VS_CLEANUP(vs_release_facts_done) struct vs_release_facts facts = {0};
	VS_CLEANUP(vs_secret_done) struct vs_secret material = {0};

	VS_TRY(read_answer(want, jws, &a, err));
	VS_TRY(read_facts(want, &a, &facts, err));
	VS_TRY(unwrap(want, &a, ev, arena, &material, err));
	VS_TRY(accept_key(want, &material, arena, ret, err));
	*ret_facts = facts;
	facts = (struct vs_release_facts){0};
	return VS_OK;
}
