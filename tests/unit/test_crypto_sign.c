/* SPDX-License-Identifier: BSD-2-Clause */
/* Signatures and MACs: against OpenSSL used directly, in pieces, reused, and refused. */
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "crypto/ecdsa.h"
#include "crypto/ossl.h"
#include "crypto/sign.h"
#include "unit/unit.h"

static struct vs_ossl *o;
static struct vs_arena *arena;
static struct vs_pkey *rsa, *ecs[VS_CURVE_COUNT_], *aes, *secret;
static uint8_t sig[VS_SIGN_MAX_BYTES];

static int
group_setup(void **state)
{
	struct vs_err err = {0};

	(void)state;
	assert_ok(vs_ossl_new(&o, &err), &err);
	assert_ok(vs_arena_new(64 << 10, 1 << 20, VS_LOCK_WARN, &arena, &err), &err);
	assert_ok(vs_pkey_generate_rsa(o, 2048, vs_bytes_of(NULL, 0), &rsa, &err), &err);
	for (enum vs_curve c = VS_CURVE_P256; c < VS_CURVE_COUNT_; c++)
		assert_ok(vs_pkey_generate_ec(o, c, &ecs[c], &err), &err);
	assert_ok(vs_pkey_generate_octets(o, arena, VS_KEY_AES, 16, &aes, &err), &err);
	assert_ok(vs_pkey_generate_octets(o, arena, VS_KEY_SECRET, 40, &secret, &err), &err);
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	vs_pkey_unref(rsa);
	for (enum vs_curve c = VS_CURVE_P256; c < VS_CURVE_COUNT_; c++)
		vs_pkey_unref(ecs[c]);
	vs_pkey_unref(aes);
	vs_pkey_unref(secret);
	vs_ossl_unref(o);
	vs_arena_free(arena);
	return 0;
}

static struct vs_signer *
signer(struct vs_pkey *k, struct vs_sign_params p, bool verify)
{
	struct vs_signer *s = NULL;
	struct vs_err err = {0};
	assert_ok(vs_signer_new(k, &p, verify, &s, &err), &err);
	return s;
}

/* The public half as OpenSSL's own object, in its default context. */
static EVP_PKEY *
outside(struct vs_pkey *k)
{
	struct vs_buf spki = {.max = 4096};
	struct vs_err err = {0};
	assert_ok(vs_pkey_spki(k, &spki, &err), &err);
	const uint8_t *p = spki.p;
	EVP_PKEY *evp = d2i_PUBKEY(NULL, &p, (long)spki.n);
	assert_non_null(evp);
	vs_buf_done(&spki);
	return evp;
}

static bool
openssl_verifies(
	struct vs_pkey *k, const struct vs_sign_params *p, struct vs_bytes msg, struct vs_bytes s)
{
	EVP_PKEY *evp = outside(k);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;
	uint8_t der[VS_ECDSA_DER_MAX];

	assert_int_equal(
		EVP_DigestVerifyInit_ex(ctx, &pctx, vs_hash_name(p->hash), NULL, NULL, evp, NULL),
		1);
	if (p->scheme == VS_SIGN_RSA_PSS) {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
		assert_int_equal(
			EVP_PKEY_CTX_set_rsa_mgf1_md_name(pctx, vs_hash_name(p->mgf_hash), NULL),
			1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, (int)p->salt_bytes), 1);
	}
	if (p->scheme == VS_SIGN_ECDSA)
		s = vs_bytes_of(der, vs_ecdsa_to_der(s.p, s.n / 2, der));
	const bool good = EVP_DigestVerify(ctx, s.p, s.n, msg.p, msg.n) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(evp);
	return good;
}

