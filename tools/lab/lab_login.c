/* SPDX-License-Identifier: BSD-2-Clause */
/* The endpoints of the lab's Entra: metadata, keys, and tokens for four kinds of credentials. */
#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/codec.h"
#include "lab/lab_entra.h"
#include "lab/lab_jwt.h"
#include "lab/lab_pki.h"
#include "lab/lab_req.h"

enum { FORM_MAX = 32, TOKEN_LIFE_S = 3599, SKEW_S = 300, ASSERTION_LIFE_MAX_S = 24 * 3600 };

#define ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

struct form {
	struct lab_pair pairs[FORM_MAX];
	size_t n;
	char *pool;
};

static void
form_done(struct form *f)
{
	free(f->pool);
}

static const char *
field(const struct form *f, const char *name)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->pairs[i].name, name) == 0)
			return f->pairs[i].value;
	return "";
}

static void
refuse(struct lab_resp *resp, int status, const char *error, int code, const char *text)
{
	char when[32] = "", trace[LAB_GUID_SIZE] = "", correlation[LAB_GUID_SIZE] = "",
	     all[512] = "";
	char uri[96] = "";
	const time_t now = time(NULL);
	struct tm tm = {0};
	(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%SZ", gmtime_r(&now, &tm));
	if (vs_failed(lab_guid(trace, NULL)) || vs_failed(lab_guid(correlation, NULL)))
		return;
	(void)snprintf(all, sizeof(all),
		"AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s", code, text, trace,
		correlation, when);
	(void)snprintf(uri, sizeof(uri), "https://login.microsoftonline.com/error?code=%d", code);
	lab_resp_json(resp, status,
		json_pack("{s:s,s:s,s:[i],s:s,s:s,s:s,s:s}", "error", error, "error_description",
			all, "error_codes", code, "timestamp", when, "trace_id", trace,
			"correlation_id", correlation, "error_uri", uri));
}

/* ---- assertions ----------------------------------------------------------------------------- */

static bool
audience_has(const json_t *aud, const char *want)
{
	if (json_is_string(aud))
		return strcmp(json_string_value(aud), want) == 0;
	for (size_t i = 0; i < json_array_size(aud); i++) {
		const char *s = json_string_value(json_array_get(aud, i));
		if (s != NULL && strcmp(s, want) == 0)
			return true;
	}
	return false;
}

static bool
times_ok(const struct lab *lab, const json_t *payload)
{
	const json_t *exp = json_object_get(payload, "exp"), *nbf = json_object_get(payload, "nbf");
	const int64_t now = lab_now(lab);
	if (!json_is_integer(exp) || json_integer_value(exp) <= now - SKEW_S ||
		json_integer_value(exp) > now + ASSERTION_LIFE_MAX_S + SKEW_S)
		return false;
	return nbf == NULL || (json_is_integer(nbf) && json_integer_value(nbf) <= now + SKEW_S);
}

/* The certificate is named by the hash of its DER, SHA-256 or (older clients) SHA-1. */
static bool
names_certificate(const struct lab *lab, const json_t *header)
{
	static const struct {
		const char *member, *md;
	} ways[] = {{"x5t#S256", "SHA256"}, {"x5t", "SHA1"}};
	for (size_t i = 0; i < 2; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf hash = {0};
		VS_CLEANUP(vs_buf_done) struct vs_buf says = {0};
		const char *text = lab_json_text(header, ways[i].member);
		if (text == NULL)
			continue;
		return !vs_failed(lab_cert_hash(lab->entra->cert, ways[i].md, &hash, NULL)) &&
			!vs_failed(vs_b64_any_decode(vs_bytes_str(text), &says, NULL)) &&
			vs_bytes_eq(vs_buf_view(&hash), vs_buf_view(&says));
	}
	return false;
}

static bool
check_certificate(
	struct lab *lab, const struct lab_jwt *t, const char *endpoint, struct lab_resp *resp)
{
	struct lab_entra *e = lab->entra;
	const char *id = e->client_id[LAB_ID_CERTIFICATE];
	const char *alg = lab_json_text(t->header, "alg");
	const bool rs256 = alg != NULL && strcmp(alg, "RS256") == 0;
	const char *iss = lab_json_text(t->payload, "iss"), *sub = lab_json_text(t->payload, "sub");
	if (!names_certificate(lab, t->header) ||
		vs_failed(lab_jwt_verify(t, rs256 ? "RS256" : "PS256", e->cert_key, NULL)))
		refuse(resp, 401, "invalid_client", 700027,
			"The certificate with identifier used to sign the client assertion is not "
			"registered "
			"on application, or the signature is wrong.");
	else if (iss == NULL || sub == NULL || strcmp(iss, id) != 0 || strcmp(sub, id) != 0)
		refuse(resp, 401, "invalid_client", 700021,
			"Client assertion application identifier doesn't match 'client_id' "
			"parameter.");
	else if (!audience_has(json_object_get(t->payload, "aud"), endpoint))
		refuse(resp, 401, "invalid_client", 700023,
			"Client assertion audience claim does not match realm issuer.");
	else if (!times_ok(lab, t->payload))
		refuse(resp, 401, "invalid_client", 700024,
			"Client assertion is not within its valid time range.");
	else
		return true;
	return false;
}

static bool
check_federated(struct lab *lab, const struct lab_jwt *t, struct lab_resp *resp)
{
	struct lab_entra *e = lab->entra;
	char want[160];
	const char *kid = lab_json_text(t->header, "kid"), *iss = lab_json_text(t->payload, "iss");
	const char *sub = lab_json_text(t->payload, "sub");
	(void)snprintf(want, sizeof(want), "%s/lab-workloads/", lab->url[LAB_ENTRA]);
	if (iss == NULL || strcmp(iss, want) != 0)
		refuse(resp, 401, "invalid_client", 700211,
			"No matching federated identity record found for presented assertion "
			"issuer.");
	else if (sub == NULL || strcmp(sub, LAB_FEDERATION_SUBJECT) != 0)
		refuse(resp, 401, "invalid_client", 700213,
			"No matching federated identity record found for presented assertion "
			"subject.");
	else if (!audience_has(json_object_get(t->payload, "aud"), LAB_FEDERATION_AUDIENCE))
		refuse(resp, 401, "invalid_client", 700212,
			"No matching federated identity record found for presented assertion "
			"audience.");
	else if (kid == NULL || strcmp(kid, e->federation_kid) != 0 ||
		vs_failed(lab_jwt_verify(t, "RS256", e->federation_key, NULL)))
		refuse(resp, 401, "invalid_client", 700027,
			"The assertion's signature could not be verified with the issuer's keys.");
	else if (!times_ok(lab, t->payload))
		refuse(resp, 401, "invalid_client", 700024,
			"Client assertion is not within its valid time range.");
	else
		return true;
	return false;
}

static bool
check_assertion(struct lab *lab, enum lab_identity who, const char *text, const char *endpoint,
	struct lab_resp *resp)
{
	VS_CLEANUP(lab_jwt_done) struct lab_jwt t = {0};
	if (vs_failed(lab_jwt_open(vs_bytes_str(text), &t, NULL))) {
		refuse(resp, 401, "invalid_client", 50027, "JWT token is invalid or malformed.");
		return false;
	}
	return who == LAB_ID_CERTIFICATE ? check_certificate(lab, &t, endpoint, resp)
					 : check_federated(lab, &t, resp);
}

/* ---- token endpoint ------------------------------------------------------------------------- */

static bool
check_credential(struct lab *lab, const struct form *f, const char *endpoint,
	enum lab_identity *who, struct lab_resp *resp)
{
	const struct lab_entra *e = lab->entra;
	const char *id = field(f, "client_id"), *secret = field(f, "client_secret");
	for (*who = LAB_ID_SECRET; *who < LAB_IDENTITIES_COUNT_; (*who)++)
		if (strcasecmp(id, e->client_id[*who]) == 0)
			break;
	if (*who == LAB_IDENTITIES_COUNT_) {
		refuse(resp, 400, "unauthorized_client", 700016,
			"Application with this identifier was not found in the directory "
			"'Vouchsafe LAB'.");
		return false;
	}
	if (*who == LAB_ID_SECRET) {
		if (strlen(secret) == strlen(e->secret) &&
			vs_ct_eq(secret, e->secret, strlen(e->secret)))
			return true;
		refuse(resp, 401, "invalid_client", 7000215,
			"Invalid client secret provided. Ensure the secret being sent in the "
			"request is the "
			"client secret value.");
		return false;
	}
	if (strcmp(field(f, "client_assertion_type"), ASSERTION_TYPE) != 0) {
		refuse(resp, 401, "invalid_client", 7000218,
			"The request body must contain the following parameter: "
			"'client_assertion'.");
		return false;
	}
	return check_assertion(lab, *who, field(f, "client_assertion"), endpoint, resp);
}

/* scope "X/.default" (v2) or resource "X" (v1). */
static bool
find_audience(const struct form *f, bool v2, char *out, size_t size)
{
	static const char suffix[] = "/.default";
	const char *text = field(f, v2 ? "scope" : "resource");
	size_t n = strlen(text);
	if (v2) {
		if (n <= sizeof(suffix) - 1 || strcmp(text + n - (sizeof(suffix) - 1), suffix) != 0)
			return false;
		n -= sizeof(suffix) - 1;
	}
	if (n == 0 || n >= size)
		return false;
	memcpy(out, text, n);
	out[n] = '\0';
	return lab_entra_knows(out);
}

static void
give_token(struct lab *lab, enum lab_identity who, const char *audience, bool v2,
	struct lab_resp *resp)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf token = {0};
	char until[24], from[24];
	const int64_t now = lab_now(lab);
	if (vs_failed(lab_entra_token(lab, who, audience, TOKEN_LIFE_S, &token, NULL))) {
		refuse(resp, 500, "server_error", 90033, "A transient error has occurred.");
		return;
	}
	lab_resp_header(resp, "Cache-Control", "no-store, no-cache");
	(void)snprintf(until, sizeof(until), "%lld", (long long)(now + TOKEN_LIFE_S));
	(void)snprintf(from, sizeof(from), "%lld", (long long)now);
	if (v2)
		lab_resp_json(resp, 200,
			json_pack("{s:s,s:i,s:i,s:s}", "token_type", "Bearer", "expires_in",
				TOKEN_LIFE_S, "ext_expires_in", TOKEN_LIFE_S, "access_token",
				vs_buf_cstr(&token)));
	else
		lab_resp_json(resp, 200,
			json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "token_type", "Bearer",
				"expires_in", "3599", "ext_expires_in", "3599", "expires_on", until,
				"not_before", from, "resource", audience, "access_token",
				vs_buf_cstr(&token)));
}

