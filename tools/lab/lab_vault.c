/* SPDX-License-Identifier: BSD-2-Clause */
/* Routes, access and shared answers of Key Vault and Managed HSM. */
#include "lab/lab_vault.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

enum { PURGE_AFTER_S = 7 * 24 * 3600, HIDDEN_POLLS = 2, NAME_MAX_LENGTH = 127 };

const char *
lab_vault_url(const struct lab_vault *v)
{
	return v->lab->url[v->service];
}

static struct lab_vault *
vault_of(struct lab *lab, const struct lab_req *req)
{
	return req->service == LAB_MHSM ? lab->mhsm : lab->vault;
}

/* ---- shared answers ------------------------------------------------------------------------- */

static void
drop_platform(json_t *o)
{
	(void)json_object_del(json_object_get(o, "attributes"), "hsmPlatform");
}

void
lab_vault_answer(struct lab_vault *v, struct lab_resp *resp, int status, json_t *json)
{
	const json_t *list = json_object_get(json, "value");
	if (!resp->platform)
		drop_platform(json);
	for (size_t i = 0; !resp->platform && i < json_array_size(list); i++)
		drop_platform(json_array_get(list, i));
	if (v->mhsm)
		lab_resp_json_sorted(resp, status, json);
	else
		lab_resp_json(resp, status, json);
}

void
lab_vault_refuse(struct lab_vault *v, struct lab_resp *resp, int status, const char *code,
	const char *skr, const char *message, const char *inner)
{
	char text[1024];
	if (v->mhsm)
		(void)snprintf(
			text, sizeof(text), "%.800s (Activity ID: %s)", message, resp->request_id);
	else
		(void)snprintf(text, sizeof(text), "%s%s%.800s", skr != NULL ? skr : "",
			skr != NULL ? ": " : "", message);
	lab_resp_error(resp, status, code, text, inner);
}

void
lab_vault_not_found(struct lab_vault *v, struct lab_resp *resp, const char *name)
{
	char text[512];
	(void)snprintf(text, sizeof(text),
		"A key with (name/id) %.127s was not found in this key vault. If you recently "
		"deleted this "
		"key you may be able to recover it using the correct recovery command. For help "
		"resolving "
		"this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182",
		name);
	lab_vault_refuse(v, resp, 404, "KeyNotFound", NULL, text, NULL);
}

/* One shared category: create and release of HSM keys, ten in ten seconds (facts 5.4). */
bool
lab_vault_admit(struct lab_vault *v, struct lab_resp *resp)
{
	const struct vs_clock clock = vs_clock_system();
	const int64_t now = clock.ops->boot_ns(clock.self);
	const int64_t since = now - LAB_THROTTLE_WINDOW_S * INT64_C(1000000000);
	char after[16];
	if (!v->throttle)
		return true;
	pthread_mutex_lock(&v->lock);
	size_t kept = 0;
	for (size_t i = 0; i < v->n_recent; i++)
		if (v->recent_ns[i] > since)
			v->recent_ns[kept++] = v->recent_ns[i];
	v->n_recent = kept;
	const bool ok = kept < LAB_THROTTLE_MAX;
	const int64_t oldest = kept > 0 ? v->recent_ns[0] : now;
	if (ok)
		v->recent_ns[v->n_recent++] = now;
	pthread_mutex_unlock(&v->lock);
	if (ok)
		return true;
	(void)snprintf(after, sizeof(after), "%d", (int)((oldest - since) / 1000000000 + 1));
	lab_resp_header(resp, "Retry-After", after);
	lab_vault_refuse(v, resp, 429, "Throttled", NULL,
		"Request was not processed because too many requests were received. Reason: "
		"VaultRequestTypeLimitReached",
		"VaultRequestTypeLimitReached");
	return false;
}

json_t *
lab_vault_body(struct lab_vault *v, const struct lab_req *req, struct lab_resp *resp)
{
	const char *type = lab_req_header(req, "content-type");
	json_t *body = NULL;
	if (type != NULL && strncasecmp(type, "application/json", 16) == 0)
		body = lab_req_json(req);
	if (json_is_object(body))
		return body;
	json_decref(body);
	lab_vault_refuse(v, resp, 400, "BadParameter", NULL,
		"The request body is not a JSON object of type application/json.", NULL);
	return NULL;
}

