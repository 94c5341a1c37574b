/* SPDX-License-Identifier: BSD-2-Clause */
/* Create, import, update, rotate: what the vaults take and what they refuse. */
#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/secret.h"
#include "lab/lab_authority.h"
#include "lab/lab_jwk.h"
#include "lab/lab_jwt.h"
#include "lab/lab_skr.h"
#include "lab/lab_vault.h"

enum { TAGS_MAX = 15, TAG_LENGTH_MAX = 256 };

static void
json_done(json_t **j)
{
	json_decref(*j);
}

/* A request's wishes; the JSON parts are borrowed from its body but for the policy. */
struct wishes {
	enum lab_key_type type;
	bool software;
	bool has_exportable, exportable;
	bool has_enabled, enabled;
	int64_t nbf, exp;
	bool has_nbf, has_exp;
	json_t *key_ops, *tags;
	json_t *policy; /* own reference */
	bool immutable;
};

static void
wishes_done(struct wishes *w)
{
	json_decref(w->policy);
}

static bool
bad(struct lab_vault *v, struct lab_resp *resp, const char *skr, const char *message)
{
	lab_vault_refuse(v, resp, 400, "BadParameter", skr, message, NULL);
	return false;
}

/* ---- reading -------------------------------------------------------------------------------- */

static bool
read_flag(const json_t *object, const char *name, bool *has, bool *ret)
{
	const json_t *j = json_object_get(object, name);
	*has = j != NULL && !json_is_null(j);
	*ret = json_is_true(j);
	return !*has || json_is_boolean(j);
}

static bool
read_time(const json_t *object, const char *name, bool *has, int64_t *ret)
{
	const json_t *j = json_object_get(object, name);
	*has = j != NULL && !json_is_null(j);
	*ret = (int64_t)json_integer_value(j);
	return !*has || json_is_integer(j);
}

static bool
tags_ok(const json_t *tags)
{
	const char *name = NULL;
	json_t *value = NULL;
	if (tags == NULL)
		return true;
	if (!json_is_object(tags) || json_object_size(tags) > TAGS_MAX)
		return false;
	json_object_foreach ((json_t *)(uintptr_t)tags, name, value) {
		const char *text = json_string_value(value);
		if (text == NULL || strlen(name) > TAG_LENGTH_MAX || strlen(text) > TAG_LENGTH_MAX)
			return false;
	}
	return true;
}

static bool
ops_ok(const json_t *ops)
{
	static const char *const known[] = {"encrypt", "decrypt", "sign", "verify", "wrapKey",
		"unwrapKey", "import", "export", "deriveKey"};
	if (ops == NULL)
		return true;
	for (size_t i = 0; i < json_array_size(ops); i++) {
		const char *op = json_string_value(json_array_get(ops, i));
		bool found = false;
		for (size_t j = 0; op != NULL && j < sizeof(known) / sizeof(known[0]); j++)
			found = found || strcmp(known[j], op) == 0;
		if (!found)
			return false;
	}
	return json_is_array(ops);
}

static bool
read_common(struct lab_vault *v, const json_t *body, struct wishes *w, struct lab_resp *resp)
{
	const json_t *a = json_object_get(body, "attributes");
	w->key_ops = json_object_get(body, "key_ops");
	w->tags = json_object_get(body, "tags");
	if (json_is_array(w->key_ops) && json_array_size(w->key_ops) == 0)
		w->key_ops = NULL;
	if ((a != NULL && !json_is_object(a)) ||
		!read_flag(a, "enabled", &w->has_enabled, &w->enabled) ||
		!read_flag(a, "exportable", &w->has_exportable, &w->exportable) ||
		!read_time(a, "nbf", &w->has_nbf, &w->nbf) ||
		!read_time(a, "exp", &w->has_exp, &w->exp))
		return bad(v, resp, NULL, "Property attributes has invalid value");
	if (!tags_ok(w->tags))
		return bad(v, resp, NULL, "Property tags has invalid value");
	if (!ops_ok(w->key_ops))
		return bad(v, resp, NULL, "Property key_ops has invalid value");
	return true;
}

