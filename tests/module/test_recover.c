/* SPDX-License-Identifier: BSD-2-Clause */
/* Signatures with recovery of what was signed, against plain OpenSSL. */
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "module/p11.h"

static const char text[] = "recoverable";
enum { TEXT = sizeof text - 1, K = 256 };

static CK_SESSION_HANDLE s;

static int
set_up(void **state)
{
	if (p11_setup(state) != 0)
		return -1;
	s = p11_open();
	return 0;
}

/* What OpenSSL recovers with the public half: octets, or -1. */
static int
recover(const struct fake_key *k, int padding, const uint8_t *sig, uint8_t *out)
{
	const uint8_t *der = k->spki.p;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &der, (long)k->spki.n);
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
	size_t n = K;
	assert_int_equal(EVP_PKEY_verify_recover_init(c), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(c, padding), 1);
	const int ok = EVP_PKEY_verify_recover(c, out, &n, sig, K);
	EVP_PKEY_CTX_free(c);
	EVP_PKEY_free(key);
	return ok == 1 ? (int)n : -1;
}

static void
what_is_signed_comes_out_here_and_elsewhere(void **state)
{
	const CK_OBJECT_HANDLE key = p11_find(s, CKO_PRIVATE_KEY, "rsa2048");
	const CK_OBJECT_HANDLE pub = p11_find(s, CKO_PUBLIC_KEY, "rsa2048");
	uint8_t sig[K], out[K], plain[K];
	(void)state;
	for (CK_ULONG len = 0; len <= K - 11; len += 49) {
		CK_ULONG n = 0;
		memset(plain, (int)len + 1, sizeof plain);
		assert_rv_ok(C_SignRecoverInit(s, MECH(CKM_RSA_PKCS), key));
		assert_rv_ok(C_SignRecover(s, plain, len, NULL, &n));
		assert_int_equal(n, K);
		n = K - 1;
		assert_rv(C_SignRecover(s, plain, len, sig, &n), CKR_BUFFER_TOO_SMALL);
		assert_int_equal(n, K);
		assert_rv_ok(C_SignRecover(s, plain, len, sig, &n));
		assert_rv(C_SignRecover(s, plain, len, sig, &n), CKR_OPERATION_NOT_INITIALIZED);
		assert_int_equal(recover(p11_key("rsa2048"), RSA_PKCS1_PADDING, sig, out), len);
		assert_memory_equal(out, plain, len);

		assert_rv_ok(C_VerifyRecoverInit(s, MECH(CKM_RSA_PKCS), pub));
		assert_rv_ok(C_VerifyRecover(s, sig, K, NULL, &n));
		assert_true(n >= len);
		if (len != 0) {
			n = len - 1;
			assert_rv(C_VerifyRecover(s, sig, K, out, &n), CKR_BUFFER_TOO_SMALL);
			assert_int_equal(n, len);
		}
		n = len;
		assert_rv_ok(C_VerifyRecover(s, sig, K, out, &n));
		assert_int_equal(n, len);
		assert_memory_equal(out, plain, len);
		assert_rv(C_VerifyRecover(s, sig, K, out, &n), CKR_OPERATION_NOT_INITIALIZED);
	}
}

static void
raw_signatures_recover_the_whole_block(void **state)
{
	/* This key only signs; for one that decrypts too a raw signature is a raw decryption. */
	const CK_OBJECT_HANDLE key = p11_find(s, CKO_PRIVATE_KEY, "rsa-sign");
	const CK_OBJECT_HANDLE pub = p11_find(s, CKO_PUBLIC_KEY, "rsa-sign");
	const CK_OBJECT_HANDLE both = p11_find(s, CKO_PRIVATE_KEY, "rsa2048");
	uint8_t sig[K], out[K], block[K] = {0};
	CK_ULONG n = K;
	(void)state;
	memcpy(block + K - TEXT, text, TEXT);
	assert_rv(C_SignRecoverInit(s, MECH(CKM_RSA_X_509), both), CKR_MECHANISM_INVALID);
	assert_rv_ok(C_SignRecoverInit(s, MECH(CKM_RSA_X_509), key));
	assert_rv_ok(C_SignRecover(s, STR(text), TEXT, sig, &n));
	assert_int_equal(recover(p11_key("rsa-sign"), RSA_NO_PADDING, sig, out), K);
	assert_memory_equal(out, block, K);
	memset(out, 0, sizeof out);
	assert_rv_ok(C_VerifyRecoverInit(s, MECH(CKM_RSA_X_509), pub));
	assert_rv_ok(C_VerifyRecover(s, sig, K, out, &n));
	assert_int_equal(n, K);
	assert_memory_equal(out, block, K);
	/* As big as the modulus. */
	memset(block, 0xff, sizeof block);
	assert_rv_ok(C_SignRecoverInit(s, MECH(CKM_RSA_X_509), key));
	assert_rv(C_SignRecover(s, block, K, sig, &n), CKR_DATA_INVALID);
	assert_rv_ok(C_VerifyRecoverInit(s, MECH(CKM_RSA_X_509), pub));
	assert_rv(C_VerifyRecover(s, block, K, out, &n), CKR_SIGNATURE_INVALID);
}

