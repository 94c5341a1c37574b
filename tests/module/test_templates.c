/* SPDX-License-Identifier: BSD-2-Clause */
/* Attributes of session objects as the standard has them: what may be given, said, changed, copied.
 */
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "module/p11.h"

static CK_SESSION_HANDLE s;
static CK_OBJECT_CLASS secret_class = CKO_SECRET_KEY, cert_class = CKO_CERTIFICATE,
		       data_class = CKO_DATA;
static CK_KEY_TYPE aes_type = CKK_AES, generic_type = CKK_GENERIC_SECRET, ec_type = CKK_EC;
static uint8_t octets[32] = {1, 2, 3};

static int
set_up(void **state)
{
	if (p11_setup(state) != 0)
		return -1;
	s = p11_open();
	return 0;
}

/* A secret key with one more attribute; 0 when refused, with *rv. */
static CK_OBJECT_HANDLE
key_with(CK_KEY_TYPE type, CK_ATTRIBUTE_TYPE more, const void *p, CK_ULONG n, CK_RV *rv)
{
	CK_OBJECT_HANDLE h = 0;
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, secret_class), ATTR(CKA_KEY_TYPE, type),
		BYTES(CKA_VALUE, octets, sizeof octets), BYTES(more, p, n)};
	*rv = C_CreateObject(s, t, COUNT(t), &h);
	return h;
}

static CK_OBJECT_HANDLE
flagged(CK_ATTRIBUTE_TYPE flag, CK_BBOOL yes)
{
	CK_RV rv = 0;
	const CK_OBJECT_HANDLE h = key_with(aes_type, flag, &yes, 1, &rv);
	assert_rv_ok(rv);
	return h;
}

static CK_RV
set_label(CK_OBJECT_HANDLE h)
{
	CK_ATTRIBUTE a = BYTES(CKA_LABEL, "new", 3);
	return C_SetAttributeValue(s, h, &a, 1);
}

static CK_RV
set_flag(CK_OBJECT_HANDLE h, CK_ATTRIBUTE_TYPE flag, CK_BBOOL yes)
{
	CK_ATTRIBUTE a = ATTR(flag, yes);
	return C_SetAttributeValue(s, h, &a, 1);
}

static void
check_values_are_computed_and_compared(void **state)
{
	static const uint8_t zeros[16];
	uint8_t ct[32], kcv[8];
	CK_RV rv = 0;
	int n = 0;
	CK_ATTRIBUTE a = BYTES(CKA_CHECK_VALUE, kcv, sizeof kcv);
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	(void)state;
	assert_int_equal(EVP_EncryptInit_ex(c, EVP_aes_256_ecb(), NULL, octets, NULL), 1);
	assert_int_equal(EVP_EncryptUpdate(c, ct, &n, zeros, sizeof zeros), 1);
	EVP_CIPHER_CTX_free(c);
	/* Always there, also of a key that may not encrypt. */
	const CK_OBJECT_HANDLE h = flagged(CKA_ENCRYPT, CK_FALSE);
	assert_rv_ok(C_GetAttributeValue(s, h, &a, 1));
	assert_int_equal(a.ulValueLen, 3);
	assert_memory_equal(kcv, ct, 3);
	(void)key_with(aes_type, CKA_CHECK_VALUE, ct, 3, &rv);
	assert_rv_ok(rv);
	(void)key_with(aes_type, CKA_CHECK_VALUE, ct, 2, &rv);
	assert_rv(rv, CKR_ATTRIBUTE_VALUE_INVALID);
	(void)key_with(aes_type, CKA_CHECK_VALUE, ct, 4, &rv);
	assert_rv(rv, CKR_ATTRIBUTE_VALUE_INVALID);
	ct[2] ^= 1;
	(void)key_with(aes_type, CKA_CHECK_VALUE, ct, 3, &rv);
	assert_rv(rv, CKR_ATTRIBUTE_VALUE_INVALID);
	/* An empty one keeps it from being made; of a generic secret there is none, and what is
	 * given is passed over. */
	const CK_OBJECT_HANDLE none = key_with(aes_type, CKA_CHECK_VALUE, NULL, 0, &rv);
	assert_rv_ok(rv);
	a.ulValueLen = sizeof kcv;
	assert_rv_ok(C_GetAttributeValue(s, none, &a, 1));
	assert_int_equal(a.ulValueLen, 0);
	const CK_OBJECT_HANDLE generic = key_with(generic_type, CKA_CHECK_VALUE, ct, 3, &rv);
	assert_rv_ok(rv);
	a.ulValueLen = sizeof kcv;
	assert_rv(C_GetAttributeValue(s, generic, &a, 1), CKR_ATTRIBUTE_TYPE_INVALID);
	assert_int_equal(a.ulValueLen, CK_UNAVAILABLE_INFORMATION);
	/* It cannot be changed. */
	CK_ATTRIBUTE set = BYTES(CKA_CHECK_VALUE, ct, 3);
	assert_rv(C_SetAttributeValue(s, h, &set, 1), CKR_ATTRIBUTE_READ_ONLY);
}