/* ---- access --------------------------------------------------------------------------------- */

static void
common_headers(struct lab_vault *v, const struct lab_req *req, struct lab_resp *resp)
{
	const char *client = lab_req_header(req, "x-ms-client-request-id");
	const char *version = lab_req_query(req, "api-version");
	resp->platform = version != NULL && (version[0] == '2' || strcmp(version, "7.5") >= 0);
	if (vs_failed(lab_guid(resp->request_id, NULL)))
		return;
	lab_resp_header(resp, "Cache-Control", "no-cache");
	if (v->mhsm) {
		lab_resp_header(resp, "Content-Security-Policy", "default-src 'self'");
		lab_resp_header(resp, "X-Frame-Options", "SAMEORIGIN");
		lab_resp_header(
			resp, "Strict-Transport-Security", "max-age=31536000; includeSubDomains");
		lab_resp_header(resp, "x-ms-server-latency", "1");
	} else {
		lab_resp_header(resp, "Pragma", "no-cache");
		lab_resp_header(resp, "Expires", "-1");
		lab_resp_header(
			resp, "Strict-Transport-Security", "max-age=31536000;includeSubDomains");
		lab_resp_header(resp, "x-ms-keyvault-service-version", "1.9.749.1");
		if (client != NULL && strlen(client) < 100)
			lab_resp_header(resp, "x-ms-client-request-id", client);
	}
	lab_resp_header(resp, "X-Content-Type-Options", "nosniff");
	lab_resp_header(resp, "x-ms-request-id", resp->request_id);
}

/* Managed HSM does not say where it is when it refuses. */
static void
region_headers(const struct lab_vault *v, struct lab_resp *resp)
{
	if (v->mhsm && resp->status >= 400)
		return;
	lab_resp_header(resp, "x-ms-keyvault-region", "labregion");
	lab_resp_header(resp, "x-ms-keyvault-network-info",
		v->mhsm ? "conn_type=Ipv4;addr=127.0.0.1;act_addr_fam=Ipv4;"
			: "conn_type=Ipv4;addr=127.0.0.1;act_addr_fam=InterNetwork;");
}

/* Clients probe without token and body; the answer names authority and resource, in one header. */
bool
lab_vault_before(struct lab *lab, const struct lab_req *req, struct lab_resp *resp)
{
	struct lab_vault *v = vault_of(lab, req);
	char why[512] = "", challenge[256];
	common_headers(v, req, resp);
	if (lab_access_ok(lab, req, v->audience, why, sizeof(why)))
		return false;
	(void)snprintf(challenge, sizeof(challenge),
		"Bearer authorization=\"%s/%s\", resource=\"%s\"", lab->url[LAB_ENTRA],
		lab->tenant_id, v->audience);
	lab_resp_header(resp, "WWW-Authenticate", challenge);
	if (v->mhsm)
		lab_resp_text(resp, 401, "application/json; charset=utf-8", "");
	else
		lab_resp_error(resp, 401, "Unauthorized", why, NULL);
	region_headers(v, resp);
	return true;
}

/* ---- single keys ---------------------------------------------------------------------------- */

static void
get_key(struct lab_vault *v, const char *name, const char *version, struct lab_resp *resp)
{
	pthread_mutex_lock(&v->lock);
	const struct lab_key *k = lab_key_find(v, name);
	const struct lab_version *found =
		k != NULL && k->deleted == 0 ? lab_key_version(k, version) : NULL;
	json_t *bundle = found != NULL ? lab_key_bundle(v, k, found, false) : NULL;
	pthread_mutex_unlock(&v->lock);
	if (bundle != NULL)
		lab_vault_answer(v, resp, 200, bundle);
	else
		lab_vault_not_found(v, resp, name);
}

/* The vault's deleted bundle has no release policy, Managed HSM's has. */
static json_t *
deleted_bundle(const struct lab_vault *v, const struct lab_key *k)
{
	char id[256];
	json_t *bundle = lab_key_bundle(v, k, lab_key_version(k, NULL), false);
	(void)snprintf(id, sizeof(id), "%s/deletedkeys/%s", lab_vault_url(v), k->name);
	json_t *all =
		json_pack("{s:s,s:I,s:I}", "recoveryId", id, "deletedDate", (json_int_t)k->deleted,
			"scheduledPurgeDate", (json_int_t)(k->deleted + PURGE_AFTER_S));
	if (!v->mhsm)
		(void)json_object_del(bundle, "release_policy");
	(void)json_object_update(all, bundle);
	json_decref(bundle);
	return all;
}

