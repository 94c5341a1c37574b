/* SPDX-License-Identifier: BSD-2-Clause */
#include "evidence/ev_crypto.h"

#include <pthread.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>

enum { RSA_MIN = 256, RSA_MAX = 512 };

/*
 * One library context for the process, never freed: made at first use, immutable afterwards.
 * fetched[] holds the hash functions, so that a replay of thousands of events looks nothing up.
 */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static OSSL_LIB_CTX *libctx;
static EVP_MD *fetched[VS_HASH_COUNT_];

static const struct {
	const char *name;
	size_t size;
} hashes[VS_HASH_COUNT_] = {
	[VS_HASH_SHA1] = {"SHA1", 20},
	[VS_HASH_SHA256] = {"SHA256", 32},
	[VS_HASH_SHA384] = {"SHA384", 48},
	[VS_HASH_SHA512] = {"SHA512", 64},
};

static void
start(void)
{
	OSSL_LIB_CTX *ctx = OSSL_LIB_CTX_new();
	if (ctx == NULL || OSSL_PROVIDER_load(ctx, "default") == NULL)
		return;
	libctx = ctx;
	for (size_t i = 0; i < VS_HASH_COUNT_; i++) {
		if (hashes[i].name != NULL)
			fetched[i] = EVP_MD_fetch(ctx, hashes[i].name, NULL);
	}
}

static vs_rc
ready(struct vs_err *err)
{
	if (pthread_once(&once, start) != 0 || libctx == NULL)
		VS_FAIL(err, CRYPTO, "libcrypto cannot be used for verifying evidence");
	return VS_OK;
}

size_t
vs_ev_hash_size(enum vs_hash h)
{
	return h < VS_HASH_COUNT_ ? hashes[h].size : 0;
}

static void
mdctx_done(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}

vs_rc
vs_ev_hash(enum vs_hash h, const struct vs_bytes *parts, size_t n_parts, uint8_t *out,
	struct vs_err *err)
{
	VS_TRY(ready(err));
	VS_REQUIRE(err, vs_ev_hash_size(h) != 0 && fetched[h] != NULL);
	VS_CLEANUP(mdctx_done) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx != NULL && EVP_DigestInit_ex2(ctx, fetched[h], NULL) == 1;
	for (size_t i = 0; i < n_parts && ok; i++)
		ok = parts[i].n == 0 || EVP_DigestUpdate(ctx, parts[i].p, parts[i].n) == 1;
	if (!ok || EVP_DigestFinal_ex(ctx, out, NULL) != 1) {
		ERR_clear_error();
		VS_FAIL(err, CRYPTO, "%s failed", hashes[h].name);
	}
	return VS_OK;
}

vs_rc
vs_ev_sha256(struct vs_bytes in, uint8_t ret[32], struct vs_err *err)
{
	return vs_ev_hash(VS_HASH_SHA256, &in, 1, ret, err);
}

struct ossl_lib_ctx_st *
vs_ev_libctx(void)
{
	return vs_failed(ready(NULL)) ? NULL : libctx;
}

/* ---- signatures ----------------------------------------------------------------------------- */

static void
pkey_done(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

static void
pctx_done(EVP_PKEY_CTX **ctx)
{
	EVP_PKEY_CTX_free(*ctx);
}

static void
sig_done(ECDSA_SIG **sig)
{
	ECDSA_SIG_free(*sig);
}

static void
der_done(uint8_t **der)
{
	OPENSSL_free(*der);
}

/* Reasons of libcrypto are not for people; the sentences here say what it means. */
static vs_rc
refuse(struct vs_err *err, const char *what)
{
	ERR_clear_error();
	VS_FAIL(err, REFUSED_EVIDENCE, "%s", what);
}

static EVP_PKEY *
key_from(const char *type, OSSL_PARAM *params)
{
	VS_CLEANUP(pctx_done) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(libctx, type, NULL);
	EVP_PKEY *key = NULL;
	if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
		EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		return NULL;
	return key;
}

vs_rc
vs_ev_rsa_verify(struct vs_bytes n, uint32_t e, struct vs_bytes data, struct vs_bytes sig,
	struct vs_err *err)
{
	uint8_t little[RSA_MAX];
	VS_TRY(ready(err));
	if (n.n < RSA_MIN || n.n > RSA_MAX || e < 65537 || (e & 1) == 0)
		VS_FAIL(err, REFUSED_EVIDENCE,
			"an RSA key of %zu bytes, exponent %u is not accepted", n.n, e);
	if (sig.n != n.n)
		VS_FAIL(err, REFUSED_EVIDENCE, "a signature of %zu bytes for a key of %zu", sig.n,
			n.n);
	for (size_t i = 0; i < n.n; i++)
		little[i] = n.p[n.n - 1 - i];
	uint32_t exponent = e;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, little, n.n),
		OSSL_PARAM_construct_uint32(OSSL_PKEY_PARAM_RSA_E, &exponent),
		OSSL_PARAM_construct_end(),
	};
	VS_CLEANUP(pkey_done) EVP_PKEY *key = key_from("RSA", params);
	VS_CLEANUP(mdctx_done) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;
	if (key == NULL || ctx == NULL)
		return refuse(err, "an RSA key cannot be used");
	if (EVP_DigestVerifyInit_ex(ctx, &pctx, "SHA256", libctx, NULL, key, NULL) != 1 ||
		EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PADDING) != 1 ||
		EVP_DigestVerify(ctx, sig.p, sig.n, data.p, data.n) != 1)
		return refuse(err, "the signature does not verify with this RSA key");
	return VS_OK;
}

