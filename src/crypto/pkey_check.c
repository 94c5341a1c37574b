/* SPDX-License-Identifier: BSD-2-Clause */
/* Bad key material, one property after the other (T-K2). Each refusal names the property. */
#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include "crypto/internal.h"
#include "crypto/sign.h"

enum {
	RSA_WEAK_MIN_BITS = 1024,
	RSA_E_MAX_BITS = 64,
	PRIME_DISTANCE_SLACK_BITS = 100, /* FIPS 186-4 B.3.1: |p-q| > 2^(nlen/2-100) */
};

/*
 * ROCA (CVE-2017-15361): moduli made by a broken library are, modulo each of these primes, powers
 * of 65537. A random modulus passes all of these tests with probability below 2^-27.
 */
bool
vs_pkey_is_roca(const BIGNUM *n)
{
	static const uint8_t primes[] = {
		11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157};

	for (size_t i = 0; i < sizeof primes; i++) {
		const BN_ULONG rest = BN_mod_word(n, primes[i]);
		const unsigned g = 65537 % primes[i];
		unsigned power = 1;
		bool member = false;
		do {
			member = member || power == rest;
			power = power * g % primes[i];
		} while (power != 1);
		if (!member)
			return false;
	}
	return true;
}

vs_rc
vs_pkey_check_rsa_public(const BIGNUM *n, const BIGNUM *e, bool allow_weak, struct vs_err *err)
{
	const int bits = BN_num_bits(n);
	const int least = allow_weak ? RSA_WEAK_MIN_BITS : VS_RSA_MIN_BITS;

	if (bits < least || bits > VS_RSA_MAX_BITS)
		VS_FAIL(err, KEY_SIZE, "the RSA modulus has %d bits; %d to %d are allowed", bits,
			least, (int)VS_RSA_MAX_BITS);
	if (!BN_is_odd(n))
		VS_FAIL(err, BAD_KEY, "the RSA modulus is even");
	if (!BN_is_odd(e))
		VS_FAIL(err, BAD_KEY, "the RSA public exponent is even");
	if (BN_num_bits(e) > RSA_E_MAX_BITS)
		VS_FAIL(err, BAD_KEY, "the RSA public exponent is longer than %d bits",
			(int)RSA_E_MAX_BITS);
	if (BN_num_bits(e) < (allow_weak ? 2 : 17))
		VS_FAIL(err, BAD_KEY, "the RSA public exponent is smaller than %d",
			allow_weak ? 3 : 65537);
	if (!allow_weak && vs_pkey_is_roca(n))
		VS_FAIL(err, BAD_KEY, "the RSA modulus has the structure of weak ROCA keys");
	return VS_OK;
}

struct rsa_numbers {
	BIGNUM *n, *e, *d, *p, *q, *dp, *dq, *qi;
	BIGNUM *t, *u;
	BN_CTX *ctx;
};

static void
rsa_numbers_done(struct rsa_numbers *r)
{
	BIGNUM **all[] = {&r->n, &r->e, &r->d, &r->p, &r->q, &r->dp, &r->dq, &r->qi, &r->t, &r->u};

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		vs_bn_done(all[i]);
	vs_bn_ctx_done(&r->ctx);
}

static vs_rc
read_numbers(EVP_PKEY *evp, struct rsa_numbers *r, struct vs_err *err)
{
	VS_TRY(vs_pkey_bn(evp, OSSL_PKEY_PARAM_RSA_N, &r->n, err));
	VS_TRY(vs_pkey_bn(evp, OSSL_PKEY_PARAM_RSA_E, &r->e, err));
	VS_TRY(vs_pkey_bn(evp, OSSL_PKEY_PARAM_RSA_D, &r->d, err));
	VS_TRY(vs_pkey_bn(evp, OSSL_PKEY_PARAM_RSA_FACTOR1, &r->p, err));
	VS_TRY(vs_pkey_bn(evp, OSSL_PKEY_PARAM_RSA_FACTOR2, &r->q, err));
	VS_TRY(vs_pkey_bn(evp, OSSL_PKEY_PARAM_RSA_EXPONENT1, &r->dp, err));
	VS_TRY(vs_pkey_bn(evp, OSSL_PKEY_PARAM_RSA_EXPONENT2, &r->dq, err));
	return vs_pkey_bn(evp, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, &r->qi, err);
}

static vs_rc
make_room(struct rsa_numbers *r, struct vs_err *err)
{
	r->t = BN_secure_new();
	r->u = BN_secure_new();
	r->ctx = BN_CTX_secure_new();
	if (r->t == NULL || r->u == NULL || r->ctx == NULL)
		VS_FAIL(err, MEMORY, "no memory for the check of a key");
	BN_set_flags(r->t, BN_FLG_CONSTTIME);
	BN_set_flags(r->u, BN_FLG_CONSTTIME);
	return VS_OK;
}

