/* SPDX-License-Identifier: BSD-2-Clause */
/* RSA public keys as JWK, and sets of them (A8). A key that may not be used is kept as a reason. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "base/codec.h"
#include "crypto/pkey.h"
#include "jose/jose.h"
#include "jose/json.h"
#include "jose/lib.h"

struct entry {
	char *kid; /* NULL: an entry that nobody can ask for */
	size_t kid_n;
	EVP_PKEY *key; /* NULL: skipped */
	struct vs_cert *cert; /* its validity bounds the key's; may be NULL */
	char why[VS_ERR_TEXT_MAX];
};

struct vs_jwks {
	atomic_uint refs;
	size_t n;
	struct entry *entries;
};

/* ---- numbers ------------------------------------------------------------------------------ */

static struct vs_bytes
without_zeros(struct vs_bytes b)
{
	while (b.n > 0 && b.p[0] == 0)
		b = vs_bytes_of(b.p + 1, b.n - 1);
	return b;
}

static unsigned
bits_of(struct vs_bytes b)
{
	unsigned bits = (unsigned)b.n * 8;
	for (uint8_t top = b.n > 0 ? b.p[0] : 0xff; bits > 0 && !(top & 0x80);
		top = (uint8_t)(top << 1))
		bits--;
	return bits;
}

VS_RC
vs_rsa_num_set(struct vs_bytes n, struct vs_bytes e, struct vs_rsa_num *ret, struct vs_err *err)
{
	n = without_zeros(n);
	e = without_zeros(e);
	if (n.n > VS_RSA_BYTES_MAX || bits_of(n) < VS_RSA_BYTES_MIN * 8)
		VS_FAIL(err, BAD_KEY, "the RSA key has %u bits; %d to %d are allowed", bits_of(n),
			VS_RSA_BYTES_MIN * 8, VS_RSA_BYTES_MAX * 8);
	if (!(n.p[n.n - 1] & 1))
		VS_FAIL(err, BAD_KEY, "the RSA modulus is even");
	if (e.n == 0 || e.n > sizeof ret->e || bits_of(e) < 17 || !(e.p[e.n - 1] & 1))
		VS_FAIL(err, BAD_KEY,
			"the RSA exponent is not an odd number from 65537 to 64 bits");
	*ret = (struct vs_rsa_num){.n_len = n.n, .e_len = e.n};
	memcpy(ret->n, n.p, n.n);
	memcpy(ret->e, e.p, e.n);
	return VS_OK;
}

VS_RC
vs_rsa_num_from_jwk(const struct vs_json *jwk, struct vs_rsa_num *ret, struct vs_err *err)
{
	struct vs_bytes n_text = {0}, e_text = {0};
	if (!vs_json_is_string(vs_json_get(jwk, "kty"), "RSA"))
		VS_FAIL(err, BAD_KEY, "the key is not an RSA key");
	if (!vs_json_bytes(vs_json_get(jwk, "n"), &n_text) ||
		!vs_json_bytes(vs_json_get(jwk, "e"), &e_text))
		VS_FAIL(err, BAD_KEY, "the RSA key has no modulus or no exponent");
	VS_CLEANUP(vs_buf_done) struct vs_buf n = {.max = VS_RSA_BYTES_MAX + 64};
	VS_CLEANUP(vs_buf_done) struct vs_buf e = {.max = VS_RSA_BYTES_MAX + 64};
	struct vs_err why = {0};
	vs_rc rc = vs_b64url_decode(n_text, &n, &why);
	if (!vs_failed(rc))
		rc = vs_b64url_decode(e_text, &e, &why);
	if (rc.code == VS_E_FORMAT || rc.code == VS_E_LIMIT)
		VS_FAIL(err, BAD_KEY, "the RSA key's numbers are not usable: %s",
			why.frames[0].text);
	if (vs_failed(rc))
		VS_FAIL(err, MEMORY, "out of memory while reading a key");
	return vs_rsa_num_set(vs_buf_view(&n), vs_buf_view(&e), ret, err);
}

bool
vs_rsa_num_eq(const struct vs_rsa_num *a, const struct vs_rsa_num *b)
{
	return a->n_len > 0 && a->n_len == b->n_len && a->e_len == b->e_len &&
		memcmp(a->n, b->n, a->n_len) == 0 && memcmp(a->e, b->e, a->e_len) == 0;
}