static void
certificates_are_objects_too(void **state)
{
	const struct fake_key *k = p11_key("rsa2048");
	CK_CERTIFICATE_TYPE x509 = CKC_X_509, wtls = 2;
	CK_OBJECT_HANDLE h = 0;
	uint8_t sha1[20], kcv[3];
	(void)state;
	assert_int_not_equal(k->cert.n, 0);
	assert_int_equal(EVP_Digest(k->cert.p, k->cert.n, sha1, NULL, EVP_sha1(), NULL), 1);
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, cert_class), ATTR(CKA_CERTIFICATE_TYPE, x509),
		BYTES(CKA_VALUE, k->cert.p, k->cert.n),
		BYTES(CKA_SUBJECT, k->subject.p, k->subject.n), BYTES(CKA_LABEL, "mine", 4)};
	assert_rv_ok(C_CreateObject(s, t, COUNT(t), &h));
	CK_ATTRIBUTE a = BYTES(CKA_CHECK_VALUE, kcv, sizeof kcv);
	assert_rv_ok(C_GetAttributeValue(s, h, &a, 1));
	assert_memory_equal(kcv, sha1, 3);
	assert_int_equal(p11_find(s, CKO_CERTIFICATE, "mine"), h);
	assert_rv(C_SignInit(s, MECH(CKM_RSA_PKCS), h), CKR_KEY_HANDLE_INVALID);
	/* Without its type, its subject or its value it is none; another type is unknown. */
	for (CK_ULONG i = 1; i < 4; i++) {
		const CK_ATTRIBUTE saved = t[i];
		t[i] = (CK_ATTRIBUTE)BYTES(CKA_ID, "x", 1);
		assert_rv(C_CreateObject(s, t, COUNT(t), &h), CKR_TEMPLATE_INCOMPLETE);
		t[i] = saved;
	}
	t[1] = (CK_ATTRIBUTE)ATTR(CKA_CERTIFICATE_TYPE, wtls);
	assert_rv(C_CreateObject(s, t, COUNT(t), &h), CKR_ATTRIBUTE_VALUE_INVALID);
	t[1] = (CK_ATTRIBUTE)ATTR(CKA_CERTIFICATE_TYPE, x509);
	t[4] = (CK_ATTRIBUTE)ATTR(CKA_TRUSTED, ck_true);
	assert_rv(C_CreateObject(s, t, COUNT(t), &h), CKR_ATTRIBUTE_READ_ONLY);
}