/* Raw RSA with the private key makes every padding there can be. */
static void
every_padding_but_the_right_one_is_refused(void **state)
{
	const CK_OBJECT_HANDLE key = p11_find(s, CKO_PRIVATE_KEY, "rsa-sign");
	const CK_OBJECT_HANDLE pub = p11_find(s, CKO_PUBLIC_KEY, "rsa-sign");
	static const struct {
		size_t at;
		uint8_t octet;
	} spoil[] = {{1, 0}, {1, 2}, {0, 1}, {2, 0xfe}, {9, 0}, {9, 0xfe}, {K - TEXT - 1, 1},
		{K - TEXT - 2, 0x7f}};
	(void)state;
	for (size_t i = 0; i <= COUNT(spoil) + 1; i++) {
		uint8_t em[K], sig[K], out[K];
		CK_ULONG n = K;
		memset(em, 0xff, sizeof em);
		em[0] = 0;
		em[1] = 1;
		if (i <= COUNT(spoil)) {
			em[K - TEXT - 1] = 0;
			memcpy(em + K - TEXT, text, TEXT);
		} /* else: nothing ends the padding */
		if (i > 0 && i <= COUNT(spoil))
			em[spoil[i - 1].at] = spoil[i - 1].octet;
		assert_rv_ok(C_SignRecoverInit(s, MECH(CKM_RSA_X_509), key));
		assert_rv_ok(C_SignRecover(s, em, K, sig, &n));
		memset(out, 0xaa, sizeof out);
		assert_rv_ok(C_VerifyRecoverInit(s, MECH(CKM_RSA_PKCS), pub));
		const int want = recover(p11_key("rsa-sign"), RSA_PKCS1_PADDING, sig, out);
		memset(out, 0xaa, sizeof out);
		/* A wrong signature is said before a short buffer is. */
		n = want < 0 ? 0 : K;
		assert_rv(C_VerifyRecover(s, sig, K, out, &n),
			want < 0 ? CKR_SIGNATURE_INVALID : CKR_OK);
		assert_int_equal(want < 0, i != 0);
		if (want < 0)
			assert_int_equal(out[0], 0xaa);
		else
			assert_memory_equal(out, text, TEXT);
		assert_rv(C_VerifyRecover(s, sig, K, out, &n), CKR_OPERATION_NOT_INITIALIZED);
	}
}

