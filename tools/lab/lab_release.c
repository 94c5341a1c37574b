/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Secure key release: verify the attestation, wrap the key for the attested environment, sign the
 * answer with the TLS server key of this vault.
 */
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/secret.h"
#include "lab/lab_authority.h"
#include "lab/lab_jwt.h"
#include "lab/lab_lie.h"
#include "lab/lab_pki.h"
#include "lab/lab_skr.h"
#include "lab/lab_vault.h"

/*
 * Numbers of the two 403 answers are not known; the lab's are its own invention, so that refusals
 * by attestation can be told from refusals by access control. Clients must not rely on them.
 */
#define SKR_NOT_VERIFIED "AKV.SKR.2001"
#define SKR_NOT_MET "AKV.SKR.2002"
#define SKR_NOT_EXPORTABLE "AKV.SKR.2003"

enum { CEK_BYTES = 32, WRAPPED_MAX = 8192 };

static const struct wrap {
	const char *enc, *md;
} wraps[] = {
	{"CKM_RSA_AES_KEY_WRAP", "SHA1"},
	{"RSA_AES_KEY_WRAP_256", "SHA256"},
	{"RSA_AES_KEY_WRAP_384", "SHA384"},
};

static void
secret_buf_done(struct vs_buf *b)
{
	if (b->p != NULL)
		vs_wipe(b->p, b->n);
	vs_buf_done(b);
}

static void
json_done(json_t **j)
{
	json_decref(*j);
}

/* What a release is about, gathered step by step. */
struct release {
	const char *enc, *md;
	json_t *policy; /* own copy, or NULL */
	bool exportable;
	char wrap_kid[256];
	EVP_PKEY *wrap_key;
	struct vs_buf clear; /* PKCS#8 or octets */
	json_t *bundle; /* the key as it stands in the answer */
	enum lab_lie lie;
};

static void
release_done(struct release *r)
{
	json_decref(r->policy);
	json_decref(r->bundle);
	EVP_PKEY_free(r->wrap_key);
	secret_buf_done(&r->clear);
}

/* ---- wrapping ------------------------------------------------------------------------------- */

static VS_RC
add_oaep(EVP_PKEY *key, const char *md, const uint8_t cek[CEK_BYTES], struct vs_buf *out,
	struct vs_err *err)
{
	uint8_t block[1024];
	size_t n = sizeof(block);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	const EVP_MD *hash = EVP_get_digestbyname(md);
	const bool ok = ctx != NULL && EVP_PKEY_encrypt_init(ctx) == 1 &&
		EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
		EVP_PKEY_CTX_set_rsa_oaep_md(ctx, hash) == 1 &&
		EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, hash) == 1 &&
		EVP_PKEY_encrypt(ctx, block, &n, cek, CEK_BYTES) == 1;
	EVP_PKEY_CTX_free(ctx);
	if (!ok)
		VS_FAIL(err, CRYPTO, "the wrapping key does not encrypt");
	return vs_buf_add(out, block, n, err);
}

static VS_RC
add_kwp(const uint8_t cek[CEK_BYTES], struct vs_bytes clear, struct vs_buf *out, struct vs_err *err)
{
	uint8_t wrapped[WRAPPED_MAX];
	int n = 0, last = 0;
	if (clear.n > sizeof(wrapped) - 16)
		VS_FAIL(err, LIMIT, "the key is too long to wrap");
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-256-WRAP-PAD", NULL);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	bool ok = cipher != NULL && ctx != NULL;
	if (ok)
		EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	ok = ok && EVP_EncryptInit_ex2(ctx, cipher, cek, NULL, NULL) == 1 &&
		EVP_EncryptUpdate(ctx, wrapped, &n, clear.p, (int)clear.n) == 1 &&
		EVP_EncryptFinal_ex(ctx, wrapped + n, &last) == 1;
	EVP_CIPHER_CTX_free(ctx);
	EVP_CIPHER_free(cipher);
	if (!ok)
		VS_FAIL(err, CRYPTO, "the key could not be wrapped");
	return vs_buf_add(out, wrapped, (size_t)(n + last), err);
}