/* Every authority must answer with its metadata, else nobody could ever release the key. */
static bool
authorities_ok(struct lab_vault *v, const json_t *policy, struct lab_resp *resp)
{
	const json_t *any = json_object_get(policy, "anyOf");
	char message[400];
	for (size_t i = 0; i < json_array_size(any); i++) {
		const char *authority = lab_json_text(json_array_get(any, i), "authority");
		if (!vs_failed(lab_authority_reach(v->lab, authority, NULL)))
			continue;
		(void)snprintf(message, sizeof(message),
			"The specified attestation service %.256s cannot be reached.", authority);
		return bad(v, resp, "AKV.SKR.1012", message);
	}
	return true;
}

static bool
read_policy(struct lab_vault *v, const json_t *body, struct wishes *w, struct lab_resp *resp)
{
	const json_t *p = json_object_get(body, "release_policy");
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	char message[VS_ERR_TEXT_MAX + 64], why[VS_ERR_TEXT_MAX] = "";
	struct vs_err err = {0};
	bool has = false;
	if (p == NULL || json_is_null(p))
		return true;
	const char *data = lab_json_text(p, "data");
	if (data == NULL || !read_flag(p, "immutable", &has, &w->immutable) ||
		vs_failed(vs_b64_any_decode(vs_bytes_str(data), &text, NULL)))
		return bad(v, resp, NULL, "Property release_policy has invalid value");
	if (vs_failed(lab_skr_parse(vs_buf_view(&text), v->mhsm, &w->policy, &err))) {
		vs_err_sentence(&err, why, sizeof(why));
		(void)snprintf(
			message, sizeof(message), "The release policy is not valid: %s", why);
		return bad(v, resp, NULL, message);
	}
	return authorities_ok(v, w->policy, resp);
}

/* ---- rules ---------------------------------------------------------------------------------- */

static bool
old_version(const struct lab_req *req)
{
	const char *version = lab_req_query(req, "api-version");
	return version != NULL &&
		(strcmp(version, "7.0") == 0 || strcmp(version, "7.1") == 0 ||
			strcmp(version, "7.2") == 0);
}

static bool
export_rules_ok(struct lab_vault *v, const struct lab_req *req, const struct wishes *w,
	struct lab_resp *resp)
{
	if (w->exportable && old_version(req))
		return bad(v, resp, "AKV.SKR.1001",
			"The exportable attribute is only supported with premium vaults and API "
			"version >= "
			"'7.3-preview'.");
	if (w->exportable && w->software)
		return bad(v, resp, "AKV.SKR.1006", "Software keys must not be exportable.");
	if (w->exportable && w->policy == NULL)
		return bad(v, resp, "AKV.SKR.1004",
			v->mhsm ? "Exportable keys must have release policy"
				: "Exportable keys must have release policy.");
	if (!w->exportable && w->policy != NULL)
		return bad(v, resp, "AKV.SKR.1005",
			v->mhsm ? "Non-exportable keys must not have release policy"
				: "Non-exportable keys must not have release policy.");
	return true;
}

static bool
immutable_conflict(
	struct lab_vault *v, const struct lab_key *k, const json_t *policy, struct lab_resp *resp)
{
	if (!k->immutable || policy == NULL || json_equal(k->policy, policy) == 1)
		return false;
	(void)bad(v, resp, "AKV.SKR.1020",
		v->mhsm ? "Immutable Release policy cannot be modified"
			: "Immutable Key Release Policy cannot be modified.");
	return true;
}

