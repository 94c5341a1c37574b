/* SPDX-License-Identifier: BSD-2-Clause */
/* RSA and elliptic curves against Project Wycheproof's vectors. */
#include "crypto/derive.h"
#include "crypto/rsa_crypt.h"
#include "crypto/rsa_pad.h"
#include "crypto/sign.h"
#include "unit/wycheproof.h"

static uint8_t out[2048];

/* ---- signatures -------------------------------------------------------------------------- */

static enum wp_answer
verify_case(const struct wp_case *c, struct vs_sign_params p)
{
	struct vs_pkey *k = NULL;
	struct vs_signer *s = NULL;
	struct vs_err err = {0};

	if (p.scheme == VS_SIGN_ECDSA) {
		assert_ok(vs_pkey_from_spki(c->o, wp_hex(c, "publicKeyDer"), &k, &err), &err);
	} else {
		/* Some signatures were made with e = 3; only verification may use such a key. */
		json_t *key = json_object_get(c->group, "publicKey");
		const struct vs_key_public pub = {
			.type = VS_KEY_RSA,
			.n = wp_hex_of(key, "modulus"),
			.e = wp_hex_of(key, "publicExponent"),
		};
		const vs_rc strict = vs_pkey_from_public(c->o, &pub, false, &k, &err);
		if (vs_failed(strict)) {
			assert_code(strict, BAD_KEY);
			assert_ok(vs_pkey_from_public(c->o, &pub, true, &k, &err), &err);
		}
	}
	assert_ok(vs_signer_new(k, &p, true, &s, &err), &err);
	const vs_rc rc = vs_signer_verify_once(s, wp_hex(c, "msg"), wp_hex(c, "sig"), &err);
	if (vs_failed(rc))
		assert_true(rc.code == VS_E_SIGNATURE || rc.code == VS_E_SIGNATURE_LEN);
	vs_signer_free(s);
	vs_pkey_unref(k);
	return vs_failed(rc) ? WP_REFUSED : WP_TOOK;
}

static enum wp_answer
pkcs1_verify_case(const struct wp_case *c)
{
	return verify_case(c,
		(struct vs_sign_params){
			.scheme = VS_SIGN_RSA_PKCS1, .hash = wp_hash(wp_str(c, "sha"))});
}

static enum wp_answer
pss_verify_case(const struct wp_case *c)
{
	const enum vs_hash h = wp_hash(wp_str(c, "sha"));
	return verify_case(c,
		(struct vs_sign_params){
			.scheme = VS_SIGN_RSA_PSS,
			.hash = h,
			.pss_hash = h,
			.mgf_hash = wp_hash(wp_str(c, "mgfSha")),
			.salt_bytes = (uint32_t)wp_int(c, "sLen"),
		});
}

static enum wp_answer
ecdsa_verify_case(const struct wp_case *c)
{
	return verify_case(c,
		(struct vs_sign_params){
			.scheme = VS_SIGN_ECDSA, .hash = wp_hash(wp_str(c, "sha"))});
}

static struct vs_key_private
parts_of(const struct wp_case *c)
{
	json_t *k = json_object_get(c->group, "privateKey");
	return (struct vs_key_private){
		.pub = {.type = VS_KEY_RSA,
			.n = wp_hex_of(k, "modulus"),
			.e = wp_hex_of(k, "publicExponent")},
		.d = wp_hex_of(k, "privateExponent"),
	};
}

/* The private key comes as n, e, d only, so its factors are recovered on the way. */
static enum wp_answer
pkcs1_sign_case(const struct wp_case *c)
{
	static struct vs_pkey *k;
	static json_t *k_group;
	struct vs_signer *s = NULL;
	struct vs_err err = {0};
	const struct vs_sign_params p = {
		.scheme = VS_SIGN_RSA_PKCS1, .hash = wp_hash(wp_str(c, "sha"))};
	size_t n = 0;

	if (k_group != c->group) {
		const struct vs_key_private parts = parts_of(c);
		const vs_rc rc = vs_pkey_from_private(c->o, &parts, &k, &err);
		if (vs_failed(rc) && parts.pub.e.n < 3) {
			assert_code(rc, BAD_KEY); /* e = 3 */
			return WP_NOT_OFFERED;
		}
		assert_ok(rc, &err);
		k_group = c->group;
	}
	assert_ok(vs_signer_new(k, &p, false, &s, &err), &err);
	assert_ok(vs_signer_sign_once(s, wp_hex(c, "msg"), out, sizeof out, &n, &err), &err);
	wp_same(c, "signature", vs_bytes_of(out, n), wp_hex(c, "sig"));
	vs_signer_free(s);
	if (json_array_get(json_object_get(c->group, "tests"),
		    json_array_size(json_object_get(c->group, "tests")) - 1) == c->test) {
		vs_pkey_unref(k);
		k = NULL;
		k_group = NULL;
	}
	return WP_TOOK;
}

