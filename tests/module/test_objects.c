/* SPDX-License-Identifier: BSD-2-Clause */
/* Session objects: created, generated, copied, changed, derived, wrapped, unwrapped; trust rules.
 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "module/p11.h"
#include "token/mech.h"

static CK_OBJECT_CLASS secret_class = CKO_SECRET_KEY, private_class = CKO_PRIVATE_KEY,
		       public_class = CKO_PUBLIC_KEY, data_class = CKO_DATA;
static CK_KEY_TYPE aes_type = CKK_AES, generic_type = CKK_GENERIC_SECRET, rsa_type = CKK_RSA,
		   ec_type = CKK_EC;
static CK_ULONG len32 = 32;

static CK_OBJECT_HANDLE
create_aes(CK_SESSION_HANDLE s, const void *value, CK_ULONG n, CK_RV want, CK_ATTRIBUTE_TYPE a,
	CK_ATTRIBUTE_TYPE b)
{
	CK_OBJECT_HANDLE h = 0;
	CK_ATTRIBUTE t[] = {
		ATTR(CKA_CLASS, secret_class),
		ATTR(CKA_KEY_TYPE, aes_type),
		BYTES(CKA_VALUE, value, n),
		ATTR(a ? a : CKA_TOKEN, *(a ? &ck_true : &ck_false)),
		ATTR(b ? b : CKA_PRIVATE, *(b ? &ck_true : &ck_false)),
	};
	assert_rv(C_CreateObject(s, t, COUNT(t), &h), want);
	return h;
}

static CK_RV
get(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE h, CK_ATTRIBUTE_TYPE type, void *out, CK_ULONG *n)
{
	CK_ATTRIBUTE t[] = {{type, out, *n}};
	const CK_RV rv = C_GetAttributeValue(s, h, t, 1);
	*n = t[0].ulValueLen;
	return rv;
}

static bool
flag(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE h, CK_ATTRIBUTE_TYPE type)
{
	CK_BBOOL b = 7;
	CK_ULONG n = sizeof b;
	assert_rv_ok(get(s, h, type, &b, &n));
	return b == CK_TRUE;
}

static void
a_session_object_lives_as_long_as_its_session(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE a = p11_open();
	const CK_SESSION_HANDLE b = p11_open();
	uint8_t v[32] = {1}, got[32];
	const CK_OBJECT_HANDLE h = create_aes(a, v, 32, CKR_OK, 0, 0);
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, secret_class), ATTR(CKA_TOKEN, ck_false)};
	assert_int_equal(p11_count(b, t, 2), 1); /* all sessions of the slot see it */
	CK_ULONG n = sizeof got;
	assert_rv_ok(get(b, h, CKA_VALUE, got, &n)); /* neither sensitive nor unextractable */
	assert_memory_equal(got, v, 32);
	assert_false(flag(b, h, CKA_LOCAL));
	assert_false(flag(b, h, CKA_ALWAYS_SENSITIVE));
	/* In use while it is destroyed by another session. */
	uint8_t out[16];
	assert_rv_ok(C_EncryptInit(b, MECH(CKM_AES_ECB), h));
	assert_rv_ok(C_DestroyObject(a, h));
	assert_rv(C_DestroyObject(a, h), CKR_OBJECT_HANDLE_INVALID);
	n = sizeof out;
	assert_rv_ok(C_Encrypt(b, v, 16, out, &n));
	assert_rv(C_EncryptInit(b, MECH(CKM_AES_ECB), h), CKR_KEY_HANDLE_INVALID);
	(void)create_aes(a, v, 32, CKR_OK, 0, 0);
	assert_rv_ok(C_CloseSession(a));
	assert_int_equal(p11_count(b, t, 2), 0);
	/* Another slot has none of it. */
	CK_SESSION_HANDLE c = 0;
	const CK_OBJECT_HANDLE mine = create_aes(b, v, 32, CKR_OK, 0, 0);
	assert_rv_ok(C_OpenSession(1, CKF_SERIAL_SESSION, NULL, NULL, &c));
	assert_rv(C_DestroyObject(c, mine), CKR_OBJECT_HANDLE_INVALID);
}

static void
templates_are_checked(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	uint8_t v[33] = {1};
	CK_OBJECT_HANDLE h = 0;
	CK_BBOOL two = 2;
	create_aes(s, v, 33, CKR_ATTRIBUTE_VALUE_INVALID, 0, 0);
	create_aes(s, v, 0, CKR_ATTRIBUTE_VALUE_INVALID, 0, 0);
	create_aes(s, v, 32, CKR_TOKEN_WRITE_PROTECTED, CKA_TOKEN, 0);
	create_aes(s, v, 32, CKR_ATTRIBUTE_READ_ONLY, CKA_TRUSTED, 0);
	create_aes(s, v, 32, CKR_ATTRIBUTE_READ_ONLY, CKA_LOCAL, 0);
	create_aes(s, v, 32, CKR_ATTRIBUTE_TYPE_INVALID, CKA_MODULUS, 0);
	create_aes(s, v, 32, CKR_TEMPLATE_INCONSISTENT, CKA_ENCRYPT, CKA_ENCRYPT);
	CK_ATTRIBUTE no_value[] = {ATTR(CKA_CLASS, secret_class), ATTR(CKA_KEY_TYPE, aes_type)};
	assert_rv(C_CreateObject(s, no_value, 2, &h), CKR_TEMPLATE_INCOMPLETE);
	assert_rv(C_CreateObject(s, no_value, 1, &h), CKR_TEMPLATE_INCOMPLETE);
	assert_rv(C_CreateObject(s, NULL, 0, &h), CKR_TEMPLATE_INCOMPLETE);
	assert_rv(C_CreateObject(s, NULL, 4, &h), CKR_ARGUMENTS_BAD);
	assert_rv(C_CreateObject(s, no_value, 2, NULL), CKR_ARGUMENTS_BAD);
	CK_ATTRIBUTE odd[] = {ATTR(CKA_CLASS, secret_class), ATTR(CKA_KEY_TYPE, aes_type),
		BYTES(CKA_VALUE, v, 32), ATTR(CKA_SENSITIVE, two)};
	assert_rv(C_CreateObject(s, odd, 4, &h), CKR_ATTRIBUTE_VALUE_INVALID);
	odd[2].pValue = NULL;
	assert_rv(C_CreateObject(s, odd, 3, &h), CKR_ATTRIBUTE_VALUE_INVALID);
	odd[2] = (CK_ATTRIBUTE){CKA_VALUE, v, (CK_ULONG)-1};
	assert_rv(C_CreateObject(s, odd, 3, &h), CKR_ATTRIBUTE_VALUE_INVALID);
}

