/* SPDX-License-Identifier: BSD-2-Clause */
/* Unwrapping says one thing about everything that is wrong (T-K3); derivation. */
#include "crypto/derive.h"
#include "crypto/keywrap.h"
#include "crypto/ossl.h"
#include "crypto/rsa_crypt.h"
#include "unit/unit.h"

static struct vs_ossl *o;
static struct vs_arena *arena;
static struct vs_pkey *rsa, *aes;
static struct vs_secret kek;

static int
group_setup(void **state)
{
	struct vs_err err = {0};

	(void)state;
	assert_ok(vs_ossl_new(&o, &err), &err);
	assert_ok(vs_arena_new(64 << 10, 1 << 20, VS_LOCK_WARN, &arena, &err), &err);
	assert_ok(vs_pkey_generate_rsa(o, 2048, vs_bytes_of(NULL, 0), &rsa, &err), &err);
	assert_ok(vs_pkey_generate_octets(o, arena, VS_KEY_AES, 32, &aes, &err), &err);
	assert_ok(vs_secret_from(arena, vs_pkey_octets(aes).p, 32, &kek, &err), &err);
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	vs_secret_done(&kek);
	vs_pkey_unref(rsa);
	vs_pkey_unref(aes);
	vs_ossl_unref(o);
	vs_arena_free(arena);
	return 0;
}

static void
assert_unwraps_not(struct vs_bytes wrapped, const struct vs_secret *with)
{
	struct vs_secret clear = {0};
	struct vs_err err = {0};

	assert_code(vs_release_unwrap(o, with, wrapped, arena, &clear, &err), DATA);
	assert_int_equal(err.n_frames, 1);
	assert_string_equal(err.frames[0].text, "the wrapped key does not unwrap");
	assert_null(clear.p);
}

static void
every_changed_octet_of_a_release_is_the_same_refusal(void **state)
{
	static const size_t lengths[] = {1, 8, 16, 32, 67, 135, 138, 287, 1217};
	uint8_t key[1300];
	struct vs_err err = {0};

	(void)state;
	memset(key, 0x37, sizeof key);
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		struct vs_buf wrapped = {.max = VS_WRAP_MAX};
		struct vs_secret clear = {0};
		const struct vs_bytes plain = vs_bytes_of(key, lengths[i]);
		assert_ok(vs_wrap(aes, VS_WRAP_KWP, vs_bytes_of(NULL, 0), plain, &wrapped, &err),
			&err);
		assert_int_equal(wrapped.n, 8 + (lengths[i] + 7) / 8 * 8);
		assert_ok(vs_release_unwrap(o, &kek, vs_buf_view(&wrapped), arena, &clear, &err),
			&err);
		assert_true(vs_bytes_eq(vs_secret_view(&clear), plain));
		vs_secret_done(&clear);
		for (size_t at = 0; at < wrapped.n; at++) {
			wrapped.p[at] ^= (uint8_t)(1 << (at % 8));
			assert_unwraps_not(vs_buf_view(&wrapped), &kek);
			wrapped.p[at] ^= (uint8_t)(1 << (at % 8));
		}
		for (size_t n = 0; n < wrapped.n; n++)
			assert_unwraps_not(vs_bytes_of(wrapped.p, n), &kek);
		assert_ok(vs_buf_add(&wrapped, key, 8, &err), &err);
		assert_unwraps_not(vs_buf_view(&wrapped), &kek);
		assert_unwraps_not(vs_bytes_of(wrapped.p, wrapped.n - 3), &kek);
		vs_buf_done(&wrapped);
	}
}

static void
a_release_needs_a_key_of_32_octets(void **state)
{
	static uint8_t many[VS_WRAP_MAX + 8];
	struct vs_buf wrapped = {.max = VS_WRAP_MAX};
	struct vs_err err = {0};

	(void)state;
	assert_ok(vs_wrap(aes, VS_WRAP_KWP, vs_bytes_of(NULL, 0), vs_bytes_str("some key"),
			  &wrapped, &err),
		&err);
	for (size_t n = 0; n < 64; n++) {
		struct vs_secret other = {0};
		if (n == 32)
			continue;
		assert_ok(vs_secret_new(arena, n, &other, &err), &err);
		assert_unwraps_not(vs_buf_view(&wrapped), &other);
		vs_secret_done(&other);
	}
	assert_unwraps_not(vs_bytes_of(many, sizeof many), &kek);
	vs_buf_done(&wrapped);
}

