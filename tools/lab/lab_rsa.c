/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_rsa.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdbool.h>
#include <stddef.h>

enum { EXPONENT = 65537, N_NUMBERS = 8 };

/* In the order of names[]. */
struct numbers {
	BIGNUM *n, *e, *d, *p, *q, *dp, *dq, *qi;
};

static const char *const names[N_NUMBERS] = {OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E,
	OSSL_PKEY_PARAM_RSA_D, OSSL_PKEY_PARAM_RSA_FACTOR1, OSSL_PKEY_PARAM_RSA_FACTOR2,
	OSSL_PKEY_PARAM_RSA_EXPONENT1, OSSL_PKEY_PARAM_RSA_EXPONENT2,
	OSSL_PKEY_PARAM_RSA_COEFFICIENT1};

/* A prime whose predecessor has no factor 65537; its two highest bits are set. */
static bool
make_prime(BIGNUM *p, int bits, BN_CTX *ctx)
{
	for (int i = 0; i < 8; i++) {
		if (BN_generate_prime_ex2(p, bits, 0, NULL, NULL, NULL, ctx) != 1)
			return false;
		if (BN_mod_word(p, EXPONENT) != 1)
			return true;
	}
	return false;
}

/* d = e^-1 mod lcm(p-1, q-1), and the CRT values; p > q. */
static bool
make_private(const struct numbers *k, BN_CTX *ctx)
{
	BN_CTX_start(ctx);
	BIGNUM *p1 = BN_CTX_get(ctx), *q1 = BN_CTX_get(ctx), *gcd = BN_CTX_get(ctx);
	BIGNUM *lcm = BN_CTX_get(ctx), *product = BN_CTX_get(ctx);
	const bool ok = product != NULL && BN_sub(p1, k->p, BN_value_one()) == 1 &&
		BN_sub(q1, k->q, BN_value_one()) == 1 && BN_gcd(gcd, p1, q1, ctx) == 1 &&
		BN_mul(product, p1, q1, ctx) == 1 && BN_div(lcm, NULL, product, gcd, ctx) == 1 &&
		BN_mod_inverse(k->d, k->e, lcm, ctx) != NULL && BN_mod(k->dp, k->d, p1, ctx) == 1 &&
		BN_mod(k->dq, k->d, q1, ctx) == 1 &&
		BN_mod_inverse(k->qi, k->q, k->p, ctx) != NULL &&
		BN_mul(k->n, k->p, k->q, ctx) == 1;
	BN_CTX_end(ctx);
	return ok;
}

static EVP_PKEY *
build(BIGNUM *const numbers[N_NUMBERS])
{
	EVP_PKEY *key = NULL;
	OSSL_PARAM *params = NULL;
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	bool ok = bld != NULL && ctx != NULL;
	for (size_t i = 0; ok && i < N_NUMBERS; i++)
		ok = OSSL_PARAM_BLD_push_BN(bld, names[i], numbers[i]) == 1;
	if (ok && (params = OSSL_PARAM_BLD_to_param(bld)) != NULL &&
		EVP_PKEY_fromdata_init(ctx) == 1)
		(void)EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

EVP_PKEY *
lab_rsa_gen(unsigned bits)
{
	BIGNUM *b[N_NUMBERS] = {NULL};
	BN_CTX *ctx = BN_CTX_secure_new();
	EVP_PKEY *key = NULL;
	bool ok = ctx != NULL && bits >= 1024 && bits % 2 == 0;
	for (size_t i = 0; i < N_NUMBERS; i++)
		ok = (b[i] = BN_new()) != NULL && ok;
	const struct numbers k = {b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]};
	ok = ok && BN_set_word(k.e, EXPONENT) == 1 && make_prime(k.p, (int)bits / 2, ctx) &&
		make_prime(k.q, (int)bits / 2, ctx) && BN_cmp(k.p, k.q) != 0;
	if (ok && BN_cmp(k.p, k.q) < 0)
		BN_swap(k.p, k.q);
	if (ok && make_private(&k, ctx) && BN_num_bits(k.n) == (int)bits)
		key = build(b);
	for (size_t i = 0; i < N_NUMBERS; i++)
		BN_clear_free(b[i]);
	BN_CTX_free(ctx);
	return key;
}
