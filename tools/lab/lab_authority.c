/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_authority.h"

#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "lab/lab_jwt.h"
#include "lab/lab_skr.h"

enum { TOKEN_MAX = 64 * 1024, SKEW_S = 300 };

static void
json_done(json_t **j)
{
	json_decref(*j);
}

static VS_RC
get_metadata(struct lab *lab, const char *authority, json_t **ret, struct vs_err *err)
{
	char url[320];
	size_t n = strlen(authority);
	n -= n > 0 && authority[n - 1] == '/';
	if (n > 200)
		VS_FAIL(err, CONNECT, "the authority's name is too long");
	(void)snprintf(
		url, sizeof(url), "%.*s/.well-known/openid-configuration", (int)n, authority);
	return lab_authority_get(lab, url, ret, err);
}

VS_RC
lab_authority_reach(struct lab *lab, const char *authority, struct vs_err *err)
{
	VS_CLEANUP(json_done) json_t *metadata = NULL;
	VS_TRY(get_metadata(lab, authority, &metadata, err));
	if (lab_json_text(metadata, "jwks_uri") == NULL)
		VS_FAIL(err, ANSWER, "the authority's metadata name no keys");
	return VS_OK;
}

static EVP_PKEY *
key_of_x5c(const json_t *jwk)
{
	const char *text = json_string_value(json_array_get(json_object_get(jwk, "x5c"), 0));
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	if (text == NULL || vs_failed(vs_b64_decode(vs_bytes_str(text), &der, NULL)))
		return NULL;
	const uint8_t *p = der.p;
	X509 *cert = d2i_X509(NULL, &p, (long)der.n);
	EVP_PKEY *key = cert != NULL && p == der.p + der.n ? X509_get_pubkey(cert) : NULL;
	X509_free(cert);
	return key;
}

/* The service wants kid, kty and x5c of every key; the first of this kid is taken. */
static VS_RC
find_key(const json_t *set, const char *kid, EVP_PKEY **ret, struct vs_err *err)
{
	const json_t *keys = json_object_get(set, "keys");
	for (size_t i = 0; i < json_array_size(keys); i++) {
		const json_t *jwk = json_array_get(keys, i);
		const char *name = lab_json_text(jwk, "kid"), *kty = lab_json_text(jwk, "kty");
		if (name == NULL || kty == NULL || strcmp(name, kid) != 0 ||
			strcmp(kty, "RSA") != 0)
			continue;
		*ret = key_of_x5c(jwk);
		if (*ret != NULL)
			return VS_OK;
	}
	VS_FAIL(err, REFUSED_SIGNATURE, "the issuer has no key of the token's kid");
}

static VS_RC
get_key(struct lab *lab, const char *iss, const char *kid, EVP_PKEY **ret, struct vs_err *err)
{
	VS_CLEANUP(json_done) json_t *metadata = NULL;
	VS_CLEANUP(json_done) json_t *set = NULL;
	VS_TRY(get_metadata(lab, iss, &metadata, err));
	const char *issuer = lab_json_text(metadata, "issuer");
	const char *uri = lab_json_text(metadata, "jwks_uri");
	if (issuer == NULL || strcmp(issuer, iss) != 0 || uri == NULL)
		VS_FAIL(err, ANSWER, "the issuer's metadata name another issuer or no keys");
	VS_TRY(lab_authority_get(lab, uri, &set, err));
	return find_key(set, kid, ret, err);
}

static VS_RC
check_times(const struct lab *lab, const json_t *claims, struct vs_err *err)
{
	const int64_t now = lab_now(lab);
	static const char *const names[] = {"exp", "nbf", "iat"};
	for (size_t i = 0; i < 3; i++) {
		const json_t *v = json_object_get(claims, names[i]);
		const json_int_t t = json_integer_value(v);
		if (!json_is_integer(v) || t <= 0)
			VS_FAIL(err, REFUSED_CLAIMS, "the token has no usable %s", names[i]);
		if (i == 0 ? t <= now : t > now + SKEW_S)
			VS_FAIL(err, REFUSED_CLAIMS, "the token's %s is not right at this time",
				names[i]);
	}
	return VS_OK;
}