/* ---- one key ------------------------------------------------------------------------------ */

static void
params_freep(OSSL_PARAM **p)
{
	OSSL_PARAM_free(*p);
}

static void
bld_freep(OSSL_PARAM_BLD **p)
{
	OSSL_PARAM_BLD_free(*p);
}

static void
bn_freep(BIGNUM **p)
{
	BN_free(*p);
}

static void
pctx_freep(EVP_PKEY_CTX **p)
{
	EVP_PKEY_CTX_free(*p);
}

static void
pkey_unrefp(struct vs_pkey **p)
{
	vs_pkey_unref(*p);
}

/* Structure that makes a modulus weak although it is long enough is known to src/crypto. */
static VS_RC
check_weakness(const struct vs_rsa_num *num, struct vs_err *err)
{
	struct vs_ossl *ossl = NULL;
	VS_CLEANUP(pkey_unrefp) struct vs_pkey *key = NULL;
	const struct vs_key_public pub = {
		.type = VS_KEY_RSA,
		.n = vs_bytes_of(num->n, num->n_len),
		.e = vs_bytes_of(num->e, num->e_len),
	};
	VS_TRY(vs_jose_ossl(&ossl, err));
	return vs_pkey_from_public(ossl, &pub, false, &key, err);
}

static VS_RC
pkey_from_num(const struct vs_rsa_num *num, EVP_PKEY **ret, struct vs_err *err)
{
	OSSL_LIB_CTX *lib = NULL;
	VS_TRY(vs_jose_lib(&lib, err));
	VS_TRY(check_weakness(num, err));
	VS_CLEANUP(bn_freep) BIGNUM *n = BN_bin2bn(num->n, (int)num->n_len, NULL);
	VS_CLEANUP(bn_freep) BIGNUM *e = BN_bin2bn(num->e, (int)num->e_len, NULL);
	VS_CLEANUP(bld_freep) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	if (n == NULL || e == NULL || bld == NULL ||
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e) != 1)
		VS_FAIL(err, MEMORY, "out of memory while making a key");
	VS_CLEANUP(params_freep) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	VS_CLEANUP(pctx_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(lib, "RSA", NULL);
	if (params == NULL || ctx == NULL)
		VS_FAIL(err, MEMORY, "out of memory while making a key");
	if (EVP_PKEY_fromdata_init(ctx) != 1 ||
		EVP_PKEY_fromdata(ctx, ret, EVP_PKEY_PUBLIC_KEY, params) != 1)
		VS_FAIL(err, BAD_KEY, "the RSA key was not accepted by libcrypto");
	return VS_OK;
}

static VS_RC
num_from_cert(const struct vs_cert *cert, struct vs_rsa_num *ret, struct vs_err *err)
{
	EVP_PKEY *key = vs_cert_key(cert);
	VS_CLEANUP(bn_freep) BIGNUM *n = NULL;
	VS_CLEANUP(bn_freep) BIGNUM *e = NULL;
	uint8_t n_bytes[VS_RSA_BYTES_MAX], e_bytes[8];
	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA ||
		EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) != 1 ||
		EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) != 1)
		VS_FAIL(err, BAD_KEY, "the certificate's key is not an RSA key");
	if (BN_num_bytes(n) > (int)sizeof n_bytes || BN_num_bytes(e) > (int)sizeof e_bytes)
		VS_FAIL(err, BAD_KEY, "the certificate's key is too large");
	const int n_len = BN_bn2bin(n, n_bytes), e_len = BN_bn2bin(e, e_bytes);
	return vs_rsa_num_set(
		vs_bytes_of(n_bytes, (size_t)n_len), vs_bytes_of(e_bytes, (size_t)e_len), ret, err);
}