static void
delete_key(struct lab_vault *v, const char *name, struct lab_resp *resp)
{
	json_t *bundle = NULL;
	pthread_mutex_lock(&v->lock);
	struct lab_key *k = lab_key_find(v, name);
	if (k != NULL && k->deleted == 0) {
		k->deleted = lab_now(v->lab);
		k->hidden_polls = v->mhsm ? 0 : HIDDEN_POLLS;
		bundle = deleted_bundle(v, k);
	}
	pthread_mutex_unlock(&v->lock);
	if (bundle != NULL)
		lab_vault_answer(v, resp, 200, bundle);
	else
		lab_vault_not_found(v, resp, name);
}

static void
deleted_not_found(struct lab_vault *v, const char *name, struct lab_resp *resp)
{
	char text[256];
	(void)snprintf(text, sizeof(text), "Deleted Key not found: %.127s", name);
	lab_vault_refuse(v, resp, 404, "KeyNotFound", NULL, text, NULL);
}

/* GET, DELETE (purge), POST recover of /deletedkeys/{name}. */
static void
deleted_key(struct lab_vault *v, const struct lab_req *req, const char *name, struct lab_resp *resp)
{
	const bool recover = req->n_segments > 2 && strcmp(req->segments[2], "recover") == 0;
	json_t *bundle = NULL;
	bool purged = false;
	pthread_mutex_lock(&v->lock);
	struct lab_key *k = lab_key_find(v, name);
	if (k != NULL && k->deleted != 0 && k->hidden_polls > 0) {
		k->hidden_polls--;
	} else if (k != NULL && k->deleted != 0) {
		if (recover && strcmp(req->method, "POST") == 0) {
			k->deleted = 0;
			bundle = lab_key_bundle(v, k, lab_key_version(k, NULL), false);
		} else if (strcmp(req->method, "DELETE") == 0) {
			lab_key_remove(v, k);
			purged = true;
		} else if (strcmp(req->method, "GET") == 0 && !recover) {
			bundle = deleted_bundle(v, k);
		}
	}
	pthread_mutex_unlock(&v->lock);
	if (purged) {
		lab_resp_text(resp, 204, "", "");
		if (v->mhsm) {
			lab_resp_header(resp, "Content-Type", "application/json; charset=utf-8");
			lab_resp_header(resp, "Content-Length", "0");
		}
	} else if (bundle != NULL)
		lab_vault_answer(v, resp, 200, bundle);
	else
		deleted_not_found(v, name, resp);
}

/* ---- routing -------------------------------------------------------------------------------- */

static bool
name_ok(const char *name)
{
	const size_t n = strlen(name);
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '-')
			return false;
	return n >= 1 && n <= NAME_MAX_LENGTH;
}

/* There is no default version; Managed HSM's own nextLink has none, and must be taken. */
static bool
api_version_ok(struct lab_vault *v, const struct lab_req *req, struct lab_resp *resp)
{
	static const char *const known[] = {"7.0", "7.1", "7.2", "7.3-preview", "7.3", "7.4", "7.5",
		"7.6-preview.1", "7.6-preview.2", "7.6", "2025-06-01", "2025-07-01",
		"2026-01-01-preview"};
	const char *version = lab_req_query(req, "api-version");
	if (version == NULL && v->mhsm && lab_req_query(req, "$skiptoken") != NULL)
		return true;
	for (size_t i = 0; version != NULL && i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i], version) == 0)
			return true;
	lab_vault_refuse(v, resp, 400, "BadParameter", NULL,
		version == NULL
			? "api-version must be specified"
			: "The specified version is not recognized. Consider using the latest "
			  "supported version.",
		NULL);
	return false;
}

static void
no_route(struct lab_vault *v, struct lab_resp *resp)
{
	lab_vault_refuse(v, resp, 404, "NotFound", NULL, "There is no such operation.", NULL);
}

