/* SPDX-License-Identifier: BSD-2-Clause */
/* Certificates of keys: issued by the lab's authority, read through the vault's certificates API.
 */
#include "lab/lab_certs.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/codec.h"
#include "base/file.h"
#include "lab/lab_pki.h"

enum { YEAR_S = 365 * 24 * 3600 };

VS_RC
lab_certs_issue(struct lab_vault *v, const char *name, const char *file, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf pem = {0};
	char relative[200], path[LAB_PATH_MAX];
	X509 *cert = NULL;
	(void)snprintf(relative, sizeof(relative), "certs/%s.pem", file);
	VS_TRY(lab_path(v->lab, relative, path, err));
	pthread_mutex_lock(&v->lock);
	const struct lab_key *k = lab_key_find(v, name);
	struct lab_version *version =
		k != NULL && k->deleted == 0 ? lab_key_version(k, NULL) : NULL;
	vs_rc rc = VS_OK;
	if (version == NULL || version->pkey == NULL) {
		rc = vs_err_put(err, VS_E_NOT_FOUND, __func__, __LINE__, 0,
			"%s has no key %s that could have a certificate; `vouchsafe-lab key list` "
			"shows them",
			lab_service_name((enum lab_service)v->service), name);
	} else {
		const struct lab_cert_spec spec = {.cn = name,
			.subject_key = version->pkey,
			.issuer = v->lab->pki->ca,
			.issuer_key = v->lab->pki->ca_key,
			.san = "DNS:localhost,IP:127.0.0.1",
			.not_before_s = -3600,
			.not_after_s = YEAR_S};
		rc = lab_cert_make(&spec, &cert, err);
	}
	if (!vs_failed(rc))
		rc = lab_cert_pem(cert, &pem, err);
	if (!vs_failed(rc)) {
		X509_free(version->cert);
		version->cert = cert;
	}
	pthread_mutex_unlock(&v->lock);
	VS_TRY(rc);
	return vs_file_replace(path, 0644, vs_buf_view(&pem), err);
}

/* ---- the API -------------------------------------------------------------------------------- */

static bool
add_hash_and_der(json_t *j, X509 *cert, bool with_der)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf hash = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf x5t = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf cer = {0};
	uint8_t *der = NULL;
	const int n = i2d_X509(cert, &der);
	const bool ok = n > 0 && !vs_failed(lab_cert_hash(cert, "SHA1", &hash, NULL)) &&
		!vs_failed(vs_b64url_encode(vs_buf_view(&hash), &x5t, NULL)) &&
		!vs_failed(vs_b64_encode(vs_bytes_of(der, (size_t)n), &cer, NULL)) &&
		json_object_set_new(j, "x5t", json_string(vs_buf_cstr(&x5t))) == 0 &&
		(!with_der || json_object_set_new(j, "cer", json_string(vs_buf_cstr(&cer))) == 0);
	OPENSSL_free(der);
	return ok;
}

static json_t *
policy_of(const struct lab_key *k, const struct lab_version *version)
{
	const struct lab_key_row *row = lab_key_row(version->type);
	json_t *props = json_pack(
		"{s:b,s:s,s:b}", "exportable", k->exportable, "kty", row->kty, "reuse_key", 0);
	if (row->crv != NULL)
		(void)json_object_set_new(props, "crv", json_string(row->crv));
	else
		(void)json_object_set_new(props, "key_size", json_integer(row->bits));
	char subject[200];
	(void)snprintf(subject, sizeof(subject), "O=Vouchsafe LAB, CN=%s", k->name);
	return json_pack("{s:o,s:{s:s,s:{s:[s]}},s:{s:s}}", "key_props", props, "x509_props",
		"subject", subject, "sans", "dns_names", "localhost", "issuer", "name",
		"Vouchsafe LAB");
}

static json_t *
describe(const struct lab_vault *v, const struct lab_key *k, const struct lab_version *version,
	bool item)
{
	char id[256], kid[256], sid[256], subject[200];
	const char *url = lab_vault_url(v);
	(void)snprintf(id, sizeof(id), "%s/certificates/%s%s%s", url, k->name, item ? "" : "/",
		item ? "" : version->id);
	(void)snprintf(kid, sizeof(kid), "%s/keys/%s/%s", url, k->name, version->id);
	(void)snprintf(sid, sizeof(sid), "%s/secrets/%s/%s", url, k->name, version->id);
	(void)snprintf(subject, sizeof(subject), "O=Vouchsafe LAB, CN=%s", k->name);
	json_t *attributes = json_pack("{s:b,s:I,s:I,s:I,s:I,s:s,s:i}", "enabled", version->enabled,
		"nbf", (json_int_t)(version->created - 3600), "exp",
		(json_int_t)(version->created + YEAR_S), "created", (json_int_t)version->created,
		"updated", (json_int_t)version->updated, "recoveryLevel",
		"CustomizedRecoverable+Purgeable", "recoverableDays", 7);
	json_t *j = item ? json_pack("{s:s}", "id", id)
			 : json_pack("{s:s,s:s,s:s}", "id", id, "kid", kid, "sid", sid);
	if (!add_hash_and_der(j, version->cert, !item)) {
		json_decref(j);
		json_decref(attributes);
		return NULL;
	}
	(void)json_object_set_new(j, "attributes", attributes);
	if (item)
		(void)json_object_set_new(j, "subject", json_string(subject));
	else
		(void)json_object_set_new(j, "policy", policy_of(k, version));
	return j;
}

static void
list(struct lab_vault *v, struct lab_resp *resp)
{
	json_t *value = json_array();
	pthread_mutex_lock(&v->lock);
	for (size_t i = 0; i < v->n_keys; i++) {
		const struct lab_version *version = lab_key_version(v->keys[i], NULL);
		if (v->keys[i]->deleted == 0 && version != NULL && version->cert != NULL)
			(void)json_array_append_new(value, describe(v, v->keys[i], version, true));
	}
	pthread_mutex_unlock(&v->lock);
	lab_vault_answer(v, resp, 200, json_pack("{s:o,s:n}", "value", value, "nextLink"));
}

void
lab_vault_certificates(struct lab_vault *v, const struct lab_req *req, struct lab_resp *resp)
{
	const char *name = req->n_segments > 1 ? req->segments[1] : "";
	const char *wanted = req->n_segments > 2 ? req->segments[2] : "";
	json_t *j = NULL;
	char text[256];
	if (*name == '\0') {
		list(v, resp);
		return;
	}
	pthread_mutex_lock(&v->lock);
	const struct lab_key *k = lab_key_find(v, name);
	const struct lab_version *version =
		k != NULL && k->deleted == 0 ? lab_key_version(k, wanted) : NULL;
	if (version != NULL && version->cert != NULL)
		j = describe(v, k, version, false);
	pthread_mutex_unlock(&v->lock);
	if (j != NULL) {
		lab_vault_answer(v, resp, 200, j);
		return;
	}
	(void)snprintf(text, sizeof(text),
		"A certificate with (name/id) %.127s was not found in this key vault.", name);
	lab_vault_refuse(v, resp, 404, "CertificateNotFound", NULL, text, NULL);
}
