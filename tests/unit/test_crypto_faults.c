/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The n-th allocation fails, for every n, ours and libcrypto's: each operation is refused as a
 * whole, or gives the right result; nothing crashes, nothing half-made is handed out.
 */
#include <openssl/crypto.h>

#include "crypto/cipher.h"
#include "crypto/derive.h"
#include "crypto/keywrap.h"
#include "crypto/ossl.h"
#include "crypto/rsa_crypt.h"
#include "crypto/sign.h"
#include "unit/unit.h"

static long until_failure = -1; /* negative: not armed */
static bool failed_one;

static bool
fail_now(void)
{
	if (until_failure < 0)
		return false;
	if (until_failure-- != 0)
		return false;
	failed_one = true;
	return true;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t m);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t m);
void *__wrap_realloc(void *p, size_t n);

void *
__wrap_malloc(size_t n)
{
	return fail_now() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t m)
{
	return fail_now() ? NULL : __real_calloc(n, m);
}

void *
__wrap_realloc(void *p, size_t n)
{
	return fail_now() ? NULL : __real_realloc(p, n);
}

static void *
lib_malloc(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return n == 0 || fail_now() ? NULL : __real_malloc(n);
}

static void *
lib_realloc(void *p, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return fail_now() ? NULL : __real_realloc(p, n);
}

static void
lib_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

/*
 * On its own failures libcrypto 3.0 leaks a little while it builds its method stores; what we
 * allocate is still watched.
 */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:lib_malloc\nleak:lib_realloc\n";
}

static struct vs_ossl *o;
static struct vs_arena *arena;
static struct vs_pkey *rsa, *ec, *aes;
static struct vs_secret rsa_der, ec_der, kek;
static struct vs_buf wrapped, rsa_wrapped, oaep_ct, point, gcm_ct;
static uint8_t iv[12];

/* ---- scenarios: true when the result is right ---------------------------------------------- */

static vs_rc
import_rsa(void)
{
	struct vs_pkey *k = NULL;
	struct vs_err err = {0};
	VS_TRY(vs_pkey_from_released(o, arena, VS_KEY_RSA, &rsa_der, &k, &err));
	const struct vs_key_public pub = vs_pkey_public(rsa);
	assert_true(vs_pkey_matches_public(k, &pub));
	vs_pkey_unref(k);
	return VS_OK;
}

static vs_rc
import_ec(void)
{
	struct vs_pkey *k = NULL;
	struct vs_err err = {0};
	VS_TRY(vs_pkey_from_released(o, arena, VS_KEY_EC, &ec_der, &k, &err));
	const struct vs_key_public pub = vs_pkey_public(ec);
	assert_true(vs_pkey_matches_public(k, &pub));
	vs_pkey_unref(k);
	return VS_OK;
}

static vs_rc
export_key(void)
{
	struct vs_secret der = {0};
	struct vs_err err = {0};
	VS_TRY(vs_pkey_export(rsa, arena, &der, &err));
	assert_true(vs_secret_eq(&der, &rsa_der));
	vs_secret_done(&der);
	return VS_OK;
}

static vs_rc
sign_and_verify(struct vs_pkey *k, struct vs_sign_params p)
{
	struct vs_signer *s = NULL, *v = NULL;
	struct vs_err err = {0};
	uint8_t sig[512];
	size_t n = 0;
	vs_rc rc = vs_signer_new(k, &p, false, &s, &err);
	if (!vs_failed(rc))
		rc = vs_signer_new(k, &p, true, &v, &err);
	if (!vs_failed(rc))
		rc = vs_signer_sign_once(s, vs_bytes_str("m"), sig, sizeof sig, &n, &err);
	/* What was signed must be good once memory is there again. */
	const long saved = until_failure;
	until_failure = -1;
	if (!vs_failed(rc))
		assert_ok(vs_signer_verify_once(v, vs_bytes_str("m"), vs_bytes_of(sig, n), &err),
			&err);
	until_failure = saved;
	if (!vs_failed(rc)) {
		rc = vs_signer_verify_once(v, vs_bytes_str("m"), vs_bytes_of(sig, n), &err);
		/* and what is forged is refused whatever fails */
		sig[5] ^= 1;
		assert_true(vs_failed(
			vs_signer_verify_once(v, vs_bytes_str("m"), vs_bytes_of(sig, n), &err)));
	}
	vs_signer_free(s);
	vs_signer_free(v);
	return rc;
}

static vs_rc
sign_rsa(void)
{
	return sign_and_verify(rsa,
		(struct vs_sign_params){.scheme = VS_SIGN_RSA_PSS,
			.hash = VS_HASH_SHA256,
			.pss_hash = VS_HASH_SHA256,
			.mgf_hash = VS_HASH_SHA256,
			.salt_bytes = 32});
}

static vs_rc
sign_ec(void)
{
	return sign_and_verify(
		ec, (struct vs_sign_params){.scheme = VS_SIGN_ECDSA, .hash = VS_HASH_SHA256});
}