/* use, alg and key_ops, where present, allow RS256 verification. */
static VS_RC
check_usage(const struct vs_json *jwk, struct vs_err *err)
{
	const struct vs_json *use = vs_json_get(jwk, "use"), *alg = vs_json_get(jwk, "alg"),
			     *ops = vs_json_get(jwk, "key_ops");
	if (use != NULL && !vs_json_is_string(use, "sig"))
		VS_FAIL(err, BAD_KEY, "its use is not \"sig\"");
	if (alg != NULL && !vs_json_is_string(alg, "RS256"))
		VS_FAIL(err, BAD_KEY, "its algorithm is not RS256");
	if (ops == NULL)
		return VS_OK;
	bool verify = false;
	if (vs_json_kind(ops) != VS_JSON_ARRAY)
		VS_FAIL(err, BAD_KEY, "its key_ops is not an array");
	for (size_t i = 0; i < vs_json_count(ops); i++) {
		if (vs_json_kind(vs_json_at(ops, i)) != VS_JSON_STRING)
			VS_FAIL(err, BAD_KEY, "its key_ops contains something that is no string");
		verify = verify || vs_json_is_string(vs_json_at(ops, i), "verify");
	}
	if (!verify)
		VS_FAIL(err, BAD_KEY, "its key_ops lacks verify");
	return VS_OK;
}

/* Only the first certificate speaks for the key; the others are not read. */
static VS_RC
cert_of(const struct vs_json *x5c, struct vs_cert **ret, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {.max = VS_CERT_DER_MAX + 4};
	struct vs_bytes text = {0};
	if (vs_json_kind(x5c) != VS_JSON_ARRAY || !vs_json_bytes(vs_json_at(x5c, 0), &text))
		VS_FAIL(err, BAD_KEY, "its x5c is not an array of certificates");
	VS_TRY(vs_b64_decode(text, &der, err));
	return vs_cert_from_der(vs_buf_view(&der), ret, err);
}

static VS_RC
read_key(const struct vs_json *jwk, struct entry *entry, struct vs_err *err)
{
	const struct vs_json *x5c = vs_json_get(jwk, "x5c");
	const bool has_num = vs_json_get(jwk, "n") != NULL || vs_json_get(jwk, "e") != NULL;
	struct vs_rsa_num num = {0}, cert_num = {0};

	if (!vs_json_is_string(vs_json_get(jwk, "kty"), "RSA"))
		VS_FAIL(err, BAD_KEY, "it is not an RSA key");
	VS_TRY(check_usage(jwk, err));
	if (!has_num && x5c == NULL)
		VS_FAIL(err, BAD_KEY, "it has neither n and e nor x5c");
	if (has_num)
		VS_TRY(vs_rsa_num_from_jwk(jwk, &num, err));
	if (x5c != NULL) {
		VS_TRY(cert_of(x5c, &entry->cert, err));
		VS_TRY(num_from_cert(entry->cert, &cert_num, err));
	}
	if (has_num && x5c != NULL && !vs_rsa_num_eq(&num, &cert_num))
		VS_FAIL(err, BAD_KEY, "its n and e are not those of its certificate");
	return pkey_from_num(has_num ? &num : &cert_num, &entry->key, err);
}

/* ---- sets --------------------------------------------------------------------------------- */

static VS_RC
read_entry(const struct vs_json *jwk, struct entry *entry, struct vs_err *err)
{
	struct vs_bytes kid = {0};
	struct vs_err why = {0};
	if (!vs_json_bytes(vs_json_get(jwk, "kid"), &kid) || kid.n == 0)
		return VS_OK;
	entry->kid = strndup((const char *)kid.p, kid.n);
	entry->kid_n = kid.n;
	if (entry->kid == NULL)
		VS_FAIL(err, MEMORY, "out of memory while reading the key set");
	ERR_set_mark();
	const vs_rc rc = read_key(jwk, entry, &why);
	ERR_pop_to_mark();
	if (rc.code == VS_E_MEMORY || rc.code == VS_E_INTERNAL) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	if (vs_failed(rc))
		snprintf(entry->why, sizeof entry->why, "%s", why.frames[0].text);
	return VS_OK;
}

VS_RC
vs_jwks_parse(struct vs_bytes text, struct vs_jwks **ret, struct vs_err *err)
{
	VS_CLEANUP(vs_json_freep) struct vs_json *root = NULL;
	VS_CLEANUP(vs_jwks_unrefp) struct vs_jwks *set = NULL;
	VS_TRY(vs_json_load_object(text, VS_JWKS_TEXT_MAX, "key set", &root, err));
	const struct vs_json *keys = vs_json_get(root, "keys");
	const size_t n = vs_json_count(keys);
	if (vs_json_kind(keys) != VS_JSON_ARRAY)
		VS_FAIL(err, FORMAT, "the key set has no array \"keys\"");
	if (n > VS_JWKS_KEYS_MAX)
		VS_FAIL(err, LIMIT, "the key set has %zu keys; %d are allowed", n,
			VS_JWKS_KEYS_MAX);
	set = calloc(1, sizeof *set);
	if (set == NULL)
		VS_FAIL(err, MEMORY, "out of memory while reading the key set");
	atomic_init(&set->refs, 1);
	set->entries = calloc(n != 0 ? n : 1, sizeof *set->entries);
	if (set->entries == NULL)
		VS_FAIL(err, MEMORY, "out of memory while reading the key set");
	for (size_t i = 0; i < n; i++) {
		set->n = i + 1; /* counted first: the entry may stay half made */
		VS_TRY(read_entry(vs_json_at(keys, i), &set->entries[i], err));
	}
	*ret = VS_TAKE(set);
	return VS_OK;
}

