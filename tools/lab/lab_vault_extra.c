/* SPDX-License-Identifier: BSD-2-Clause */
/* Backup and restore, rotation policies, random bytes, key attestation. */
#include <ctype.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"
#include "base/secret.h"
#include "lab/lab_jwt.h"
#include "lab/lab_pki.h"
#include "lab/lab_vault.h"

enum { BLOB_MAX = 1 << 20, IV = 12, TAG = 16, RANDOM_MAX = 128, ACTIONS_MAX = 8 };

static void
json_done(json_t **j)
{
	json_decref(*j);
}

static void
secret_buf_done(struct vs_buf *b)
{
	if (b->p != NULL)
		vs_wipe(b->p, b->n);
	vs_buf_done(b);
}

static void
bad(struct lab_vault *v, struct lab_resp *resp, const char *message)
{
	lab_vault_refuse(v, resp, 400, "BadParameter", NULL, message, NULL);
}

/* ---- backup and restore --------------------------------------------------------------------- */

/* A vault's backups open in this vault only, and say nothing to anybody else. */
static bool
gcm(const struct lab_vault *v, bool seal, struct vs_bytes iv, struct vs_bytes in, uint8_t *out,
	uint8_t tag[TAG])
{
	int n = 0, last = 0;
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	bool ok = c != NULL &&
		EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, v->backup_key, iv.p, seal) == 1;
	if (ok && !seal)
		ok = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG, tag) == 1;
	ok = ok && EVP_CipherUpdate(c, out, &n, in.p, (int)in.n) == 1 &&
		EVP_CipherFinal_ex(c, out + n, &last) == 1;
	if (ok && seal)
		ok = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG, tag) == 1;
	EVP_CIPHER_CTX_free(c);
	return ok;
}

static json_t *
b64url_json(struct vs_bytes b)
{
	VS_CLEANUP(secret_buf_done) struct vs_buf text = {.max = 4 << 20};
	return vs_failed(vs_b64url_encode(b, &text, NULL)) ? NULL : json_string(vs_buf_cstr(&text));
}

static json_t *
dump_version(const struct lab_version *version)
{
	uint8_t *der = NULL;
	const int n = version->pkey != NULL ? i2d_PrivateKey(version->pkey, &der) : 0;
	json_t *secret = version->pkey != NULL
		? (n > 0 ? b64url_json(vs_bytes_of(der, (size_t)n)) : NULL)
		: b64url_json(vs_bytes_of(version->oct, version->n_oct));
	OPENSSL_clear_free(der, n > 0 ? (size_t)n : 0);
	return json_pack("{s:s,s:s,s:b,s:I,s:I,s:I,s:I,s:O,s:O*,s:o}", "id", version->id, "type",
		lab_key_row(version->type)->name, "enabled", version->enabled, "created",
		(json_int_t)version->created, "updated", (json_int_t)version->updated, "nbf",
		(json_int_t)version->nbf, "exp", (json_int_t)version->exp, "ops", version->key_ops,
		"tags", version->tags, "secret", secret);
}

static char *
dump_key(const struct lab_key *k)
{
	json_t *versions = json_array();
	for (size_t i = 0; i < k->n_versions; i++)
		(void)json_array_append_new(versions, dump_version(k->versions[i]));
	json_t *o = json_pack("{s:s,s:b,s:b,s:b,s:i,s:O*,s:O*,s:o}", "name", k->name, "software",
		k->software, "exportable", k->exportable, "immutable", k->immutable, "pkcs8",
		(int)k->pkcs8, "policy", k->policy, "rotation", k->rotation, "versions", versions);
	char *text = o != NULL && json_array_size(versions) == k->n_versions
		? json_dumps(o, JSON_COMPACT)
		: NULL;
	json_decref(o);
	return text;
}

void
lab_vault_backup(struct lab_vault *v, const char *name, struct lab_resp *resp)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf blob = {.max = BLOB_MAX};
	uint8_t *room = NULL;
	char *text = NULL;
	pthread_mutex_lock(&v->lock);
	const struct lab_key *k = lab_key_find(v, name);
	const bool there = k != NULL && k->deleted == 0;
	if (there)
		text = dump_key(k);
	pthread_mutex_unlock(&v->lock);
	if (!there) {
		lab_vault_not_found(v, resp, name);
		return;
	}
	const size_t n = text != NULL ? strlen(text) : 0;
	bool ok = n > 0 && !vs_failed(vs_buf_room(&blob, IV + n + TAG, &room, NULL)) &&
		!vs_failed(lab_random(room, IV, NULL)) &&
		gcm(v, true, vs_bytes_of(room, IV), vs_bytes_of(text, n), room + IV, room + IV + n);
	if (text != NULL)
		vs_wipe(text, n);
	free(text);
	json_t *value = ok ? b64url_json(vs_bytes_of(room, IV + n + TAG)) : NULL;
	if (value != NULL)
		lab_vault_answer(v, resp, 200, json_pack("{s:o}", "value", value));
	else
		lab_vault_refuse(
			v, resp, 500, "InternalError", NULL, "The key was not backed up.", NULL);
}