static void
rsa_aes_wrapping_goes_there_and_back(void **state)
{
	static const uint32_t sizes[] = {128, 192, 256};
	struct vs_secret der = {0};
	struct vs_err err = {0};

	(void)state;
	assert_ok(vs_pkey_export(rsa, arena, &der, &err), &err);
	for (size_t i = 0; i < 3; i++) {
		struct vs_buf wrapped = {.max = VS_WRAP_MAX};
		struct vs_secret clear = {0};
		const struct vs_bytes label = vs_bytes_str("label");
		assert_ok(vs_rsa_aes_wrap(rsa, sizes[i], VS_HASH_SHA256, VS_HASH_SHA256, label,
				  vs_secret_view(&der), arena, &wrapped, &err),
			&err);
		assert_ok(vs_rsa_aes_unwrap(rsa, sizes[i], VS_HASH_SHA256, VS_HASH_SHA256, label,
				  vs_buf_view(&wrapped), arena, &clear, &err),
			&err);
		assert_true(vs_secret_eq(&clear, &der));
		vs_secret_done(&clear);
		/* another size, hash or label */
		assert_code(
			vs_rsa_aes_unwrap(rsa, sizes[(i + 1) % 3], VS_HASH_SHA256, VS_HASH_SHA256,
				label, vs_buf_view(&wrapped), arena, &clear, &err),
			DATA);
		assert_code(vs_rsa_aes_unwrap(rsa, sizes[i], VS_HASH_SHA1, VS_HASH_SHA1, label,
				    vs_buf_view(&wrapped), arena, &clear, &err),
			DATA);
		assert_code(
			vs_rsa_aes_unwrap(rsa, sizes[i], VS_HASH_SHA256, VS_HASH_SHA256,
				vs_bytes_of(NULL, 0), vs_buf_view(&wrapped), arena, &clear, &err),
			DATA);
		vs_buf_done(&wrapped);
	}
	vs_secret_done(&der);
}

static void
both_steps_of_rsa_aes_unwrapping_fail_alike(void **state)
{
	struct vs_buf wrapped = {.max = VS_WRAP_MAX};
	struct vs_secret clear = {0};
	struct vs_err err = {0};

	(void)state;
	assert_ok(vs_rsa_aes_wrap(rsa, 256, VS_HASH_SHA1, VS_HASH_SHA1, vs_bytes_of(NULL, 0),
			  vs_bytes_str("sixteen octets.."), arena, &wrapped, &err),
		&err);
	assert_int_equal(wrapped.n, 256 + 24);
	for (size_t at = 0; at < wrapped.n; at += 3) {
		wrapped.p[at] ^= 0x10;
		assert_code(
			vs_rsa_aes_unwrap(rsa, 256, VS_HASH_SHA1, VS_HASH_SHA1,
				vs_bytes_of(NULL, 0), vs_buf_view(&wrapped), arena, &clear, &err),
			DATA);
		assert_string_equal(err.frames[0].text, "the wrapped key does not unwrap");
		wrapped.p[at] ^= 0x10;
	}
	for (size_t n = 0; n < wrapped.n; n += 5) {
		assert_code(vs_rsa_aes_unwrap(rsa, 256, VS_HASH_SHA1, VS_HASH_SHA1,
				    vs_bytes_of(NULL, 0), vs_bytes_of(wrapped.p, n), arena, &clear,
				    &err),
			DATA);
		assert_string_equal(err.frames[0].text, "the wrapped key does not unwrap");
	}
	assert_code(vs_rsa_aes_unwrap(rsa, 512, VS_HASH_SHA1, VS_HASH_SHA1, vs_bytes_of(NULL, 0),
			    vs_buf_view(&wrapped), arena, &clear, &err),
		PARAM);
	assert_code(vs_rsa_aes_unwrap(aes, 256, VS_HASH_SHA1, VS_HASH_SHA1, vs_bytes_of(NULL, 0),
			    vs_buf_view(&wrapped), arena, &clear, &err),
		KEY_KIND);
	vs_buf_done(&wrapped);
}

