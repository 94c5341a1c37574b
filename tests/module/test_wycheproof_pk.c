/* SPDX-License-Identifier: BSD-2-Clause */
/* RSA and EC mechanisms through the interface that applications use, against Project Wycheproof. */
#include "crypto/pkey.h"
#include "module/p11.h"
#include "unit/wycheproof.h"

static CK_SESSION_HANDLE s;
static uint8_t out[2048];
static CK_OBJECT_CLASS public_class = CKO_PUBLIC_KEY, private_class = CKO_PRIVATE_KEY,
		       secret_class = CKO_SECRET_KEY;
static CK_KEY_TYPE rsa_type = CKK_RSA, ec_type = CKK_EC, generic_type = CKK_GENERIC_SECRET;

static int
set_up(void **state)
{
	if (p11_setup(state) != 0)
		return -1;
	s = p11_open();
	return 0;
}

static const struct {
	const char *name;
	CK_MECHANISM_TYPE md, rsa, pss, ecdsa, mgf;
} hashes[] = {
	{"SHA-1", CKM_SHA_1, CKM_SHA1_RSA_PKCS, CKM_SHA1_RSA_PKCS_PSS, CKM_ECDSA_SHA1,
		CKG_MGF1_SHA1},
	{"SHA-224", CKM_SHA224, CKM_SHA224_RSA_PKCS, CKM_SHA224_RSA_PKCS_PSS, CKM_ECDSA_SHA224,
		CKG_MGF1_SHA224},
	{"SHA-256", CKM_SHA256, CKM_SHA256_RSA_PKCS, CKM_SHA256_RSA_PKCS_PSS, CKM_ECDSA_SHA256,
		CKG_MGF1_SHA256},
	{"SHA-384", CKM_SHA384, CKM_SHA384_RSA_PKCS, CKM_SHA384_RSA_PKCS_PSS, CKM_ECDSA_SHA384,
		CKG_MGF1_SHA384},
	{"SHA-512", CKM_SHA512, CKM_SHA512_RSA_PKCS, CKM_SHA512_RSA_PKCS_PSS, CKM_ECDSA_SHA512,
		CKG_MGF1_SHA512},
	{"SHA3-224", CKM_SHA3_224, CKM_SHA3_224_RSA_PKCS, 0, 0, 0},
	{"SHA3-256", CKM_SHA3_256, CKM_SHA3_256_RSA_PKCS, 0, 0, 0},
	{"SHA3-384", CKM_SHA3_384, CKM_SHA3_384_RSA_PKCS, 0, 0, 0},
	{"SHA3-512", CKM_SHA3_512, CKM_SHA3_512_RSA_PKCS, 0, 0, 0},
};

static size_t
hash(const char *name)
{
	for (size_t i = 0; i < COUNT(hashes); i++)
		if (strcmp(hashes[i].name, name) == 0)
			return i;
	fail_msg("the hash %s is not known", name);
	return 0;
}

static CK_MECHANISM
bytes_mech(CK_MECHANISM_TYPE type, const void *p, CK_ULONG n)
{
	return (CK_MECHANISM){type, (CK_VOID_PTR)(uintptr_t)p, n};
}

/* ---- keys: one for each group of cases --------------------------------------------------- */

static CK_OBJECT_HANDLE group_key;
static json_t *key_group;

/* Does the last group's key go? Then the caller makes this group's. */
static bool
new_group(const struct wp_case *c)
{
	if (key_group == c->group)
		return false;
	if (key_group != NULL && group_key != 0)
		assert_rv_ok(C_DestroyObject(s, group_key));
	key_group = c->group;
	group_key = 0;
	return true;
}

static void
end_group(void)
{
	if (key_group != NULL && group_key != 0)
		assert_rv_ok(C_DestroyObject(s, group_key));
	key_group = NULL;
	group_key = 0;
}

static CK_OBJECT_HANDLE
rsa_public(const struct wp_case *c)
{
	json_t *k = json_object_get(c->group, "publicKey");
	const struct vs_bytes n = wp_hex_of(k, "modulus"), e = wp_hex_of(k, "publicExponent");
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, public_class), ATTR(CKA_KEY_TYPE, rsa_type),
		BYTES(CKA_MODULUS, n.p, n.n), BYTES(CKA_PUBLIC_EXPONENT, e.p, e.n)};
	if (new_group(c))
		assert_rv_ok(C_CreateObject(s, t, COUNT(t), &group_key));
	return group_key;
}