static json_t *
open_blob(const struct lab_vault *v, const json_t *body)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf blob = {.max = BLOB_MAX};
	VS_CLEANUP(secret_buf_done) struct vs_buf clear = {.max = BLOB_MAX};
	uint8_t *room = NULL;
	const char *text = lab_json_text(body, "value");
	if (text == NULL || vs_failed(vs_b64_any_decode(vs_bytes_str(text), &blob, NULL)) ||
		blob.n <= IV + TAG || vs_failed(vs_buf_room(&clear, blob.n, &room, NULL)) ||
		!gcm(v, false, vs_bytes_of(blob.p, IV), vs_bytes_of(blob.p + IV, blob.n - IV - TAG),
			room, blob.p + blob.n - TAG))
		return NULL;
	json_t *o = json_loadb((const char *)room, blob.n - IV - TAG, 0, NULL);
	vs_wipe(room, blob.n);
	return o;
}

/* What was sealed here was written by dump_version, so its members are there. */
static bool
load_version(struct lab_vault *v, const json_t *key, const json_t *j)
{
	VS_CLEANUP(secret_buf_done) struct vs_buf secret = {.max = BLOB_MAX};
	struct lab_version *version = NULL;
	const char *text = lab_json_text(j, "secret"), *id = lab_json_text(j, "id");
	struct lab_new_key spec = {.name = lab_json_text(key, "name"),
		.type = lab_key_type_parse(lab_json_text(j, "type")),
		.software = json_is_true(json_object_get(key, "software")),
		.exportable = json_is_true(json_object_get(key, "exportable")),
		.immutable = json_is_true(json_object_get(key, "immutable")),
		.enabled = json_is_true(json_object_get(j, "enabled")),
		.nbf = (int64_t)json_integer_value(json_object_get(j, "nbf")),
		.exp = (int64_t)json_integer_value(json_object_get(j, "exp")),
		.policy = json_object_get(key, "policy"),
		.key_ops = json_object_get(j, "ops"),
		.tags = json_object_get(j, "tags"),
		.pkcs8 = (enum lab_pkcs8)json_integer_value(json_object_get(key, "pkcs8"))};
	if (text == NULL || id == NULL || spec.name == NULL || spec.type == LAB_KEY_NONE ||
		vs_failed(vs_b64url_decode(vs_bytes_str(text), &secret, NULL)))
		return false;
	if (strcmp(lab_key_row(spec.type)->kty, "oct") == 0) {
		spec.oct = secret.p;
		spec.n_oct = secret.n;
	} else {
		const unsigned char *p = secret.p;
		spec.pkey = d2i_AutoPrivateKey(NULL, &p, (long)secret.n);
		if (spec.pkey == NULL)
			return false;
	}
	if (vs_failed(lab_key_add(v, &spec, &version, NULL))) {
		EVP_PKEY_free(spec.pkey);
		return false;
	}
	(void)snprintf(version->id, sizeof(version->id), "%s", id);
	version->created = (int64_t)json_integer_value(json_object_get(j, "created"));
	version->updated = (int64_t)json_integer_value(json_object_get(j, "updated"));
	return true;
}