VS_RC
lab_authority_verify(struct lab *lab, struct vs_bytes token, const json_t *policy, json_t **claims,
	struct vs_err *err)
{
	VS_CLEANUP(lab_jwt_done) struct lab_jwt t = {0};
	EVP_PKEY *key = NULL;
	if (token.n > TOKEN_MAX)
		VS_FAIL(err, FORMAT, "the token is too long");
	VS_TRY(lab_jwt_open(token, &t, err));
	const char *iss = lab_json_text(t.payload, "iss"), *kid = lab_json_text(t.header, "kid");
	const char *alg = lab_json_text(t.header, "alg");
	if (iss == NULL || kid == NULL)
		VS_FAIL(err, REFUSED_CLAIMS, "the token names no issuer or no key");
	if (alg == NULL || strcmp(alg, "RS256") != 0)
		VS_FAIL(err, REFUSED_SIGNATURE, "the token's algorithm is not RS256");
	if (policy != NULL && !lab_skr_knows(policy, t.payload))
		VS_FAIL(err, REFUSED_CLAIMS, "the policy has no such authority");
	VS_TRY(get_key(lab, iss, kid, &key, err));
	const vs_rc rc = lab_jwt_verify(&t, "RS256", key, err);
	EVP_PKEY_free(key);
	VS_TRY(rc);
	VS_TRY(check_times(lab, t.payload, err));
	*claims = json_incref(t.payload);
	return VS_OK;
}

/* ---- the key that wraps --------------------------------------------------------------------- */

static bool
may_encrypt(const json_t *jwk)
{
	const char *use = lab_json_text(jwk, "use"), *key_use = lab_json_text(jwk, "key_use");
	const json_t *ops = json_object_get(jwk, "key_ops");
	for (size_t i = 0; i < json_array_size(ops); i++) {
		const char *op = json_string_value(json_array_get(ops, i));
		if (op != NULL && strcasecmp(op, "encrypt") == 0)
			return true;
	}
	return (use != NULL && strcmp(use, "enc") == 0) ||
		(key_use != NULL && strcmp(key_use, "enc") == 0);
}

static BIGNUM *
member_bn(const json_t *jwk, const char *name)
{
	const char *text = lab_json_text(jwk, name);
	VS_CLEANUP(vs_buf_done) struct vs_buf bytes = {.max = 2048};
	if (text == NULL || vs_failed(vs_b64_any_decode(vs_bytes_str(text), &bytes, NULL)) ||
		bytes.n == 0)
		return NULL;
	return BN_bin2bn(bytes.p, (int)bytes.n, NULL);
}

static EVP_PKEY *
rsa_public(const json_t *jwk)
{
	EVP_PKEY *key = NULL;
	BIGNUM *n = member_bn(jwk, "n"), *e = member_bn(jwk, "e");
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	if (n != NULL && e != NULL && bld != NULL && ctx != NULL &&
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e) == 1 &&
		(params = OSSL_PARAM_BLD_to_param(bld)) != NULL && EVP_PKEY_fromdata_init(ctx) == 1)
		(void)EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	EVP_PKEY_CTX_free(ctx);
	BN_free(n);
	BN_free(e);
	return key;
}

VS_RC
lab_authority_wrap_key(
	const json_t *claims, EVP_PKEY **ret, char *kid, size_t kid_size, struct vs_err *err)
{
	const json_t *keys = json_object_get(json_object_get(claims, "x-ms-runtime"), "keys");
	for (size_t i = 0; i < json_array_size(keys); i++) {
		const json_t *jwk = json_array_get(keys, i);
		const char *name = lab_json_text(jwk, "kid"), *kty = lab_json_text(jwk, "kty");
		if (name == NULL || kty == NULL || strcmp(kty, "RSA") != 0 || !may_encrypt(jwk))
			continue;
		EVP_PKEY *key =
			json_object_get(jwk, "n") != NULL ? rsa_public(jwk) : key_of_x5c(jwk);
		if (key == NULL || EVP_PKEY_get_bits(key) < 2048) {
			EVP_PKEY_free(key);
			VS_FAIL(err, REFUSED_BINDING,
				"the environment's encryption key is not usable");
		}
		(void)snprintf(kid, kid_size, "%s", name);
		*ret = key;
		return VS_OK;
	}
	VS_FAIL(err, REFUSED_BINDING, "the token has no RSA encryption key in x-ms-runtime");
}