static void
wrap_never_meets_decrypt_nor_unwrap_encrypt(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	uint8_t v[32] = {1};
	create_aes(s, v, 32, CKR_TEMPLATE_INCONSISTENT, CKA_WRAP, CKA_DECRYPT);
	create_aes(s, v, 32, CKR_TEMPLATE_INCONSISTENT, CKA_UNWRAP, CKA_ENCRYPT);
	const CK_OBJECT_HANDLE h = create_aes(s, v, 32, CKR_OK, CKA_WRAP, CKA_UNWRAP);
	assert_false(flag(s, h, CKA_DECRYPT));
	assert_false(flag(s, h, CKA_ENCRYPT));
	/* Usage and trust cannot be changed afterwards. */
	static const CK_ATTRIBUTE_TYPE fixed[] = {CKA_DECRYPT, CKA_ENCRYPT, CKA_WRAP, CKA_UNWRAP,
		CKA_SIGN, CKA_VERIFY, CKA_DERIVE, CKA_TRUSTED, CKA_ALWAYS_SENSITIVE,
		CKA_NEVER_EXTRACTABLE, CKA_LOCAL, CKA_CLASS, CKA_KEY_TYPE, CKA_TOKEN, CKA_PRIVATE,
		CKA_MODIFIABLE};
	for (size_t i = 0; i < COUNT(fixed); i++) {
		CK_ULONG u = 1;
		CK_ATTRIBUTE t[] = {
			{fixed[i], &u, fixed[i] == CKA_CLASS || fixed[i] == CKA_KEY_TYPE ? 8 : 1}};
		assert_rv(C_SetAttributeValue(s, h, t, 1), CKR_ATTRIBUTE_READ_ONLY);
		CK_OBJECT_HANDLE copy = 0;
		if (fixed[i] == CKA_TOKEN)
			assert_rv(C_CopyObject(s, h, t, 1, &copy), CKR_TOKEN_WRITE_PROTECTED);
		else if (fixed[i] != CKA_PRIVATE && fixed[i] != CKA_MODIFIABLE)
			assert_rv(C_CopyObject(s, h, t, 1, &copy), CKR_ATTRIBUTE_READ_ONLY);
	}
	/* And so with the token's own keys. */
	const CK_OBJECT_HANDLE aes = p11_find(s, CKO_SECRET_KEY, "aes256");
	assert_false(flag(s, aes, CKA_WRAP) && flag(s, aes, CKA_DECRYPT));
	assert_false(flag(s, aes, CKA_UNWRAP) && flag(s, aes, CKA_ENCRYPT));
}

static void
protection_only_grows(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	uint8_t v[32] = {1}, got[32];
	CK_ULONG n = sizeof got;
	CK_OBJECT_HANDLE copy = 0;
	const CK_OBJECT_HANDLE h = create_aes(s, v, 32, CKR_OK, 0, 0);
	CK_ATTRIBUTE up[] = {ATTR(CKA_SENSITIVE, ck_true)},
		     down[] = {ATTR(CKA_SENSITIVE, ck_false)};
	CK_ATTRIBUTE out[] = {ATTR(CKA_EXTRACTABLE, ck_true)},
		     in[] = {ATTR(CKA_EXTRACTABLE, ck_false)};
	CK_ATTRIBUTE name[] = {BYTES(CKA_LABEL, "renamed", 7)};
	assert_rv_ok(C_SetAttributeValue(s, h, name, 1));
	assert_int_equal(p11_find(s, CKO_SECRET_KEY, "renamed"), h);
	assert_rv_ok(C_CopyObject(s, h, up, 1, &copy));
	assert_rv(get(s, copy, CKA_VALUE, got, &n), CKR_ATTRIBUTE_SENSITIVE);
	assert_rv(C_CopyObject(s, copy, down, 1, &copy), CKR_ATTRIBUTE_READ_ONLY);
	assert_rv_ok(C_SetAttributeValue(s, h, up, 1));
	assert_rv(C_SetAttributeValue(s, h, down, 1), CKR_ATTRIBUTE_READ_ONLY);
	n = sizeof got;
	assert_rv(get(s, h, CKA_VALUE, got, &n), CKR_ATTRIBUTE_SENSITIVE);
	assert_rv_ok(C_SetAttributeValue(s, h, in, 1));
	assert_rv(C_SetAttributeValue(s, h, out, 1), CKR_ATTRIBUTE_READ_ONLY);
	assert_false(flag(s, h, CKA_ALWAYS_SENSITIVE)); /* it was not, once */
	/* NSS copies with no template at all. */
	assert_rv_ok(C_CopyObject(s, h, NULL, 0, &copy));
	CK_ATTRIBUTE fixed[] = {ATTR(CKA_COPYABLE, ck_false)};
	assert_rv_ok(C_SetAttributeValue(s, copy, fixed, 1));
	assert_rv(C_CopyObject(s, copy, NULL, 0, &copy), CKR_ACTION_PROHIBITED);
}

static void
generated_keys_work_and_hide(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	CK_OBJECT_HANDLE pub = 0, priv = 0, key = 0;
	CK_ULONG bits = 2048, n = 0;
	CK_ATTRIBUTE rsa[] = {ATTR(CKA_MODULUS_BITS, bits)};
	uint8_t sig[512], buf[512];
	assert_rv_ok(C_GenerateKeyPair(
		s, MECH(CKM_RSA_PKCS_KEY_PAIR_GEN), rsa, 1, NULL, 0, &pub, &priv));
	assert_true(flag(s, priv, CKA_LOCAL));
	assert_true(flag(s, priv, CKA_SENSITIVE));
	assert_true(flag(s, priv, CKA_ALWAYS_SENSITIVE));
	assert_true(flag(s, priv, CKA_NEVER_EXTRACTABLE));
	n = sizeof buf;
	assert_rv(get(s, priv, CKA_PRIVATE_EXPONENT, buf, &n), CKR_ATTRIBUTE_SENSITIVE);
	n = sizeof sig;
	assert_rv_ok(C_SignInit(s, MECH(CKM_SHA256_RSA_PKCS), priv));
	assert_rv_ok(C_Sign(s, STR("abc"), 3, sig, &n));
	assert_rv_ok(C_VerifyInit(s, MECH(CKM_SHA256_RSA_PKCS), pub));
	assert_rv_ok(C_Verify(s, STR("abc"), 3, sig, n));
	bits = 1024;
	assert_rv(
		C_GenerateKeyPair(s, MECH(CKM_RSA_PKCS_KEY_PAIR_GEN), rsa, 1, NULL, 0, &pub, &priv),
		CKR_KEY_SIZE_RANGE);
	static const uint8_t p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
	static const uint8_t p224[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x21};
	CK_ATTRIBUTE ec[] = {BYTES(CKA_EC_PARAMS, p256, sizeof p256)};
	CK_ATTRIBUTE open_priv[] = {ATTR(CKA_SENSITIVE, ck_false), ATTR(CKA_EXTRACTABLE, ck_true)};
	assert_rv_ok(
		C_GenerateKeyPair(s, MECH(CKM_EC_KEY_PAIR_GEN), ec, 1, open_priv, 2, &pub, &priv));
	n = sizeof buf;
	assert_rv_ok(get(s, priv, CKA_VALUE, buf, &n)); /* asked for as readable */
	assert_int_equal(n, 32);
	ec[0] = (CK_ATTRIBUTE)BYTES(CKA_EC_PARAMS, p224, sizeof p224);
	assert_rv(C_GenerateKeyPair(s, MECH(CKM_EC_KEY_PAIR_GEN), ec, 1, NULL, 0, &pub, &priv),
		CKR_CURVE_NOT_SUPPORTED);
	CK_ATTRIBUTE aes[] = {ATTR(CKA_VALUE_LEN, len32), ATTR(CKA_SENSITIVE, ck_true)};
	assert_rv_ok(C_GenerateKey(s, MECH(CKM_AES_KEY_GEN), aes, 2, &key));
	assert_true(flag(s, key, CKA_ALWAYS_SENSITIVE));
	assert_true(flag(s, key, CKA_NEVER_EXTRACTABLE)); /* sensitive: not by a default */
	;
	CK_ULONG len15 = 15;
	aes[0] = (CK_ATTRIBUTE)ATTR(CKA_VALUE_LEN, len15);
	assert_rv(
		C_GenerateKey(s, MECH(CKM_AES_KEY_GEN), aes, 2, &key), CKR_ATTRIBUTE_VALUE_INVALID);
	assert_rv(
		C_GenerateKey(s, MECH(CKM_AES_KEY_GEN), aes + 1, 1, &key), CKR_TEMPLATE_INCOMPLETE);
	assert_int_equal(fake_agent()->n_need, 0);
}

