/* SPDX-License-Identifier: BSD-2-Clause */
/* Identities, keys and access tokens; the endpoints are in lab_login.c. */
#include "lab/lab_entra.h"

#include <jansson.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/file.h"
#include "base/secret.h"
#include "lab/lab_jwt.h"
#include "lab/lab_pki.h"

enum { FEDERATED_LIFE_S = 24 * 3600, YEAR_S = 365 * 24 * 3600 };

VS_RC
lab_entra_alloc(
	struct lab_entra **ret, struct lab_keygen_job jobs[4], size_t *n, struct vs_err *err)
{
	struct lab_entra *e = calloc(1, sizeof(*e));
	if (e == NULL)
		VS_FAIL(err, MEMORY, "out of memory");
	*n = 0;
	jobs[(*n)++] = (struct lab_keygen_job){LAB_KEY_RSA2048, &e->key};
	jobs[(*n)++] = (struct lab_keygen_job){LAB_KEY_RSA2048, &e->cert_key};
	jobs[(*n)++] = (struct lab_keygen_job){LAB_KEY_RSA2048, &e->federation_key};
	*ret = e;
	return VS_OK;
}

void
lab_entra_free(struct lab_entra *e)
{
	if (e == NULL)
		return;
	EVP_PKEY_free(e->key);
	EVP_PKEY_free(e->cert_key);
	EVP_PKEY_free(e->federation_key);
	X509_free(e->cert);
	vs_wipe(e->secret, sizeof(e->secret));
	free(e);
}

static VS_RC
random_text(char *out, size_t size, struct vs_err *err)
{
	uint8_t bytes[32] = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	VS_TRY(lab_random(bytes, sizeof(bytes), err));
	VS_TRY(vs_b64url_encode(vs_bytes_of(bytes, sizeof(bytes)), &text, err));
	(void)snprintf(out, size, "%s", vs_buf_cstr(&text));
	return VS_OK;
}

static VS_RC
write_secret(struct lab *lab, const char *name, const struct vs_buf *text, struct vs_err *err)
{
	char path[LAB_PATH_MAX];
	VS_TRY(lab_path(lab, name, path, err));
	return vs_file_replace(path, 0600, vs_buf_view(text), err);
}

static VS_RC
make_client_certificate(struct lab *lab, struct vs_err *err)
{
	struct lab_entra *e = lab->entra;
	VS_CLEANUP(vs_buf_done) struct vs_buf pem = {0};
	const struct lab_cert_spec spec = {.cn = "LAB application",
		.subject_key = e->cert_key,
		.not_before_s = -3600,
		.not_after_s = YEAR_S};
	VS_TRY(lab_cert_make(&spec, &e->cert, err));
	VS_TRY(lab_key_pem(e->cert_key, &pem, err));
	VS_TRY(lab_cert_pem(e->cert, &pem, err));
	const vs_rc rc = write_secret(lab, "secrets/client.pem", &pem, err);
	vs_wipe(pem.p, pem.n);
	return rc;
}

VS_RC
lab_entra_ready(struct lab *lab, struct vs_err *err)
{
	struct lab_entra *e = lab->entra;
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	for (int i = 0; i < LAB_IDENTITIES_COUNT_; i++) {
		VS_TRY(lab_guid(e->client_id[i], err));
		VS_TRY(lab_guid(e->object_id[i], err));
	}
	VS_TRY(random_text(e->kid, sizeof(e->kid), err));
	VS_TRY(random_text(e->federation_kid, sizeof(e->federation_kid), err));
	VS_TRY(random_text(e->secret, sizeof(e->secret), err));
	VS_TRY(make_client_certificate(lab, err));
	VS_TRY(lab_entra_federated(lab, &text, err));
	VS_TRY(write_secret(lab, "secrets/federated-token", &text, err));
	VS_TRY(vs_buf_set(&text, e->secret, strlen(e->secret), err));
	return write_secret(lab, "secrets/client-secret", &text, err);
}

bool
lab_entra_knows(const char *audience)
{
	static const char *const known[] = {"https://vault.azure.net",
		"https://managedhsm.azure.net", "https://attest.azure.net",
		LAB_FEDERATION_AUDIENCE};
	const size_t n = strlen(audience);
	const size_t trimmed = n > 0 && audience[n - 1] == '/' ? n - 1 : n;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strlen(known[i]) == trimmed && strncmp(known[i], audience, trimmed) == 0)
			return true;
	return false;
}

static VS_RC
sign_token(EVP_PKEY *key, const char *kid, json_t *payload, struct vs_buf *out, struct vs_err *err)
{
	json_t *header = json_pack(
		"{s:s,s:s,s:s,s:s}", "typ", "JWT", "alg", "RS256", "x5t", kid, "kid", kid);
	vs_rc rc = {VS_E_MEMORY};
	if (header != NULL && payload != NULL)
		rc = lab_jws_sign(key, "RS256", header, payload, out, err);
	else
		(void)vs_err_put(err, VS_E_MEMORY, __func__, __LINE__, 0, "out of memory");
	json_decref(header);
	json_decref(payload);
	return rc;
}