static vs_rc
sign_cmac(void)
{
	return sign_and_verify(aes, (struct vs_sign_params){.scheme = VS_SIGN_CMAC});
}

static vs_rc
decrypt_rsa(void)
{
	const struct vs_rsa_params p = {
		.scheme = VS_RSA_OAEP, .hash = VS_HASH_SHA256, .mgf_hash = VS_HASH_SHA256};
	struct vs_rsa *r = NULL;
	struct vs_err err = {0};
	uint8_t out[256];
	size_t n = 0;
	VS_TRY(vs_rsa_new(rsa, &p, false, &r, &err));
	const vs_rc rc = vs_rsa_decrypt(r, vs_buf_view(&oaep_ct), out, sizeof out, &n, &err);
	vs_rsa_free(r);
	if (!vs_failed(rc))
		assert_true(vs_bytes_eq_str(vs_bytes_of(out, n), "secret"));
	return rc;
}

static vs_rc
open_gcm(void)
{
	const struct vs_cipher_params p = {.iv = vs_bytes_of(iv, 12), .tag_bytes = 16};
	struct vs_cipher *c = NULL;
	struct vs_err err = {0};
	uint8_t out[64];
	size_t n = 0;
	memset(out, 0xa5, sizeof out);
	vs_rc rc = vs_cipher_new(aes, VS_CIPHER_GCM, false, &c, &err);
	if (!vs_failed(rc))
		rc = vs_cipher_start(c, &p, &err);
	if (!vs_failed(rc))
		rc = vs_cipher_once(c, vs_buf_view(&gcm_ct), out, sizeof out, &n, &err);
	vs_cipher_free(c);
	if (!vs_failed(rc))
		assert_true(vs_bytes_eq_str(vs_bytes_of(out, n), "plaintext"));
	else
		assert_int_equal(out[0], 0xa5);
	return rc;
}

static vs_rc
unwrap_release(void)
{
	struct vs_secret clear = {0};
	struct vs_err err = {0};
	const vs_rc rc = vs_release_unwrap(o, &kek, vs_buf_view(&wrapped), arena, &clear, &err);
	if (!vs_failed(rc))
		assert_true(vs_secret_eq(&clear, &ec_der));
	else
		assert_null(clear.p);
	vs_secret_done(&clear);
	return rc;
}

static vs_rc
unwrap_rsa_aes(void)
{
	struct vs_secret clear = {0};
	struct vs_err err = {0};
	const vs_rc rc = vs_rsa_aes_unwrap(rsa, 256, VS_HASH_SHA256, VS_HASH_SHA256,
		vs_bytes_of(NULL, 0), vs_buf_view(&rsa_wrapped), arena, &clear, &err);
	if (!vs_failed(rc))
		assert_true(vs_secret_eq(&clear, &ec_der));
	else
		assert_null(clear.p);
	vs_secret_done(&clear);
	return rc;
}

static vs_rc
agree(void)
{
	const struct vs_ecdh_params p = {.point = vs_buf_view(&point), .kdf_hash = VS_HASH_SHA256};
	struct vs_secret out = {0};
	struct vs_err err = {0};
	const vs_rc rc = vs_derive_ecdh(ec, &p, 32, arena, &out, &err);
	vs_secret_done(&out);
	return rc;
}

static vs_rc
begin_again(void)
{
	struct vs_ossl *mine = NULL;
	struct vs_err err = {0};
	uint8_t digest[32];
	VS_TRY(vs_ossl_new(&mine, &err));
	const vs_rc rc = vs_hash_once(mine, VS_HASH_SHA256, vs_bytes_str("abc"), digest, &err);
	vs_ossl_unref(mine);
	if (!vs_failed(rc))
		assert_memory_equal(digest, "\xba\x78\x16\xbf\x8f\x01\xcf\xea", 8);
	return rc;
}

/* ---- driver ------------------------------------------------------------------------------ */

/* OpenSSL's blinding of an RSA key heals itself after some uses; until then we refuse. */
static void
assert_heals(vs_rc (*scenario)(void))
{
	int tries = 0;
	while (vs_failed(scenario()))
		assert_true(++tries < 80);
}

static void
fail_every_allocation_of(vs_rc (*scenario)(void), long step)
{
	long refused = 0;

	/* warm: what is fetched once is there */
	assert_heals(scenario);
	failed_one = true;
	for (long n = 0; failed_one; n += step) {
		failed_one = false;
		until_failure = n;
		const vs_rc rc = scenario();
		until_failure = -1;
		refused += vs_failed(rc);
		assert_true(rc.code != VS_E_INTERNAL);
	}
	assert_true(refused > 0);
	assert_heals(scenario);
}

#define FAULT_TEST(name, scenario, step) \
	static void name(void **state) \
	{ \
		(void)state; \
		fail_every_allocation_of(scenario, step); \
	}