/* Add to the store and answer; takes pkey. */
static void
store(struct lab_vault *v, const char *name, const struct wishes *w, EVP_PKEY *pkey,
	struct vs_bytes oct, struct lab_resp *resp)
{
	const struct lab_new_key spec = {.name = name,
		.type = w->type,
		.software = w->software,
		.exportable = w->exportable,
		.immutable = w->immutable,
		.enabled = !w->has_enabled || w->enabled,
		.nbf = w->nbf,
		.exp = w->exp,
		.policy = w->policy,
		.key_ops = w->key_ops,
		.tags = w->tags,
		.pkey = pkey,
		.oct = oct.p,
		.n_oct = oct.n};
	struct lab_version *version = NULL;
	json_t *bundle = NULL;
	char text[320];
	bool refused = true;
	pthread_mutex_lock(&v->lock);
	const struct lab_key *k = lab_key_find(v, name);
	if (k != NULL && k->deleted != 0) {
		(void)snprintf(text, sizeof(text),
			"Key %.127s is currently in a deleted but recoverable state, and its name "
			"cannot be "
			"reused; in this state, the key can only be recovered or purged.",
			name);
		lab_vault_refuse(
			v, resp, 409, "Conflict", NULL, text, "ObjectIsDeletedButRecoverable");
	} else if (k != NULL && k->exportable != w->exportable) {
		(void)bad(v, resp, "AKV.SKR.1003",
			"The exportable state of an existing key cannot be changed by a new "
			"version.");
	} else if (k == NULL || !immutable_conflict(v, k, w->policy, resp)) {
		refused = vs_failed(lab_key_add(v, &spec, &version, NULL));
		if (refused)
			lab_vault_refuse(
				v, resp, 500, "InternalError", NULL, "The key was not kept.", NULL);
		else
			bundle = lab_key_bundle(v, lab_key_find(v, name), version, false);
	}
	pthread_mutex_unlock(&v->lock);
	if (refused)
		EVP_PKEY_free(pkey);
	else
		lab_vault_answer(v, resp, 200, bundle);
}

/* ---- create --------------------------------------------------------------------------------- */

/* "RSA", "RSA-HSM", "EC", "EC-HSM", "oct-HSM"; Managed HSM makes HSM keys of all of them. */
static bool
read_kty(struct lab_vault *v, const char *kty, char base[8], bool *software)
{
	const size_t n = kty != NULL ? strcspn(kty, "-") : 0;
	if (n == 0 || n > 3 || (kty[n] != '\0' && strcmp(kty + n, "-HSM") != 0))
		return false;
	memcpy(base, kty, n);
	base[n] = '\0';
	*software = kty[n] == '\0' && !v->mhsm;
	return strcmp(base, "oct") != 0 || v->mhsm;
}

static bool
read_kind(struct lab_vault *v, const json_t *body, struct wishes *w, struct lab_resp *resp)
{
	char base[8] = "";
	const json_t *size = json_object_get(body, "key_size");
	const char *crv = lab_json_text(body, "crv");
	if (!read_kty(v, lab_json_text(body, "kty"), base, &w->software))
		return bad(v, resp, NULL, "Property  has invalid value\r\n");
	if (size != NULL && !json_is_null(size) &&
		(!json_is_integer(size) || json_integer_value(size) < 0 ||
			json_integer_value(size) > 16384))
		return bad(v, resp, NULL, "Property key_size has invalid value");
	unsigned bits = (unsigned)json_integer_value(size);
	if (bits == 0)
		bits = strcmp(base, "oct") == 0 ? 256 : 2048;
	w->type = lab_key_type_find(base, bits, crv != NULL ? crv : "P-256");
	if (w->type == LAB_KEY_NONE)
		return bad(v, resp, NULL,
			strcmp(base, "EC") == 0 ? "Property crv has invalid value"
						: "Property key_size has invalid value");
	return true;
}