/* ---- decryption -------------------------------------------------------------------------- */

static struct vs_rsa *
decrypter(const struct wp_case *c, const struct vs_rsa_params *p)
{
	struct vs_pkey *k = NULL;
	struct vs_rsa *r = NULL;
	struct vs_err err = {0};

	assert_ok(vs_pkey_from_pkcs8(c->o, wp_hex(c, "privateKeyPkcs8"), &k, &err), &err);
	assert_ok(vs_rsa_new(k, p, false, &r, &err), &err);
	vs_pkey_unref(k);
	return r;
}

static enum wp_answer
oaep_case(const struct wp_case *c)
{
	const struct vs_rsa_params p = {
		.scheme = VS_RSA_OAEP,
		.hash = wp_hash(wp_str(c, "sha")),
		.mgf_hash = wp_hash(wp_str(c, "mgfSha")),
		.label = wp_hex(c, "label"),
	};
	struct vs_rsa *r = decrypter(c, &p);
	struct vs_err err = {0};
	size_t n = 0;

	memset(out, 0xa5, sizeof out);
	const vs_rc rc = vs_rsa_decrypt(r, wp_hex(c, "ct"), out, sizeof out, &n, &err);
	vs_rsa_free(r);
	if (vs_failed(rc)) {
		assert_true(rc.code == VS_E_DATA || rc.code == VS_E_DATA_LEN);
		for (size_t i = 0; i < sizeof out; i++)
			assert_int_equal(out[i], 0xa5);
		return WP_REFUSED;
	}
	wp_same(c, "plaintext", vs_bytes_of(out, n), wp_hex(c, "msg"));
	return WP_TOOK;
}

/*
 * A bad padding is not an error: it gives a message that is always the same, and is not what an
 * unpadding without checks would give. Bad lengths are errors, because a length is public.
 */
static enum wp_answer
pkcs1_case(const struct wp_case *c)
{
	const struct vs_rsa_params p = {.scheme = VS_RSA_PKCS1};
	struct vs_rsa *r = decrypter(c, &p);
	struct vs_err err = {0};
	uint8_t again[sizeof out];
	size_t n = 0, n2 = 0;
	const struct vs_bytes ct = wp_hex(c, "ct"), msg = wp_hex(c, "msg");

	const vs_rc rc = vs_rsa_decrypt(r, ct, out, sizeof out, &n, &err);
	if (vs_failed(rc)) {
		vs_rsa_free(r);
		/* wrong length, or not below the modulus: both can be seen without the key */
		assert_true(rc.code == VS_E_DATA_LEN || rc.code == VS_E_DATA);
		return WP_REFUSED;
	}
	assert_ok(vs_rsa_decrypt(r, ct, again, sizeof again, &n2, &err), &err);
	assert_int_equal(n, n2);
	assert_memory_equal(out, again, n);
	assert_true(n <= vs_rsa_size(r));
	vs_rsa_free(r);
	if (c->result == WP_VALID) {
		wp_same(c, "plaintext", vs_bytes_of(out, n), msg);
		return WP_TOOK;
	}
	assert_false(n != 0 && vs_bytes_eq(vs_bytes_of(out, n), msg));
	return WP_REFUSED;
}

/* ---- key agreement ----------------------------------------------------------------------- */

/* A point with x = 0 is a legal result on these curves, but we refuse it (T-P5). */
static bool
is_zero(struct vs_bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] != 0)
			return false;
	return b.n != 0;
}

static enum wp_answer
agree(const struct wp_case *c, enum vs_curve curve, struct vs_bytes point)
{
	const struct vs_key_private parts = {
		.pub = {.type = VS_KEY_EC, .curve = curve},
		.d = wp_hex(c, "private"),
	};
	const struct vs_ecdh_params p = {.point = point};
	struct vs_pkey *k = NULL;
	struct vs_secret z = {0};
	struct vs_err err = {0};

	assert_ok(vs_pkey_from_private(c->o, &parts, &k, &err), &err);
	const vs_rc rc = vs_derive_ecdh(k, &p, 0, c->arena, &z, &err);
	vs_pkey_unref(k);
	if (vs_failed(rc)) {
		assert_code(rc, PARAM);
		return is_zero(wp_hex(c, "shared")) ? WP_NOT_OFFERED : WP_REFUSED;
	}
	wp_same(c, "shared secret", vs_secret_view(&z), wp_hex(c, "shared"));
	vs_secret_done(&z);
	return WP_TOOK;
}