static void
flags_of_objects_mean_what_they_say(void **state)
{
	CK_OBJECT_HANDLE copy = 0;
	CK_ATTRIBUTE lock = ATTR(CKA_MODIFIABLE, ck_false), keep = ATTR(CKA_COPYABLE, ck_false);
	CK_ATTRIBUTE last[] = {ATTR(CKA_DESTROYABLE, ck_false)};
	(void)state;
	CK_OBJECT_HANDLE h = flagged(CKA_MODIFIABLE, CK_FALSE);
	assert_rv(set_label(h), CKR_ACTION_PROHIBITED);
	assert_rv_ok(C_CopyObject(s, h, NULL, 0, &copy));
	assert_rv(set_label(copy), CKR_ACTION_PROHIBITED);
	h = flagged(CKA_COPYABLE, CK_FALSE);
	assert_rv(C_CopyObject(s, h, NULL, 0, &copy), CKR_ACTION_PROHIBITED);
	assert_rv(set_flag(h, CKA_COPYABLE, CK_TRUE), CKR_ATTRIBUTE_READ_ONLY);
	h = flagged(CKA_DESTROYABLE, CK_FALSE);
	assert_rv(C_DestroyObject(s, h), CKR_ACTION_PROHIBITED);
	assert_rv_ok(C_CopyObject(s, h, NULL, 0, &copy));
	assert_rv(C_DestroyObject(s, copy), CKR_ACTION_PROHIBITED);
	/* A copy may be more locked than its original. */
	h = flagged(CKA_MODIFIABLE, CK_TRUE);
	assert_rv_ok(C_CopyObject(s, h, &lock, 1, &copy));
	assert_rv(set_label(copy), CKR_ACTION_PROHIBITED);
	assert_rv_ok(set_label(h));
	assert_rv_ok(C_CopyObject(s, h, &keep, 1, &copy));
	assert_rv(C_CopyObject(s, copy, NULL, 0, &copy), CKR_ACTION_PROHIBITED);
	assert_rv_ok(C_CopyObject(s, h, last, 1, &copy));
	assert_rv(C_DestroyObject(s, copy), CKR_ACTION_PROHIBITED);
	assert_rv_ok(C_DestroyObject(s, h));
	assert_rv(C_DestroyObject(s, h), CKR_OBJECT_HANDLE_INVALID);
	assert_rv(C_CopyObject(s, h, NULL, 0, &copy), CKR_OBJECT_HANDLE_INVALID);
	assert_rv(C_CopyObject(s, copy, NULL, 0, NULL), CKR_ARGUMENTS_BAD);
	/* They end with their session, whatever they say. */
	CK_SESSION_HANDLE other = p11_open();
	assert_rv_ok(C_CloseSession(s));
	s = other;
	assert_rv(C_DestroyObject(s, copy), CKR_OBJECT_HANDLE_INVALID);
}

/* A mistake in one attribute leaves the whole object as it was, and a failed copy makes none. */
static void
nothing_is_half_changed(void **state)
{
	const CK_OBJECT_HANDLE h = flagged(CKA_SENSITIVE, CK_TRUE);
	CK_ATTRIBUTE t[] = {BYTES(CKA_LABEL, "other", 5), ATTR(CKA_SENSITIVE, ck_false)};
	CK_ATTRIBUTE find[] = {BYTES(CKA_LABEL, "other", 5)};
	CK_OBJECT_HANDLE copy = 7;
	(void)state;
	assert_rv(C_SetAttributeValue(s, h, t, 2), CKR_ATTRIBUTE_READ_ONLY);
	assert_rv(C_CopyObject(s, h, t, 2, &copy), CKR_ATTRIBUTE_READ_ONLY);
	t[1] = (CK_ATTRIBUTE)ATTR(CKA_MODULUS_BITS, generic_type);
	assert_rv(C_SetAttributeValue(s, h, t, 2), CKR_ATTRIBUTE_TYPE_INVALID);
	t[1] = (CK_ATTRIBUTE)BYTES(CKA_START_DATE, "2026", 4);
	assert_rv(C_SetAttributeValue(s, h, t, 2), CKR_ATTRIBUTE_VALUE_INVALID);
	t[1] = (CK_ATTRIBUTE)BYTES(CKA_ID, NULL, 3);
	assert_true(C_SetAttributeValue(s, h, t, 2) != CKR_OK);
	assert_int_equal(copy, 7);
	assert_int_equal(p11_count(s, find, 1), 0);
	assert_rv_ok(C_SetAttributeValue(s, h, t, 1));
	assert_int_equal(p11_count(s, find, 1), 1);
}