static void
post_key(struct lab_vault *v, const struct lab_req *req, struct lab_resp *resp)
{
	const char *name = req->segments[1], *last = req->segments[req->n_segments - 1];
	const char *version = req->n_segments == 4 ? req->segments[2] : "";
	if (strcmp(last, "release") == 0 && (req->n_segments == 3 || req->n_segments == 4))
		lab_vault_release(v, req, name, version, resp);
	else if (strcmp(last, "create") == 0 && req->n_segments == 3)
		lab_vault_create(v, req, name, resp);
	else if (strcmp(last, "rotate") == 0 && req->n_segments == 3)
		lab_vault_rotate(v, name, true, resp);
	else if (strcmp(last, "backup") == 0 && req->n_segments == 3)
		lab_vault_backup(v, name, resp);
	else if (strcmp(name, "restore") == 0 && req->n_segments == 2)
		lab_vault_restore(v, req, resp);
	else if (req->n_segments < 3 || req->n_segments > 4 ||
		!lab_vault_crypt(v, req, name, version, last, resp))
		no_route(v, resp);
}

static void
route_key(struct lab_vault *v, const struct lab_req *req, struct lab_resp *resp)
{
	const char *name = req->segments[1], *method = req->method;
	const char *version = req->n_segments > 2 ? req->segments[2] : "";
	const char *last = req->segments[req->n_segments - 1];
	char text[256];
	if (!name_ok(name)) {
		(void)snprintf(text, sizeof(text),
			"The request URI contains an invalid name: %.127s", name);
		lab_vault_refuse(v, resp, 400, "BadParameter", NULL, text, NULL);
	} else if (strcmp(method, "POST") == 0) {
		post_key(v, req, resp);
	} else if (strcmp(method, "GET") == 0 && strcmp(last, "attestation") == 0 &&
		req->n_segments > 2 && req->n_segments < 5) {
		lab_vault_attestation(v, req, name, req->n_segments == 4 ? version : "", resp);
	} else if (req->n_segments > 3) {
		no_route(v, resp);
	} else if (strcmp(method, "GET") == 0 && strcmp(version, "versions") == 0) {
		lab_vault_versions(v, req, name, resp);
	} else if (strcmp(version, "rotationpolicy") == 0 &&
		(strcmp(method, "GET") == 0 || strcmp(method, "PUT") == 0)) {
		lab_vault_rotation_policy(v, req, name, resp);
	} else if (strcmp(method, "GET") == 0) {
		get_key(v, name, version, resp);
	} else if (strcmp(method, "PATCH") == 0) {
		lab_vault_update(v, req, name, version, resp);
	} else if (*version != '\0') {
		no_route(v, resp);
	} else if (strcmp(method, "PUT") == 0) {
		lab_vault_import(v, req, name, resp);
	} else if (strcmp(method, "DELETE") == 0) {
		delete_key(v, name, resp);
	} else {
		no_route(v, resp);
	}
}

static void
route(struct lab_vault *v, const struct lab_req *req, struct lab_resp *resp)
{
	const char *top = req->n_segments > 0 ? req->segments[0] : "";
	const bool list =
		req->n_segments == 1 || (req->n_segments == 2 && *req->segments[1] == '\0');
	if (!api_version_ok(v, req, resp))
		return;
	if (strcmp(top, "rng") == 0 && v->mhsm && strcmp(req->method, "POST") == 0 && list)
		lab_vault_random(v, req, resp);
	else if (strcmp(top, "keys") == 0 && !list)
		route_key(v, req, resp);
	else if (strcmp(top, "deletedkeys") == 0 && !list)
		deleted_key(v, req, req->segments[1], resp);
	else if (strcmp(top, "certificates") == 0 && !v->mhsm && strcmp(req->method, "GET") == 0)
		lab_vault_certificates(v, req, resp);
	else if ((strcmp(top, "keys") == 0 || strcmp(top, "deletedkeys") == 0) &&
		strcmp(req->method, "GET") == 0)
		lab_vault_list(v, req, resp);
	else
		no_route(v, resp);
}

void
lab_vault_handle(struct lab *lab, const struct lab_req *req, struct lab_resp *resp)
{
	struct lab_vault *v = vault_of(lab, req);
	route(v, req, resp);
	region_headers(v, resp);
}