static VS_RC
wrap(const struct release *r, struct vs_buf *out, struct vs_err *err)
{
	uint8_t cek[CEK_BYTES];
	VS_TRY(lab_random(cek, sizeof(cek), err));
	vs_rc rc = add_oaep(r->wrap_key, r->md, cek, out, err);
	if (!vs_failed(rc))
		rc = add_kwp(cek, vs_buf_view(&r->clear), out, err);
	vs_wipe(cek, sizeof(cek));
	return rc;
}

/* ---- the answer ----------------------------------------------------------------------------- */

/* The same value with members sorted at every level; takes and gives a reference. */
static json_t *
sorted(json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(value);
	json_t *again = text != NULL ? json_loads(text, 0, NULL) : NULL;
	free(text);
	return again;
}

static VS_RC
make_key_hsm(
	const struct lab_vault *v, const struct release *r, struct vs_buf *out, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf raw = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf ciphertext = {0};
	VS_TRY(wrap(r, &raw, err));
	if (r->lie == LAB_LIE_RELEASE_FLIP)
		raw.p[raw.n - 5] ^= 1;
	VS_TRY(vs_b64url_encode(vs_buf_view(&raw), &ciphertext, err));
	json_t *j = json_pack("{s:s,s:{s:s,s:s,s:s},s:s}", "schema_version", "1.0", "header", "kid",
		r->wrap_kid, "alg", "dir", "enc", r->enc, "ciphertext", vs_buf_cstr(&ciphertext));
	if (v->mhsm && j != NULL)
		j = sorted(j);
	char *text = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	if (text == NULL)
		VS_FAIL(err, MEMORY, "out of memory");
	const vs_rc rc = vs_b64url_encode(vs_bytes_str(text), out, err);
	free(text);
	return rc;
}

static VS_RC
make_header(const struct lab_vault *v, json_t **ret, struct vs_err *err)
{
	const struct lab_pki *pki = v->lab->pki;
	X509 *leaf = pki->cert[v->service];
	VS_CLEANUP(vs_buf_done) struct vs_buf sha1 = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf sha256 = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf x5t = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf x5t256 = {0};
	char kid[41] = "";
	VS_TRY(lab_cert_hash(leaf, "SHA1", &sha1, err));
	VS_TRY(lab_cert_hash(leaf, "SHA256", &sha256, err));
	VS_TRY(vs_b64url_encode(vs_buf_view(&sha1), &x5t, err));
	VS_TRY(vs_b64url_encode(vs_buf_view(&sha256), &x5t256, err));
	for (size_t i = 0; i < sha1.n && i < 20; i++)
		(void)snprintf(kid + 2 * i, 3, "%02X", sha1.p[i]);
	/* Managed HSM's kid has the form of a GUID; here it is made of the hash, so it stays */
	char guid[40] = "";
	(void)snprintf(guid, sizeof(guid),
		"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x"
		"%02x%02x",
		sha256.p[0], sha256.p[1], sha256.p[2], sha256.p[3], sha256.p[4], sha256.p[5],
		sha256.p[6], sha256.p[7], sha256.p[8], sha256.p[9], sha256.p[10], sha256.p[11],
		sha256.p[12], sha256.p[13], sha256.p[14], sha256.p[15]);
	*ret = v->mhsm ? json_pack("{s:s,s:s,s:o,s:s}", "alg", "RS256", "kid", guid, "x5c",
				 lab_pki_x5c(pki, leaf), "x5t#S256", vs_buf_cstr(&x5t256))
		       : json_pack("{s:s,s:s,s:s,s:s,s:s,s:o}", "alg", "RS256", "kid", kid, "x5t",
				 vs_buf_cstr(&x5t), "typ", "JWT", "x5t#S256", vs_buf_cstr(&x5t256),
				 "x5c", lab_pki_x5c(pki, leaf));
	if (*ret == NULL)
		VS_FAIL(err, MEMORY, "out of memory");
	return VS_OK;
}