static void
what_the_token_says_of_a_key_cannot_be_given(void **state)
{
	static const CK_ATTRIBUTE_TYPE said[] = {CKA_LOCAL, CKA_ALWAYS_SENSITIVE,
		CKA_NEVER_EXTRACTABLE, CKA_KEY_GEN_MECHANISM, CKA_UNIQUE_ID, CKA_VALUE_LEN};
	CK_ULONG number = 1;
	CK_RV rv = 0;
	(void)state;
	for (size_t i = 0; i < COUNT(said); i++) {
		(void)key_with(aes_type, said[i], &number, i < 3 ? 1 : sizeof number, &rv);
		assert_true(rv == CKR_ATTRIBUTE_READ_ONLY || rv == CKR_TEMPLATE_INCONSISTENT);
		const CK_OBJECT_HANDLE h = flagged(CKA_ENCRYPT, CK_TRUE);
		CK_ATTRIBUTE a = BYTES(said[i], &number, i < 3 ? 1 : sizeof number);
		assert_rv(C_SetAttributeValue(s, h, &a, 1), CKR_ATTRIBUTE_READ_ONLY);
	}
	/* What is not known is refused, not passed over. */
	(void)key_with(aes_type, 0x80001234, "x", 1, &rv);
	assert_rv(rv, CKR_ATTRIBUTE_TYPE_INVALID);
}

/* What is derived has its base's history; a sensitive base may give a readable key, as the standard
 * has it for ECDH, but never one that says it was always sensitive. */
static void
derived_keys_have_the_history_of_their_base(void **state)
{
	static const uint8_t p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
	CK_ATTRIBUTE curve[] = {BYTES(CKA_EC_PARAMS, p256, sizeof p256)};
	CK_OBJECT_HANDLE pub = 0, priv = 0, h = 0;
	uint8_t point[67];
	CK_ATTRIBUTE a = BYTES(CKA_EC_POINT, point, sizeof point);
	(void)state;
	for (int sensitive = 0; sensitive < 2; sensitive++) {
		const CK_BBOOL yes = sensitive != 0, no = sensitive == 0;
		CK_ATTRIBUTE t[] = {ATTR(CKA_SENSITIVE, yes), ATTR(CKA_EXTRACTABLE, no)};
		CK_BBOOL always = 9, never = 9, local = 9;
		CK_MECHANISM_TYPE made = 0;
		CK_ATTRIBUTE got[] = {ATTR(CKA_ALWAYS_SENSITIVE, always),
			ATTR(CKA_NEVER_EXTRACTABLE, never), ATTR(CKA_LOCAL, local),
			ATTR(CKA_KEY_GEN_MECHANISM, made)};
		assert_rv_ok(C_GenerateKeyPair(
			s, MECH(CKM_EC_KEY_PAIR_GEN), curve, 1, t, 2, &pub, &priv));
		assert_rv_ok(C_GetAttributeValue(s, priv, got, COUNT(got)));
		assert_true(always == yes && never == yes && local == CK_TRUE);
		assert_int_equal(made, CKM_EC_KEY_PAIR_GEN);
		a.ulValueLen = sizeof point;
		assert_rv_ok(C_GetAttributeValue(s, pub, &a, 1));
		CK_ECDH1_DERIVE_PARAMS p = {CKD_NULL, 0, NULL, a.ulValueLen, point};
		for (int keep = 0; keep < 2; keep++) {
			const CK_BBOOL k = keep != 0, open = keep == 0;
			CK_ATTRIBUTE d[] = {ATTR(CKA_CLASS, secret_class),
				ATTR(CKA_KEY_TYPE, generic_type), ATTR(CKA_SENSITIVE, k),
				ATTR(CKA_EXTRACTABLE, open)};
			assert_rv_ok(
				C_DeriveKey(s, MECH_P(CKM_ECDH1_DERIVE, p), priv, d, COUNT(d), &h));
			assert_rv_ok(C_GetAttributeValue(s, h, got, COUNT(got)));
			assert_int_equal(always, yes && k);
			assert_int_equal(never, yes && k);
			assert_int_equal(local, CK_FALSE);
			assert_int_equal(made, CK_UNAVAILABLE_INFORMATION);
		}
	}
	/* A derivation that makes another class, or a token object. */
	CK_ECDH1_DERIVE_PARAMS p = {CKD_NULL, 0, NULL, a.ulValueLen, point};
	CK_ATTRIBUTE bad[] = {ATTR(CKA_CLASS, data_class), ATTR(CKA_KEY_TYPE, generic_type)};
	assert_rv(C_DeriveKey(s, MECH_P(CKM_ECDH1_DERIVE, p), priv, bad, 2, &h),
		CKR_TEMPLATE_INCONSISTENT);
	bad[0] = (CK_ATTRIBUTE)ATTR(CKA_TOKEN, ck_true);
	assert_rv(C_DeriveKey(s, MECH_P(CKM_ECDH1_DERIVE, p), priv, bad, 2, &h),
		CKR_TOKEN_WRITE_PROTECTED);
	bad[0] = (CK_ATTRIBUTE)ATTR(CKA_CLASS, secret_class);
	bad[1] = (CK_ATTRIBUTE)ATTR(CKA_KEY_TYPE, ec_type);
	assert_true(C_DeriveKey(s, MECH_P(CKM_ECDH1_DERIVE, p), priv, bad, 2, &h) != CKR_OK);
}