static void
handle_token(struct lab *lab, const struct lab_req *req, bool v2, struct lab_resp *resp)
{
	VS_CLEANUP(form_done) struct form f = {0};
	const char *type = lab_req_header(req, "content-type");
	char audience[128], endpoint[192];
	enum lab_identity who = LAB_IDENTITIES_COUNT_;
	(void)snprintf(endpoint, sizeof(endpoint), "%s%s", lab->url[LAB_ENTRA], req->path);
	if (strcmp(req->method, "POST") != 0 || type == NULL ||
		strncasecmp(type, "application/x-www-form-urlencoded", 33) != 0 ||
		vs_failed(lab_form_parse(req->body, f.pairs, FORM_MAX, &f.n, &f.pool, NULL)))
		refuse(resp, 400, "invalid_request", 900144,
			"The request body is not a usable form.");
	else if (strcmp(field(&f, "grant_type"), "client_credentials") != 0)
		refuse(resp, 400, "unsupported_grant_type", 70003,
			"The app requested an unsupported grant type.");
	else if (!check_credential(lab, &f, endpoint, &who, resp))
		return;
	else if (!find_audience(&f, v2, audience, sizeof(audience)))
		refuse(resp, 400, "invalid_resource", 500011,
			"The resource principal was not found in the tenant named Vouchsafe LAB.");
	else
		give_token(lab, who, audience, v2, resp);
}