static void
recovery_with_hostile_arguments_is_refused(void **state)
{
	const CK_OBJECT_HANDLE key = p11_find(s, CKO_PRIVATE_KEY, "rsa2048");
	const CK_OBJECT_HANDLE pub = p11_find(s, CKO_PUBLIC_KEY, "rsa2048");
	const CK_OBJECT_HANDLE ec = p11_find(s, CKO_PRIVATE_KEY, "ec256");
	uint8_t big[K - 10] = {1}, out[K];
	CK_ULONG n = K;
	(void)state;
	assert_rv(C_SignRecover(s, big, 1, out, &n), CKR_OPERATION_NOT_INITIALIZED);
	assert_rv(C_VerifyRecover(s, big, 1, out, &n), CKR_OPERATION_NOT_INITIALIZED);
	assert_rv(C_SignRecoverInit(s, NULL, key), CKR_ARGUMENTS_BAD);
	assert_rv(C_SignRecoverInit(s, MECH(CKM_SHA256_RSA_PKCS), key), CKR_MECHANISM_INVALID);
	assert_rv(C_SignRecoverInit(s, MECH(CKM_RSA_PKCS_PSS), key), CKR_MECHANISM_INVALID);
	assert_rv(
		C_SignRecoverInit(s, MECH_P(CKM_RSA_PKCS, big), key), CKR_MECHANISM_PARAM_INVALID);
	assert_rv(C_SignRecoverInit(s, MECH(CKM_RSA_PKCS), pub), CKR_KEY_TYPE_INCONSISTENT);
	assert_rv(C_SignRecoverInit(s, MECH(CKM_RSA_PKCS), ec), CKR_KEY_TYPE_INCONSISTENT);
	assert_rv(C_SignRecoverInit(s, MECH(CKM_RSA_PKCS), 0), CKR_KEY_HANDLE_INVALID);
	assert_rv(C_SignRecoverInit(s, MECH(CKM_RSA_PKCS), (CK_ULONG)-1), CKR_KEY_HANDLE_INVALID);
	assert_rv(C_VerifyRecoverInit(s, MECH(CKM_RSA_PKCS), key), CKR_KEY_TYPE_INCONSISTENT);
	assert_rv(C_SignRecoverInit(0, MECH(CKM_RSA_PKCS), key), CKR_SESSION_HANDLE_INVALID);
	assert_rv_ok(C_SignRecoverInit(s, MECH(CKM_RSA_PKCS), key));
	assert_rv(C_SignRecoverInit(s, MECH(CKM_RSA_PKCS), key), CKR_OPERATION_ACTIVE);
	assert_rv(C_SignRecover(s, big, sizeof big, out, &n), CKR_DATA_LEN_RANGE);
	assert_rv_ok(C_SignRecoverInit(s, MECH(CKM_RSA_PKCS), key));
	assert_rv(C_SignRecover(s, NULL, 1, out, &n), CKR_ARGUMENTS_BAD);
	assert_rv_ok(C_SignRecoverInit(s, MECH(CKM_RSA_PKCS), key));
	assert_rv(C_SignRecover(s, big, 1, out, NULL), CKR_ARGUMENTS_BAD);
	assert_rv_ok(C_SignRecoverInit(s, MECH(CKM_RSA_PKCS), key));
	assert_rv_ok(C_SignRecoverInit(s, NULL, 0));
	assert_rv_ok(C_SignRecoverInit(s, MECH(CKM_RSA_PKCS), key));
	assert_rv_ok(C_SessionCancel(s, CKF_SIGN_RECOVER));
	assert_rv(C_SignRecover(s, big, 1, out, &n), CKR_OPERATION_NOT_INITIALIZED);
	static const CK_ULONG lens[] = {0, 1, K - 1, K + 1, 1 << 20};
	uint8_t *sig = calloc(1, 1 << 20);
	for (size_t i = 0; i < COUNT(lens); i++) {
		assert_rv_ok(C_VerifyRecoverInit(s, MECH(CKM_RSA_PKCS), pub));
		n = 0;
		assert_rv(C_VerifyRecover(s, sig, lens[i], out, &n), CKR_SIGNATURE_LEN_RANGE);
	}
	free(sig);
	assert_rv_ok(C_VerifyRecoverInit(s, MECH(CKM_RSA_PKCS), pub));
	assert_rv_ok(C_SessionCancel(s, CKF_VERIFY_RECOVER));
	assert_rv(C_VerifyRecover(s, out, K, out, &n), CKR_OPERATION_NOT_INITIALIZED);
}

/* A key allows it where the vault lets it sign; a session key where its template says so. */
static void
keys_say_whether_they_recover(void **state)
{
	static const struct {
		CK_OBJECT_CLASS class;
		const char *label;
		CK_ATTRIBUTE_TYPE type;
		CK_BBOOL want;
	} rows[] = {
		{CKO_PRIVATE_KEY, "rsa2048", CKA_SIGN_RECOVER, CK_TRUE},
		{CKO_PUBLIC_KEY, "rsa2048", CKA_VERIFY_RECOVER, CK_TRUE},
		{CKO_PRIVATE_KEY, "ec256", CKA_SIGN_RECOVER, CK_FALSE},
		{CKO_PUBLIC_KEY, "ec256", CKA_VERIFY_RECOVER, CK_FALSE},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		CK_BBOOL v = 7;
		CK_ATTRIBUTE a = ATTR(rows[i].type, v);
		assert_rv_ok(
			C_GetAttributeValue(s, p11_find(s, rows[i].class, rows[i].label), &a, 1));
		assert_int_equal(v, rows[i].want);
	}
	CK_ULONG bits = 2048;
	CK_ATTRIBUTE pub[] = {ATTR(CKA_MODULUS_BITS, bits), ATTR(CKA_VERIFY_RECOVER, ck_false)};
	CK_ATTRIBUTE priv[] = {ATTR(CKA_SIGN_RECOVER, ck_false)};
	CK_OBJECT_HANDLE hp = 0, hs = 0;
	assert_rv_ok(C_GenerateKeyPair(
		s, MECH(CKM_RSA_PKCS_KEY_PAIR_GEN), pub, COUNT(pub), priv, COUNT(priv), &hp, &hs));
	assert_rv(C_SignRecoverInit(s, MECH(CKM_RSA_PKCS), hs), CKR_KEY_FUNCTION_NOT_PERMITTED);
	assert_rv(C_VerifyRecoverInit(s, MECH(CKM_RSA_PKCS), hp), CKR_KEY_FUNCTION_NOT_PERMITTED);
	assert_rv_ok(C_SignInit(s, MECH(CKM_RSA_PKCS), hs));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, p11_teardown)
	const struct CMUnitTest tests[] = {
		T(what_is_signed_comes_out_here_and_elsewhere),
		T(raw_signatures_recover_the_whole_block),
		T(every_padding_but_the_right_one_is_refused),
		T(recovery_with_hostile_arguments_is_refused),
		T(keys_say_whether_they_recover),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