/* Some groups give the factors and some do not. 0: e = 3, which no key here may have. */
static CK_OBJECT_HANDLE
rsa_private(const struct wp_case *c)
{
	static const struct {
		const char *name;
		CK_ATTRIBUTE_TYPE type;
	} parts[] = {{"modulus", CKA_MODULUS}, {"publicExponent", CKA_PUBLIC_EXPONENT},
		{"privateExponent", CKA_PRIVATE_EXPONENT}, {"prime1", CKA_PRIME_1},
		{"prime2", CKA_PRIME_2}, {"exponent1", CKA_EXPONENT_1},
		{"exponent2", CKA_EXPONENT_2}, {"coefficient", CKA_COEFFICIENT}};
	json_t *k = json_object_get(c->group, "privateKey");
	CK_ATTRIBUTE t[2 + COUNT(parts)] = {
		ATTR(CKA_CLASS, private_class), ATTR(CKA_KEY_TYPE, rsa_type)};
	CK_ULONG n = 2;
	if (!new_group(c))
		return group_key;
	for (size_t i = 0; i < COUNT(parts); i++) {
		if (json_object_get(k, parts[i].name) == NULL)
			continue;
		const struct vs_bytes v = wp_hex_of(k, parts[i].name);
		t[n++] = (CK_ATTRIBUTE)BYTES(parts[i].type, v.p, v.n);
	}
	const CK_RV rv = C_CreateObject(s, t, n, &group_key);
	if (rv != CKR_OK) {
		assert_rv(rv, CKR_ATTRIBUTE_VALUE_INVALID);
		assert_int_equal(wp_hex_of(k, "publicExponent").n, 1);
	}
	return group_key;
}

static struct vs_bytes
ec_params(const char *curve)
{
	static const uint8_t p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07},
			     p384[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22},
			     p521[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23},
			     p256k[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a};
	if (strcmp(curve, "secp256r1") == 0)
		return (struct vs_bytes){p256, sizeof p256};
	if (strcmp(curve, "secp384r1") == 0)
		return (struct vs_bytes){p384, sizeof p384};
	if (strcmp(curve, "secp521r1") == 0)
		return (struct vs_bytes){p521, sizeof p521};
	assert_string_equal(curve, "secp256k1");
	return (struct vs_bytes){p256k, sizeof p256k};
}

/* A point as a DER OCTET STRING, as CKA_EC_POINT wants it; in a static buffer. */
static struct vs_bytes
octet_string(struct vs_bytes point)
{
	static uint8_t der[200];
	size_t at = 0;
	assert_true(point.n < 150);
	der[at++] = 4;
	if (point.n > 127)
		der[at++] = 0x81;
	der[at++] = (uint8_t)point.n;
	memcpy(der + at, point.p, point.n);
	return (struct vs_bytes){der, at + point.n};
}

static CK_OBJECT_HANDLE
ec_public(const struct wp_case *c)
{
	json_t *k = json_object_get(c->group, "publicKey");
	const struct vs_bytes params = ec_params(json_string_value(json_object_get(k, "curve")));
	const struct vs_bytes point = octet_string(wp_hex_of(k, "uncompressed"));
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, public_class), ATTR(CKA_KEY_TYPE, ec_type),
		BYTES(CKA_EC_PARAMS, params.p, params.n), BYTES(CKA_EC_POINT, point.p, point.n)};
	if (new_group(c))
		assert_rv_ok(C_CreateObject(s, t, COUNT(t), &group_key));
	return group_key;
}

/* ---- signatures -------------------------------------------------------------------------- */

static enum wp_answer
verify(const struct wp_case *c, CK_MECHANISM m, CK_OBJECT_HANDLE key)
{
	const struct vs_bytes msg = wp_hex(c, "msg"), sig = wp_hex(c, "sig");
	assert_rv_ok(C_VerifyInit(s, &m, key));
	const CK_RV rv = C_Verify(s, STR(msg.p), msg.n, STR(sig.p), sig.n);
	if (rv != CKR_OK)
		assert_true(rv == CKR_SIGNATURE_INVALID || rv == CKR_SIGNATURE_LEN_RANGE);
	/* Parts say the same, to the code. */
	assert_rv_ok(C_VerifyInit(s, &m, key));
	assert_rv_ok(C_VerifyUpdate(s, STR(msg.p), msg.n / 2));
	assert_rv_ok(C_VerifyUpdate(s, STR(msg.p + msg.n / 2), msg.n - msg.n / 2));
	assert_rv(C_VerifyFinal(s, STR(sig.p), sig.n), rv);
	return rv == CKR_OK ? WP_TOOK : WP_REFUSED;
}