void
lab_vault_create(
	struct lab_vault *v, const struct lab_req *req, const char *name, struct lab_resp *resp)
{
	VS_CLEANUP(wishes_done) struct wishes w = {0};
	uint8_t oct[64] = {0};
	VS_CLEANUP(json_done) json_t *body = lab_vault_body(v, req, resp);
	if (body == NULL || !read_kind(v, body, &w, resp) || !read_common(v, body, &w, resp) ||
		!read_policy(v, body, &w, resp) || !export_rules_ok(v, req, &w, resp) ||
		(!w.software && !lab_vault_admit(v, resp)))
		return;
	const unsigned bits = lab_key_row(w.type)->bits;
	const bool is_oct = strcmp(lab_key_row(w.type)->kty, "oct") == 0;
	EVP_PKEY *pkey = is_oct ? NULL : lab_keygen(w.type);
	if (is_oct ? vs_failed(lab_random(oct, bits / 8, NULL)) : pkey == NULL)
		lab_vault_refuse(
			v, resp, 500, "InternalError", NULL, "No key could be made.", NULL);
	else
		store(v, name, &w, pkey, vs_bytes_of(oct, is_oct ? bits / 8 : 0), resp);
	vs_wipe(oct, sizeof(oct));
}

/* ---- import --------------------------------------------------------------------------------- */

void
lab_vault_import(
	struct lab_vault *v, const struct lab_req *req, const char *name, struct lab_resp *resp)
{
	VS_CLEANUP(wishes_done) struct wishes w = {0};
	VS_CLEANUP(json_done) json_t *body = lab_vault_body(v, req, resp);
	struct lab_jwk_key key = {0};
	char base[8] = "";
	bool has = false, hsm = false, software = false;
	if (body == NULL)
		return;
	const json_t *jwk = json_object_get(body, "key");
	const char *flag = json_object_get(body, "Hsm") != NULL ? "Hsm" : "hsm";
	if (!read_flag(body, flag, &has, &hsm) ||
		!read_kty(v, lab_json_text(jwk, "kty"), base, &software)) {
		(void)bad(v, resp, NULL, "Property key has invalid value");
		return;
	}
	w.software = software && !hsm;
	if (!read_common(v, body, &w, resp) || !read_policy(v, body, &w, resp) ||
		!export_rules_ok(v, req, &w, resp))
		return;
	if (json_object_get(jwk, "key_ops") != NULL)
		w.key_ops = json_object_get(jwk, "key_ops");
	const char *defect = NULL;
	if (!ops_ok(w.key_ops))
		defect = "Property key_ops has invalid value";
	else
		defect = lab_jwk_read(base, jwk, &key);
	if (defect != NULL) {
		(void)bad(v, resp, NULL, defect);
		return;
	}
	w.type = key.type;
	store(v, name, &w, key.pkey, vs_bytes_of(key.oct, key.n_oct), resp);
	vs_wipe(key.oct, sizeof(key.oct));
}

/* ---- update, rotate ------------------------------------------------------------------------- */

static bool
update_ok(struct lab_vault *v, const struct lab_key *k, const char *version, const struct wishes *w,
	struct lab_resp *resp)
{
	if (immutable_conflict(v, k, w->policy, resp))
		return false;
	if (w->has_exportable && w->exportable != k->exportable)
		return bad(v, resp, "AKV.SKR.1014", "Cannot modify the exportable state of a key.");
	if (w->policy != NULL && !k->exportable)
		return bad(v, resp, "AKV.SKR.1005",
			"Non-exportable keys must not have release policy.");
	if (w->policy != NULL && *version != '\0' && json_equal(k->policy, w->policy) != 1)
		return bad(v, resp, "AKV.SKR.1016",
			"Key Release Policy can only be set on versionless key.");
	return true;
}