static void
wrapping_refuses_what_the_mode_cannot_hold(void **state)
{
	struct vs_buf out = {.max = VS_WRAP_MAX};
	struct vs_secret clear = {0};
	struct vs_err err = {0};
	static uint8_t data[VS_WRAP_MAX];
	const struct vs_bytes none = {0}, iv8 = vs_bytes_of(data, 8), iv4 = vs_bytes_of(data, 4);

	(void)state;
	assert_code(vs_wrap(rsa, VS_WRAP_KW, none, vs_bytes_of(data, 16), &out, &err), KEY_KIND);
	assert_code(vs_wrap(aes, VS_WRAP_NONE, none, vs_bytes_of(data, 16), &out, &err), PARAM);
	assert_code(vs_wrap(aes, VS_WRAP_KW, iv4, vs_bytes_of(data, 16), &out, &err), PARAM);
	assert_code(vs_wrap(aes, VS_WRAP_KWP, iv8, vs_bytes_of(data, 16), &out, &err), PARAM);
	assert_code(vs_wrap(aes, VS_WRAP_KW, none, vs_bytes_of(data, 17), &out, &err), DATA_LEN);
	assert_code(vs_wrap(aes, VS_WRAP_KW, none, vs_bytes_of(data, 8), &out, &err), DATA_LEN);
	assert_code(vs_wrap(aes, VS_WRAP_KWP, none, vs_bytes_of(data, 0), &out, &err), DATA_LEN);
	assert_code(vs_wrap(aes, VS_WRAP_KWP, none, vs_bytes_of(data, sizeof data), &out, &err),
		DATA_LEN);
	assert_int_equal(out.n, 0);
	/* own initial values */
	assert_ok(vs_wrap(aes, VS_WRAP_KW, iv8, vs_bytes_of(data, 16), &out, &err), &err);
	assert_code(vs_unwrap(aes, VS_WRAP_KW, none, vs_buf_view(&out), arena, &clear, &err), DATA);
	assert_ok(vs_unwrap(aes, VS_WRAP_KW, iv8, vs_buf_view(&out), arena, &clear, &err), &err);
	assert_int_equal(clear.n, 16);
	vs_secret_done(&clear);
	vs_buf_done(&out);
}

/* ---- derivation --------------------------------------------------------------------------- */

static void
two_sides_agree_in_every_form(void **state)
{
	static const enum vs_hash kdfs[] = {
		VS_HASH_NONE, VS_HASH_SHA1, VS_HASH_SHA256, VS_HASH_SHA512};
	struct vs_err err = {0};

	(void)state;
	for (enum vs_curve c = VS_CURVE_P256; c < VS_CURVE_COUNT_; c++) {
		struct vs_pkey *a = NULL, *b = NULL;
		struct vs_buf pa = {.max = 256}, pb = {.max = 256};
		assert_ok(vs_pkey_generate_ec(o, c, &a, &err), &err);
		assert_ok(vs_pkey_generate_ec(o, c, &b, &err), &err);
		assert_ok(vs_pkey_ec_point(a, &pa, &err), &err);
		assert_ok(vs_pkey_ec_point(b, &pb, &err), &err);
		for (size_t i = 0; i < 4; i++) {
			struct vs_secret za = {0}, zb = {0};
			struct vs_ecdh_params p = {.point = vs_buf_view(&pb),
				.kdf_hash = kdfs[i],
				.shared = i == 0 ? vs_bytes_of(NULL, 0) : vs_bytes_str("info")};
			const size_t n = i == 0 ? 0 : 100;
			assert_ok(vs_derive_ecdh(a, &p, n, arena, &za, &err), &err);
			p.point = vs_buf_view(&pa);
			p.cofactor = true;
			assert_ok(vs_derive_ecdh(b, &p, n, arena, &zb, &err), &err);
			assert_true(vs_secret_eq(&za, &zb));
			assert_int_equal(za.n, i == 0 ? vs_curve_bytes(c) : 100);
			vs_secret_done(&za);
			vs_secret_done(&zb);
		}
		vs_buf_done(&pa);
		vs_buf_done(&pb);
		vs_pkey_unref(a);
		vs_pkey_unref(b);
	}
}