static void
hmac_and_cmac_equal_those_made_elsewhere(void **state)
{
	(void)state;
	static const struct {
		const char *md;
		CK_MECHANISM_TYPE mac, general;
	} macs[] = {
		{"SHA1", CKM_SHA_1_HMAC, CKM_SHA_1_HMAC_GENERAL},
		{"SHA256", CKM_SHA256_HMAC, CKM_SHA256_HMAC_GENERAL},
		{"SHA512", CKM_SHA512_HMAC, CKM_SHA512_HMAC_GENERAL},
		{"SHA3-256", CKM_SHA3_256_HMAC, CKM_SHA3_256_HMAC_GENERAL},
	};
	const CK_SESSION_HANDLE s = p11_open();
	uint8_t key[40], want[64], got[64];
	CK_OBJECT_HANDLE h = 0;
	memset(key, 5, sizeof key);
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, secret_class), ATTR(CKA_KEY_TYPE, generic_type),
		BYTES(CKA_VALUE, key, sizeof key)};
	assert_rv_ok(C_CreateObject(s, t, 3, &h));
	for (size_t i = 0; i < COUNT(macs); i++) {
		size_t wn = 0;
		CK_ULONG n = sizeof got, ten = 10;
		assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, macs[i].md, NULL, key, sizeof key,
			(const uint8_t *)"hello", 5, want, sizeof want, &wn));
		assert_rv_ok(C_SignInit(s, MECH(macs[i].mac), h));
		assert_rv_ok(C_Sign(s, STR("hello"), 5, got, &n));
		assert_int_equal(n, wn);
		assert_memory_equal(got, want, wn);
		assert_rv_ok(C_SignInit(s, MECH_P(macs[i].general, ten), h));
		assert_rv_ok(C_Sign(s, STR("hello"), 5, got, &n));
		assert_int_equal(n, 10);
		assert_rv_ok(C_VerifyInit(s, MECH_P(macs[i].general, ten), h));
		assert_rv_ok(C_Verify(s, STR("hello"), 5, want, 10));
		assert_rv_ok(C_VerifyInit(s, MECH(macs[i].mac), h));
		assert_rv(C_Verify(s, STR("hellO"), 5, want, wn), CKR_SIGNATURE_INVALID);
		ten = 65;
		assert_rv(C_SignInit(s, MECH_P(macs[i].general, ten), h),
			CKR_MECHANISM_PARAM_INVALID);
	}
	size_t wn = 0;
	CK_ULONG n = sizeof got;
	const CK_OBJECT_HANDLE aes = create_aes(s, key, 32, CKR_OK, 0, 0);
	assert_non_null(EVP_Q_mac(NULL, "CMAC", NULL, "AES-256-CBC", NULL, key, 32,
		(const uint8_t *)"hello", 5, want, sizeof want, &wn));
	assert_rv_ok(C_SignInit(s, MECH(CKM_AES_CMAC), aes));
	assert_rv_ok(C_Sign(s, STR("hello"), 5, got, &n));
	assert_int_equal(n, wn);
	assert_memory_equal(got, want, wn);
	/* A digest of a key that could be read anyway; never of one that could not. */
	assert_rv_ok(C_DigestInit(s, MECH(CKM_SHA256)));
	assert_rv_ok(C_DigestKey(s, aes));
	assert_rv(C_DigestKey(s, p11_find(s, CKO_SECRET_KEY, "aes256")), CKR_KEY_INDIGESTIBLE);
	n = sizeof got;
	assert_rv_ok(C_DigestFinal(s, got, &n));
	unsigned dn = 0;
	EVP_Digest(key, 32, want, &dn, EVP_sha256(), NULL);
	assert_memory_equal(got, want, 32);
}

static void
ecdh_agrees_with_the_other_side(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	const struct fake_key *k = p11_key("ec256");
	const CK_OBJECT_HANDLE base = p11_find(s, CKO_PRIVATE_KEY, "ec256");
	EVP_PKEY *peer = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	uint8_t point[65], want[64], got[64];
	size_t pn = 0, wn = sizeof want;
	EVP_PKEY_get_octet_string_param(peer, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &pn);
	assert_int_equal(pn, 65);
	const uint8_t *der = k->spki.p;
	EVP_PKEY *ours = d2i_PUBKEY(NULL, &der, (long)k->spki.n);
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(peer, NULL);
	EVP_PKEY_derive_init(c);
	EVP_PKEY_derive_set_peer(c, ours);
	assert_int_equal(EVP_PKEY_derive(c, want, &wn), 1);
	CK_ECDH1_DERIVE_PARAMS p = {CKD_NULL, 0, NULL, 65, point};
	CK_OBJECT_HANDLE h = 0;
	/* Java gives neither SENSITIVE nor EXTRACTABLE and then reads the value. */
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, secret_class), ATTR(CKA_KEY_TYPE, generic_type)};
	assert_rv_ok(C_DeriveKey(s, MECH_P(CKM_ECDH1_DERIVE, p), base, t, 2, &h));
	CK_ULONG n = sizeof got;
	assert_rv_ok(get(s, h, CKA_VALUE, got, &n));
	assert_int_equal(n, 32);
	assert_memory_equal(got, want, 32);
	assert_rv_ok(C_DeriveKey(s, MECH_P(CKM_ECDH1_COFACTOR_DERIVE, p), base, t, 2, &h));
	/* What was derived stays when the lease ends; deriving again does not work. */
	fake_end_lease();
	fake_agent()->need_code = VS_E_REFUSED_POLICY;
	n = sizeof got;
	assert_rv_ok(get(s, h, CKA_VALUE, got, &n));
	assert_rv(
		C_DeriveKey(s, MECH_P(CKM_ECDH1_DERIVE, p), base, t, 2, &h), CKR_FUNCTION_REJECTED);
	fake_agent()->need_code = 0;
	/* A point off the curve, a cut one, another curve's key without the right. */
	point[64] ^= 1;
	assert_rv(C_DeriveKey(s, MECH_P(CKM_ECDH1_DERIVE, p), base, t, 2, &h),
		CKR_MECHANISM_PARAM_INVALID);
	point[64] ^= 1;
	p.ulPublicDataLen = 64;
	assert_rv(C_DeriveKey(s, MECH_P(CKM_ECDH1_DERIVE, p), base, t, 2, &h),
		CKR_MECHANISM_PARAM_INVALID);
	p.ulPublicDataLen = (CK_ULONG)-1;
	assert_rv(C_DeriveKey(s, MECH_P(CKM_ECDH1_DERIVE, p), base, t, 2, &h),
		CKR_MECHANISM_PARAM_INVALID);
	p.ulPublicDataLen = 65;
	assert_rv(C_DeriveKey(s, MECH_P(CKM_ECDH1_DERIVE, p), p11_find(s, CKO_PRIVATE_KEY, "ec384"),
			  t, 2, &h),
		CKR_KEY_FUNCTION_NOT_PERMITTED);
	EVP_PKEY_CTX_free(c);
	EVP_PKEY_free(peer);
	EVP_PKEY_free(ours);
}

