/* SPDX-License-Identifier: BSD-2-Clause */
/* The store of keys, and how keys look from outside. */
#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/encoder.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/secret.h"
#include "lab/lab_jwt.h"
#include "lab/lab_vault.h"

enum { KEYS_MAX = 20000, VERSIONS_MAX = 1000, RECOVERABLE_DAYS = 7 };

static void
version_free(struct lab_version *version)
{
	if (version == NULL)
		return;
	EVP_PKEY_free(version->pkey);
	vs_wipe(version->oct, sizeof(version->oct));
	json_decref(version->key_ops);
	json_decref(version->tags);
	X509_free(version->cert);
	free(version);
}

static void
key_free(struct lab_key *k)
{
	if (k == NULL)
		return;
	for (size_t i = 0; i < k->n_versions; i++)
		version_free(k->versions[i]);
	free(k->versions);
	json_decref(k->policy);
	json_decref(k->rotation);
	free(k);
}

VS_RC
lab_vault_new(struct lab *lab, int service, struct lab_vault **ret, struct vs_err *err)
{
	struct lab_vault *v = calloc(1, sizeof(*v));
	if (v == NULL)
		VS_FAIL(err, MEMORY, "out of memory");
	const vs_rc rc = lab_random(v->backup_key, sizeof(v->backup_key), err);
	if (vs_failed(rc)) {
		free(v);
		return rc;
	}
	v->lab = lab;
	v->service = service;
	v->mhsm = service == LAB_MHSM;
	v->audience = v->mhsm ? "https://managedhsm.azure.net" : "https://vault.azure.net";
	v->throttle = !v->mhsm;
	pthread_mutex_init(&v->lock, NULL);
	*ret = v;
	return VS_OK;
}

