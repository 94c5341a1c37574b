/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_jwt.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"

enum { SIGNATURE_MAX = 1024 };

const char *
lab_json_text(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static bool
set_padding(EVP_PKEY_CTX *ctx, const char *alg)
{
	if (strcmp(alg, "RS256") == 0)
		return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
	return strcmp(alg, "PS256") == 0 &&
		EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static VS_RC
add_json(const json_t *value, struct vs_buf *out, struct vs_err *err)
{
	char *text = json_dumps(value, JSON_COMPACT);
	if (text == NULL)
		VS_FAIL(err, MEMORY, "out of memory");
	const vs_rc rc = vs_b64url_encode(vs_bytes_str(text), out, err);
	free(text);
	return rc;
}

VS_RC
lab_jws_sign(EVP_PKEY *key, const char *alg, const json_t *header, const json_t *payload,
	struct vs_buf *out, struct vs_err *err)
{
	uint8_t sig[SIGNATURE_MAX];
	size_t n = sizeof(sig);
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	VS_TRY(add_json(header, &text, err));
	VS_TRY(vs_buf_add_str(&text, ".", err));
	VS_TRY(add_json(payload, &text, err));
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *ctx = NULL;
	const bool ok = md != NULL && EVP_DigestSignInit(md, &ctx, EVP_sha256(), NULL, key) == 1 &&
		set_padding(ctx, alg) && EVP_DigestSign(md, sig, &n, text.p, text.n) == 1;
	EVP_MD_CTX_free(md);
	if (!ok)
		VS_FAIL(err, CRYPTO, "a token could not be signed");
	VS_TRY(vs_buf_add_str(&text, ".", err));
	VS_TRY(vs_b64url_encode(vs_bytes_of(sig, n), &text, err));
	return vs_buf_add(out, text.p, text.n, err);
}

void
lab_jwt_done(struct lab_jwt *t)
{
	json_decref(t->header);
	json_decref(t->payload);
	vs_buf_done(&t->signature);
	*t = (struct lab_jwt){0};
}

static VS_RC
open_object(struct vs_bytes segment, json_t **ret, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	VS_TRY(vs_b64url_decode(segment, &text, err));
	json_t *value = text.n > 0
		? json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL)
		: NULL;
	if (!json_is_object(value)) {
		json_decref(value);
		VS_FAIL(err, FORMAT, "a part of the token is not a JSON object");
	}
	*ret = value;
	return VS_OK;
}

VS_RC
lab_jwt_open(struct vs_bytes text, struct lab_jwt *ret, struct vs_err *err)
{
	VS_CLEANUP(lab_jwt_done) struct lab_jwt t = {0};
	const uint8_t *dot1 = text.n > 0 ? memchr(text.p, '.', text.n) : NULL;
	if (dot1 == NULL)
		VS_FAIL(err, FORMAT, "the token does not have three parts");
	const size_t rest = text.n - (size_t)(dot1 - text.p) - 1;
	const uint8_t *dot2 = rest > 0 ? memchr(dot1 + 1, '.', rest) : NULL;
	if (dot2 == NULL)
		VS_FAIL(err, FORMAT, "the token does not have three parts");
	const size_t n_sig = text.n - (size_t)(dot2 - text.p) - 1;
	VS_TRY(open_object(vs_bytes_of(text.p, (size_t)(dot1 - text.p)), &t.header, err));
	VS_TRY(open_object(vs_bytes_of(dot1 + 1, (size_t)(dot2 - dot1) - 1), &t.payload, err));
	VS_TRY(vs_b64url_decode(vs_bytes_of(dot2 + 1, n_sig), &t.signature, err));
	t.input = vs_bytes_of(text.p, (size_t)(dot2 - text.p));
	*ret = t;
	t = (struct lab_jwt){0};
	return VS_OK;
}

VS_RC
lab_jwt_verify(const struct lab_jwt *t, const char *alg, EVP_PKEY *key, struct vs_err *err)
{
	const char *says = lab_json_text(t->header, "alg");
	if (says == NULL || strcmp(says, alg) != 0)
		VS_FAIL(err, REFUSED_SIGNATURE, "the token's algorithm is not %s", alg);
	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA || EVP_PKEY_get_bits(key) < 2048)
		VS_FAIL(err, REFUSED_SIGNATURE, "the signer's key is not RSA of 2048 bits or more");
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *ctx = NULL;
	const bool ok = md != NULL &&
		EVP_DigestVerifyInit(md, &ctx, EVP_sha256(), NULL, key) == 1 &&
		set_padding(ctx, alg) &&
		EVP_DigestVerify(md, t->signature.p, t->signature.n, t->input.p, t->input.n) == 1;
	EVP_MD_CTX_free(md);
	if (!ok)
		VS_FAIL(err, REFUSED_SIGNATURE, "the token's signature does not verify");
	return VS_OK;
}