static enum wp_answer
pkcs1_verify_case(const struct wp_case *c)
{
	const CK_MECHANISM m = {hashes[hash(wp_str(c, "sha"))].rsa, NULL, 0};
	return verify(c, m, rsa_public(c));
}

static enum wp_answer
pss_verify_case(const struct wp_case *c)
{
	const size_t h = hash(wp_str(c, "sha"));
	const CK_RSA_PKCS_PSS_PARAMS p = {
		hashes[h].md, hashes[hash(wp_str(c, "mgfSha"))].mgf, (CK_ULONG)wp_int(c, "sLen")};
	return verify(c, bytes_mech(hashes[h].pss, &p, sizeof p), rsa_public(c));
}

static enum wp_answer
ecdsa_verify_case(const struct wp_case *c)
{
	const CK_MECHANISM m = {hashes[hash(wp_str(c, "sha"))].ecdsa, NULL, 0};
	return verify(c, m, ec_public(c));
}

static enum wp_answer
pkcs1_sign_case(const struct wp_case *c)
{
	CK_MECHANISM m = {hashes[hash(wp_str(c, "sha"))].rsa, NULL, 0};
	const CK_OBJECT_HANDLE key = rsa_private(c);
	const struct vs_bytes msg = wp_hex(c, "msg");
	CK_ULONG n = sizeof out;
	if (key == 0)
		return WP_NOT_OFFERED;
	assert_rv_ok(C_SignInit(s, &m, key));
	assert_rv_ok(C_Sign(s, STR(msg.p), msg.n, out, &n));
	wp_same(c, "signature", (struct vs_bytes){out, n}, wp_hex(c, "sig"));
	return WP_TOOK;
}

/* ---- decryption -------------------------------------------------------------------------- */

static enum wp_answer
oaep_case(const struct wp_case *c)
{
	const struct vs_bytes label = wp_hex(c, "label"), ct = wp_hex(c, "ct");
	const CK_RSA_PKCS_OAEP_PARAMS p = {hashes[hash(wp_str(c, "sha"))].md,
		hashes[hash(wp_str(c, "mgfSha"))].mgf, CKZ_DATA_SPECIFIED,
		(CK_VOID_PTR)(uintptr_t)label.p, label.n};
	CK_MECHANISM m = bytes_mech(CKM_RSA_PKCS_OAEP, &p, sizeof p);
	CK_ULONG n = sizeof out;
	memset(out, 0xa5, sizeof out);
	assert_rv_ok(C_DecryptInit(s, &m, rsa_private(c)));
	const CK_RV rv = C_Decrypt(s, STR(ct.p), ct.n, out, &n);
	if (rv == CKR_OK) {
		wp_same(c, "plaintext", (struct vs_bytes){out, n}, wp_hex(c, "msg"));
		return WP_TOOK;
	}
	assert_true(rv == CKR_ENCRYPTED_DATA_INVALID || rv == CKR_ENCRYPTED_DATA_LEN_RANGE);
	for (size_t i = 0; i < sizeof out; i++)
		assert_int_equal(out[i], 0xa5);
	return WP_REFUSED;
}

/* A bad padding is not an error: it gives a message that is always the same, and not the real one.
 */
static enum wp_answer
pkcs1_case(const struct wp_case *c)
{
	const struct vs_bytes ct = wp_hex(c, "ct"), msg = wp_hex(c, "msg");
	uint8_t again[sizeof out];
	CK_ULONG n = sizeof out, n2 = sizeof again;
	assert_rv_ok(C_DecryptInit(s, MECH(CKM_RSA_PKCS), rsa_private(c)));
	const CK_RV rv = C_Decrypt(s, STR(ct.p), ct.n, out, &n);
	if (rv != CKR_OK) {
		/* wrong length, or not below the modulus: both can be seen without the key */
		assert_true(rv == CKR_ENCRYPTED_DATA_INVALID || rv == CKR_ENCRYPTED_DATA_LEN_RANGE);
		return WP_REFUSED;
	}
	assert_rv_ok(C_DecryptInit(s, MECH(CKM_RSA_PKCS), group_key));
	assert_rv_ok(C_Decrypt(s, STR(ct.p), ct.n, again, &n2));
	assert_int_equal(n, n2);
	assert_memory_equal(out, again, n);
	if (c->result == WP_VALID) {
		wp_same(c, "plaintext", (struct vs_bytes){out, n}, msg);
		return WP_TOOK;
	}
	assert_false(n != 0 && vs_bytes_eq((struct vs_bytes){out, n}, msg));
	return WP_REFUSED;
}