/* ---- metadata ------------------------------------------------------------------------------- */

static void
handle_metadata(struct lab *lab, struct lab_resp *resp)
{
	char base[128];
	(void)snprintf(base, sizeof(base), "%s/%s", lab->url[LAB_ENTRA], lab->tenant_id);
	lab_resp_json(resp, 200,
		json_pack("{s:s+,s:[sss],s:s+,s:[s],s:s+,s:[s],s:s+,s:s+}", "token_endpoint", base,
			"/oauth2/v2.0/token", "token_endpoint_auth_methods_supported",
			"client_secret_post", "private_key_jwt", "client_secret_basic", "jwks_uri",
			base, "/discovery/v2.0/keys", "id_token_signing_alg_values_supported",
			"RS256", "issuer", base, "/v2.0", "response_types_supported", "token",
			"authorization_endpoint", base, "/oauth2/v2.0/authorize",
			"end_session_endpoint", base, "/oauth2/v2.0/logout"));
}

static VS_RC
encode_bn(EVP_PKEY *key, const char *name, struct vs_buf *out, struct vs_err *err)
{
	BIGNUM *bn = NULL;
	uint8_t bytes[1024];
	if (EVP_PKEY_get_bn_param(key, name, &bn) != 1 || BN_num_bytes(bn) > (int)sizeof(bytes)) {
		BN_free(bn);
		VS_FAIL(err, CRYPTO, "a public key could not be read");
	}
	const int n = BN_bn2bin(bn, bytes);
	BN_free(bn);
	return vs_b64url_encode(vs_bytes_of(bytes, (size_t)n), out, err);
}