static void
hkdf_follows_rfc_5869(void **state)
{
	(void)state;
	/* RFC 5869, test case 1. */
	static const uint8_t okm[42] = {0x3c, 0xb2, 0x5f, 0x25, 0xfa, 0xac, 0xd5, 0x7a, 0x90, 0x43,
		0x4f, 0x64, 0xd0, 0x36, 0x2f, 0x2a, 0x2d, 0x2d, 0x0a, 0x90, 0xcf, 0x1a, 0x5a, 0x4c,
		0x5d, 0xb0, 0x2d, 0x56, 0xec, 0xc4, 0xc5, 0xbf, 0x34, 0x00, 0x72, 0x08, 0xd5, 0xb8,
		0x87, 0x18, 0x58, 0x65};
	const CK_SESSION_HANDLE s = p11_open();
	uint8_t ikm[22], salt[13], info[10], got[64];
	memset(ikm, 0x0b, sizeof ikm);
	for (size_t i = 0; i < sizeof salt; i++)
		salt[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof info; i++)
		info[i] = (uint8_t)(0xf0 + i);
	CK_OBJECT_HANDLE base = 0, h = 0, salt_h = 0;
	CK_ATTRIBUTE key[] = {ATTR(CKA_CLASS, secret_class), ATTR(CKA_KEY_TYPE, generic_type),
		BYTES(CKA_VALUE, ikm, 22)};
	assert_rv_ok(C_CreateObject(s, key, 3, &base));
	key[2] = (CK_ATTRIBUTE)BYTES(CKA_VALUE, salt, sizeof salt);
	assert_rv_ok(C_CreateObject(s, key, 3, &salt_h));
	CK_HKDF_PARAMS p = {CK_TRUE, CK_TRUE, CKM_SHA256, CKF_HKDF_SALT_DATA, salt, sizeof salt, 0,
		info, sizeof info};
	CK_ULONG len = 42, n = sizeof got;
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, secret_class), ATTR(CKA_KEY_TYPE, generic_type),
		ATTR(CKA_VALUE_LEN, len)};
	assert_rv_ok(C_DeriveKey(s, MECH_P(CKM_HKDF_DERIVE, p), base, t, 3, &h));
	assert_rv_ok(get(s, h, CKA_VALUE, got, &n));
	assert_int_equal(n, 42);
	assert_memory_equal(got, okm, 42);
	p.ulSaltType = CKF_HKDF_SALT_KEY;
	p.hSaltKey = salt_h;
	assert_rv_ok(C_DeriveKey(s, MECH_P(CKM_HKDF_DERIVE, p), base, t, 3, &h));
	n = sizeof got;
	assert_rv_ok(get(s, h, CKA_VALUE, got, &n));
	assert_memory_equal(got, okm, 42);
	CK_ATTRIBUTE d[] = {ATTR(CKA_CLASS, data_class), ATTR(CKA_VALUE_LEN, len)};
	assert_rv_ok(C_DeriveKey(s, MECH_P(CKM_HKDF_DATA, p), base, d, 2, &h));
	n = sizeof got;
	assert_rv_ok(get(s, h, CKA_VALUE, got, &n));
	assert_memory_equal(got, okm, 42);
	p.hSaltKey = p11_find(s, CKO_SECRET_KEY, "aes256");
	assert_rv(C_DeriveKey(s, MECH_P(CKM_HKDF_DERIVE, p), base, t, 3, &h),
		CKR_KEY_TYPE_INCONSISTENT);
	p.ulSaltType = 9;
	assert_rv(C_DeriveKey(s, MECH_P(CKM_HKDF_DERIVE, p), base, t, 3, &h),
		CKR_MECHANISM_PARAM_INVALID);
}

static CK_OBJECT_HANDLE
unwrap(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE with, uint8_t *in, CK_ULONG n,
	CK_RV want)
{
	CK_OBJECT_HANDLE h = 0;
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, secret_class), ATTR(CKA_KEY_TYPE, aes_type)};
	assert_rv(C_UnwrapKey(s, m, with, in, n, t, 2, &h), want);
	return h;
}