void
lab_vault_restore(struct lab_vault *v, const struct lab_req *req, struct lab_resp *resp)
{
	VS_CLEANUP(json_done) json_t *body = lab_vault_body(v, req, resp);
	if (body == NULL)
		return;
	VS_CLEANUP(json_done) json_t *key = open_blob(v, body);
	const json_t *versions = json_object_get(key, "versions");
	const char *name = lab_json_text(key, "name");
	json_t *bundle = NULL;
	char text[256];
	if (name == NULL) {
		bad(v, resp, "The backup is not one of this vault.");
		return;
	}
	pthread_mutex_lock(&v->lock);
	struct lab_key *k = lab_key_find(v, name);
	const bool taken = k != NULL;
	bool ok = !taken && json_array_size(versions) > 0;
	for (size_t i = 0; ok && i < json_array_size(versions); i++)
		ok = load_version(v, key, json_array_get(versions, i));
	k = lab_key_find(v, name);
	if (ok && k != NULL) {
		k->rotation = json_incref(json_object_get(key, "rotation"));
		bundle = lab_key_bundle(v, k, lab_key_version(k, NULL), false);
	} else if (!taken && k != NULL)
		lab_key_remove(v, k);
	pthread_mutex_unlock(&v->lock);
	(void)snprintf(text, sizeof(text), "There already exists a key named %.127s.", name);
	if (bundle != NULL)
		lab_vault_answer(v, resp, 200, bundle);
	else if (taken)
		lab_vault_refuse(v, resp, 409, "Conflict", NULL, text, NULL);
	else
		lab_vault_refuse(
			v, resp, 500, "InternalError", NULL, "The key was not restored.", NULL);
}

/* ---- rotation policy ------------------------------------------------------------------------ */

/* ISO 8601, as far as these policies use it: P, then a number with Y, M or D. */
static bool
is_duration(const json_t *j)
{
	const char *s = json_string_value(j);
	if (s == NULL || *s++ != 'P' || *s == '\0')
		return false;
	while (*s != '\0') {
		const size_t n = strspn(s, "0123456789");
		if (n == 0 || n > 4 || strchr("YMD", s[n]) == NULL || s[n] == '\0')
			return false;
		s += n + 1;
	}
	return true;
}

static bool
is_action(const json_t *j)
{
	const json_t *trigger = json_object_get(j, "trigger");
	const json_t *after = json_object_get(trigger, "timeAfterCreate"),
		     *before = json_object_get(trigger, "timeBeforeExpiry");
	const char *type = lab_json_text(json_object_get(j, "action"), "type");
	const bool one = (after != NULL && !json_is_null(after)) !=
		(before != NULL && !json_is_null(before));
	return type != NULL && one &&
		(strcasecmp(type, "Rotate") == 0 || strcasecmp(type, "Notify") == 0) &&
		is_duration(after != NULL && !json_is_null(after) ? after : before);
}

static bool
is_policy(const json_t *j)
{
	const json_t *list = json_object_get(j, "lifetimeActions");
	const json_t *expiry = json_object_get(json_object_get(j, "attributes"), "expiryTime");
	if (list != NULL && (!json_is_array(list) || json_array_size(list) > ACTIONS_MAX))
		return false;
	for (size_t i = 0; i < json_array_size(list); i++)
		if (!is_action(json_array_get(list, i)))
			return false;
	return expiry == NULL || json_is_null(expiry) || is_duration(expiry);
}

static json_t *
show_policy(const struct lab_vault *v, const struct lab_key *k)
{
	char id[256];
	(void)snprintf(id, sizeof(id), "%s/keys/%s/rotationpolicy", lab_vault_url(v), k->name);
	json_t *o = json_pack("{s:s}", "id", id);
	if (k->rotation != NULL)
		(void)json_object_update(o, k->rotation);
	else /* what a key has that nobody gave one */
		(void)json_object_update_new(o,
			json_pack("{s:[{s:{s:s},s:{s:s}}],s:{s:n}}", "lifetimeActions", "trigger",
				"timeBeforeExpiry", "P30D", "action", "type", "Notify",
				"attributes", "expiryTime"));
	return o;
}

static json_t *
new_policy(const struct lab_vault *v, const struct lab_key *k, const json_t *body)
{
	const json_t *attributes = json_object_get(body, "attributes");
	json_t *expiry = json_object_get(attributes, "expiryTime"),
	       *actions = json_object_get(body, "lifetimeActions");
	const json_t *old = json_object_get(json_object_get(k->rotation, "attributes"), "created");
	const json_int_t now = (json_int_t)lab_now(v->lab);
	return json_pack("{s:o,s:{s:o,s:I,s:I}}", "lifetimeActions",
		actions != NULL ? json_deep_copy(actions) : json_array(), "attributes",
		"expiryTime", expiry != NULL ? json_deep_copy(expiry) : json_null(), "created",
		old != NULL ? json_integer_value(old) : now, "updated", now);
}

