/* SPDX-License-Identifier: BSD-2-Clause */
/* Symmetric cryptography against Project Wycheproof's vectors, in both directions. */
#include "crypto/cipher.h"
#include "crypto/derive.h"
#include "crypto/keywrap.h"
#include "crypto/sign.h"
#include "unit/wycheproof.h"

enum { OUT_MAX = 64 << 10 };

static uint8_t out[OUT_MAX];

static struct vs_pkey *
aes_key(const struct wp_case *c, enum vs_key_type type)
{
	struct vs_pkey *k = NULL;
	if (vs_failed(vs_pkey_from_octets(c->o, c->arena, type, wp_hex(c, "key"), &k, NULL)))
		return NULL;
	return k;
}

/* One message through a fresh context: at once, or in pieces of 1, 2, 3 ... octets. */
static vs_rc
cipher_run(struct vs_pkey *k, enum vs_cipher_mode mode, bool encrypt,
	const struct vs_cipher_params *p, struct vs_bytes in, bool pieces, size_t *ret_n)
{
	struct vs_cipher *c = NULL;
	struct vs_err err = {0};
	size_t n = 0, total = 0;

	assert_ok(vs_cipher_new(k, mode, encrypt, &c, &err), &err);
	memset(out, 0xa5, sizeof out);
	vs_rc rc = vs_cipher_start(c, p, &err);
	if (!vs_failed(rc) && !pieces) {
		rc = vs_cipher_once(c, in, out, sizeof out, ret_n, &err);
	} else if (!vs_failed(rc)) {
		for (size_t step = 1; in.n != 0 && !vs_failed(rc); step++) {
			const size_t take = step < in.n ? step : in.n;
			const size_t bound = vs_cipher_update_size(c, take);
			rc = vs_cipher_update(c, vs_bytes_of(in.p, take), out + total,
				sizeof out - total, &n, &err);
			if (!vs_failed(rc))
				assert_int_equal(n, bound);
			total += n;
			in = vs_bytes_of(in.p + take, in.n - take);
		}
		if (!vs_failed(rc))
			rc = vs_cipher_final(c, out + total, sizeof out - total, &n, &err);
		*ret_n = total + n;
	}
	vs_cipher_free(c);
	return rc;
}

static enum wp_answer
cipher_case(const struct wp_case *c, enum vs_cipher_mode mode, const struct vs_cipher_params *p,
	struct vs_bytes msg, struct vs_bytes ct)
{
	struct vs_pkey *k = aes_key(c, VS_KEY_AES);
	enum wp_answer answer = WP_REFUSED;
	size_t n = 0;

	assert_non_null(k);
	for (int pieces = 0; pieces < 2; pieces++) {
		const vs_rc rc = cipher_run(k, mode, false, p, ct, pieces != 0, &n);
		if (!vs_failed(rc)) {
			wp_same(c, "plaintext", vs_bytes_of(out, n), msg);
			answer = WP_TOOK;
		} else {
			assert_true(rc.code == VS_E_DATA || rc.code == VS_E_DATA_LEN ||
				rc.code == VS_E_PARAM);
			assert_true(pieces == 0 || answer == WP_REFUSED);
			for (size_t i = 0; pieces == 0 && i < sizeof out; i++)
				assert_int_equal(out[i], 0xa5);
		}
		if (c->result != WP_VALID || answer != WP_TOOK)
			continue;
		assert_false(vs_failed(cipher_run(k, mode, true, p, msg, pieces != 0, &n)));
		wp_same(c, "ciphertext", vs_bytes_of(out, n), ct);
	}
	vs_pkey_unref(k);
	return answer;
}

static enum wp_answer
aead_case(const struct wp_case *c, enum vs_cipher_mode mode)
{
	struct vs_buf whole = {.max = OUT_MAX};
	const struct vs_bytes msg = wp_hex(c, "msg"), ct = wp_hex(c, "ct"), tag = wp_hex(c, "tag");
	const struct vs_cipher_params p = {
		.iv = wp_hex(c, "iv"),
		.aad = wp_hex(c, "aad"),
		.tag_bytes = (uint32_t)wp_int(c, "tagSize") / 8,
		.data_bytes = msg.n,
	};

	if (mode == VS_CIPHER_GCM && p.iv.n > VS_AEAD_IV_MAX)
		return WP_NOT_OFFERED;
	assert_false(vs_failed(vs_buf_add(&whole, ct.p, ct.n, NULL)));
	assert_false(vs_failed(vs_buf_add(&whole, tag.p, tag.n, NULL)));
	const enum wp_answer answer = cipher_case(c, mode, &p, msg, vs_buf_view(&whole));
	vs_buf_done(&whole);
	return answer;
}

