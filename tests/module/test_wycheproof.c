/* SPDX-License-Identifier: BSD-2-Clause */
/* Symmetric mechanisms through the interface that applications use, against Project Wycheproof. */
#include "module/p11.h"
#include "unit/wycheproof.h"

enum { OUT_MAX = 64 << 10 };

static CK_SESSION_HANDLE s;
static uint8_t out[OUT_MAX];
static CK_OBJECT_CLASS secret_class = CKO_SECRET_KEY;

static int
set_up(void **state)
{
	if (p11_setup(state) != 0)
		return -1;
	s = p11_open();
	return 0;
}

/* 0: no key can have this length. */
static CK_OBJECT_HANDLE
secret(CK_KEY_TYPE type, struct vs_bytes v, CK_BBOOL wraps)
{
	CK_OBJECT_HANDLE h = 0;
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, secret_class), ATTR(CKA_KEY_TYPE, type),
		BYTES(CKA_VALUE, v.p, v.n), ATTR(CKA_WRAP, wraps), ATTR(CKA_UNWRAP, wraps)};
	const CK_RV rv = C_CreateObject(s, t, COUNT(t), &h);
	if (rv != CKR_OK)
		assert_rv(rv, CKR_ATTRIBUTE_VALUE_INVALID);
	return h;
}

/* The octets of a key that may be read; into out. */
static struct vs_bytes
value_of(CK_OBJECT_HANDLE h)
{
	CK_ATTRIBUTE a = BYTES(CKA_VALUE, out, sizeof out);
	assert_rv_ok(C_GetAttributeValue(s, h, &a, 1));
	return (struct vs_bytes){out, a.ulValueLen};
}

static CK_RV
crypt(bool encrypt, CK_MECHANISM *m, CK_OBJECT_HANDLE key, struct vs_bytes in, bool pieces,
	CK_ULONG *ret_n)
{
	CK_ULONG at = 0, n = sizeof out;
	CK_RV rv = encrypt ? C_EncryptInit(s, m, key) : C_DecryptInit(s, m, key);
	memset(out, 0xa5, sizeof out);
	if (rv == CKR_OK && !pieces)
		rv = encrypt ? C_Encrypt(s, STR(in.p), in.n, out, &n)
			     : C_Decrypt(s, STR(in.p), in.n, out, &n);
	for (CK_ULONG step = 1; rv == CKR_OK && pieces && in.n != 0; step++) {
		const CK_ULONG take = step < in.n ? step : in.n;
		n = sizeof out - at;
		rv = encrypt ? C_EncryptUpdate(s, STR(in.p), take, out + at, &n)
			     : C_DecryptUpdate(s, STR(in.p), take, out + at, &n);
		at += n;
		in = (struct vs_bytes){in.p + take, in.n - take};
	}
	if (rv == CKR_OK && pieces) {
		n = sizeof out - at;
		rv = encrypt ? C_EncryptFinal(s, out + at, &n) : C_DecryptFinal(s, out + at, &n);
	}
	*ret_n = at + n;
	return rv;
}

static enum wp_answer
cipher_case(const struct wp_case *c, CK_MECHANISM *m, struct vs_bytes msg, struct vs_bytes ct)
{
	const CK_OBJECT_HANDLE key = secret(CKK_AES, wp_hex(c, "key"), CK_FALSE);
	enum wp_answer answer = WP_REFUSED;
	CK_ULONG n = 0;
	assert_int_not_equal(key, 0);
	for (int pieces = 0; pieces < 2; pieces++) {
		const CK_RV rv = crypt(false, m, key, ct, pieces != 0, &n);
		if (rv == CKR_OK) {
			wp_same(c, "plaintext", (struct vs_bytes){out, n}, msg);
			answer = WP_TOOK;
		} else {
			assert_true(rv == CKR_ENCRYPTED_DATA_INVALID ||
				rv == CKR_ENCRYPTED_DATA_LEN_RANGE ||
				rv == CKR_MECHANISM_PARAM_INVALID);
			assert_int_equal(answer, WP_REFUSED);
			for (size_t i = 0; pieces == 0 && i < sizeof out; i++)
				assert_int_equal(out[i], 0xa5);
		}
		if (c->result != WP_VALID || answer != WP_TOOK)
			continue;
		assert_rv_ok(crypt(true, m, key, msg, pieces != 0, &n));
		wp_same(c, "ciphertext", (struct vs_bytes){out, n}, ct);
	}
	assert_rv_ok(C_DestroyObject(s, key));
	return answer;
}