static bool
is_rsa(EVP_PKEY *key, int min_bits, struct vs_bytes sig)
{
	return EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && EVP_PKEY_get_bits(key) >= min_bits &&
		EVP_PKEY_get_bits(key) <= RSA_MAX * 8 && sig.n == (size_t)EVP_PKEY_get_size(key);
}

vs_rc
vs_ev_pss384_verify(
	struct evp_pkey_st *key, struct vs_bytes data, struct vs_bytes sig, struct vs_err *err)
{
	enum { SALT = 48 };
	VS_TRY(ready(err));
	VS_CLEANUP(mdctx_done) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;
	if (ctx == NULL)
		VS_FAIL(err, MEMORY, "no memory for a signature");
	if (!is_rsa(key, RSA_MIN * 8, sig) ||
		EVP_DigestVerifyInit_ex(ctx, &pctx, "SHA384", libctx, NULL, key, NULL) != 1 ||
		EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) != 1 ||
		EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, SALT) != 1 ||
		EVP_PKEY_CTX_set_rsa_mgf1_md_name(pctx, "SHA384", NULL) != 1 ||
		EVP_DigestVerify(ctx, sig.p, sig.n, data.p, data.n) != 1)
		return refuse(err, "the PS384 signature does not verify");
	return VS_OK;
}

vs_rc
vs_ev_verify_hash(struct evp_pkey_st *key, unsigned min_rsa_bits, enum vs_hash h,
	struct vs_bytes hash, struct vs_bytes sig, struct vs_err *err)
{
	VS_TRY(ready(err));
	VS_CLEANUP(pctx_done) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(libctx, key, NULL);
	const bool rsa = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
	if (ctx == NULL)
		VS_FAIL(err, MEMORY, "no memory for a signature");
	if (hash.n == 0 || hash.n != vs_ev_hash_size(h) || fetched[h] == NULL ||
		(rsa ? !is_rsa(key, (int)min_rsa_bits, sig)
		     : EVP_PKEY_get_base_id(key) != EVP_PKEY_EC) ||
		EVP_PKEY_verify_init(ctx) != 1 ||
		(rsa && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) != 1) ||
		EVP_PKEY_CTX_set_signature_md(ctx, fetched[h]) != 1 ||
		EVP_PKEY_verify(ctx, sig.p, sig.n, hash.p, hash.n) != 1)
		return refuse(err, "the signature of a hash does not verify");
	return VS_OK;
}

static size_t
curve_bytes(enum vs_ev_curve curve)
{
	return curve == VS_EV_P256 ? 32 : 48;
}

vs_rc
vs_ev_ecdsa_verify_key(enum vs_ev_curve curve, struct evp_pkey_st *key, struct vs_bytes data,
	struct vs_bytes sig, struct vs_err *err)
{
	VS_TRY(ready(err));
	const size_t half = curve_bytes(curve);
	char group[32] = "";
	if (EVP_PKEY_get_group_name(key, group, sizeof group, NULL) != 1 ||
		strcmp(group, curve == VS_EV_P256 ? "prime256v1" : "secp384r1") != 0)
		return refuse(err, "the key that should have signed is not on the right curve");
	if (sig.n != 2 * half)
		VS_FAIL(err, REFUSED_EVIDENCE, "an ECDSA signature of %zu bytes", sig.n);
	VS_CLEANUP(sig_done) ECDSA_SIG *rs = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(sig.p, (int)half, NULL),
	       *s = BN_bin2bn(sig.p + half, (int)half, NULL);
	if (rs == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(rs, r, s) != 1) {
		BN_free(r);
		BN_free(s);
		VS_FAIL(err, MEMORY, "no memory for a signature");
	}
	VS_CLEANUP(der_done) uint8_t *der = NULL;
	VS_CLEANUP(mdctx_done) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const int n = i2d_ECDSA_SIG(rs, &der);
	const char *md = curve == VS_EV_P256 ? "SHA256" : "SHA384";
	if (n <= 0 || ctx == NULL ||
		EVP_DigestVerifyInit_ex(ctx, NULL, md, libctx, NULL, key, NULL) != 1 ||
		EVP_DigestVerify(ctx, der, (size_t)n, data.p, data.n) != 1)
		return refuse(err, "the ECDSA signature does not verify");
	return VS_OK;
}

vs_rc
vs_ev_ecdsa_verify(enum vs_ev_curve curve, struct vs_bytes point, struct vs_bytes data,
	struct vs_bytes sig, struct vs_err *err)
{
	VS_TRY(ready(err));
	const size_t half = curve_bytes(curve);
	uint8_t raw[1 + 2 * 48] = {4};
	if (point.n != 2 * half)
		VS_FAIL(err, REFUSED_EVIDENCE, "an elliptic curve point of %zu bytes", point.n);
	memcpy(raw + 1, point.p, point.n);
	char p256[] = "prime256v1", p384[] = "secp384r1";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(
			OSSL_PKEY_PARAM_GROUP_NAME, curve == VS_EV_P256 ? p256 : p384, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, raw, 1 + point.n),
		OSSL_PARAM_construct_end(),
	};
	VS_CLEANUP(pkey_done) EVP_PKEY *key = key_from("EC", params);
	if (key == NULL)
		return refuse(err, "an elliptic curve point is not on its curve");
	return vs_ev_ecdsa_verify_key(curve, key, data, sig, err);
}