void
lab_vault_rotation_policy(
	struct lab_vault *v, const struct lab_req *req, const char *name, struct lab_resp *resp)
{
	const bool put = strcmp(req->method, "PUT") == 0;
	VS_CLEANUP(json_done) json_t *body = put ? lab_vault_body(v, req, resp) : NULL;
	json_t *answer = NULL;
	if (put && body == NULL)
		return;
	if (put && !is_policy(body)) {
		bad(v, resp, "The rotation policy is not valid.");
		return;
	}
	pthread_mutex_lock(&v->lock);
	struct lab_key *k = lab_key_find(v, name);
	if (k != NULL && k->deleted != 0)
		k = NULL;
	if (k != NULL && put) {
		json_t *fresh = new_policy(v, k, body);
		json_decref(k->rotation);
		k->rotation = fresh;
	}
	if (k != NULL)
		answer = show_policy(v, k);
	pthread_mutex_unlock(&v->lock);
	if (answer != NULL)
		lab_vault_answer(v, resp, 200, answer);
	else
		lab_vault_not_found(v, resp, name);
}

/* ---- random bytes, attestation (Managed HSM) ------------------------------------------------ */

void
lab_vault_random(struct lab_vault *v, const struct lab_req *req, struct lab_resp *resp)
{
	VS_CLEANUP(json_done) json_t *body = lab_vault_body(v, req, resp);
	uint8_t bytes[RANDOM_MAX];
	if (body == NULL)
		return;
	const json_t *count = json_object_get(body, "count");
	const json_int_t n = json_integer_value(count);
	if (!json_is_integer(count) || n < 1 || n > RANDOM_MAX ||
		vs_failed(lab_random(bytes, (size_t)n, NULL)))
		bad(v, resp, "Property count has invalid value");
	else
		lab_vault_answer(v, resp, 200,
			json_pack("{s:o}", "value", b64url_json(vs_bytes_of(bytes, (size_t)n))));
}

/* A statement about the key in the lab's own form, signed by the service's key; no vendor's blob.
 */
static json_t *
statement(const struct lab_vault *v, const char *about, const char *kid, bool exportable)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf out = {.max = 1 << 16};
	json_t *header = json_pack("{s:s,s:s}", "alg", "RS256", "typ", "vouchsafe-lab-attestation");
	json_t *payload = json_pack("{s:b,s:s,s:s,s:b}", "vouchsafe-lab", 1, "about", about, "kid",
		kid, "exportable", exportable);
	const bool ok = !vs_failed(
		lab_jws_sign(v->lab->pki->key[v->service], "RS256", header, payload, &out, NULL));
	json_decref(header);
	json_decref(payload);
	return ok ? b64url_json(vs_buf_view(&out)) : NULL;
}

static json_t *
attestation(const struct lab_vault *v, const struct lab_key *k, const struct lab_version *version)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf pem = {.max = 1 << 16};
	json_t *bundle = lab_key_bundle(v, k, version, false);
	const char *kid = lab_json_text(json_object_get(bundle, "key"), "kid");
	if (kid == NULL || vs_failed(lab_cert_pem(v->lab->pki->cert[v->service], &pem, NULL)) ||
		vs_failed(lab_pki_bundle(v->lab->pki, &pem, NULL))) {
		json_decref(bundle);
		return NULL;
	}
	json_t *a = json_pack("{s:o,s:o,s:s}", "certificatePemFile", b64url_json(vs_buf_view(&pem)),
		"privateKeyAttestation", statement(v, "private key", kid, k->exportable), "version",
		"1.0");
	if (version->pkey != NULL)
		(void)json_object_set_new(
			a, "publicKeyAttestation", statement(v, "public key", kid, k->exportable));
	(void)json_object_set_new(json_object_get(bundle, "attributes"), "attestation", a);
	return bundle;
}

void
lab_vault_attestation(struct lab_vault *v, const struct lab_req *req, const char *name,
	const char *version, struct lab_resp *resp)
{
	const char *api = lab_req_query(req, "api-version");
	const bool known = api != NULL &&
		(strcmp(api, "7.6") == 0 || strcmp(api, "7.6-preview.2") == 0 ||
			strncmp(api, "202", 3) == 0);
	json_t *bundle = NULL;
	if (!v->mhsm || !known) {
		bad(v, resp,
			"Key attestation needs a Managed HSM and API version >= '7.6-preview.2'.");
		return;
	}
	pthread_mutex_lock(&v->lock);
	const struct lab_key *k = lab_key_find(v, name);
	const struct lab_version *found =
		k != NULL && k->deleted == 0 ? lab_key_version(k, version) : NULL;
	if (found != NULL)
		bundle = attestation(v, k, found);
	pthread_mutex_unlock(&v->lock);
	if (bundle != NULL)
		lab_vault_answer(v, resp, 200, bundle);
	else
		lab_vault_not_found(v, resp, name);
}