static void
keys_are_wrapped_and_unwrapped(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	const CK_OBJECT_HANDLE kek = p11_find(s, CKO_SECRET_KEY, "aes-wrap");
	const CK_OBJECT_HANDLE rsa = p11_find(s, CKO_PRIVATE_KEY, "rsa2048");
	const CK_OBJECT_HANDLE rsa_pub = p11_find(s, CKO_PUBLIC_KEY, "rsa2048");
	uint8_t v[32], wrapped[1024], got[32], iv[16] = {3};
	memset(v, 0x77, sizeof v);
	const CK_OBJECT_HANDLE key = create_aes(s, v, 32, CKR_OK, 0, 0);
	CK_RSA_PKCS_OAEP_PARAMS oaep = {CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0};
	CK_RSA_AES_KEY_WRAP_PARAMS ra = {256, &oaep};
	const struct {
		CK_MECHANISM m;
		CK_OBJECT_HANDLE with, back;
		CK_ULONG size;
	} ways[] = {
		{{CKM_AES_KEY_WRAP, NULL, 0}, kek, kek, 40},
		{{CKM_AES_KEY_WRAP_PAD, NULL, 0}, kek, kek, 40},
		{{CKM_AES_KEY_WRAP_KWP, NULL, 0}, kek, kek, 40},
		{{CKM_AES_CBC_PAD, iv, 16}, kek, kek, 48},
		{{CKM_AES_CBC, iv, 16}, kek, kek, 32},
		{{CKM_RSA_PKCS, NULL, 0}, rsa_pub, rsa, 256},
		{{CKM_RSA_PKCS_OAEP, &oaep, sizeof oaep}, rsa_pub, rsa, 256},
		{{CKM_RSA_AES_KEY_WRAP, &ra, sizeof ra}, rsa_pub, rsa, 296},
	};
	fake_agent()->need_code = VS_E_REFUSED_POLICY;
	for (size_t i = 0; i < COUNT(ways); i++) {
		CK_MECHANISM m = ways[i].m;
		CK_ULONG n = 0;
		/* The size is told without the gate. */
		assert_rv_ok(C_WrapKey(s, &m, ways[i].with, key, NULL, &n));
		assert_int_equal(n, ways[i].size);
		n--;
		assert_rv(C_WrapKey(s, &m, ways[i].with, key, wrapped, &n), CKR_BUFFER_TOO_SMALL);
	}
	CK_ULONG n = sizeof wrapped;
	assert_int_equal(fake_agent()->n_need, 0);
	assert_rv(
		C_WrapKey(s, MECH(CKM_AES_KEY_WRAP), kek, key, wrapped, &n), CKR_FUNCTION_REJECTED);
	fake_agent()->need_code = 0;
	for (size_t i = 0; i < COUNT(ways); i++) {
		CK_MECHANISM m = ways[i].m;
		n = sizeof wrapped;
		assert_rv_ok(C_WrapKey(s, &m, ways[i].with, key, wrapped, &n));
		assert_int_equal(n, ways[i].size);
		const CK_OBJECT_HANDLE h = unwrap(s, &m, ways[i].back, wrapped, n, CKR_OK);
		CK_ULONG vn = sizeof got;
		assert_rv_ok(get(s, h, CKA_VALUE, got, &vn));
		assert_memory_equal(got, v, 32);
		assert_false(flag(s, h, CKA_LOCAL));
		assert_false(flag(s, h, CKA_NEVER_EXTRACTABLE));
		if (m.mechanism == CKM_RSA_PKCS || m.mechanism == CKM_AES_CBC)
			continue; /* without integrity of their own */
		wrapped[n - 9] ^= 1;
		unwrap(s, &m, ways[i].back, wrapped, n, CKR_WRAPPED_KEY_INVALID);
	}
	assert_rv(C_WrapKey(s, MECH(CKM_AES_KEY_WRAP), p11_find(s, CKO_SECRET_KEY, "aes256"), key,
			  wrapped, &n),
		CKR_KEY_FUNCTION_NOT_PERMITTED);
	assert_rv(C_WrapKey(s, MECH(CKM_AES_KEY_WRAP), 4711, key, wrapped, &n),
		CKR_WRAPPING_KEY_HANDLE_INVALID);
	assert_rv(C_WrapKey(s, MECH(CKM_AES_KEY_WRAP), kek, 4711, wrapped, &n),
		CKR_KEY_HANDLE_INVALID);
	assert_rv(C_WrapKey(s, MECH(CKM_AES_ECB), kek, key, wrapped, &n), CKR_MECHANISM_INVALID);
}

static void
the_tokens_keys_are_never_wrapped(void **state)
{
	(void)state;
	static const char *const secret[] = {"aes256", "aes-wrap"};
	static const char *const private[] = {"rsa2048", "ec256"};
	const CK_SESSION_HANDLE s = p11_open();
	const CK_OBJECT_HANDLE kek = p11_find(s, CKO_SECRET_KEY, "aes-wrap");
	uint8_t v[32] = {1}, out[4096];
	/* Also not under a key that the attacker knows. */
	const CK_OBJECT_HANDLE known = create_aes(s, v, 32, CKR_OK, CKA_WRAP, 0);
	for (size_t i = 0; i < 2; i++) {
		CK_ULONG n = sizeof out;
		assert_rv(C_WrapKey(s, MECH(CKM_AES_KEY_WRAP_PAD), kek,
				  p11_find(s, CKO_SECRET_KEY, secret[i]), out, &n),
			CKR_KEY_UNEXTRACTABLE);
		assert_rv(C_WrapKey(s, MECH(CKM_AES_KEY_WRAP_PAD), known,
				  p11_find(s, CKO_PRIVATE_KEY, private[i]), out, &n),
			CKR_KEY_UNEXTRACTABLE);
	}
	assert_int_equal(fake_agent()->n_key, 0);
	/* Unextractable session keys neither. */
	CK_ATTRIBUTE t[] = {ATTR(CKA_VALUE_LEN, len32), ATTR(CKA_EXTRACTABLE, ck_false)};
	CK_OBJECT_HANDLE h = 0;
	CK_ULONG n = sizeof out;
	assert_rv_ok(C_GenerateKey(s, MECH(CKM_AES_KEY_GEN), t, 2, &h));
	assert_rv(
		C_WrapKey(s, MECH(CKM_AES_KEY_WRAP_PAD), known, h, out, &n), CKR_KEY_UNEXTRACTABLE);
	/* A sensitive one does not leave by a default; said so, it does, wrapped. */
	CK_ATTRIBUTE sensitive[] = {ATTR(CKA_VALUE_LEN, len32), ATTR(CKA_SENSITIVE, ck_true),
		ATTR(CKA_EXTRACTABLE, ck_true)};
	assert_rv_ok(C_GenerateKey(s, MECH(CKM_AES_KEY_GEN), sensitive, 2, &h));
	assert_rv(
		C_WrapKey(s, MECH(CKM_AES_KEY_WRAP_PAD), known, h, out, &n), CKR_KEY_UNEXTRACTABLE);
	assert_rv_ok(C_GenerateKey(s, MECH(CKM_AES_KEY_GEN), sensitive, 3, &h));
	n = sizeof out;
	assert_rv_ok(C_WrapKey(s, MECH(CKM_AES_KEY_WRAP_PAD), known, h, out, &n));
	CK_ATTRIBUTE trust[] = {ATTR(CKA_VALUE_LEN, len32), ATTR(CKA_WRAP_WITH_TRUSTED, ck_true)};
	assert_rv_ok(C_GenerateKey(s, MECH(CKM_AES_KEY_GEN), trust, 2, &h));
	assert_rv(
		C_WrapKey(s, MECH(CKM_AES_KEY_WRAP_PAD), known, h, out, &n), CKR_KEY_NOT_WRAPPABLE);
}

static void
private_keys_travel_wrapped(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	const CK_OBJECT_HANDLE kek = p11_find(s, CKO_SECRET_KEY, "aes-wrap");
	static const uint8_t p384[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22};
	CK_ATTRIBUTE ec[] = {BYTES(CKA_EC_PARAMS, p384, sizeof p384)};
	CK_ATTRIBUTE movable[] = {ATTR(CKA_EXTRACTABLE, ck_true)};
	CK_OBJECT_HANDLE pub = 0, priv = 0, back = 0;
	uint8_t wrapped[2048], sig[96];
	CK_ULONG n = sizeof wrapped, sn = sizeof sig;
	assert_rv_ok(
		C_GenerateKeyPair(s, MECH(CKM_EC_KEY_PAIR_GEN), ec, 1, movable, 1, &pub, &priv));
	assert_rv_ok(C_WrapKey(s, MECH(CKM_AES_KEY_WRAP_PAD), kek, priv, wrapped, &n));
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, private_class), ATTR(CKA_KEY_TYPE, ec_type)};
	assert_rv_ok(C_UnwrapKey(s, MECH(CKM_AES_KEY_WRAP_PAD), kek, wrapped, n, t, 2, &back));
	assert_rv_ok(C_SignInit(s, MECH(CKM_ECDSA_SHA384), back));
	assert_rv_ok(C_Sign(s, STR("abc"), 3, sig, &sn));
	assert_rv_ok(C_VerifyInit(s, MECH(CKM_ECDSA_SHA384), pub));
	assert_rv_ok(C_Verify(s, STR("abc"), 3, sig, sn));
	t[1] = (CK_ATTRIBUTE)ATTR(CKA_KEY_TYPE, rsa_type);
	assert_rv(C_UnwrapKey(s, MECH(CKM_AES_KEY_WRAP_PAD), kek, wrapped, n, t, 2, &back),
		CKR_WRAPPED_KEY_INVALID);
	assert_rv(C_UnwrapKey(s, MECH(CKM_AES_KEY_WRAP_PAD), kek, wrapped, 0, t, 2, &back),
		CKR_WRAPPED_KEY_LEN_RANGE);
	assert_rv(
		C_UnwrapKey(s, MECH(CKM_AES_KEY_WRAP_PAD), kek, wrapped, (CK_ULONG)-1, t, 2, &back),
		CKR_WRAPPED_KEY_LEN_RANGE);
}