VS_RC
lab_entra_token(struct lab *lab, enum lab_identity who, const char *audience, int64_t seconds,
	struct vs_buf *out, struct vs_err *err)
{
	const struct lab_entra *e = lab->entra;
	static const char *const how[] = {[LAB_ID_MACHINE] = "2",
		[LAB_ID_SECRET] = "1",
		[LAB_ID_CERTIFICATE] = "2",
		[LAB_ID_FEDERATED] = "2"};
	const int64_t now = lab_now(lab);
	const int64_t start = seconds < 0 ? now + 2 * seconds : now;
	char iss[160], uti[48];
	(void)snprintf(iss, sizeof(iss), "%s/%s/", lab->url[LAB_ENTRA], lab->tenant_id);
	VS_TRY(random_text(uti, sizeof(uti), err));
	json_t *payload = json_pack("{s:s,s:s,s:I,s:I,s:I,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:b}",
		"aud", audience, "iss", iss, "iat", (json_int_t)start, "nbf", (json_int_t)start,
		"exp", (json_int_t)(now + seconds), "appid", e->client_id[who], "appidacr",
		how[who], "idp", iss, "oid", e->object_id[who], "sub", e->object_id[who], "tid",
		lab->tenant_id, "uti", uti, "ver", "1.0", "vouchsafe-lab", 1);
	return sign_token(e->key, e->kid, payload, out, err);
}

VS_RC
lab_entra_federated(struct lab *lab, struct vs_buf *out, struct vs_err *err)
{
	const struct lab_entra *e = lab->entra;
	const int64_t now = lab_now(lab);
	char iss[160];
	(void)snprintf(iss, sizeof(iss), "%s/lab-workloads/", lab->url[LAB_ENTRA]);
	json_t *payload = json_pack("{s:[s],s:I,s:I,s:I,s:s,s:s}", "aud", LAB_FEDERATION_AUDIENCE,
		"exp", (json_int_t)(now + FEDERATED_LIFE_S), "iat", (json_int_t)now, "nbf",
		(json_int_t)now, "iss", iss, "sub", LAB_FEDERATION_SUBJECT);
	return sign_token(e->federation_key, e->federation_kid, payload, out, err);
}

/* ---- checking access tokens ----------------------------------------------------------------- */

static bool
same_audience(const char *a, const char *b)
{
	size_t na = strlen(a), nb = strlen(b);
	na -= na > 0 && a[na - 1] == '/';
	nb -= nb > 0 && b[nb - 1] == '/';
	return na == nb && strncmp(a, b, na) == 0;
}

static bool
integer_claim(const json_t *payload, const char *name, int64_t *ret)
{
	const json_t *v = json_object_get(payload, name);
	*ret = (int64_t)json_integer_value(v);
	return json_is_integer(v);
}

static bool
say_why(char *why, size_t size, const char *text)
{
	(void)snprintf(why, size, "%s", text);
	return false;
}

static bool
claims_ok(struct lab *lab, const json_t *payload, const char *audience, char *why, size_t size)
{
	char want[160], quoted[128];
	int64_t nbf = 0, exp = 0;
	const int64_t now = lab_now(lab);
	const char *iss = lab_json_text(payload, "iss"), *tid = lab_json_text(payload, "tid");
	const char *aud = lab_json_text(payload, "aud");
	(void)snprintf(want, sizeof(want), "%s/%s/", lab->url[LAB_ENTRA], lab->tenant_id);
	if (iss == NULL || tid == NULL || strcmp(iss, want) != 0 ||
		strcmp(tid, lab->tenant_id) != 0) {
		(void)snprintf(why, size, "AKV10032: Invalid issuer. Expected one of %s, found %s.",
			want,
			vs_quote(vs_bytes_str(iss != NULL ? iss : ""), quoted, sizeof(quoted)));
		return false;
	}
	if (aud == NULL || !same_audience(aud, audience)) {
		(void)snprintf(why, size, "AKV10022: Invalid audience. Expected %s, found: %s.",
			audience,
			vs_quote(vs_bytes_str(aud != NULL ? aud : ""), quoted, sizeof(quoted)));
		return false;
	}
	if (!integer_claim(payload, "nbf", &nbf) || !integer_claim(payload, "exp", &exp) ||
		nbf > now + 300)
		return say_why(why, size, "AKV10000: The token is not yet valid.");
	if (exp <= now)
		return say_why(why, size, "AKV10001: The token has expired.");
	return true;
}

bool
lab_access_ok(struct lab *lab, const struct lab_req *req, const char *audience, char *why,
	size_t why_size)
{
	const char *header = lab_req_header(req, "authorization");
	VS_CLEANUP(lab_jwt_done) struct lab_jwt t = {0};
	if (header == NULL || strncasecmp(header, "Bearer ", 7) != 0)
		return say_why(
			why, why_size, "AKV10000: Request is missing a Bearer or PoP token.");
	if (vs_failed(lab_jwt_open(vs_bytes_str(header + 7), &t, NULL)))
		return say_why(
			why, why_size, "AKV10000: The Bearer token is not a JSON web token.");
	const char *kid = lab_json_text(t.header, "kid");
	if (kid == NULL || strcmp(kid, lab->entra->kid) != 0 ||
		vs_failed(lab_jwt_verify(&t, "RS256", lab->entra->key, NULL)))
		return say_why(
			why, why_size, "AKV10001: Signature validation of the token failed.");
	return claims_ok(lab, t.payload, audience, why, why_size);
}