/* n = pq with two different odd factors of about the same length. */
static vs_rc
check_factors(struct rsa_numbers *r, struct vs_err *err)
{
	const int bits = BN_num_bits(r->n);

	if (!BN_is_odd(r->p) || !BN_is_odd(r->q))
		VS_FAIL(err, BAD_KEY, "a factor of the RSA modulus is even");
	if (BN_num_bits(r->p) < bits * 3 / 8 || BN_num_bits(r->q) < bits * 3 / 8)
		VS_FAIL(err, BAD_KEY, "a factor of the RSA modulus is too short");
	OSSL_TRY(err, BN_mul(r->t, r->p, r->q, r->ctx), "a key cannot be checked");
	if (BN_cmp(r->t, r->n) != 0)
		VS_FAIL(err, BAD_KEY, "the RSA modulus is not the product of its factors");
	OSSL_TRY(err, BN_sub(r->t, r->p, r->q), "a key cannot be checked");
	if (BN_is_zero(r->t))
		VS_FAIL(err, BAD_KEY, "the factors of the RSA modulus are equal");
	if (BN_num_bits(r->t) <= bits / 2 - PRIME_DISTANCE_SLACK_BITS)
		VS_FAIL(err, BAD_KEY, "the factors of the RSA modulus are too close to each other");
	return VS_OK;
}

/* For one prime: exponent is d mod (prime-1), and it undoes e. */
static vs_rc
check_exponent(
	struct rsa_numbers *r, const BIGNUM *prime, const BIGNUM *exponent, struct vs_err *err)
{
	OSSL_TRY(err, BN_sub(r->t, prime, BN_value_one()), "a key cannot be checked");
	BN_set_flags(r->t, BN_FLG_CONSTTIME);
	OSSL_TRY(err, BN_mod(r->u, r->d, r->t, r->ctx), "a key cannot be checked");
	if (BN_cmp(r->u, exponent) != 0)
		VS_FAIL(err, BAD_KEY,
			"an RSA CRT exponent does not follow from the private exponent");
	OSSL_TRY(err, BN_mod_mul(r->u, r->e, exponent, r->t, r->ctx), "a key cannot be checked");
	if (!BN_is_one(r->u))
		VS_FAIL(err, BAD_KEY,
			"the RSA private exponent is not the inverse of the public one");
	return VS_OK;
}

static vs_rc
check_numbers(struct rsa_numbers *r, struct vs_err *err)
{
	VS_TRY(make_room(r, err));
	VS_TRY(vs_pkey_check_rsa_public(r->n, r->e, false, err));
	VS_TRY(check_factors(r, err));
	if (BN_cmp(r->d, r->n) >= 0 || BN_num_bits(r->d) <= BN_num_bits(r->n) / 2)
		VS_FAIL(err, BAD_KEY, "the RSA private exponent has an impossible length");
	VS_TRY(check_exponent(r, r->p, r->dp, err));
	VS_TRY(check_exponent(r, r->q, r->dq, err));
	OSSL_TRY(err, BN_mod_mul(r->t, r->qi, r->q, r->p, r->ctx), "a key cannot be checked");
	if (!BN_is_one(r->t) || BN_cmp(r->qi, r->p) >= 0)
		VS_FAIL(err, BAD_KEY, "the RSA CRT coefficient does not fit the factors");
	return VS_OK;
}

vs_rc
vs_pkey_check_rsa_private(EVP_PKEY *evp, struct vs_err *err)
{
	VS_CLEANUP(rsa_numbers_done) struct rsa_numbers r = {0};
	VS_TRY(read_numbers(evp, &r, err));
	return check_numbers(&r, err);
}

vs_rc
vs_pkey_check_rsa_parts(const struct vs_key_private *parts, struct vs_err *err)
{
	VS_CLEANUP(rsa_numbers_done) struct rsa_numbers r = {0};
	const struct {
		BIGNUM **to;
		struct vs_bytes from;
	} rows[] = {{&r.n, parts->pub.n}, {&r.e, parts->pub.e}, {&r.d, parts->d}, {&r.p, parts->p},
		{&r.q, parts->q}, {&r.dp, parts->dp}, {&r.dq, parts->dq}, {&r.qi, parts->qi}};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		*rows[i].to = BN_secure_new();
		if (*rows[i].to == NULL ||
			BN_bin2bn(rows[i].from.p, (int)rows[i].from.n, *rows[i].to) == NULL)
			VS_FAIL(err, MEMORY, "no memory for the check of a key");
		BN_set_flags(*rows[i].to, BN_FLG_CONSTTIME);
	}
	return check_numbers(&r, err);
}

vs_rc
vs_pkey_check_round(struct vs_pkey *k, struct vs_err *err)
{
	static const uint8_t message[] = "vouchsafe: this key signs and verifies";
	const struct vs_sign_params params = {
		.scheme = k->desc.type == VS_KEY_RSA ? VS_SIGN_RSA_PKCS1 : VS_SIGN_ECDSA,
		.hash = VS_HASH_SHA256,
	};
	const struct vs_bytes in = vs_bytes_of(message, sizeof message);
	uint8_t sig[VS_SIGN_MAX_BYTES];
	size_t n = 0;

	struct vs_signer *s = NULL;
	VS_TRY(vs_signer_new(k, &params, false, &s, err));
	vs_rc rc = vs_signer_sign_once(s, in, sig, sizeof sig, &n, err);
	vs_signer_free(s);
	if (vs_failed(rc))
		VS_FAIL(err, BAD_KEY, "the private key cannot sign");
	VS_TRY(vs_signer_new(k, &params, true, &s, err));
	rc = vs_signer_verify_once(s, in, vs_bytes_of(sig, n), err);
	vs_signer_free(s);
	if (vs_failed(rc))
		VS_FAIL(err, BAD_KEY, "the private key does not belong to its public key");
	return VS_OK;
}