/* The derivation function against its definition. */
static void
x963_is_the_hash_of_secret_counter_and_info(void **state)
{
	struct vs_pkey *k = NULL;
	struct vs_buf point = {.max = 256};
	struct vs_secret z = {0}, out = {0};
	struct vs_err err = {0};
	uint8_t input[32 + 4 + 4], want[64];

	(void)state;
	assert_ok(vs_pkey_generate_ec(o, VS_CURVE_P256, &k, &err), &err);
	assert_ok(vs_pkey_ec_point(k, &point, &err), &err);
	struct vs_ecdh_params p = {.point = vs_buf_view(&point)};
	assert_ok(vs_derive_ecdh(k, &p, 0, arena, &z, &err), &err);
	memcpy(input, z.p, 32);
	memcpy(input + 36, "info", 4);
	for (uint8_t i = 1; i <= 2; i++) {
		memcpy(input + 32, (uint8_t[4]){0, 0, 0, i}, 4);
		assert_ok(vs_hash_once(o, VS_HASH_SHA256, vs_bytes_of(input, sizeof input),
				  want + 32 * (i - 1), &err),
			&err);
	}
	p.kdf_hash = VS_HASH_SHA256;
	p.shared = vs_bytes_str("info");
	assert_ok(vs_derive_ecdh(k, &p, 50, arena, &out, &err), &err);
	assert_memory_equal(out.p, want, 50);
	/* shorter without a KDF: the leading octets go */
	vs_secret_done(&out);
	p = (struct vs_ecdh_params){.point = vs_buf_view(&point)};
	assert_ok(vs_derive_ecdh(k, &p, 16, arena, &out, &err), &err);
	assert_memory_equal(out.p, z.p + 16, 16);
	vs_secret_done(&out);
	vs_secret_done(&z);
	vs_buf_done(&point);
	vs_pkey_unref(k);
}

static void
derivation_refuses_wrong_parameters(void **state)
{
	struct vs_pkey *k = NULL, *pub = NULL;
	struct vs_buf point = {.max = 256};
	struct vs_secret out = {0};
	struct vs_err err = {0};
	static uint8_t info[VS_DERIVE_INFO_MAX + 1];

	(void)state;
	assert_ok(vs_pkey_generate_ec(o, VS_CURVE_P384, &k, &err), &err);
	assert_ok(vs_pkey_public_half(k, &pub, &err), &err);
	assert_ok(vs_pkey_ec_point(k, &point, &err), &err);
	struct vs_ecdh_params p = {.point = vs_buf_view(&point)};
	assert_code(vs_derive_ecdh(pub, &p, 0, arena, &out, &err), KEY_KIND);
	assert_code(vs_derive_ecdh(rsa, &p, 0, arena, &out, &err), KEY_KIND);
	assert_code(vs_derive_ecdh(k, &p, 49, arena, &out, &err), DATA_LEN);
	point.p[50] ^= 1;
	assert_code(vs_derive_ecdh(k, &p, 0, arena, &out, &err), PARAM);
	point.p[50] ^= 1;
	p.shared = vs_bytes_str("x");
	assert_code(vs_derive_ecdh(k, &p, 0, arena, &out, &err), PARAM);
	p.kdf_hash = VS_HASH_SHA256;
	assert_code(vs_derive_ecdh(k, &p, 0, arena, &out, &err), DATA_LEN);
	p.shared = vs_bytes_of(info, sizeof info);
	assert_code(vs_derive_ecdh(k, &p, 32, arena, &out, &err), PARAM);
	struct vs_hkdf_params h = {.hash = VS_HASH_SHA256};
	assert_code(vs_derive_hkdf(o, vs_bytes_str("k"), &h, 32, arena, &out, &err), PARAM);
	h.extract = true;
	assert_code(vs_derive_hkdf(o, vs_bytes_str("k"), &h, 31, arena, &out, &err), DATA_LEN);
	h.expand = true;
	assert_code(vs_derive_hkdf(o, vs_bytes_str("k"), &h, 255 * 32 + 1, arena, &out, &err),
		DATA_LEN);
	h.hash = VS_HASH_NONE;
	assert_code(vs_derive_hkdf(o, vs_bytes_str("k"), &h, 32, arena, &out, &err), PARAM);
	assert_null(out.p);
	vs_buf_done(&point);
	vs_pkey_unref(k);
	vs_pkey_unref(pub);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_changed_octet_of_a_release_is_the_same_refusal),
		cmocka_unit_test(a_release_needs_a_key_of_32_octets),
		cmocka_unit_test(rsa_aes_wrapping_goes_there_and_back),
		cmocka_unit_test(both_steps_of_rsa_aes_unwrapping_fail_alike),
		cmocka_unit_test(wrapping_refuses_what_the_mode_cannot_hold),
		cmocka_unit_test(two_sides_agree_in_every_form),
		cmocka_unit_test(x963_is_the_hash_of_secret_counter_and_info),
		cmocka_unit_test(derivation_refuses_wrong_parameters),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