static void
sign_and_check(struct vs_pkey *k, struct vs_sign_params p)
{
	struct vs_signer *s = signer(k, p, false), *v = signer(k, p, true);
	const struct vs_bytes msg = vs_bytes_str("a message to be signed");
	const struct vs_key_desc desc = vs_pkey_desc(k);
	struct vs_err err = {0};
	size_t n = 0;

	for (int i = 0; i < 2; i++) {
		assert_ok(vs_signer_sign_once(s, msg, sig, sizeof sig, &n, &err), &err);
		assert_int_equal(n, vs_sign_size(&desc, &p));
		assert_true(openssl_verifies(k, &p, msg, vs_bytes_of(sig, n)));
		assert_ok(vs_signer_verify_once(v, msg, vs_bytes_of(sig, n), &err), &err);
		/* in pieces */
		assert_ok(vs_signer_start(s, &err), &err);
		for (size_t at = 0; at < msg.n; at++)
			assert_ok(vs_signer_update(s, vs_bytes_of(msg.p + at, 1), &err), &err);
		assert_ok(vs_signer_sign(s, sig, sizeof sig, &n, &err), &err);
		assert_true(openssl_verifies(k, &p, msg, vs_bytes_of(sig, n)));
		/* changed, shortened, of another message */
		sig[n / 2] ^= 1;
		assert_code(vs_signer_verify_once(v, msg, vs_bytes_of(sig, n), &err), SIGNATURE);
		sig[n / 2] ^= 1;
		assert_code(vs_signer_verify_once(v, msg, vs_bytes_of(sig, n - 1), &err),
			SIGNATURE_LEN);
		assert_code(vs_signer_verify_once(
				    v, vs_bytes_str("another"), vs_bytes_of(sig, n), &err),
			SIGNATURE);
	}
	vs_signer_free(s);
	vs_signer_free(v);
}

static void
rsa_signatures_verify_with_openssl(void **state)
{
	static const uint32_t salts[] = {0, 20, 32};
	(void)state;
	for (enum vs_hash h = VS_HASH_SHA1; h < VS_HASH_COUNT_; h++) {
		sign_and_check(
			rsa, (struct vs_sign_params){.scheme = VS_SIGN_RSA_PKCS1, .hash = h});
		for (size_t i = 0; i < 3; i++)
			sign_and_check(rsa,
				(struct vs_sign_params){.scheme = VS_SIGN_RSA_PSS,
					.hash = h,
					.pss_hash = h,
					.mgf_hash = i == 1 ? VS_HASH_SHA1 : h,
					.salt_bytes = salts[i]});
	}
}

static void
ecdsa_signatures_verify_with_openssl(void **state)
{
	static const enum vs_hash hashes[] = {
		VS_HASH_SHA1, VS_HASH_SHA256, VS_HASH_SHA384, VS_HASH_SHA3_512};
	(void)state;
	for (enum vs_curve c = VS_CURVE_P256; c < VS_CURVE_COUNT_; c++)
		for (size_t i = 0; i < 4; i++)
			sign_and_check(ecs[c],
				(struct vs_sign_params){
					.scheme = VS_SIGN_ECDSA, .hash = hashes[i]});
}

