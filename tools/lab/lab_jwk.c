/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_jwk.h"

#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <string.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/secret.h"
#include "lab/lab_jwt.h"

static bool
decode(const json_t *jwk, const char *member, struct vs_buf *out)
{
	const char *text = lab_json_text(jwk, member);
	return text != NULL && !vs_failed(vs_b64_any_decode(vs_bytes_str(text), out, NULL)) &&
		out->n > 0;
}

static bool
push_bn(OSSL_PARAM_BLD *bld, const json_t *jwk, const char *member, const char *param,
	BIGNUM **keep)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf bytes = {.max = 2048};
	const bool ok = decode(jwk, member, &bytes) &&
		(*keep = BN_bin2bn(bytes.p, (int)bytes.n, NULL)) != NULL &&
		OSSL_PARAM_BLD_push_BN(bld, param, *keep) == 1;
	if (bytes.p != NULL)
		vs_wipe(bytes.p, bytes.n);
	return ok;
}

static EVP_PKEY *
build(const char *type, OSSL_PARAM_BLD *bld)
{
	EVP_PKEY *key = NULL;
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	if (params != NULL && ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1)
		(void)EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params);
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_CTX *check = key != NULL ? EVP_PKEY_CTX_new(key, NULL) : NULL;
	if (check == NULL || EVP_PKEY_pairwise_check(check) != 1) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	EVP_PKEY_CTX_free(check);
	return key;
}

static const char *
read_rsa(const json_t *jwk, struct lab_jwk_key *ret)
{
	static const struct {
		const char *member, *param;
	} parts[] = {{"n", OSSL_PKEY_PARAM_RSA_N}, {"e", OSSL_PKEY_PARAM_RSA_E},
		{"d", OSSL_PKEY_PARAM_RSA_D}, {"p", OSSL_PKEY_PARAM_RSA_FACTOR1},
		{"q", OSSL_PKEY_PARAM_RSA_FACTOR2}, {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1},
		{"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2}, {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1}};
	BIGNUM *keep[8] = {NULL};
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	bool ok = bld != NULL;
	for (size_t i = 0; ok && i < 8; i++)
		ok = push_bn(bld, jwk, parts[i].member, parts[i].param, &keep[i]);
	ret->pkey = ok ? build("RSA", bld) : NULL;
	OSSL_PARAM_BLD_free(bld);
	for (size_t i = 0; i < 8; i++)
		BN_clear_free(keep[i]);
	if (ret->pkey == NULL)
		return "JSON Web Key: the RSA key is not usable";
	ret->type = lab_key_type_find("RSA", (unsigned)EVP_PKEY_get_bits(ret->pkey), NULL);
	return NULL;
}

static const char *
read_ec(const json_t *jwk, struct lab_jwk_key *ret)
{
	const char *crv = lab_json_text(jwk, "crv");
	ret->type = lab_key_type_find("EC", 0, crv);
	if (ret->type == LAB_KEY_NONE)
		return "JSON Web Key: crv is not usable";
	VS_CLEANUP(vs_buf_done) struct vs_buf x = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf y = {0};
	uint8_t point[1 + 2 * 66] = {4};
	BIGNUM *d = NULL;
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	const bool ok = bld != NULL && decode(jwk, "x", &x) && decode(jwk, "y", &y) && x.n == y.n &&
		x.n <= 66 &&
		OSSL_PARAM_BLD_push_utf8_string(
			bld, OSSL_PKEY_PARAM_GROUP_NAME, lab_key_row(ret->type)->group, 0) == 1;
	if (ok) {
		memcpy(point + 1, x.p, x.n);
		memcpy(point + 1 + x.n, y.p, y.n);
	}
	if (ok &&
		OSSL_PARAM_BLD_push_octet_string(
			bld, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * x.n) == 1 &&
		push_bn(bld, jwk, "d", OSSL_PKEY_PARAM_PRIV_KEY, &d))
		ret->pkey = build("EC", bld);
	OSSL_PARAM_BLD_free(bld);
	BN_clear_free(d);
	return ret->pkey != NULL ? NULL : "JSON Web Key: the EC key is not usable";
}

static const char *
read_oct(const json_t *jwk, struct lab_jwk_key *ret)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf k = {.max = 4096};
	if (!decode(jwk, "k", &k))
		return "JSON Web Key: k is missing";
	const char *defect = NULL;
	ret->type = lab_key_type_find("oct", (unsigned)k.n * 8, NULL);
	if (k.n > sizeof(ret->oct))
		defect = "JSON Web Key: k property of oct key is too large, maximum size is 64";
	else if (ret->type == LAB_KEY_NONE)
		defect = "JSON Web Key: k has a length that is not supported";
	if (defect == NULL) {
		memcpy(ret->oct, k.p, k.n);
		ret->n_oct = k.n;
	}
	vs_wipe(k.p, k.n);
	return defect;
}

const char *
lab_jwk_read(const char *base, const json_t *jwk, struct lab_jwk_key *ret)
{
	const char *defect = NULL;
	if (strcmp(base, "RSA") == 0)
		defect = read_rsa(jwk, ret);
	else if (strcmp(base, "EC") == 0)
		defect = read_ec(jwk, ret);
	else
		defect = read_oct(jwk, ret);
	if (defect == NULL && ret->type == LAB_KEY_NONE)
		defect = "JSON Web Key: this size is not supported";
	if (defect != NULL) {
		EVP_PKEY_free(ret->pkey);
		ret->pkey = NULL;
	}
	return defect;
}