FAULT_TEST(an_rsa_key_is_imported_or_refused, import_rsa, 1)
FAULT_TEST(an_ec_key_is_imported_or_refused, import_ec, 1)
FAULT_TEST(a_key_is_exported_or_refused, export_key, 1)
FAULT_TEST(an_rsa_signature_is_made_or_refused, sign_rsa, 1)
FAULT_TEST(an_ecdsa_signature_is_made_or_refused, sign_ec, 1)
FAULT_TEST(a_mac_is_made_or_refused, sign_cmac, 1)
FAULT_TEST(rsa_decryption_is_right_or_refused, decrypt_rsa, 1)
FAULT_TEST(gcm_decryption_is_right_or_refused, open_gcm, 1)
FAULT_TEST(a_release_is_unwrapped_or_refused, unwrap_release, 1)
FAULT_TEST(rsa_aes_is_unwrapped_or_refused, unwrap_rsa_aes, 1)
FAULT_TEST(a_key_agreement_is_made_or_refused, agree, 1)
FAULT_TEST(a_library_context_is_made_or_refused, begin_again, 5)

static int
group_setup(void **state)
{
	struct vs_err err = {0};
	const struct vs_rsa_params oaep = {
		.scheme = VS_RSA_OAEP, .hash = VS_HASH_SHA256, .mgf_hash = VS_HASH_SHA256};
	const struct vs_cipher_params gcm = {.iv = vs_bytes_of(iv, 12), .tag_bytes = 16};
	struct vs_rsa *r = NULL;
	struct vs_cipher *c = NULL;
	uint8_t out[256];
	size_t n = 0;

	(void)state;
	assert_ok(vs_ossl_new(&o, &err), &err);
	assert_ok(vs_arena_new(64 << 10, 1 << 20, VS_LOCK_WARN, &arena, &err), &err);
	assert_ok(vs_pkey_generate_rsa(o, 2048, vs_bytes_of(NULL, 0), &rsa, &err), &err);
	assert_ok(vs_pkey_generate_ec(o, VS_CURVE_P256, &ec, &err), &err);
	assert_ok(vs_pkey_generate_octets(o, arena, VS_KEY_AES, 32, &aes, &err), &err);
	assert_ok(vs_pkey_export(rsa, arena, &rsa_der, &err), &err);
	assert_ok(vs_pkey_export(ec, arena, &ec_der, &err), &err);
	assert_ok(vs_pkey_export(aes, arena, &kek, &err), &err);
	assert_ok(vs_wrap(aes, VS_WRAP_KWP, vs_bytes_of(NULL, 0), vs_secret_view(&ec_der), &wrapped,
			  &err),
		&err);
	assert_ok(vs_rsa_aes_wrap(rsa, 256, VS_HASH_SHA256, VS_HASH_SHA256, vs_bytes_of(NULL, 0),
			  vs_secret_view(&ec_der), arena, &rsa_wrapped, &err),
		&err);
	assert_ok(vs_pkey_ec_point(ec, &point, &err), &err);
	assert_ok(vs_rsa_new(rsa, &oaep, true, &r, &err), &err);
	assert_ok(vs_rsa_encrypt(r, vs_bytes_str("secret"), out, sizeof out, &n, &err), &err);
	assert_ok(vs_buf_set(&oaep_ct, out, n, &err), &err);
	vs_rsa_free(r);
	assert_ok(vs_cipher_new(aes, VS_CIPHER_GCM, true, &c, &err), &err);
	assert_ok(vs_cipher_start(c, &gcm, &err), &err);
	assert_ok(vs_cipher_once(c, vs_bytes_str("plaintext"), out, sizeof out, &n, &err), &err);
	assert_ok(vs_buf_set(&gcm_ct, out, n, &err), &err);
	vs_cipher_free(c);
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	vs_secret_done(&rsa_der);
	vs_secret_done(&ec_der);
	vs_secret_done(&kek);
	vs_buf_done(&wrapped);
	vs_buf_done(&rsa_wrapped);
	vs_buf_done(&oaep_ct);
	vs_buf_done(&point);
	vs_buf_done(&gcm_ct);
	vs_pkey_unref(rsa);
	vs_pkey_unref(ec);
	vs_pkey_unref(aes);
	vs_ossl_unref(o);
	vs_arena_free(arena);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_rsa_key_is_imported_or_refused),
		cmocka_unit_test(an_ec_key_is_imported_or_refused),
		cmocka_unit_test(a_key_is_exported_or_refused),
		cmocka_unit_test(an_rsa_signature_is_made_or_refused),
		cmocka_unit_test(an_ecdsa_signature_is_made_or_refused),
		cmocka_unit_test(a_mac_is_made_or_refused),
		cmocka_unit_test(rsa_decryption_is_right_or_refused),
		cmocka_unit_test(gcm_decryption_is_right_or_refused),
		cmocka_unit_test(a_release_is_unwrapped_or_refused),
		cmocka_unit_test(rsa_aes_is_unwrapped_or_refused),
		cmocka_unit_test(a_key_agreement_is_made_or_refused),
		cmocka_unit_test(a_library_context_is_made_or_refused),
	};

	/* before libcrypto's first allocation */
	if (CRYPTO_set_mem_functions(lib_malloc, lib_realloc, lib_free) != 1)
		return 2;
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