static VS_RC
make_jws(struct lab_vault *v, const struct release *r, const char *api_version, const char *kid,
	struct vs_buf *out, struct vs_err *err)
{
	VS_CLEANUP(json_done) json_t *header = NULL;
	VS_CLEANUP(vs_buf_done) struct vs_buf key_hsm = {0};
	VS_TRY(make_key_hsm(v, r, &key_hsm, err));
	(void)json_object_set_new(
		json_object_get(r->bundle, "key"), "key_hsm", json_string(vs_buf_cstr(&key_hsm)));
	VS_TRY(make_header(v, &header, err));
	VS_CLEANUP(json_done)
	json_t *payload = json_pack("{s:{s:s,s:s,s:s},s:{s:O}}", "request", "api-version",
		api_version, "enc", r->enc, "kid", kid, "response", "key", r->bundle);
	if (v->mhsm && payload != NULL)
		payload = sorted(payload);
	if (payload == NULL)
		VS_FAIL(err, MEMORY, "out of memory");
	int signer = v->service;
	if (r->lie == LAB_LIE_RELEASE_FOREIGN)
		signer = v->service == LAB_VAULT ? LAB_MHSM : LAB_VAULT;
	return lab_jws_sign(v->lab->pki->key[signer], "RS256", header, payload, out, err);
}

/* ---- checks --------------------------------------------------------------------------------- */

static bool
read_request(struct lab_vault *v, const json_t *body, struct release *r, struct lab_resp *resp)
{
	const json_t *enc = json_object_get(body, "enc"), *nonce = json_object_get(body, "nonce");
	const char *target = lab_json_text(body, "target");
	const char *name = enc == NULL ? wraps[0].enc : json_string_value(enc);
	for (size_t i = 0; name != NULL && i < sizeof(wraps) / sizeof(wraps[0]); i++)
		if (strcmp(wraps[i].enc, name) == 0) {
			r->enc = wraps[i].enc;
			r->md = wraps[i].md;
		}
	if (target == NULL || *target == '\0' || (nonce != NULL && !json_is_string(nonce)) ||
		r->enc == NULL) {
		lab_vault_refuse(v, resp, 400, "BadParameter", NULL,
			r->enc == NULL ? "Property enc has invalid value"
				       : "Property target is missing",
			NULL);
		return false;
	}
	return true;
}

/* What the store says, copied out of the lock. */
static bool
read_key(struct lab_vault *v, const char *name, const char *version, struct release *r,
	struct lab_resp *resp)
{
	bool disabled = false, ok = false;
	pthread_mutex_lock(&v->lock);
	const struct lab_key *k = lab_key_find(v, name);
	const struct lab_version *found =
		k != NULL && k->deleted == 0 ? lab_key_version(k, version) : NULL;
	if (found != NULL) {
		disabled = !found->enabled;
		r->exportable = k->exportable;
		r->policy = k->policy != NULL ? json_deep_copy(k->policy) : NULL;
		r->bundle = lab_key_bundle(v, k, found, true);
		ok = r->bundle != NULL &&
			!vs_failed(lab_key_clear_text(v, k, found, &r->clear, NULL));
	}
	pthread_mutex_unlock(&v->lock);
	if (found == NULL)
		lab_vault_not_found(v, resp, name);
	else if (disabled)
		lab_vault_refuse(v, resp, 403, "Forbidden", NULL,
			"Operation release is not allowed on a disabled key.", "KeyDisabled");
	else if (!ok)
		lab_vault_refuse(
			v, resp, 500, "InternalError", NULL, "The key is not readable.", NULL);
	else
		return true;
	return false;
}