struct vs_jwks *
vs_jwks_ref(struct vs_jwks *set)
{
	atomic_fetch_add(&set->refs, 1);
	return set;
}

void
vs_jwks_unref(struct vs_jwks *set)
{
	if (set == NULL || atomic_fetch_sub(&set->refs, 1) != 1)
		return;
	for (size_t i = 0; set->entries != NULL && i < set->n; i++) {
		free(set->entries[i].kid);
		EVP_PKEY_free(set->entries[i].key);
		vs_cert_unref(set->entries[i].cert);
	}
	free(set->entries);
	free(set);
}

void
vs_jwks_unrefp(struct vs_jwks **set)
{
	vs_jwks_unref(*set);
	*set = NULL;
}

size_t
vs_jwks_count(const struct vs_jwks *set)
{
	return set->n;
}

static bool
has_kid(const struct entry *entry, struct vs_bytes kid)
{
	return entry->kid != NULL && vs_bytes_eq(vs_bytes_of(entry->kid, entry->kid_n), kid);
}

bool
vs_jwks_has_kid(const struct vs_jwks *set, struct vs_bytes kid)
{
	for (size_t i = 0; i < set->n; i++)
		if (has_kid(&set->entries[i], kid))
			return true;
	return false;
}

/* NULL when the entry may be used at that time, else the reason why not. */
static const char *
unusable(const struct entry *entry, int64_t at_unix)
{
	if (entry->key == NULL)
		return entry->why;
	if (entry->cert != NULL && !vs_cert_valid_at(entry->cert, at_unix))
		return "its certificate is not valid at that time";
	return NULL;
}

bool
vs_jwks_has_usable(const struct vs_jwks *set, struct vs_bytes kid, int64_t at_unix)
{
	for (size_t i = 0; i < set->n; i++)
		if (has_kid(&set->entries[i], kid) && unusable(&set->entries[i], at_unix) == NULL)
			return true;
	return false;
}

VS_RC
vs_jwks_select_certs(const struct vs_jwks *set, struct vs_bytes kid, int64_t at_unix,
	struct evp_pkey_st *ret_keys[VS_JWKS_SAME_KID_MAX],
	const struct vs_cert *ret_certs[VS_JWKS_SAME_KID_MAX], size_t *ret_n, struct vs_err *err)
{
	const char *why = NULL;
	size_t n = 0;
	for (size_t i = 0; i < set->n && n < VS_JWKS_SAME_KID_MAX; i++) {
		if (!has_kid(&set->entries[i], kid))
			continue;
		const char *reason = unusable(&set->entries[i], at_unix);
		if (reason == NULL) {
			ret_certs[n] = set->entries[i].cert;
			ret_keys[n++] = set->entries[i].key;
		} else {
			why = reason;
		}
	}
	if (n == 0 && why == NULL)
		VS_FAIL(err, REFUSED_SIGNATURE,
			"the issuer's key set has no key with the token's key identifier");
	if (n == 0)
		VS_FAIL(err, REFUSED_SIGNATURE, "the key that the token names may not be used: %s",
			why);
	*ret_n = n;
	return VS_OK;
}

VS_RC
vs_jwks_select(const struct vs_jwks *set, struct vs_bytes kid, int64_t at_unix,
	struct evp_pkey_st *ret[VS_JWKS_SAME_KID_MAX], size_t *ret_n, struct vs_err *err)
{
	const struct vs_cert *certs[VS_JWKS_SAME_KID_MAX];
	return vs_jwks_select_certs(set, kid, at_unix, ret, certs, ret_n, err);
}