static enum wp_answer
gcm_case(const struct wp_case *c)
{
	return aead_case(c, VS_CIPHER_GCM);
}

static enum wp_answer
ccm_case(const struct wp_case *c)
{
	return aead_case(c, VS_CIPHER_CCM);
}

static enum wp_answer
cbc_case(const struct wp_case *c)
{
	const struct vs_cipher_params p = {.iv = wp_hex(c, "iv")};
	return cipher_case(c, VS_CIPHER_CBC_PAD, &p, wp_hex(c, "msg"), wp_hex(c, "ct"));
}

static enum wp_answer
mac_case(const struct wp_case *c, enum vs_key_type type, const struct vs_sign_params *base)
{
	struct vs_pkey *k = aes_key(c, type);
	struct vs_sign_params p = *base;
	struct vs_signer *sign = NULL, *verify = NULL;
	struct vs_err err = {0};
	const struct vs_bytes msg = wp_hex(c, "msg"), tag = wp_hex(c, "tag");
	size_t n = 0;

	if (k == NULL)
		return WP_REFUSED;
	p.mac_bytes = (uint32_t)wp_int(c, "tagSize") / 8;
	assert_ok(vs_signer_new(k, &p, false, &sign, &err), &err);
	assert_ok(vs_signer_new(k, &p, true, &verify, &err), &err);
	const vs_rc rc = vs_signer_verify_once(verify, msg, tag, &err);
	if (vs_failed(rc))
		assert_code(rc, SIGNATURE);
	/* twice: the prepared context is used again */
	for (int i = 0; i < 2 && c->result == WP_VALID; i++) {
		assert_ok(vs_signer_sign_once(sign, msg, out, sizeof out, &n, &err), &err);
		wp_same(c, "MAC", vs_bytes_of(out, n), tag);
		assert_ok(vs_signer_verify_once(verify, msg, tag, &err), &err);
	}
	vs_signer_free(sign);
	vs_signer_free(verify);
	vs_pkey_unref(k);
	return vs_failed(rc) ? WP_REFUSED : WP_TOOK;
}

static enum wp_answer
cmac_case(const struct wp_case *c)
{
	const struct vs_sign_params p = {.scheme = VS_SIGN_CMAC};
	return mac_case(c, VS_KEY_AES, &p);
}

static enum vs_hash file_hash;

static enum wp_answer
hmac_case(const struct wp_case *c)
{
	const struct vs_sign_params p = {.scheme = VS_SIGN_HMAC, .hash = file_hash};
	return mac_case(c, VS_KEY_SECRET, &p);
}

static enum wp_answer
wrap_case(const struct wp_case *c, enum vs_wrap_mode mode)
{
	struct vs_pkey *k = aes_key(c, VS_KEY_AES);
	struct vs_err err = {0};
	struct vs_secret clear = {0};
	struct vs_buf wrapped = {.max = VS_WRAP_MAX};
	const struct vs_bytes msg = wp_hex(c, "msg"), ct = wp_hex(c, "ct"), no_iv = {0};

	const vs_rc rc = vs_unwrap(k, mode, no_iv, ct, c->arena, &clear, &err);
	if (vs_failed(rc)) {
		assert_code(rc, DATA);
		assert_string_equal(err.frames[0].text, "the wrapped key does not unwrap");
	} else {
		wp_same(c, "key", vs_secret_view(&clear), msg);
	}
	if (c->result == WP_VALID) {
		assert_ok(vs_wrap(k, mode, no_iv, msg, &wrapped, &err), &err);
		wp_same(c, "wrapped key", vs_buf_view(&wrapped), ct);
		assert_int_equal(wrapped.n, vs_wrap_size(mode, msg.n));
	} else if (c->result == WP_INVALID && mode == VS_WRAP_KW && wp_flag(c, "WrongDataSize")) {
		assert_code(vs_wrap(k, mode, no_iv, msg, &wrapped, &err), DATA_LEN);
	}
	vs_secret_done(&clear);
	vs_buf_done(&wrapped);
	vs_pkey_unref(k);
	return vs_failed(rc) ? WP_REFUSED : WP_TOOK;
}