/* ---- key agreement ----------------------------------------------------------------------- */

static bool
is_zero(struct vs_bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] != 0)
			return false;
	return b.n != 0;
}

/* The private key of the last case mostly is that of the next: making one costs most of the time.
 */
static CK_OBJECT_HANDLE
ec_private(struct vs_bytes params, struct vs_bytes d)
{
	static uint8_t last[80];
	static size_t last_n;
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, private_class), ATTR(CKA_KEY_TYPE, ec_type),
		BYTES(CKA_EC_PARAMS, params.p, params.n), BYTES(CKA_VALUE, d.p, d.n)};
	if (group_key != 0 && d.n == last_n && memcmp(last, d.p, d.n) == 0)
		return group_key;
	if (group_key != 0)
		assert_rv_ok(C_DestroyObject(s, group_key));
	assert_true(d.n <= sizeof last);
	memcpy(last, d.p, d.n);
	last_n = d.n;
	assert_rv_ok(C_CreateObject(s, t, COUNT(t), &group_key));
	return group_key;
}

static enum wp_answer
agree(const struct wp_case *c, struct vs_bytes point)
{
	const struct vs_bytes params = ec_params(wp_str(c, "curve")), d = wp_hex(c, "private");
	CK_ATTRIBUTE t[] = {ATTR(CKA_CLASS, secret_class), ATTR(CKA_KEY_TYPE, generic_type)};
	CK_ATTRIBUTE value = BYTES(CKA_VALUE, out, sizeof out);
	CK_OBJECT_HANDLE z = 0;
	const CK_OBJECT_HANDLE key = ec_private(params, d);
	const CK_ECDH1_DERIVE_PARAMS p = {
		CKD_NULL, 0, NULL, point.n, (CK_BYTE_PTR)(uintptr_t)point.p};
	CK_MECHANISM m = bytes_mech(CKM_ECDH1_DERIVE, &p, sizeof p);
	const CK_RV rv = C_DeriveKey(s, &m, key, t, COUNT(t), &z);
	if (rv == CKR_OK) {
		assert_rv_ok(C_GetAttributeValue(s, z, &value, 1));
		wp_same(c, "shared secret", (struct vs_bytes){out, value.ulValueLen},
			wp_hex(c, "shared"));
		assert_rv_ok(C_DestroyObject(s, z));
	} else {
		assert_rv(rv, CKR_MECHANISM_PARAM_INVALID);
	}
	if (rv == CKR_OK)
		return WP_TOOK;
	/* A point with x = 0 is a legal result on these curves, but we refuse it. */
	return is_zero(wp_hex(c, "shared")) ? WP_NOT_OFFERED : WP_REFUSED;
}

static enum wp_answer
ecdh_point_case(const struct wp_case *c)
{
	return agree(c, wp_hex(c, "public"));
}

/* The peer's key comes as a SubjectPublicKeyInfo; PKCS#11 takes its point, plain or as DER. */
static enum wp_answer
ecdh_spki_case(const struct wp_case *c)
{
	struct vs_pkey *peer = NULL;
	struct vs_buf point = {.max = 256};
	struct vs_err err = {0};
	enum wp_answer answer = WP_REFUSED;
	if (vs_failed(vs_pkey_from_spki(c->o, wp_hex(c, "public"), &peer, &err)))
		return WP_REFUSED;
	if (vs_bytes_eq(
		    vs_curve_oid_der(vs_pkey_desc(peer).curve), ec_params(wp_str(c, "curve")))) {
		assert_ok(vs_pkey_ec_point(peer, &point, &err), &err);
		answer = agree(c, vs_buf_view(&point));
		if (c->id % 32 == 0)
			assert_int_equal(agree(c, octet_string(vs_buf_view(&point))), answer);
	}
	vs_buf_done(&point);
	vs_pkey_unref(peer);
	return answer;
}

/* ---- the tests --------------------------------------------------------------------------- */

static void
run_all(const char *const *files, wp_fn fn)
{
	for (; *files != NULL; files++) {
		wp_run(*files, fn, 0);
		end_group();
	}
}