/* Text and tag one after the other. */
static struct vs_bytes
with_tag(const struct wp_case *c)
{
	static uint8_t both[OUT_MAX];
	const struct vs_bytes ct = wp_hex(c, "ct"), tag = wp_hex(c, "tag");
	assert_true(ct.n + tag.n <= sizeof both);
	if (ct.n != 0)
		memcpy(both, ct.p, ct.n);
	if (tag.n != 0)
		memcpy(both + ct.n, tag.p, tag.n);
	return (struct vs_bytes){both, ct.n + tag.n};
}

/* The same message by the functions of version 3.0, in one call and in parts. */
static CK_RV
message(const struct wp_case *c, bool parts, CK_ULONG *ret_n)
{
	const struct vs_bytes iv = wp_hex(c, "iv"), aad = wp_hex(c, "aad"), ct = wp_hex(c, "ct"),
			      tag = wp_hex(c, "tag");
	CK_GCM_MESSAGE_PARAMS p = {(CK_BYTE_PTR)(uintptr_t)iv.p, iv.n, 0, CKG_NO_GENERATE,
		(CK_BYTE_PTR)(uintptr_t)tag.p, (CK_ULONG)wp_int(c, "tagSize")};
	const CK_ULONG cut = ct.n / 3;
	CK_ULONG n = sizeof out;
	CK_RV rv;
	memset(out, 0xa5, sizeof out);
	*ret_n = sizeof out;
	if (!parts)
		return C_DecryptMessage(
			s, &p, sizeof p, STR(aad.p), aad.n, STR(ct.p), ct.n, out, ret_n);
	rv = C_DecryptMessageBegin(s, &p, sizeof p, STR(aad.p), aad.n);
	if (rv == CKR_OK)
		rv = C_DecryptMessageNext(s, &p, sizeof p, STR(ct.p), cut, out, &n, 0);
	if (rv == CKR_OK)
		rv = C_DecryptMessageNext(s, &p, sizeof p, STR(ct.p + cut), ct.n - cut, out, ret_n,
			CKF_END_OF_MESSAGE);
	return rv;
}

static void
message_both_ways(const struct wp_case *c, bool took)
{
	const CK_OBJECT_HANDLE key = secret(CKK_AES, wp_hex(c, "key"), CK_FALSE);
	CK_ULONG n = 0;
	assert_rv_ok(C_MessageDecryptInit(s, MECH(CKM_AES_GCM), key));
	for (int parts = 0; parts < 2; parts++) {
		const CK_RV rv = message(c, parts != 0, &n);
		if (took) {
			assert_rv_ok(rv);
			wp_same(c, "plaintext", (struct vs_bytes){out, n}, wp_hex(c, "msg"));
		} else {
			assert_true(
				rv == CKR_AEAD_DECRYPT_FAILED || rv == CKR_MECHANISM_PARAM_INVALID);
			for (size_t i = 0; i < sizeof out; i++)
				assert_int_equal(out[i], 0xa5);
		}
	}
	assert_rv_ok(C_MessageDecryptFinal(s));
	assert_rv_ok(C_DestroyObject(s, key));
}

static enum wp_answer
gcm_case(const struct wp_case *c)
{
	const struct vs_bytes iv = wp_hex(c, "iv"), aad = wp_hex(c, "aad");
	CK_GCM_PARAMS p = {(CK_BYTE_PTR)(uintptr_t)iv.p, iv.n, iv.n * 8,
		(CK_BYTE_PTR)(uintptr_t)aad.p, aad.n, (CK_ULONG)wp_int(c, "tagSize")};
	if (iv.n > 128) {
		const CK_OBJECT_HANDLE key = secret(CKK_AES, wp_hex(c, "key"), CK_FALSE);
		assert_rv(
			C_DecryptInit(s, MECH_P(CKM_AES_GCM, p), key), CKR_MECHANISM_PARAM_INVALID);
		return WP_NOT_OFFERED;
	}
	const enum wp_answer answer =
		cipher_case(c, MECH_P(CKM_AES_GCM, p), wp_hex(c, "msg"), with_tag(c));
	message_both_ways(c, answer == WP_TOOK);
	return answer;
}

static enum wp_answer
ccm_case(const struct wp_case *c)
{
	const struct vs_bytes iv = wp_hex(c, "iv"), aad = wp_hex(c, "aad"), msg = wp_hex(c, "msg");
	CK_CCM_PARAMS p = {.ulDataLen = msg.n,
		.pNonce = (CK_BYTE_PTR)(uintptr_t)iv.p,
		.ulNonceLen = iv.n,
		.pAAD = (CK_BYTE_PTR)(uintptr_t)aad.p,
		.ulAADLen = aad.n,
		.ulMACLen = (CK_ULONG)wp_int(c, "tagSize") / 8};
	return cipher_case(c, MECH_P(CKM_AES_CCM, p), msg, with_tag(c));
}