/* Calls of the first version, and of an administration that is the vault's. */
static void
calls_that_only_refuse_say_it_exactly(void **state)
{
	CK_OBJECT_HANDLE h = 0;
	CK_ULONG n = 0;
	uint8_t out[64];
	(void)state;
	assert_rv(C_GetFunctionStatus(s), CKR_FUNCTION_NOT_PARALLEL);
	assert_rv(C_CancelFunction(s), CKR_FUNCTION_NOT_PARALLEL);
	assert_rv(C_GetFunctionStatus(0), CKR_SESSION_HANDLE_INVALID);
	assert_rv(C_InitPIN(s, STR("1234"), 4), CKR_TOKEN_WRITE_PROTECTED);
	assert_rv(C_InitPIN(0, STR("1234"), 4), CKR_SESSION_HANDLE_INVALID);
	assert_rv(C_SetPIN(0, NULL, 0, NULL, 0), CKR_SESSION_HANDLE_INVALID);
	assert_rv(C_InitToken(99, NULL, 0, STR("x")), CKR_SLOT_ID_INVALID);
	assert_rv(C_SeedRandom(s, out, sizeof out), CKR_RANDOM_SEED_NOT_SUPPORTED);
	assert_rv(C_SeedRandom(s, NULL, 1), CKR_ARGUMENTS_BAD);
	assert_rv(C_GenerateRandom(s, NULL, 1), CKR_ARGUMENTS_BAD);
	assert_rv_ok(C_GenerateRandom(s, out, sizeof out));
	h = flagged(CKA_ENCRYPT, CK_TRUE);
	assert_rv_ok(C_GetObjectSize(s, h, &n));
	assert_true(n >= sizeof octets);
	assert_rv(C_GetObjectSize(s, h, NULL), CKR_ARGUMENTS_BAD);
	assert_rv(C_GetObjectSize(s, (CK_ULONG)-1, &n), CKR_OBJECT_HANDLE_INVALID);
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, secret_class), ATTR(CKA_KEY_TYPE, generic_type)};
	assert_rv(C_UnwrapKey(s, MECH(CKM_AES_KEY_WRAP), 0, out, 24, t, 2, &h),
		CKR_UNWRAPPING_KEY_HANDLE_INVALID);
}