static void
rsa_pkcs1_signatures_agree_with_wycheproof(void **state)
{
	static const char *const files[] = {"rsa_signature_2048_sha224_test",
		"rsa_signature_2048_sha256_test", "rsa_signature_2048_sha384_test",
		"rsa_signature_2048_sha512_test", "rsa_signature_2048_sha3_224_test",
		"rsa_signature_2048_sha3_256_test", "rsa_signature_2048_sha3_384_test",
		"rsa_signature_2048_sha3_512_test", "rsa_signature_3072_sha256_test",
		"rsa_signature_4096_sha512_test", NULL};
	(void)state;
	run_all(files, pkcs1_verify_case);
	/* not offered: private keys with e = 3 */
	wp_run("rsa_pkcs1_2048_sig_gen_test", pkcs1_sign_case, 3);
	end_group();
	wp_run("rsa_pkcs1_3072_sig_gen_test", pkcs1_sign_case, 2);
	end_group();
	wp_run("rsa_pkcs1_4096_sig_gen_test", pkcs1_sign_case, 0);
	end_group();
}

static void
rsa_pss_agrees_with_wycheproof(void **state)
{
	static const char *const files[] = {"rsa_pss_2048_sha1_mgf1_20_test",
		"rsa_pss_2048_sha256_mgf1_0_test", "rsa_pss_2048_sha256_mgf1_32_test",
		"rsa_pss_2048_sha256_mgf1sha1_20_test", "rsa_pss_2048_sha384_mgf1_48_test",
		"rsa_pss_3072_sha256_mgf1_32_test", "rsa_pss_4096_sha512_mgf1_64_test", NULL};
	(void)state;
	run_all(files, pss_verify_case);
}

static void
ecdsa_agrees_with_wycheproof(void **state)
{
	static const char *const files[] = {"ecdsa_secp256r1_sha256_p1363_test",
		"ecdsa_secp256r1_sha512_p1363_test", "ecdsa_secp384r1_sha384_p1363_test",
		"ecdsa_secp384r1_sha512_p1363_test", "ecdsa_secp521r1_sha512_p1363_test",
		"ecdsa_secp256k1_sha256_p1363_test", "ecdsa_secp256k1_sha512_p1363_test", NULL};
	(void)state;
	run_all(files, ecdsa_verify_case);
}

static void
rsa_decryption_agrees_with_wycheproof(void **state)
{
	static const char *const files[] = {"rsa_oaep_2048_sha1_mgf1sha1_test",
		"rsa_oaep_2048_sha224_mgf1sha1_test", "rsa_oaep_2048_sha224_mgf1sha224_test",
		"rsa_oaep_2048_sha256_mgf1sha1_test", "rsa_oaep_2048_sha256_mgf1sha256_test",
		"rsa_oaep_2048_sha384_mgf1sha1_test", "rsa_oaep_2048_sha384_mgf1sha384_test",
		"rsa_oaep_2048_sha512_mgf1sha1_test", "rsa_oaep_2048_sha512_mgf1sha512_test",
		"rsa_oaep_3072_sha256_mgf1sha1_test", "rsa_oaep_3072_sha256_mgf1sha256_test",
		"rsa_oaep_3072_sha512_mgf1sha1_test", "rsa_oaep_3072_sha512_mgf1sha512_test",
		"rsa_oaep_4096_sha256_mgf1sha1_test", "rsa_oaep_4096_sha256_mgf1sha256_test",
		"rsa_oaep_4096_sha512_mgf1sha1_test", "rsa_oaep_4096_sha512_mgf1sha512_test", NULL};
	static const char *const pkcs1[] = {
		"rsa_pkcs1_2048_test", "rsa_pkcs1_3072_test", "rsa_pkcs1_4096_test", NULL};
	(void)state;
	run_all(files, oaep_case);
	run_all(pkcs1, pkcs1_case);
}

static void
ecdh_agrees_with_wycheproof(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		wp_fn fn;
		int not_offered; /* the shared secret zero */
	} files[] = {
		{"ecdh_secp256r1_test", ecdh_spki_case, 1},
		{"ecdh_secp384r1_test", ecdh_spki_case, 1},
		{"ecdh_secp521r1_test", ecdh_spki_case, 1},
		{"ecdh_secp256k1_test", ecdh_spki_case, 0},
		{"ecdh_secp256r1_ecpoint_test", ecdh_point_case, 1},
	};
	for (size_t i = 0; i < COUNT(files); i++) {
		wp_run(files[i].name, files[i].fn, files[i].not_offered);
		assert_rv_ok(C_DestroyObject(s, group_key));
		group_key = 0;
	}
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, p11_teardown)
	const struct CMUnitTest tests[] = {
		T(rsa_pkcs1_signatures_agree_with_wycheproof),
		T(rsa_pss_agrees_with_wycheproof),
		T(ecdsa_agrees_with_wycheproof),
		T(rsa_decryption_agrees_with_wycheproof),
		T(ecdh_agrees_with_wycheproof),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