static enum wp_answer
cbc_case(const struct wp_case *c)
{
	const struct vs_bytes iv = wp_hex(c, "iv");
	CK_MECHANISM m = {CKM_AES_CBC_PAD, (CK_BYTE_PTR)(uintptr_t)iv.p, iv.n};
	return cipher_case(c, &m, wp_hex(c, "msg"), wp_hex(c, "ct"));
}

static CK_MECHANISM_TYPE mac_type, hkdf_hash;
static CK_KEY_TYPE mac_key;

static enum wp_answer
mac_case(const struct wp_case *c)
{
	const CK_OBJECT_HANDLE key = secret(mac_key, wp_hex(c, "key"), CK_FALSE);
	const struct vs_bytes msg = wp_hex(c, "msg"), tag = wp_hex(c, "tag");
	CK_ULONG size = (CK_ULONG)wp_int(c, "tagSize") / 8, n = sizeof out;
	if (key == 0)
		return WP_REFUSED;
	assert_rv_ok(C_VerifyInit(s, MECH_P(mac_type, size), key));
	const CK_RV rv = C_Verify(s, STR(msg.p), msg.n, STR(tag.p), tag.n);
	if (rv != CKR_OK)
		assert_rv(rv, CKR_SIGNATURE_INVALID);
	assert_rv_ok(C_MessageVerifyInit(s, MECH_P(mac_type, size), key));
	assert_rv(C_VerifyMessage(s, NULL, 0, STR(msg.p), msg.n, STR(tag.p), tag.n), rv);
	assert_rv_ok(C_MessageVerifyFinal(s));
	if (c->result == WP_VALID) {
		assert_rv_ok(C_SignInit(s, MECH_P(mac_type, size), key));
		assert_rv_ok(C_SignUpdate(s, STR(msg.p), msg.n / 2));
		assert_rv_ok(C_SignUpdate(s, STR(msg.p + msg.n / 2), msg.n - msg.n / 2));
		assert_rv_ok(C_SignFinal(s, out, &n));
		wp_same(c, "MAC", (struct vs_bytes){out, n}, tag);
	}
	assert_rv_ok(C_DestroyObject(s, key));
	return rv == CKR_OK ? WP_TOOK : WP_REFUSED;
}

static enum wp_answer
wrap_case(const struct wp_case *c, CK_MECHANISM_TYPE type)
{
	const CK_OBJECT_HANDLE kek = secret(CKK_AES, wp_hex(c, "key"), CK_TRUE);
	const struct vs_bytes msg = wp_hex(c, "msg"), ct = wp_hex(c, "ct");
	CK_KEY_TYPE generic = CKK_GENERIC_SECRET;
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, secret_class), ATTR(CKA_KEY_TYPE, generic),
		ATTR(CKA_EXTRACTABLE, ck_true)};
	const size_t least = type == CKM_AES_KEY_WRAP ? 24 : 16;
	CK_OBJECT_HANDLE h = 0;
	CK_ULONG n = sizeof out;
	const CK_RV rv = C_UnwrapKey(s, MECH(type), kek, STR(ct.p), ct.n, t, COUNT(t), &h);
	if (rv == CKR_OK) {
		wp_same(c, "key", value_of(h), msg);
		assert_rv_ok(C_WrapKey(s, MECH(type), kek, h, out, &n));
		wp_same(c, "wrapped key", (struct vs_bytes){out, n}, ct);
		assert_rv_ok(C_DestroyObject(s, h));
	} else {
		assert_true(rv == CKR_WRAPPED_KEY_INVALID ||
			(rv == CKR_WRAPPED_KEY_LEN_RANGE &&
				(ct.n < least || ct.n % 8 != 0 || msg.n == 0)));
	}
	assert_rv_ok(C_DestroyObject(s, kek));
	/* RFC 5649 wraps nothing, too; a key of no octets there is not. */
	if (rv != CKR_OK && c->result == WP_VALID && msg.n == 0)
		return WP_NOT_OFFERED;
	return rv == CKR_OK ? WP_TOOK : WP_REFUSED;
}

static enum wp_answer
kw_case(const struct wp_case *c)
{
	return wrap_case(c, CKM_AES_KEY_WRAP);
}

static enum wp_answer
kwp_case(const struct wp_case *c)
{
	return wrap_case(c, CKM_AES_KEY_WRAP_KWP);
}

static enum wp_answer
kwp_old_name_case(const struct wp_case *c)
{
	return wrap_case(c, CKM_AES_KEY_WRAP_PAD);
}