/* The recording shows that the token is judged before exportability. */
static bool
judge(struct lab_vault *v, const char *target, struct release *r, struct lab_resp *resp)
{
	VS_CLEANUP(json_done) json_t *claims = NULL;
	struct vs_err err = {0};
	char why[VS_ERR_TEXT_MAX] = "";
	vs_rc rc = lab_authority_verify(v->lab, vs_bytes_str(target), r->policy, &claims, &err);
	if (!vs_failed(rc))
		rc = lab_authority_wrap_key(
			claims, &r->wrap_key, r->wrap_kid, sizeof(r->wrap_kid), &err);
	if (vs_failed(rc)) {
		vs_err_sentence(&err, why, sizeof(why));
		lab_say(v->lab, "%s: release refused: %s",
			lab_service_name((enum lab_service)v->service), why);
		lab_vault_refuse(v, resp, 403, "Forbidden", SKR_NOT_VERIFIED,
			"Target environment attestation statement cannot be verified.",
			"AccessDenied");
		return false;
	}
	if (!r->exportable || r->policy == NULL) {
		lab_vault_refuse(v, resp, 403, "Forbidden", SKR_NOT_EXPORTABLE,
			"The key is not exportable and cannot be released.", "AccessDenied");
		return false;
	}
	if (!lab_skr_met(r->policy, claims)) {
		lab_vault_refuse(v, resp, 403, "Forbidden", SKR_NOT_MET,
			"Target environment attestation does not meet key release policy "
			"requirements.",
			"AccessDenied");
		return false;
	}
	return true;
}

/* Where the answer shall be false: another key's parts, or another version's name. */
static bool
tell_lie(struct lab_vault *v, const char *name, struct release *r, struct lab_resp *resp)
{
	VS_CLEANUP(release_done) struct release other = {0};
	json_t *key = json_object_get(r->bundle, "key");
	if (r->lie == LAB_LIE_RELEASE_OTHER_VERSION) {
		char kid[256];
		(void)snprintf(
			kid, sizeof(kid), "%s", json_string_value(json_object_get(key, "kid")));
		char *last = kid + strlen(kid) - 1;
		*last = *last == '0' ? '1' : '0';
		return json_object_set_new(key, "kid", json_string(kid)) == 0;
	}
	if (r->lie != LAB_LIE_RELEASE_OTHER_KEY && r->lie != LAB_LIE_RELEASE_WRONG_PRIVATE)
		return true;
	if (!read_key(v, strcmp(name, "rsa2048") == 0 ? "rsa3072" : "rsa2048", "", &other, resp))
		return false;
	vs_buf_move(&r->clear, &other.clear);
	if (r->lie == LAB_LIE_RELEASE_OTHER_KEY) {
		json_t *swap = r->bundle;
		r->bundle = other.bundle;
		other.bundle = swap;
	}
	return true;
}

void
lab_vault_release(struct lab_vault *v, const struct lab_req *req, const char *name,
	const char *version, struct lab_resp *resp)
{
	VS_CLEANUP(release_done) struct release r = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf jws = {0};
	char kid[256];
	const char *api_version = lab_req_query(req, "api-version");
	VS_CLEANUP(json_done) json_t *body = lab_vault_body(v, req, resp);
	if (body == NULL || !read_request(v, body, &r, resp) ||
		!read_key(v, name, version, &r, resp) || !lab_vault_admit(v, resp) ||
		!judge(v, lab_json_text(body, "target"), &r, resp))
		return;
	r.lie = lab_lie_take(v->lab, (enum lab_service)v->service, req->path);
	if (!tell_lie(v, name, &r, resp))
		return;
	(void)snprintf(kid, sizeof(kid), "%s/keys/%s%s%s", lab_vault_url(v), name,
		*version != '\0' ? "/" : "", version);
	if (vs_failed(make_jws(v, &r, api_version != NULL ? api_version : "", kid, &jws, NULL)))
		lab_vault_refuse(v, resp, 500, "InternalError", NULL, "The release failed.", NULL);
	else
		lab_vault_answer(v, resp, 200, json_pack("{s:s}", "value", vs_buf_cstr(&jws)));
}
