/* SPDX-License-Identifier: BSD-2-Clause */
/* Key pairs that the lab makes in its own way are what OpenSSL's own checks call sound. */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/bn.h>

#include "lab/lab_rsa.h"
#include "unit/unit.h"

static void
key_pairs_are_sound(void **state)
{
	(void)state;
	static const unsigned sizes[] = {2048, 3072, 2048, 2048};
	BIGNUM *last = NULL;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		BIGNUM *n = NULL, *p = NULL, *q = NULL;
		EVP_PKEY *key = lab_rsa_gen(sizes[i]);
		assert_non_null(key);
		assert_int_equal(EVP_PKEY_get_bits(key), (int)sizes[i]);
		EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
		/* primes, d, CRT values, and that public and private belong together */
		assert_int_equal(EVP_PKEY_check(ctx), 1);
		assert_int_equal(EVP_PKEY_pairwise_check(ctx), 1);
		assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n), 1);
		assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_FACTOR1, &p), 1);
		assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_FACTOR2, &q), 1);
		assert_true(BN_cmp(p, q) > 0);
		assert_true(last == NULL || BN_cmp(last, n) != 0);
		BN_free(last);
		last = n;
		BN_free(p);
		BN_free(q);
		EVP_PKEY_CTX_free(ctx);
		EVP_PKEY_free(key);
	}
	BN_free(last);
}

static void
short_and_odd_sizes_are_not_made(void **state)
{
	(void)state;
	assert_null(lab_rsa_gen(0));
	assert_null(lab_rsa_gen(512));
	assert_null(lab_rsa_gen(2049));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_pairs_are_sound),
		cmocka_unit_test(short_and_odd_sizes_are_not_made),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