static void
created_public_keys_verify(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	const struct fake_key *k = p11_key("rsa2048");
	uint8_t sig[256];
	CK_ULONG n = sizeof sig;
	CK_OBJECT_HANDLE h = 0;
	assert_rv_ok(
		C_SignInit(s, MECH(CKM_SHA256_RSA_PKCS), p11_find(s, CKO_PRIVATE_KEY, "rsa2048")));
	assert_rv_ok(C_Sign(s, STR("abc"), 3, sig, &n));
	/* Java: no usage flag at all. */
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, public_class), ATTR(CKA_KEY_TYPE, rsa_type),
		BYTES(CKA_MODULUS, k->n.p, k->n.n), BYTES(CKA_PUBLIC_EXPONENT, k->e.p, k->e.n)};
	assert_rv_ok(C_CreateObject(s, t, 4, &h));
	assert_rv_ok(C_VerifyInit(s, MECH(CKM_SHA256_RSA_PKCS), h));
	assert_rv_ok(C_Verify(s, STR("abc"), 3, sig, n));
	const struct fake_key *e = p11_key("ec256");
	static const uint8_t p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
	uint8_t point[67] = {0x04, 0x41, 0x04};
	memcpy(point + 3, e->x.p, 32);
	memcpy(point + 35, e->y.p, 32);
	CK_ATTRIBUTE ec[] = {ATTR(CKA_CLASS, public_class), ATTR(CKA_KEY_TYPE, ec_type),
		BYTES(CKA_EC_PARAMS, p256, sizeof p256), BYTES(CKA_EC_POINT, point, sizeof point)};
	assert_rv_ok(C_CreateObject(s, ec, 4, &h));
	point[66] ^= 1;
	assert_rv(C_CreateObject(s, ec, 4, &h), CKR_ATTRIBUTE_VALUE_INVALID);
	ec[3].ulValueLen = 20;
	assert_true(C_CreateObject(s, ec, 4, &h) != CKR_OK);
}

static void
private_objects_hide_without_login_where_there_is_one(void **state)
{
	(void)state;
	fake_reset();
	fake_agent()->profile.tokens[0].login = VS_LOGIN_ATTEST;
	assert_rv_ok(C_Initialize(NULL));
	const CK_SESSION_HANDLE s = p11_open();
	uint8_t v[32] = {1}, out[16];
	CK_ATTRIBUTE t[] = {ATTR(CKA_TOKEN, ck_false), ATTR(CKA_CLASS, secret_class)};
	(void)create_aes(s, v, 32, CKR_USER_NOT_LOGGED_IN, CKA_PRIVATE, CKA_ENCRYPT);
	assert_int_equal(p11_count(s, t, 2), 0);
	assert_rv_ok(C_Login(s, CKU_USER, NULL, 0));
	const CK_OBJECT_HANDLE h = create_aes(s, v, 32, CKR_OK, CKA_PRIVATE, CKA_ENCRYPT);
	assert_int_equal(p11_count(s, t, 2), 1);
	CK_ULONG n = sizeof out;
	assert_rv_ok(C_EncryptInit(s, MECH(CKM_AES_ECB), h));
	assert_rv_ok(C_Encrypt(s, v, 16, out, &n));
	assert_rv_ok(C_Logout(s));
	assert_rv(C_EncryptInit(s, MECH(CKM_AES_ECB), h), CKR_KEY_HANDLE_INVALID);
	assert_rv_ok(C_Finalize(NULL));
}

/* PKCS#11 3.0 section 5.6.9, and with the objects goes what sessions had prepared for them. */
static void
logout_destroys_private_session_objects_of_all_sessions(void **state)
{
	(void)state;
	fake_reset();
	fake_agent()->profile.tokens[0].login = VS_LOGIN_ATTEST;
	assert_rv_ok(C_Initialize(NULL));
	const CK_SESSION_HANDLE s = p11_open(), other = p11_open();
	uint8_t v[32] = {0x5a, 0x17}, out[16];
	CK_ULONG n = sizeof out;
	CK_ATTRIBUTE get[] = {BYTES(CKA_LABEL, NULL, 0)};
	CK_ATTRIBUTE t[] = {ATTR(CKA_TOKEN, ck_false)}, to_private[] = {ATTR(CKA_PRIVATE, ck_true)};
	CK_OBJECT_HANDLE copy = 0;
	const CK_OBJECT_HANDLE open_to_all =
		create_aes(s, v, 32, CKR_OK, CKA_ENCRYPT, CKA_COPYABLE);
	assert_rv(C_CopyObject(s, open_to_all, to_private, 1, &copy), CKR_USER_NOT_LOGGED_IN);
	assert_rv_ok(C_Login(s, CKU_USER, NULL, 0));
	const CK_OBJECT_HANDLE mine = create_aes(s, v, 32, CKR_OK, CKA_PRIVATE, CKA_ENCRYPT);
	const CK_OBJECT_HANDLE theirs = create_aes(other, v, 32, CKR_OK, CKA_PRIVATE, CKA_ENCRYPT);
	assert_rv_ok(C_CopyObject(other, open_to_all, to_private, 1, &copy));
	assert_int_equal(p11_count(s, t, 1), 4);
	/* One session has used a key and keeps it, another one is in the middle of using it. */
	assert_rv_ok(C_EncryptInit(s, MECH(CKM_AES_ECB), mine));
	assert_rv_ok(C_Encrypt(s, v, 16, out, &n));
	assert_rv_ok(C_EncryptInit(other, MECH(CKM_AES_ECB), mine));
	assert_rv_ok(C_Logout(other));
	n = sizeof out;
	assert_rv(C_Encrypt(other, v, 16, out, &n), CKR_OPERATION_NOT_INITIALIZED);
	assert_int_equal(p11_count(s, t, 1), 1);
	/* They do not come back with the user. */
	assert_rv_ok(C_Login(s, CKU_USER, NULL, 0));
	assert_int_equal(p11_count(s, t, 1), 1);
	assert_rv(C_GetAttributeValue(s, mine, get, 1), CKR_OBJECT_HANDLE_INVALID);
	assert_rv(C_GetAttributeValue(s, theirs, get, 1), CKR_OBJECT_HANDLE_INVALID);
	assert_rv(C_GetAttributeValue(s, copy, get, 1), CKR_OBJECT_HANDLE_INVALID);
	assert_rv(C_EncryptInit(s, MECH(CKM_AES_ECB), mine), CKR_KEY_HANDLE_INVALID);
	/* What is open to all has stayed, and works. */
	n = sizeof out;
	assert_rv_ok(C_EncryptInit(s, MECH(CKM_AES_ECB), open_to_all));
	assert_rv_ok(C_Encrypt(s, v, 16, out, &n));
	assert_rv_ok(C_Finalize(NULL));
}