static void
apply(struct lab_vault *v, struct lab_key *k, struct lab_version *version, const struct wishes *w)
{
	if (w->has_enabled)
		version->enabled = w->enabled;
	if (w->has_nbf)
		version->nbf = w->nbf;
	if (w->has_exp)
		version->exp = w->exp;
	if (w->key_ops != NULL) {
		json_decref(version->key_ops);
		version->key_ops = json_deep_copy(w->key_ops);
	}
	if (w->tags != NULL) {
		json_decref(version->tags);
		version->tags = json_deep_copy(w->tags);
	}
	if (w->policy != NULL && !k->immutable) {
		json_decref(k->policy);
		k->policy = json_deep_copy(w->policy);
		k->immutable = w->immutable;
	}
	version->updated = lab_now(v->lab);
}

void
lab_vault_update(struct lab_vault *v, const struct lab_req *req, const char *name,
	const char *version, struct lab_resp *resp)
{
	VS_CLEANUP(wishes_done) struct wishes w = {0};
	VS_CLEANUP(json_done) json_t *body = lab_vault_body(v, req, resp);
	json_t *bundle = NULL;
	if (body == NULL)
		return;
	/* Whether there is such a key comes first: it may cost a question to a policy's authority.
	 */
	pthread_mutex_lock(&v->lock);
	struct lab_key *k = lab_key_find(v, name);
	const bool there = k != NULL && k->deleted == 0;
	pthread_mutex_unlock(&v->lock);
	if (!there) {
		lab_vault_not_found(v, resp, name);
		return;
	}
	if (!read_common(v, body, &w, resp) || !read_policy(v, body, &w, resp))
		return;
	pthread_mutex_lock(&v->lock);
	k = lab_key_find(v, name);
	struct lab_version *found =
		k != NULL && k->deleted == 0 ? lab_key_version(k, version) : NULL;
	const bool ok = found != NULL && update_ok(v, k, version, &w, resp);
	if (ok) {
		apply(v, k, found, &w);
		bundle = lab_key_bundle(v, k, found, false);
	}
	pthread_mutex_unlock(&v->lock);
	if (ok)
		lab_vault_answer(v, resp, 200, bundle);
	else if (found == NULL)
		lab_vault_not_found(v, resp, name);
}

/* A new version with the same kind, policy, operations and tags. */
void
lab_vault_rotate(struct lab_vault *v, const char *name, bool counted, struct lab_resp *resp)
{
	VS_CLEANUP(wishes_done) struct wishes w = {0};
	uint8_t oct[64] = {0};
	VS_CLEANUP(json_done) json_t *ops = NULL;
	VS_CLEANUP(json_done) json_t *tags = NULL;
	pthread_mutex_lock(&v->lock);
	const struct lab_key *k = lab_key_find(v, name);
	const struct lab_version *now =
		k != NULL && k->deleted == 0 ? lab_key_version(k, NULL) : NULL;
	if (now != NULL) {
		w.type = now->type;
		w.software = k->software;
		w.exportable = k->exportable;
		w.policy = k->policy != NULL ? json_deep_copy(k->policy) : NULL;
		w.immutable = k->immutable;
		w.key_ops = ops = json_deep_copy(now->key_ops);
		w.tags = tags = now->tags != NULL ? json_deep_copy(now->tags) : NULL;
	}
	pthread_mutex_unlock(&v->lock);
	if (now == NULL) {
		lab_vault_not_found(v, resp, name);
		return;
	}
	if (counted && !w.software && !lab_vault_admit(v, resp))
		return;
	const bool is_oct = strcmp(lab_key_row(w.type)->kty, "oct") == 0;
	const size_t n = is_oct ? lab_key_row(w.type)->bits / 8 : 0;
	EVP_PKEY *pkey = is_oct ? NULL : lab_keygen(w.type);
	if (is_oct ? vs_failed(lab_random(oct, n, NULL)) : pkey == NULL)
		lab_vault_refuse(
			v, resp, 500, "InternalError", NULL, "No key could be made.", NULL);
	else
		store(v, name, &w, pkey, vs_bytes_of(oct, n), resp);
	vs_wipe(oct, sizeof(oct));
}