void
lab_vault_free(struct lab_vault *v)
{
	if (v == NULL)
		return;
	for (size_t i = 0; i < v->n_keys; i++)
		key_free(v->keys[i]);
	free(v->keys);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

/* Index of the name, or where it belongs. */
static size_t
search(const struct lab_vault *v, const char *name, bool *found)
{
	size_t low = 0, high = v->n_keys;
	*found = false;
	while (low < high) {
		const size_t mid = (low + high) / 2;
		const int c = strcasecmp(v->keys[mid]->name, name);
		if (c == 0)
			*found = true;
		if (c == 0)
			return mid;
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct lab_key *
lab_key_find(const struct lab_vault *v, const char *name)
{
	bool found = false;
	const size_t i = search(v, name, &found);
	return found ? v->keys[i] : NULL;
}

struct lab_version *
lab_key_version(const struct lab_key *k, const char *version)
{
	if (k == NULL || k->n_versions == 0)
		return NULL;
	if (version == NULL || *version == '\0')
		return k->versions[k->n_versions - 1];
	for (size_t i = 0; i < k->n_versions; i++)
		if (strcasecmp(k->versions[i]->id, version) == 0)
			return k->versions[i];
	return NULL;
}

/* ---- adding --------------------------------------------------------------------------------- */

/* Managed HSM lists operations in no order; this one was recorded. */
static json_t *
default_ops(const struct lab_vault *v, enum lab_key_type type)
{
	const char *kty = lab_key_row(type)->kty;
	if (strcmp(kty, "EC") == 0)
		return v->mhsm ? json_pack("[ss]", "verify", "sign")
			       : json_pack("[ss]", "sign", "verify");
	if (strcmp(kty, "oct") == 0)
		return json_pack("[sssssss]", "deriveKey", "wrapKey", "verify", "sign", "unwrapKey",
			"encrypt", "decrypt");
	if (v->mhsm)
		return json_pack(
			"[ssssss]", "wrapKey", "decrypt", "encrypt", "unwrapKey", "sign", "verify");
	return json_pack(
		"[ssssss]", "encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey");
}

static VS_RC
make_version(const struct lab_vault *v, const struct lab_new_key *spec, struct lab_version **ret,
	struct vs_err *err)
{
	uint8_t id[16] = {0};
	VS_TRY(lab_random(id, sizeof(id), err));
	struct lab_version *version = calloc(1, sizeof(*version));
	if (version == NULL)
		VS_FAIL(err, MEMORY, "out of memory");
	vs_hex_str(id, sizeof(id), version->id, sizeof(version->id));
	version->type = spec->type;
	version->enabled = spec->enabled;
	version->created = version->updated = lab_now(v->lab);
	version->nbf = spec->nbf;
	version->exp = spec->exp;
	version->key_ops =
		spec->key_ops != NULL ? json_deep_copy(spec->key_ops) : default_ops(v, spec->type);
	version->tags = spec->tags != NULL ? json_deep_copy(spec->tags) : NULL;
	version->n_oct = spec->n_oct;
	if (spec->n_oct > 0)
		memcpy(version->oct, spec->oct, spec->n_oct);
	if (version->key_ops == NULL) {
		version_free(version);
		VS_FAIL(err, MEMORY, "out of memory");
	}
	*ret = version;
	return VS_OK;
}

static VS_RC
insert_key(struct lab_vault *v, const char *name, struct lab_key **ret, struct vs_err *err)
{
	bool found = false;
	const size_t at = search(v, name, &found);
	if (found) {
		*ret = v->keys[at];
		return VS_OK;
	}
	if (v->n_keys == v->cap_keys) {
		const size_t cap = v->cap_keys == 0 ? 64 : v->cap_keys * 2;
		struct lab_key **keys =
			cap <= KEYS_MAX * 2 ? realloc(v->keys, cap * sizeof(*keys)) : NULL;
		if (keys == NULL || v->n_keys >= KEYS_MAX)
			VS_FAIL(err, LIMIT, "the lab's vault is full");
		v->keys = keys;
		v->cap_keys = cap;
	}
	struct lab_key *k = calloc(1, sizeof(*k));
	if (k == NULL)
		VS_FAIL(err, MEMORY, "out of memory");
	(void)snprintf(k->name, sizeof(k->name), "%s", name);
	memmove(&v->keys[at + 1], &v->keys[at], (v->n_keys - at) * sizeof(struct lab_key *));
	v->keys[at] = k;
	v->n_keys++;
	*ret = k;
	return VS_OK;
}

VS_RC
lab_key_add(struct lab_vault *v, const struct lab_new_key *spec, struct lab_version **ret,
	struct vs_err *err)
{
	struct lab_version *version = NULL;
	struct lab_key *k = NULL;
	VS_REQUIRE(err, spec->n_oct <= sizeof(version->oct));
	VS_TRY(make_version(v, spec, &version, err));
	vs_rc rc = insert_key(v, spec->name, &k, err);
	struct lab_version **versions = NULL;
	if (!vs_failed(rc) && k->n_versions < VERSIONS_MAX)
		versions = realloc(k->versions, (k->n_versions + 1) * sizeof(*versions));
	if (versions == NULL) {
		version_free(version);
		VS_TRY(rc);
		VS_FAIL(err, LIMIT, "the key has too many versions");
	}
	if (k->n_versions == 0 || spec->policy != NULL) {
		json_decref(k->policy);
		k->policy = spec->policy != NULL ? json_deep_copy(spec->policy) : NULL;
		k->immutable = spec->immutable || k->immutable;
	}
	k->exportable = spec->exportable;
	k->software = spec->software;
	k->pkcs8 = spec->pkcs8;
	k->versions = versions;
	k->versions[k->n_versions++] = version;
	version->pkey = spec->pkey;
	*ret = version;
	return VS_OK;
}

void
lab_key_remove(struct lab_vault *v, struct lab_key *k)
{
	bool found = false;
	const size_t at = search(v, k->name, &found);
	if (!found)
		return;
	memmove(&v->keys[at], &v->keys[at + 1], (v->n_keys - at - 1) * sizeof(struct lab_key *));
	v->n_keys--;
	key_free(k);
}

/* ---- appearance ----------------------------------------------------------------------------- */

/* width 0: as long as the number needs; lead: one leading zero octet, as older HSMs gave for e. */
static bool
set_bn(json_t *jwk, const char *member, EVP_PKEY *key, const char *param, int width, bool lead)
{
	BIGNUM *bn = NULL;
	uint8_t bytes[1032] = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	if (EVP_PKEY_get_bn_param(key, param, &bn) != 1)
		return false;
	const int n = (width > 0 ? width : BN_num_bytes(bn)) + lead;
	const bool ok = n <= (int)sizeof(bytes) && BN_bn2binpad(bn, bytes, n) == n &&
		!vs_failed(vs_b64url_encode(vs_bytes_of(bytes, (size_t)n), &text, NULL)) &&
		json_object_set_new(jwk, member, json_string(vs_buf_cstr(&text))) == 0;
	BN_free(bn);
	return ok;
}

static bool
set_public(const struct lab_vault *v, const struct lab_key *k, const struct lab_version *version,
	json_t *jwk)
{
	const struct lab_key_row *row = lab_key_row(version->type);
	if (version->pkey == NULL)
		return true;
	if (row->crv == NULL)
		return set_bn(jwk, "n", version->pkey, OSSL_PKEY_PARAM_RSA_N, 0, false) &&
			set_bn(jwk, "e", version->pkey, OSSL_PKEY_PARAM_RSA_E, 0,
				!v->mhsm && !k->software);
	const int width = (EVP_PKEY_get_bits(version->pkey) + 7) / 8;
	return json_object_set_new(jwk, "crv", json_string(row->crv)) == 0 &&
		set_bn(jwk, "x", version->pkey, OSSL_PKEY_PARAM_EC_PUB_X, width, false) &&
		set_bn(jwk, "y", version->pkey, OSSL_PKEY_PARAM_EC_PUB_Y, width, false);
}

static json_t *
make_jwk(const struct lab_vault *v, const struct lab_key *k, const struct lab_version *version,
	bool in_jws)
{
	char kid[256], kty[16];
	const bool suffix = !k->software && !(v->mhsm && in_jws);
	(void)snprintf(kid, sizeof(kid), "%s/keys/%s/%s", lab_vault_url(v), k->name, version->id);
	(void)snprintf(
		kty, sizeof(kty), "%s%s", lab_key_row(version->type)->kty, suffix ? "-HSM" : "");
	json_t *jwk =
		json_pack("{s:s,s:s,s:O}", "kid", kid, "kty", kty, "key_ops", version->key_ops);
	if (jwk != NULL && set_public(v, k, version, jwk))
		return jwk;
	json_decref(jwk);
	return NULL;
}

static json_t *
make_attributes(const struct lab_key *k, const struct lab_version *version, bool in_jws)
{
	json_t *a = json_pack("{s:b}", "enabled", version->enabled);
	if (a == NULL)
		return NULL;
	if (version->nbf != 0)
		(void)json_object_set_new(a, "nbf", json_integer(version->nbf));
	if (version->exp != 0)
		(void)json_object_set_new(a, "exp", json_integer(version->exp));
	(void)json_object_set_new(a, "created", json_integer(version->created));
	(void)json_object_set_new(a, "updated", json_integer(version->updated));
	(void)json_object_set_new(
		a, "recoveryLevel", json_string("CustomizedRecoverable+Purgeable"));
	(void)json_object_set_new(a, "recoverableDays", json_integer(RECOVERABLE_DAYS));
	(void)json_object_set_new(a, "exportable", json_boolean(k->exportable));
	if (!in_jws) /* lab_vault_answer takes it away from older clients */
		(void)json_object_set_new(a, "hsmPlatform", json_string(k->software ? "0" : "2"));
	return a;
}

static json_t *
make_policy(const struct lab_vault *v, const struct lab_key *k, bool in_jws)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf data = {0};
	char *text = json_dumps(k->policy, JSON_COMPACT);
	json_t *policy = NULL;
	if (text != NULL && !vs_failed(vs_b64url_encode(vs_bytes_str(text), &data, NULL)))
		policy = in_jws && !v->mhsm
			? json_pack("{s:s,s:b}", "data", vs_buf_cstr(&data), "immutable",
				  k->immutable)
			: json_pack("{s:s,s:s,s:b}", "contentType",
				  "application/json; charset=utf-8", "data", vs_buf_cstr(&data),
				  "immutable", k->immutable);
	free(text);
	return policy;
}

json_t *
lab_key_bundle(const struct lab_vault *v, const struct lab_key *k,
	const struct lab_version *version, bool in_jws)
{
	json_t *b = json_pack("{s:o,s:o}", "key", make_jwk(v, k, version, in_jws), "attributes",
		make_attributes(k, version, in_jws));
	if (b != NULL && version->tags != NULL)
		(void)json_object_set(b, "tags", version->tags);
	if (b != NULL && k->policy != NULL)
		(void)json_object_set_new(b, "release_policy", make_policy(v, k, in_jws));
	return b;
}

json_t *
lab_key_item(const struct lab_vault *v, const struct lab_key *k, const struct lab_version *version,
	bool versioned)
{
	char kid[256];
	(void)snprintf(kid, sizeof(kid), "%s/keys/%s%s%s", lab_vault_url(v), k->name,
		versioned ? "/" : "", versioned ? version->id : "");
	json_t *item = json_pack(
		"{s:s,s:o}", "kid", kid, "attributes", make_attributes(k, version, false));
	if (item != NULL && version->tags != NULL)
		(void)json_object_set(item, "tags", version->tags);
	return item;
}

/* ---- clear text ----------------------------------------------------------------------------- */

static enum lab_pkcs8
choose_form(const struct lab_vault *v, const struct lab_key *k, enum lab_key_type type)
{
	if (k->pkcs8 != LAB_PKCS8_AUTO)
		return k->pkcs8;
	if (v->mhsm)
		return LAB_PKCS8_PUBLIC;
	return type == LAB_KEY_P256K ? LAB_PKCS8_EXPLICIT : LAB_PKCS8_NAMED;
}

static VS_RC
encode_private(EVP_PKEY *key, struct vs_buf *out, struct vs_err *err)
{
	uint8_t *der = NULL;
	size_t n = 0;
	OSSL_ENCODER_CTX *ctx = OSSL_ENCODER_CTX_new_for_pkey(
		key, OSSL_KEYMGMT_SELECT_ALL, "DER", "PrivateKeyInfo", NULL);
	const bool ok = ctx != NULL && OSSL_ENCODER_to_data(ctx, &der, &n) == 1;
	OSSL_ENCODER_CTX_free(ctx);
	if (!ok)
		VS_FAIL(err, CRYPTO, "the private key could not be written");
	const vs_rc rc = vs_buf_add(out, der, n, err);
	OPENSSL_clear_free(der, n);
	return rc;
}

VS_RC
lab_key_clear_text(const struct lab_vault *v, const struct lab_key *k,
	const struct lab_version *version, struct vs_buf *out, struct vs_err *err)
{
	if (version->pkey == NULL)
		return vs_buf_add(out, version->oct, version->n_oct, err);
	if (lab_key_row(version->type)->crv == NULL)
		return encode_private(version->pkey, out, err);
	const enum lab_pkcs8 form = choose_form(v, k, version->type);
	EVP_PKEY *copy = EVP_PKEY_dup(version->pkey);
	int with_public = form == LAB_PKCS8_PUBLIC;
	const bool ok = copy != NULL &&
		EVP_PKEY_set_utf8_string_param(copy, OSSL_PKEY_PARAM_EC_ENCODING,
			form == LAB_PKCS8_EXPLICIT ? OSSL_PKEY_EC_ENCODING_EXPLICIT
						   : OSSL_PKEY_EC_ENCODING_GROUP) == 1 &&
		EVP_PKEY_set_int_param(copy, OSSL_PKEY_PARAM_EC_INCLUDE_PUBLIC, with_public) == 1;
	vs_rc rc = VS_OK;
	if (ok)
		rc = encode_private(copy, out, err);
	else
		rc = vs_err_put(
			err, VS_E_CRYPTO, __func__, __LINE__, 0, "the key has no such form");
	EVP_PKEY_free(copy);
	return rc;
}