/* Parameters that fit a row, in one place. */
struct fit {
	union {
		CK_RSA_PKCS_PSS_PARAMS pss;
		CK_RSA_PKCS_OAEP_PARAMS oaep;
		CK_AES_CTR_PARAMS ctr;
		CK_GCM_PARAMS gcm;
		CK_CCM_PARAMS ccm;
		CK_ULONG mac;
		uint8_t iv[16];
	} u;
	CK_RSA_PKCS_OAEP_PARAMS inner;
	CK_RSA_AES_KEY_WRAP_PARAMS rsa_aes;
	uint8_t nonce[13];
};

static CK_MECHANISM
fit(const struct vs_mech *row, struct fit *f, CK_ULONG data_n)
{
	static const CK_RSA_PKCS_MGF_TYPE mgf[VS_HASH_COUNT_] = {
		[VS_HASH_SHA1] = CKG_MGF1_SHA1,
		[VS_HASH_SHA224] = CKG_MGF1_SHA224,
		[VS_HASH_SHA256] = CKG_MGF1_SHA256,
		[VS_HASH_SHA384] = CKG_MGF1_SHA384,
		[VS_HASH_SHA512] = CKG_MGF1_SHA512,
		[VS_HASH_SHA3_224] = CKG_MGF1_SHA3_224,
		[VS_HASH_SHA3_256] = CKG_MGF1_SHA3_256,
		[VS_HASH_SHA3_384] = CKG_MGF1_SHA3_384,
		[VS_HASH_SHA3_512] = CKG_MGF1_SHA3_512,
	};
	const enum vs_hash hash = row->hash ? (enum vs_hash)row->hash : VS_HASH_SHA256;
	CK_MECHANISM_TYPE md = 0;
	for (size_t i = 0; i < vs_mech_count(); i++) {
		if ((vs_mech_at(i)->flags & CKF_DIGEST) && vs_mech_at(i)->hash == hash)
			md = vs_mech_at(i)->type;
	}
	*f = (struct fit){.nonce = {1}};
	f->inner =
		(CK_RSA_PKCS_OAEP_PARAMS){CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0};
	switch ((int)row->param) {
	case VS_PARAM_PSS:
		f->u.pss = (CK_RSA_PKCS_PSS_PARAMS){md, mgf[hash], 20};
		return (CK_MECHANISM){row->type, &f->u, sizeof f->u.pss};
	case VS_PARAM_OAEP: return (CK_MECHANISM){row->type, &f->inner, sizeof f->inner};
	case VS_PARAM_IV16: return (CK_MECHANISM){row->type, &f->u, 16};
	case VS_PARAM_CTR:
		f->u.ctr.ulCounterBits = 64;
		return (CK_MECHANISM){row->type, &f->u, sizeof f->u.ctr};
	case VS_PARAM_GCM:
		f->u.gcm = (CK_GCM_PARAMS){f->nonce, 12, 96, NULL, 0, 96};
		return (CK_MECHANISM){row->type, &f->u, sizeof f->u.gcm};
	case VS_PARAM_CCM:
		f->u.ccm = (CK_CCM_PARAMS){data_n, f->nonce, 12, NULL, 0, 8};
		return (CK_MECHANISM){row->type, &f->u, sizeof f->u.ccm};
	case VS_PARAM_MAC_LENGTH:
		f->u.mac = 9;
		return (CK_MECHANISM){row->type, &f->u, sizeof f->u.mac};
	case VS_PARAM_RSA_AES:
		f->rsa_aes = (CK_RSA_AES_KEY_WRAP_PARAMS){256, &f->inner};
		return (CK_MECHANISM){row->type, &f->rsa_aes, sizeof f->rsa_aes};
	default: return (CK_MECHANISM){row->type, NULL, 0};
	}
}

struct pair {
	CK_OBJECT_HANDLE pub, priv;
};

/* Session keys that may do everything their kind can. */
static struct pair
make_pair(CK_SESSION_HANDLE s, unsigned family, bool wraps)
{
	static const uint8_t k256[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a};
	static const uint8_t p521[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23};
	struct pair p = {0};
	CK_ULONG bits = 2048, n = 32;
	CK_ATTRIBUTE rsa[] = {ATTR(CKA_MODULUS_BITS, bits), ATTR(CKA_WRAP, ck_true)};
	CK_ATTRIBUTE un[] = {ATTR(CKA_UNWRAP, ck_true)};
	CK_ATTRIBUTE ec[] = {BYTES(CKA_EC_PARAMS, wraps ? k256 : p521, sizeof k256)};
	CK_ATTRIBUTE sec[] = {
		ATTR(CKA_VALUE_LEN, n), ATTR(CKA_WRAP, ck_true), ATTR(CKA_UNWRAP, ck_true)};
	switch (family) {
	case VS_FAM_RSA:
		assert_rv_ok(C_GenerateKeyPair(
			s, MECH(CKM_RSA_PKCS_KEY_PAIR_GEN), rsa, 2, un, 1, &p.pub, &p.priv));
		break;
	case VS_FAM_EC:
		assert_rv_ok(C_GenerateKeyPair(
			s, MECH(CKM_EC_KEY_PAIR_GEN), ec, 1, NULL, 0, &p.pub, &p.priv));
		break;
	case VS_FAM_AES:
		assert_rv_ok(C_GenerateKey(s, MECH(CKM_AES_KEY_GEN), sec, wraps ? 3 : 1, &p.pub));
		break;
	default:
		assert_rv_ok(C_GenerateKey(s, MECH(CKM_GENERIC_SECRET_KEY_GEN), sec, 1, &p.pub));
		break;
	}
	if (p.priv == 0)
		p.priv = p.pub;
	return p;
}

static void
sign_and_verify(CK_SESSION_HANDLE s, CK_MECHANISM *m, const struct vs_mech *row, struct pair p)
{
	static const uint8_t data[256] = {0, 1, 2};
	uint8_t sig[512];
	CK_ULONG n = sizeof sig;
	/* Raw ones want a digest's or the modulus's length. */
	const CK_ULONG data_n = row->hash ? 200 : row->sign == VS_SIGN_RSA_RAW ? 256 : 32;
	assert_rv_ok(C_SignInit(s, m, p.priv));
	assert_rv_ok(C_Sign(s, STR(data), data_n, sig, &n));
	assert_rv_ok(C_VerifyInit(s, m, p.pub));
	assert_rv_ok(C_Verify(s, STR(data), data_n, sig, n));
	sig[n - 1] ^= 1;
	assert_rv_ok(C_VerifyInit(s, m, p.pub));
	assert_rv(C_Verify(s, STR(data), data_n, sig, n), CKR_SIGNATURE_INVALID);
}