static void
a_digest_given_is_signed_like_the_message(void **state)
{
	static const uint8_t prefix[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
		0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
	const struct vs_bytes msg = vs_bytes_str("message");
	struct vs_err err = {0};
	uint8_t info[sizeof prefix + 32];
	size_t n = 0;

	(void)state;
	memcpy(info, prefix, sizeof prefix);
	assert_ok(vs_hash_once(o, VS_HASH_SHA256, msg, info + sizeof prefix, &err), &err);
	const struct {
		struct vs_pkey *key;
		struct vs_sign_params raw, hashed;
		struct vs_bytes input;
	} rows[] = {
		{rsa, {.scheme = VS_SIGN_RSA_PKCS1},
			{.scheme = VS_SIGN_RSA_PKCS1, .hash = VS_HASH_SHA256},
			vs_bytes_of(info, sizeof info)},
		{rsa,
			{.scheme = VS_SIGN_RSA_PSS,
				.pss_hash = VS_HASH_SHA256,
				.mgf_hash = VS_HASH_SHA256,
				.salt_bytes = 32},
			{.scheme = VS_SIGN_RSA_PSS,
				.hash = VS_HASH_SHA256,
				.pss_hash = VS_HASH_SHA256,
				.mgf_hash = VS_HASH_SHA256,
				.salt_bytes = 32},
			vs_bytes_of(info + sizeof prefix, 32)},
		{ecs[VS_CURVE_P256], {.scheme = VS_SIGN_ECDSA},
			{.scheme = VS_SIGN_ECDSA, .hash = VS_HASH_SHA256},
			vs_bytes_of(info + sizeof prefix, 32)},
	};
	for (size_t i = 0; i < 3; i++) {
		struct vs_signer *s = signer(rows[i].key, rows[i].raw, false),
				 *v = signer(rows[i].key, rows[i].raw, true);
		assert_ok(vs_signer_sign_once(s, rows[i].input, sig, sizeof sig, &n, &err), &err);
		assert_true(
			openssl_verifies(rows[i].key, &rows[i].hashed, msg, vs_bytes_of(sig, n)));
		assert_ok(vs_signer_verify_once(v, rows[i].input, vs_bytes_of(sig, n), &err), &err);
		info[sizeof info - 1] ^= 1;
		assert_code(vs_signer_verify_once(v, rows[i].input, vs_bytes_of(sig, n), &err),
			SIGNATURE);
		info[sizeof info - 1] ^= 1;
		vs_signer_free(s);
		vs_signer_free(v);
	}
}

static void
raw_rsa_signs_the_number(void **state)
{
	const struct vs_sign_params p = {.scheme = VS_SIGN_RSA_RAW};
	struct vs_signer *s = signer(rsa, p, false), *v = signer(rsa, p, true);
	struct vs_err err = {0};
	uint8_t big[257], short_form[3] = {1, 2, 3}, padded[256] = {0};
	size_t n = 0;

	(void)state;
	memcpy(padded + 253, short_form, 3);
	assert_ok(vs_signer_sign_once(s, vs_bytes_of(short_form, 3), sig, sizeof sig, &n, &err),
		&err);
	assert_ok(vs_signer_verify_once(v, vs_bytes_of(padded, 256), vs_bytes_of(sig, n), &err),
		&err);
	assert_code(vs_signer_verify_once(v, vs_bytes_of(padded, 255), vs_bytes_of(sig, n), &err),
		SIGNATURE);
	memset(big, 0xff, sizeof big);
	assert_code(vs_signer_sign_once(s, vs_bytes_of(big, 256), sig, sizeof sig, &n, &err), DATA);
	assert_code(
		vs_signer_sign_once(s, vs_bytes_of(big, 257), sig, sizeof sig, &n, &err), DATA_LEN);
	vs_signer_free(s);
	vs_signer_free(v);
}

static void
input_lengths_are_checked_where_nothing_hashes(void **state)
{
	static uint8_t data[300];
	struct vs_err err = {0};
	size_t n = 0;
	const struct {
		struct vs_pkey *key;
		struct vs_sign_params p;
		size_t bad;
	} rows[] = {
		{rsa, {.scheme = VS_SIGN_RSA_PKCS1}, 246},
		{rsa,
			{.scheme = VS_SIGN_RSA_PSS,
				.pss_hash = VS_HASH_SHA256,
				.mgf_hash = VS_HASH_SHA256},
			31},
		{rsa,
			{.scheme = VS_SIGN_RSA_PSS,
				.pss_hash = VS_HASH_SHA256,
				.mgf_hash = VS_HASH_SHA256},
			33},
		{ecs[VS_CURVE_P384], {.scheme = VS_SIGN_ECDSA}, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct vs_signer *s = signer(rows[i].key, rows[i].p, false);
		assert_code(vs_signer_sign_once(
				    s, vs_bytes_of(data, rows[i].bad), sig, sizeof sig, &n, &err),
			DATA_LEN);
		vs_signer_free(s);
	}
}

static void
macs_are_cut_and_compared(void **state)
{
	struct vs_err err = {0};
	size_t n = 0;

	(void)state;
	for (uint32_t len = 1; len <= 32; len++) {
		struct vs_sign_params p = {
			.scheme = VS_SIGN_HMAC, .hash = VS_HASH_SHA256, .mac_bytes = len};
		struct vs_signer *s = signer(secret, p, false), *v = signer(secret, p, true);
		assert_ok(
			vs_signer_sign_once(s, vs_bytes_str("m"), sig, sizeof sig, &n, &err), &err);
		assert_int_equal(n, len);
		assert_ok(vs_signer_verify_once(v, vs_bytes_str("m"), vs_bytes_of(sig, n), &err),
			&err);
		sig[len - 1] ^= 0x80;
		assert_code(vs_signer_verify_once(v, vs_bytes_str("m"), vs_bytes_of(sig, n), &err),
			SIGNATURE);
		assert_code(
			vs_signer_verify_once(v, vs_bytes_str("m"), vs_bytes_of(sig, n + 1), &err),
			SIGNATURE_LEN);
		vs_signer_free(s);
		vs_signer_free(v);
	}
	const struct vs_key_desc a = vs_pkey_desc(aes), h = vs_pkey_desc(secret),
				 r = vs_pkey_desc(rsa);
	struct vs_sign_params p = {.scheme = VS_SIGN_HMAC, .hash = VS_HASH_SHA256, .mac_bytes = 33};
	assert_code(vs_sign_check(&h, &p, &err), PARAM);
	p.mac_bytes = 0;
	assert_int_equal(vs_sign_size(&h, &p), 32);
	assert_code(vs_sign_check(&r, &p, &err), KEY_KIND);
	p.hash = VS_HASH_NONE;
	assert_code(vs_sign_check(&h, &p, &err), PARAM);
	p = (struct vs_sign_params){.scheme = VS_SIGN_CMAC, .mac_bytes = 17};
	assert_code(vs_sign_check(&a, &p, &err), PARAM);
	p.mac_bytes = 4;
	assert_int_equal(vs_sign_size(&a, &p), 4);
	assert_code(vs_sign_check(&h, &p, &err), KEY_KIND);
}

static void
parameters_that_do_not_fit_are_refused(void **state)
{
	const struct vs_key_desc r = vs_pkey_desc(rsa), e = vs_pkey_desc(ecs[VS_CURVE_P256]);
	struct vs_sign_params p = {.scheme = VS_SIGN_RSA_PSS,
		.hash = VS_HASH_SHA256,
		.pss_hash = VS_HASH_SHA256,
		.mgf_hash = VS_HASH_SHA256,
		.salt_bytes = 222};
	struct vs_pkey *pub = NULL;
	struct vs_signer *s = NULL;
	struct vs_err err = {0};

	(void)state;
	assert_ok(vs_sign_check(&r, &p, &err), &err);
	sign_and_check(rsa, p);
	p.salt_bytes = 223;
	assert_code(vs_sign_check(&r, &p, &err), KEY_SIZE);
	p.salt_bytes = UINT32_MAX;
	assert_code(vs_sign_check(&r, &p, &err), KEY_SIZE);
	p.salt_bytes = 32;
	assert_code(vs_sign_check(&e, &p, &err), KEY_KIND);
	assert_int_equal(vs_sign_size(&e, &p), 0);
	p.pss_hash = VS_HASH_SHA1;
	assert_code(vs_sign_check(&r, &p, &err), PARAM);
	p.mgf_hash = VS_HASH_NONE;
	assert_code(vs_sign_check(&r, &p, &err), PARAM);
	p = (struct vs_sign_params){.scheme = VS_SIGN_RSA_RAW, .hash = VS_HASH_SHA256};
	assert_code(vs_sign_check(&r, &p, &err), PARAM);
	p = (struct vs_sign_params){.scheme = VS_SIGN_ECDSA, .hash = VS_HASH_COUNT_};
	assert_code(vs_sign_check(&e, &p, &err), PARAM);
	p.hash = VS_HASH_SHA256;
	assert_code(vs_sign_check(&r, &p, &err), KEY_KIND);
	p.scheme = VS_SIGN_NONE;
	assert_code(vs_sign_check(&r, &p, &err), PARAM);
	assert_ok(vs_pkey_public_half(rsa, &pub, &err), &err);
	p = (struct vs_sign_params){.scheme = VS_SIGN_RSA_PKCS1, .hash = VS_HASH_SHA256};
	assert_code(vs_signer_new(pub, &p, false, &s, &err), KEY_KIND);
	vs_pkey_unref(pub);
}

static void
a_context_knows_its_state_and_what_it_fits(void **state)
{
	struct vs_sign_params p = {.scheme = VS_SIGN_ECDSA, .hash = VS_HASH_SHA256};
	struct vs_pkey *key = ecs[VS_CURVE_P256];
	struct vs_signer *s = signer(key, p, false);
	struct vs_err err = {0};
	size_t n = 0;

	(void)state;
	assert_code(vs_signer_update(s, vs_bytes_str("x"), &err), STATE);
	assert_code(vs_signer_sign(s, sig, sizeof sig, &n, &err), STATE);
	assert_code(vs_signer_verify(s, vs_bytes_of(sig, 64), &err), INTERNAL);
	assert_ok(vs_signer_start(s, &err), &err);
	assert_ok(vs_signer_update(s, vs_bytes_str("x"), &err), &err);
	assert_code(vs_signer_sign(s, sig, 63, &n, &err), ROOM);
	assert_ok(vs_signer_sign(s, sig, 64, &n, &err), &err);
	assert_true(openssl_verifies(key, &p, vs_bytes_str("x"), vs_bytes_of(sig, n)));
	assert_code(vs_signer_sign(s, sig, sizeof sig, &n, &err), STATE);
	assert_true(vs_signer_fits(s, key, &p, false));
	assert_false(vs_signer_fits(s, key, &p, true));
	assert_false(vs_signer_fits(s, rsa, &p, false));
	assert_false(vs_signer_fits(NULL, key, &p, false));
	p.hash = VS_HASH_SHA384;
	assert_false(vs_signer_fits(s, key, &p, false));
	vs_signer_free(s);
}

static void
ecdsa_der_is_read_strictly(void **state)
{
	static const struct {
		uint8_t der[16];
		size_t n;
		bool good;
	} rows[] = {
		{{0x30, 6, 2, 1, 1, 2, 1, 2}, 8, true},
		{{0x30, 7, 2, 2, 0, 0x80, 2, 1, 2}, 9, true},
		{{0x30, 6, 2, 1, 1, 2, 1, 2, 0}, 9, false},
		{{0x30, 5, 2, 1, 1, 2, 1, 2}, 8, false},
		{{0x31, 6, 2, 1, 1, 2, 1, 2}, 8, false},
		{{0x30, 6, 2, 1, 1, 3, 1, 2}, 8, false},
		{{0x30, 5, 2, 0, 2, 1, 2}, 7, false},
		{{0x30, 8, 2, 3, 1, 1, 1, 2, 1, 2}, 10, false}, /* wider than 2 */
		{{0x30, 6, 2, 1, 1, 2, 2, 2}, 8, false},
		{{0x30}, 1, false},
	};
	uint8_t out[4];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(vs_ecdsa_from_der(vs_bytes_of(rows[i].der, rows[i].n), out, 2),
			rows[i].good);
	assert_false(vs_ecdsa_from_der(vs_bytes_of(NULL, 0), out, 2));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rsa_signatures_verify_with_openssl),
		cmocka_unit_test(ecdsa_signatures_verify_with_openssl),
		cmocka_unit_test(a_digest_given_is_signed_like_the_message),
		cmocka_unit_test(raw_rsa_signs_the_number),
		cmocka_unit_test(input_lengths_are_checked_where_nothing_hashes),
		cmocka_unit_test(macs_are_cut_and_compared),
		cmocka_unit_test(parameters_that_do_not_fit_are_refused),
		cmocka_unit_test(a_context_knows_its_state_and_what_it_fits),
		cmocka_unit_test(ecdsa_der_is_read_strictly),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