static void
handle_keys(EVP_PKEY *key, const char *kid, struct lab_resp *resp)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf n = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf e = {0};
	if (vs_failed(encode_bn(key, OSSL_PKEY_PARAM_RSA_N, &n, NULL)) ||
		vs_failed(encode_bn(key, OSSL_PKEY_PARAM_RSA_E, &e, NULL)))
		return;
	lab_resp_json(resp, 200,
		json_pack("{s:[{s:s,s:s,s:s,s:s,s:s,s:s}]}", "keys", "kty", "RSA", "use", "sig",
			"alg", "RS256", "kid", kid, "n", vs_buf_cstr(&n), "e", vs_buf_cstr(&e)));
}

/* Which route below /{tenant}: the rest of the path. */
static bool
rest_is(const struct lab_req *req, const char *rest)
{
	const char *p = strchr(req->path + 1, '/');
	return p != NULL && strcmp(p, rest) == 0;
}

void
lab_entra_handle(struct lab *lab, const struct lab_req *req, struct lab_resp *resp)
{
	const char *tenant = req->n_segments > 0 ? req->segments[0] : "";
	if (strcmp(tenant, "lab-workloads") == 0 && rest_is(req, "/keys")) {
		handle_keys(lab->entra->federation_key, lab->entra->federation_kid, resp);
		return;
	}
	if (strcasecmp(tenant, lab->tenant_id) != 0)
		refuse(resp, 400, "invalid_request", 90002, "Tenant not found.");
	else if (rest_is(req, "/oauth2/v2.0/token"))
		handle_token(lab, req, true, resp);
	else if (rest_is(req, "/oauth2/token"))
		handle_token(lab, req, false, resp);
	else if (rest_is(req, "/v2.0/.well-known/openid-configuration"))
		handle_metadata(lab, resp);
	else if (rest_is(req, "/discovery/v2.0/keys"))
		handle_keys(lab->entra->key, lab->entra->kid, resp);
	else
		refuse(resp, 404, "invalid_request", 90023, "There is nothing at this path.");
}