static enum wp_answer
kw_case(const struct wp_case *c)
{
	return wrap_case(c, VS_WRAP_KW);
}

static enum wp_answer
kwp_case(const struct wp_case *c)
{
	return wrap_case(c, VS_WRAP_KWP);
}

static enum wp_answer
hkdf_case(const struct wp_case *c)
{
	const struct vs_hkdf_params both = {.extract = true,
		.expand = true,
		.hash = file_hash,
		.salt = wp_hex(c, "salt"),
		.info = wp_hex(c, "info")};
	struct vs_hkdf_params one = both;
	struct vs_secret prk = {0}, okm = {0};
	struct vs_err err = {0};
	const struct vs_bytes want = wp_hex(c, "okm");
	const size_t n = (size_t)wp_int(c, "size");

	const vs_rc rc = vs_derive_hkdf(c->o, wp_hex(c, "ikm"), &both, n, c->arena, &okm, &err);
	if (vs_failed(rc)) {
		assert_code(rc, DATA_LEN);
		return WP_REFUSED;
	}
	wp_same(c, "key", vs_secret_view(&okm), want);
	/* In two steps it is the same. */
	one.expand = false;
	assert_ok(vs_derive_hkdf(c->o, wp_hex(c, "ikm"), &one, 0, c->arena, &prk, &err), &err);
	one.expand = true;
	one.extract = false;
	vs_secret_done(&okm);
	assert_ok(vs_derive_hkdf(c->o, vs_secret_view(&prk), &one, n, c->arena, &okm, &err), &err);
	wp_same(c, "key in two steps", vs_secret_view(&okm), want);
	vs_secret_done(&prk);
	vs_secret_done(&okm);
	return WP_TOOK;
}

/* ---- the tests --------------------------------------------------------------------------- */

static void
aes_gcm_agrees_with_wycheproof(void **state)
{
	(void)state;
	wp_run("aes_gcm_test", gcm_case, 3); /* IVs of 257 octets */
}

static void
aes_ccm_agrees_with_wycheproof(void **state)
{
	(void)state;
	wp_run("aes_ccm_test", ccm_case, 0);
}

static void
aes_cbc_padding_agrees_with_wycheproof(void **state)
{
	(void)state;
	wp_run("aes_cbc_pkcs5_test", cbc_case, 0);
}

static void
aes_cmac_agrees_with_wycheproof(void **state)
{
	(void)state;
	wp_run("aes_cmac_test", cmac_case, 0);
}

static void
hmac_agrees_with_wycheproof(void **state)
{
	static const struct {
		const char *name;
		enum vs_hash hash;
	} files[] = {
		{"hmac_sha1_test", VS_HASH_SHA1},
		{"hmac_sha256_test", VS_HASH_SHA256},
		{"hmac_sha384_test", VS_HASH_SHA384},
		{"hmac_sha512_test", VS_HASH_SHA512},
		{"hmac_sha3_256_test", VS_HASH_SHA3_256},
		{"hmac_sha3_512_test", VS_HASH_SHA3_512},
	};

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		file_hash = files[i].hash;
		wp_run(files[i].name, hmac_case, 0);
	}
}

static void
aes_key_wrap_agrees_with_wycheproof(void **state)
{
	(void)state;
	wp_run("aes_wrap_test", kw_case, 0);
	wp_run("aes_kwp_test", kwp_case, 0);
}

static void
hkdf_agrees_with_wycheproof(void **state)
{
	static const struct {
		const char *name;
		enum vs_hash hash;
	} files[] = {
		{"hkdf_sha1_test", VS_HASH_SHA1},
		{"hkdf_sha256_test", VS_HASH_SHA256},
		{"hkdf_sha384_test", VS_HASH_SHA384},
		{"hkdf_sha512_test", VS_HASH_SHA512},
	};

	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		file_hash = files[i].hash;
		wp_run(files[i].name, hkdf_case, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aes_gcm_agrees_with_wycheproof),
		cmocka_unit_test(aes_ccm_agrees_with_wycheproof),
		cmocka_unit_test(aes_cbc_padding_agrees_with_wycheproof),
		cmocka_unit_test(aes_cmac_agrees_with_wycheproof),
		cmocka_unit_test(hmac_agrees_with_wycheproof),
		cmocka_unit_test(aes_key_wrap_agrees_with_wycheproof),
		cmocka_unit_test(hkdf_agrees_with_wycheproof),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
