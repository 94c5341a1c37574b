/* SPDX-License-Identifier: BSD-2-Clause */
/* Signed policies and requests about certificates: compact JWS as clients make them. */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/codec.h"
#include "lab/lab_maa_priv.h"

enum { JWS_MAX = 1 << 20 };

void
lab_maa_jws_done(struct lab_maa_jws *j)
{
	json_decref(j->header);
	json_decref(j->payload);
	vs_buf_done(&j->sig);
	*j = (struct lab_maa_jws){0};
}

static json_t *
part(const char *p, size_t n)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf b = {0};
	if (vs_failed(vs_b64url_decode(vs_bytes_of(p, n), &b, NULL)))
		return NULL;
	return json_loadb((const char *)b.p, b.n, JSON_REJECT_DUPLICATES, NULL);
}

bool
lab_maa_jws_open(struct vs_bytes text, struct lab_maa_jws *j)
{
	const char *s = (const char *)text.p;
	const char *dot1 = text.n > 0 && text.n < JWS_MAX ? memchr(s, '.', text.n) : NULL;
	const char *dot2 = dot1 ? memchr(dot1 + 1, '.', text.n - (size_t)(dot1 + 1 - s)) : NULL;
	if (!dot2)
		return false;
	j->text = text;
	j->signed_part = vs_bytes_of(s, (size_t)(dot2 - s));
	j->header = part(s, (size_t)(dot1 - s));
	if (dot2 > dot1 + 1 && !(j->payload = part(dot1 + 1, (size_t)(dot2 - dot1 - 1))))
		return false;
	return json_is_object(j->header) &&
		!vs_failed(vs_b64url_decode(
			vs_bytes_of(dot2 + 1, text.n - (size_t)(dot2 + 1 - s)), &j->sig, NULL));
}

bool
lab_maa_jws_unsigned(const struct lab_maa_jws *j)
{
	const char *alg = json_string_value(json_object_get(j->header, "alg"));
	return alg && strcmp(alg, "none") == 0 && j->sig.n == 0;
}

static bool
rs256_ok(const struct lab_maa_jws *j, EVP_PKEY *key)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	const bool ok = md && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA &&
		EVP_PKEY_get_bits(key) >= 2048 &&
		EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, key) == 1 &&
		EVP_DigestVerify(md, j->sig.p, j->sig.n, j->signed_part.p, j->signed_part.n) == 1;
	EVP_MD_CTX_free(md);
	ERR_clear_error();
	return ok;
}

bool
lab_maa_jws_signer(const struct lab_maa_jws *j, json_t **signer)
{
	const char *alg = json_string_value(json_object_get(j->header, "alg"));
	json_t *x5c = json_object_get(j->header, "x5c");
	const char *first = json_string_value(json_array_get(x5c, 0));
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {0};
	if (!alg || strcmp(alg, "RS256") != 0 || !first ||
		vs_failed(vs_b64_decode(vs_bytes_str(first), &der, NULL)))
		return false;
	const unsigned char *p = der.p;
	X509 *cert = d2i_X509(NULL, &p, (long)der.n);
	const bool ok = cert && X509_check_ca(cert) == 1 && rs256_ok(j, X509_get0_pubkey(cert));
	X509_free(cert);
	ERR_clear_error();
	if (ok)
		*signer = json_pack("{s:s,s:s,s:s,s:O}", "alg", "RS256", "kty", "RSA", "use", "sig",
			"x5c", x5c);
	return ok && *signer;
}

bool
lab_maa_jws_policy(const char *jws, struct vs_buf *text, struct lab_maa_error *e)
{
	VS_CLEANUP(lab_maa_jws_done) struct lab_maa_jws j = {0};
	const char *inner = NULL;
	if (lab_maa_jws_open(vs_bytes_str(jws), &j))
		inner = json_string_value(json_object_get(j.payload, "AttestationPolicy"));
	if (!inner || vs_failed(vs_b64url_decode(vs_bytes_str(inner), text, NULL)) ||
		memchr(text->p ? text->p : (const uint8_t *)"", 0, text->n))
		return lab_maa_fail(
			e, 400, "InvalidParameter", "The policy has no AttestationPolicy.");
	return true;
}