static enum vs_curve
curve_of(const struct wp_case *c)
{
	static const struct {
		const char *name;
		enum vs_curve curve;
	} rows[] = {{"secp256r1", VS_CURVE_P256}, {"secp384r1", VS_CURVE_P384},
		{"secp521r1", VS_CURVE_P521}, {"secp256k1", VS_CURVE_P256K}};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (strcmp(wp_str(c, "curve"), rows[i].name) == 0)
			return rows[i].curve;
	fail_msg("the curve %s is not known", wp_str(c, "curve"));
	return VS_CURVE_NONE;
}

static enum wp_answer
ecdh_point_case(const struct wp_case *c)
{
	return agree(c, curve_of(c), wp_hex(c, "public"));
}

static enum wp_answer
ecdh_spki_case(const struct wp_case *c)
{
	struct vs_pkey *peer = NULL;
	struct vs_buf point = {.max = 256};
	struct vs_err err = {0};

	if (vs_failed(vs_pkey_from_spki(c->o, wp_hex(c, "public"), &peer, &err)))
		return WP_REFUSED;
	const bool same_curve = vs_pkey_desc(peer).curve == curve_of(c);
	enum wp_answer answer = WP_REFUSED;
	if (same_curve) {
		assert_ok(vs_pkey_ec_point(peer, &point, &err), &err);
		answer = agree(c, curve_of(c), vs_buf_view(&point));
	}
	vs_buf_done(&point);
	vs_pkey_unref(peer);
	return answer;
}

/* ---- the tests --------------------------------------------------------------------------- */

static void
run_all(const char *const *files, wp_fn fn)
{
	for (; *files != NULL; files++)
		wp_run(*files, fn, 0);
}

static void
rsa_pkcs1_verification_agrees_with_wycheproof(void **state)
{
	static const char *const files[] = {"rsa_signature_2048_sha224_test",
		"rsa_signature_2048_sha256_test", "rsa_signature_2048_sha384_test",
		"rsa_signature_2048_sha512_test", "rsa_signature_2048_sha3_224_test",
		"rsa_signature_2048_sha3_256_test", "rsa_signature_2048_sha3_384_test",
		"rsa_signature_2048_sha3_512_test", "rsa_signature_3072_sha256_test",
		"rsa_signature_4096_sha512_test", NULL};

	(void)state;
	run_all(files, pkcs1_verify_case);
}

static void
rsa_pkcs1_signing_agrees_with_wycheproof(void **state)
{
	(void)state;
	/* not offered: keys with e = 3 */
	wp_run("rsa_pkcs1_2048_sig_gen_test", pkcs1_sign_case, 3);
	wp_run("rsa_pkcs1_3072_sig_gen_test", pkcs1_sign_case, 2);
	wp_run("rsa_pkcs1_4096_sig_gen_test", pkcs1_sign_case, 0);
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
rsa_oaep_agrees_with_wycheproof(void **state)
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

	(void)state;
	run_all(files, oaep_case);
}

static void
rsa_pkcs1_decryption_never_tells_bad_padding(void **state)
{
	static const char *const files[] = {
		"rsa_pkcs1_2048_test", "rsa_pkcs1_3072_test", "rsa_pkcs1_4096_test", NULL};

	(void)state;
	run_all(files, pkcs1_case);
}

static void
ecdh_agrees_with_wycheproof(void **state)
{
	(void)state;
	/* not offered: the shared secret zero */
	wp_run("ecdh_secp256r1_test", ecdh_spki_case, 1);
	wp_run("ecdh_secp384r1_test", ecdh_spki_case, 1);
	wp_run("ecdh_secp521r1_test", ecdh_spki_case, 1);
	wp_run("ecdh_secp256k1_test", ecdh_spki_case, 0);
	wp_run("ecdh_secp256r1_ecpoint_test", ecdh_point_case, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rsa_pkcs1_verification_agrees_with_wycheproof),
		cmocka_unit_test(rsa_pkcs1_signing_agrees_with_wycheproof),
		cmocka_unit_test(rsa_pss_agrees_with_wycheproof),
		cmocka_unit_test(ecdsa_agrees_with_wycheproof),
		cmocka_unit_test(rsa_oaep_agrees_with_wycheproof),
		cmocka_unit_test(rsa_pkcs1_decryption_never_tells_bad_padding),
		cmocka_unit_test(ecdh_agrees_with_wycheproof),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