/* 5.1.6: a handle of what is no key; and a length that cannot be, before a value that cannot be. */
static void
codes_go_before_others_as_the_standard_says(void **state)
{
	CK_OBJECT_HANDLE data = 0, h = 0;
	CK_ULONG n = 64;
	uint8_t out[64];
	CK_ATTRIBUTE d[] = {ATTR(CKA_CLASS, data_class), BYTES(CKA_VALUE, octets, 16)};
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, secret_class), ATTR(CKA_KEY_TYPE, aes_type)};
	CK_MECHANISM kwp = {CKM_AES_KEY_WRAP_KWP, NULL, 0}, kw = {CKM_AES_KEY_WRAP, NULL, 0};
	CK_HKDF_PARAMS p = {.bExpand = CK_TRUE, .prfHashMechanism = CKM_SHA256};
	(void)state;
	const CK_OBJECT_HANDLE wrap = flagged(CKA_WRAP, CK_TRUE);
	const CK_OBJECT_HANDLE unwrap = flagged(CKA_UNWRAP, CK_TRUE);
	assert_rv_ok(C_CreateObject(s, d, COUNT(d), &data));
	assert_rv(C_EncryptInit(s, MECH(CKM_AES_ECB), data), CKR_KEY_HANDLE_INVALID);
	assert_rv(C_MessageSignInit(s, MECH(CKM_SHA256_HMAC), data), CKR_KEY_HANDLE_INVALID);
	assert_rv(
		C_DeriveKey(s, MECH_P(CKM_HKDF_DERIVE, p), data, t, 2, &h), CKR_KEY_HANDLE_INVALID);
	assert_rv(C_WrapKey(s, &kwp, data, wrap, out, &n), CKR_WRAPPING_KEY_HANDLE_INVALID);
	assert_rv(C_WrapKey(s, &kwp, wrap, data, out, &n), CKR_KEY_HANDLE_INVALID);
	assert_rv(C_UnwrapKey(s, &kwp, data, out, 24, t, 2, &h), CKR_UNWRAPPING_KEY_HANDLE_INVALID);
	assert_rv_ok(C_DigestInit(s, MECH(CKM_SHA256)));
	assert_rv(C_DigestKey(s, data), CKR_KEY_HANDLE_INVALID);
	assert_rv_ok(C_DigestKey(s, wrap));
	assert_rv_ok(C_WrapKey(s, &kwp, wrap, wrap, out, &n));
	assert_rv_ok(C_UnwrapKey(s, &kwp, unwrap, out, n, t, 2, &h));
	for (CK_ULONG cut = 1; cut <= n; cut++)
		assert_rv(C_UnwrapKey(s, &kwp, unwrap, out, n - cut, t, 2, &h),
			cut % 8 == 0 && n - cut >= 16 ? CKR_WRAPPED_KEY_INVALID
						      : CKR_WRAPPED_KEY_LEN_RANGE);
	assert_rv(C_UnwrapKey(s, &kw, unwrap, out, 16, t, 2, &h), CKR_WRAPPED_KEY_LEN_RANGE);
	assert_rv(C_UnwrapKey(s, &kw, unwrap, out, 24, t, 2, &h), CKR_WRAPPED_KEY_INVALID);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, p11_teardown)
	const struct CMUnitTest tests[] = {
		T(check_values_are_computed_and_compared),
		T(certificates_are_objects_too),
		T(flags_of_objects_mean_what_they_say),
		T(nothing_is_half_changed),
		T(what_the_token_says_of_a_key_cannot_be_given),
		T(derived_keys_have_the_history_of_their_base),
		T(calls_that_only_refuse_say_it_exactly),
		T(codes_go_before_others_as_the_standard_says),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