static void
encrypt_and_decrypt(CK_SESSION_HANDLE s, CK_MECHANISM *m, struct pair p)
{
	uint8_t data[64] = {0, 1, 2, 3}, ct[512], back[512];
	CK_ULONG n = sizeof ct, bn = sizeof back;
	assert_rv_ok(C_EncryptInit(s, m, p.pub));
	assert_rv_ok(C_Encrypt(s, data, sizeof data, ct, &n));
	assert_rv_ok(C_DecryptInit(s, m, p.priv));
	assert_rv_ok(C_Decrypt(s, ct, n, back, &bn));
	assert_memory_not_equal(ct, data, sizeof data);
	/* Without padding the text comes back as long as the modulus. */
	assert_true(bn >= sizeof data);
	assert_memory_equal(back + bn - sizeof data, data, sizeof data);
}

static void
wrap_and_unwrap(CK_SESSION_HANDLE s, CK_MECHANISM *m, struct pair p)
{
	uint8_t v[32] = {9, 8, 7}, wrapped[1024], got[32];
	CK_ULONG n = sizeof wrapped, gn = sizeof got;
	const CK_OBJECT_HANDLE key = create_aes(s, v, 32, CKR_OK, 0, 0);
	assert_rv_ok(C_WrapKey(s, m, p.pub, key, wrapped, &n));
	assert_rv_ok(get(s, unwrap(s, m, p.priv, wrapped, n, CKR_OK), CKA_VALUE, got, &gn));
	assert_memory_equal(got, v, 32);
}

static void
every_row_of_the_mechanism_table_works(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	static const unsigned families[] = {VS_FAM_RSA, VS_FAM_EC, VS_FAM_AES, VS_FAM_SECRET};
	struct pair plain[9] = {{0}}, wraps[9] = {{0}};
	unsigned done = 0;
	for (size_t i = 0; i < COUNT(families); i++) {
		plain[families[i]] = make_pair(s, families[i], false);
		wraps[families[i]] = make_pair(s, families[i], true);
	}
	for (size_t i = 0; i < vs_mech_count(); i++) {
		const struct vs_mech *row = vs_mech_at(i);
		struct fit f;
		CK_MECHANISM m = fit(row, &f, 64);
		const unsigned fam = row->family & (VS_FAM_SECRET | VS_FAM_AES) & ~VS_FAM_AES
			? VS_FAM_SECRET
			: row->family;
		CK_OBJECT_HANDLE h = 0;
		CK_ULONG n = 64, len = 32;
		uint8_t d[64];
		CK_ATTRIBUTE t[] = {ATTR(CKA_VALUE_LEN, len)};
		if (row->flags & CKF_SIGN)
			sign_and_verify(s, &m, row, plain[fam]), done++;
		if ((row->flags & CKF_SIGN) && fam == VS_FAM_EC) /* secp256k1, too */
			sign_and_verify(s, &m, row, wraps[fam]);
		if (row->flags & CKF_ENCRYPT)
			encrypt_and_decrypt(s, &m, plain[fam]), done++;
		m = fit(row, &f, 32);
		if (row->flags & CKF_WRAP)
			wrap_and_unwrap(s, &m, wraps[fam]), done++;
		if (row->flags & CKF_DIGEST) {
			assert_rv_ok(C_DigestInit(s, &m));
			assert_rv_ok(C_Digest(s, STR("x"), 1, d, &n));
			done++;
		}
		if (row->flags & CKF_GENERATE) {
			assert_rv_ok(C_GenerateKey(s, &m, t, 1, &h));
			CK_KEY_TYPE type = 0;
			n = sizeof type;
			assert_rv_ok(get(s, h, CKA_KEY_TYPE, &type, &n));
			assert_int_equal(type, row->makes);
			done++;
		}
		/* Pairs were generated above; derivation has tests of its own. */
		if (row->flags & (CKF_GENERATE_KEY_PAIR | CKF_DERIVE))
			done++;
		if (done == 0)
			fail_msg("%s does nothing", row->name);
	}
	assert_true(done >= vs_mech_count());
}

static void
an_attribute_can_be_emptied(void **state)
{
	(void)state;
	const CK_SESSION_HANDLE s = p11_open();
	CK_OBJECT_CLASS class = CKO_DATA;
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, class), BYTES(CKA_LABEL, "x", 1)};
	CK_ATTRIBUTE none[] = {BYTES(CKA_LABEL, NULL, 0)};
	CK_OBJECT_HANDLE h = 0, copy = 0;
	CK_ULONG n = 7;
	uint8_t out[8];
	assert_rv_ok(C_CreateObject(s, t, COUNT(t), &h));
	assert_rv_ok(C_CopyObject(s, h, none, 1, &copy));
	assert_rv_ok(get(s, copy, CKA_LABEL, out, &n));
	assert_int_equal(n, 0);
	assert_rv_ok(C_SetAttributeValue(s, h, none, 1));
	n = 7;
	assert_rv_ok(get(s, h, CKA_LABEL, out, &n));
	assert_int_equal(n, 0);
}

/* As many as a token may have, and all of them are found. */
static void
all_session_objects_are_found(void **state)
{
	const CK_SESSION_HANDLE s = p11_open();
	enum { MANY = 70000, AT_A_TIME = 4096 };
	const CK_OBJECT_CLASS class = CKO_DATA;
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, class)};
	CK_OBJECT_HANDLE h = 0;
	(void)state;
	CK_OBJECT_HANDLE *found = calloc(AT_A_TIME, sizeof *found);
	CK_ULONG n = 1;
	size_t seen = 0;
	assert_non_null(found);
	for (int i = 0; i < MANY; i++)
		assert_rv_ok(C_CreateObject(s, t, COUNT(t), &h));
	assert_rv_ok(C_FindObjectsInit(s, t, COUNT(t)));
	for (; n > 0; seen += n)
		assert_rv_ok(C_FindObjects(s, found, AT_A_TIME, &n));
	assert_rv_ok(C_FindObjectsFinal(s));
	assert_int_equal(seen, MANY);
	free(found);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, p11_setup, p11_teardown)
	const struct CMUnitTest tests[] = {
		T(a_session_object_lives_as_long_as_its_session),
		T(templates_are_checked),
		T(wrap_never_meets_decrypt_nor_unwrap_encrypt),
		T(protection_only_grows),
		T(an_attribute_can_be_emptied),
		T(generated_keys_work_and_hide),
		T(hmac_and_cmac_equal_those_made_elsewhere),
		T(ecdh_agrees_with_the_other_side),
		T(hkdf_follows_rfc_5869),
		T(keys_are_wrapped_and_unwrapped),
		T(the_tokens_keys_are_never_wrapped),
		T(private_keys_travel_wrapped),
		T(created_public_keys_verify),
		T(every_row_of_the_mechanism_table_works),
		cmocka_unit_test(private_objects_hide_without_login_where_there_is_one),
		cmocka_unit_test(logout_destroys_private_session_objects_of_all_sessions),
		T(all_session_objects_are_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