static enum wp_answer
hkdf_case(const struct wp_case *c)
{
	const CK_OBJECT_HANDLE base = secret(CKK_HKDF, wp_hex(c, "ikm"), CK_FALSE);
	const struct vs_bytes salt = wp_hex(c, "salt"), info = wp_hex(c, "info");
	CK_KEY_TYPE generic = CKK_GENERIC_SECRET;
	CK_OBJECT_CLASS data_class = CKO_DATA;
	CK_ULONG size = (CK_ULONG)wp_int(c, "size");
	/* What is too long for a key comes as data. */
	const bool data = size > 4096;
	CK_ATTRIBUTE t[] = {ATTR(CKA_VALUE_LEN, size), ATTR(CKA_CLASS, secret_class),
		ATTR(CKA_KEY_TYPE, generic)};
	if (data)
		t[1] = (CK_ATTRIBUTE)ATTR(CKA_CLASS, data_class);
	CK_HKDF_PARAMS p = {.bExtract = CK_TRUE,
		.bExpand = CK_TRUE,
		.prfHashMechanism = hkdf_hash,
		.ulSaltType = salt.n == 0 ? CKF_HKDF_SALT_NULL : CKF_HKDF_SALT_DATA,
		.pSalt = (CK_BYTE_PTR)(uintptr_t)salt.p,
		.ulSaltLen = salt.n,
		.pInfo = (CK_BYTE_PTR)(uintptr_t)info.p,
		.ulInfoLen = info.n};
	CK_OBJECT_HANDLE h = 0;
	assert_int_not_equal(base, 0);
	const CK_RV rv = C_DeriveKey(
		s, MECH_P(data ? CKM_HKDF_DATA : CKM_HKDF_DERIVE, p), base, t, data ? 2 : 3, &h);
	if (rv == CKR_OK) {
		wp_same(c, "key", value_of(h), wp_hex(c, "okm"));
		assert_rv_ok(C_DestroyObject(s, h));
	} else {
		assert_rv(rv, CKR_KEY_SIZE_RANGE);
	}
	assert_rv_ok(C_DestroyObject(s, base));
	return rv == CKR_OK ? WP_TOOK : WP_REFUSED;
}

/* ---- the tests --------------------------------------------------------------------------- */

static void
ciphers_agree_with_wycheproof(void **state)
{
	(void)state;
	wp_run("aes_gcm_test", gcm_case, 3); /* IVs of 257 octets */
	wp_run("aes_ccm_test", ccm_case, 0);
	wp_run("aes_cbc_pkcs5_test", cbc_case, 0);
}

static void
macs_agree_with_wycheproof(void **state)
{
	static const struct {
		const char *name;
		CK_MECHANISM_TYPE type;
		CK_KEY_TYPE key;
	} files[] = {
		{"aes_cmac_test", CKM_AES_CMAC_GENERAL, CKK_AES},
		{"hmac_sha1_test", CKM_SHA_1_HMAC_GENERAL, CKK_SHA_1_HMAC},
		{"hmac_sha256_test", CKM_SHA256_HMAC_GENERAL, CKK_GENERIC_SECRET},
		{"hmac_sha384_test", CKM_SHA384_HMAC_GENERAL, CKK_SHA384_HMAC},
		{"hmac_sha512_test", CKM_SHA512_HMAC_GENERAL, CKK_GENERIC_SECRET},
		{"hmac_sha3_256_test", CKM_SHA3_256_HMAC_GENERAL, CKK_SHA3_256_HMAC},
		{"hmac_sha3_512_test", CKM_SHA3_512_HMAC_GENERAL, CKK_GENERIC_SECRET},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(files); i++) {
		mac_type = files[i].type;
		mac_key = files[i].key;
		wp_run(files[i].name, mac_case, 0);
	}
}

static void
key_wrapping_agrees_with_wycheproof(void **state)
{
	(void)state;
	wp_run("aes_wrap_test", kw_case, 0);
	wp_run("aes_kwp_test", kwp_case, 0);
	wp_run("aes_kwp_test", kwp_old_name_case, 0);
}

static void
hkdf_agrees_with_wycheproof(void **state)
{
	static const struct {
		const char *name;
		CK_MECHANISM_TYPE hash;
	} files[] = {
		{"hkdf_sha1_test", CKM_SHA_1},
		{"hkdf_sha256_test", CKM_SHA256},
		{"hkdf_sha384_test", CKM_SHA384},
		{"hkdf_sha512_test", CKM_SHA512},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(files); i++) {
		hkdf_hash = files[i].hash;
		wp_run(files[i].name, hkdf_case, 0);
	}
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, p11_teardown)
	const struct CMUnitTest tests[] = {
		T(ciphers_agree_with_wycheproof),
		T(macs_agree_with_wycheproof),
		T(key_wrapping_agrees_with_wycheproof),
		T(hkdf_agrees_with_wycheproof),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
