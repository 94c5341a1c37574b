/* SPDX-License-Identifier: BSD-2-Clause */
/* Bad key material, one test per property (T-K2). */
#include <openssl/bn.h>

#include "crypto/der.h"
#include "crypto/ossl.h"
#include "crypto/pkey.h"
#include "unit/unit.h"

static struct vs_ossl *o;
static struct vs_arena *arena;
static struct vs_pkey *rsa, *ec;
static struct vs_secret rsa_store, ec_store;
static struct vs_key_private rsa_parts, ec_parts;

static int
group_setup(void **state)
{
	struct vs_err err = {0};

	(void)state;
	assert_ok(vs_ossl_new(&o, &err), &err);
	assert_ok(vs_arena_new(64 << 10, 1 << 20, VS_LOCK_WARN, &arena, &err), &err);
	assert_ok(vs_pkey_generate_rsa(o, 2048, vs_bytes_of(NULL, 0), &rsa, &err), &err);
	assert_ok(vs_pkey_generate_ec(o, VS_CURVE_P256, &ec, &err), &err);
	assert_ok(vs_pkey_private(rsa, arena, &rsa_store, &rsa_parts, &err), &err);
	assert_ok(vs_pkey_private(ec, arena, &ec_store, &ec_parts, &err), &err);
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	vs_secret_done(&rsa_store);
	vs_secret_done(&ec_store);
	vs_pkey_unref(rsa);
	vs_pkey_unref(ec);
	vs_ossl_unref(o);
	vs_arena_free(arena);
	return 0;
}

/* A copy of a number, changed by adding n to its value (n may be negative). */
static struct vs_bytes
changed(struct vs_bytes number, int n)
{
	static uint8_t rooms[16][1100];
	static int next;
	uint8_t *room = rooms[next++ % 16];
	BIGNUM *bn = BN_bin2bn(number.p, (int)number.n, NULL);

	assert_int_equal(n < 0 ? BN_sub_word(bn, (BN_ULONG)-n) : BN_add_word(bn, (BN_ULONG)n), 1);
	const int len = BN_bn2bin(bn, room);
	BN_free(bn);
	return vs_bytes_of(room, (size_t)len);
}

static struct vs_bytes
product(struct vs_bytes a, struct vs_bytes b)
{
	static uint8_t room[1100];
	BIGNUM *x = BN_bin2bn(a.p, (int)a.n, NULL), *y = BN_bin2bn(b.p, (int)b.n, NULL);
	BN_CTX *ctx = BN_CTX_new();

	assert_int_equal(BN_mul(x, x, y, ctx), 1);
	const int len = BN_bn2bin(x, room);
	BN_free(x);
	BN_free(y);
	BN_CTX_free(ctx);
	return vs_bytes_of(room, (size_t)len);
}

/* As PKCS#8, the way a release brings it, without our completing anything. */
static vs_rc
import(const struct vs_key_private *parts, struct vs_err *err)
{
	uint8_t room[8192];
	struct vs_der d = vs_der_of(room, sizeof room);
	struct vs_pkey *k = NULL;

	vs_der_pkcs8(&d, parts);
	assert_false(d.bad);
	const vs_rc rc = vs_pkey_from_pkcs8(o, vs_der_view(&d), &k, err);
	vs_pkey_unref(k);
	/* What the agent hands over is checked for the same properties, with the same words. */
	VS_CLEANUP(vs_secret_done) struct vs_secret material = {0};
	struct vs_err again = {0};
	const struct vs_bytes der = vs_der_view(&d);
	assert_ok(vs_secret_from(arena, der.p, der.n, &material, &again), &again);
	k = NULL;
	assert_int_equal(
		vs_pkey_from_agent(o, arena, parts->pub.type, &material, &k, &again).code, rc.code);
	assert_true(vs_failed(rc) == (k == NULL));
	if (vs_failed(rc))
		assert_string_equal(again.frames[0].text, err->frames[0].text);
	vs_pkey_unref(k);
	return rc;
}

static void
assert_bad(const struct vs_key_private *parts, const char *word)
{
	struct vs_err err = {0};
	const vs_rc rc = import(parts, &err);

	assert_true(rc.code == VS_E_BAD_KEY || rc.code == VS_E_KEY_SIZE);
	if (strstr(err.frames[0].text, word) == NULL)
		fail_msg("refused, but says: %s", err.frames[0].text);
}

/* ---- RSA --------------------------------------------------------------------------------- */

static void
a_good_rsa_key_is_taken(void **state)
{
	struct vs_err err = {0};
	(void)state;
	assert_ok(import(&rsa_parts, &err), &err);
}

static void
an_rsa_key_with_an_inconsistent_number_is_refused(void **state)
{
	struct vs_key_private p;

	(void)state;
	p = rsa_parts;
	p.pub.n = changed(p.pub.n, 2);
	assert_bad(&p, "product");
	p = rsa_parts;
	p.dp = changed(p.dp, 2);
	assert_bad(&p, "CRT exponent");
	p = rsa_parts;
	p.dq = changed(p.dq, -2);
	assert_bad(&p, "CRT exponent");
	p = rsa_parts;
	p.qi = changed(p.qi, 1);
	assert_bad(&p, "CRT coefficient");
	p = rsa_parts;
	p.d = changed(p.d, 2);
	assert_bad(&p, "CRT exponent");
	p = rsa_parts;
	p.pub.e = changed(p.pub.e, 2);
	assert_bad(&p, "inverse");
	p = rsa_parts;
	p.p = rsa_parts.q;
	p.q = rsa_parts.p; /* swapped without the rest */
	assert_bad(&p, "CRT");
}

static void
an_rsa_key_of_equal_or_close_factors_is_refused(void **state)
{
	struct vs_key_private p = rsa_parts;

	(void)state;
	p.q = p.p;
	p.pub.n = product(p.p, p.q);
	assert_bad(&p, "equal");
	p.q = changed(p.p, 1002);
	p.pub.n = product(p.p, p.q);
	assert_bad(&p, "too close");
	p.q = changed(rsa_parts.q, 1);
	p.pub.n = product(p.p, p.q);
	assert_bad(&p, "even");
}

static void
an_rsa_key_of_a_short_factor_is_refused(void **state)
{
	static const uint8_t three[] = {3};
	static uint8_t wide[256];
	struct vs_key_private p = rsa_parts;

	(void)state;
	memset(wide, 0xab, sizeof wide);
	p.p = vs_bytes_of(wide, sizeof wide);
	p.q = vs_bytes_of(three, 1);
	p.pub.n = product(p.p, p.q);
	assert_bad(&p, "too short");
}

static void
bad_public_exponents_are_refused(void **state)
{
	static const uint8_t even[] = {1, 0, 2}, three[] = {3}, small[] = {0xff, 0xff}, one[] = {1},
			     wide[] = {1, 0, 0, 0, 0, 0, 0, 0, 1};
	const struct {
		struct vs_bytes e;
		const char *word;
	} rows[] = {
		{{even, sizeof even}, "even"},
		{{three, sizeof three}, "smaller"},
		{{small, sizeof small}, "smaller"},
		{{one, sizeof one}, "smaller"},
		{{wide, sizeof wide}, "longer"},
	};
	struct vs_err err = {0};
	struct vs_pkey *k = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct vs_key_private p = rsa_parts;
		p.pub.e = rows[i].e;
		assert_bad(&p, rows[i].word);
		assert_code(vs_pkey_from_public(o, &p.pub, false, &k, &err), BAD_KEY);
	}
}

static void
rsa_sizes_outside_the_bounds_are_refused(void **state)
{
	static uint8_t n[1025];
	static const uint8_t f4[] = {1, 0, 1};
	struct vs_key_public pub = {.type = VS_KEY_RSA, .e = {f4, 3}};
	struct vs_pkey *k = NULL;
	struct vs_err err = {0};

	(void)state;
	memset(n, 0xc7, sizeof n);
	pub.n = vs_bytes_of(n, 255);
	assert_code(vs_pkey_from_public(o, &pub, false, &k, &err), KEY_SIZE);
	pub.n = vs_bytes_of(n, 1025);
	assert_code(vs_pkey_from_public(o, &pub, false, &k, &err), KEY_SIZE);
	pub.n = vs_bytes_of(n, 0);
	assert_code(vs_pkey_from_public(o, &pub, false, &k, &err), KEY_SIZE);
	pub.n = vs_bytes_of(n, 127);
	assert_code(vs_pkey_from_public(o, &pub, true, &k, &err), KEY_SIZE);
	pub.n = vs_bytes_of(n, 128);
	assert_ok(vs_pkey_from_public(o, &pub, true, &k, &err), &err);
	vs_pkey_unref(k);
	assert_code(vs_pkey_generate_rsa(o, 1024, vs_bytes_of(NULL, 0), &k, &err), KEY_SIZE);
	assert_code(vs_pkey_generate_rsa(o, 8200, vs_bytes_of(NULL, 0), &k, &err), KEY_SIZE);
	assert_code(vs_pkey_generate_rsa(o, 2049, vs_bytes_of(NULL, 0), &k, &err), KEY_SIZE);
	static const uint8_t three[] = {3};
	assert_code(vs_pkey_generate_rsa(o, 2048, vs_bytes_of(three, 1), &k, &err), PARAM);
}

/* n = 65537^a + t * M, M the product of small primes: the form of the broken generator. */
static void
a_modulus_of_the_roca_form_is_refused(void **state)
{
	static const BN_ULONG primes[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47,
		53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139,
		149, 151, 157, 163, 167};
	static const uint8_t f4[] = {1, 0, 1};
	BIGNUM *m = BN_new(), *n = BN_new(), *a = BN_new(), *g = BN_new();
	BN_CTX *ctx = BN_CTX_new();
	uint8_t room[256];
	struct vs_pkey *k = NULL;
	struct vs_err err = {0};

	(void)state;
	assert_int_equal(BN_one(m), 1);
	for (size_t i = 0; i < sizeof primes / sizeof primes[0]; i++)
		assert_int_equal(BN_mul_word(m, primes[i]), 1);
	assert_int_equal(BN_set_word(a, 123457) & BN_set_word(g, 65537), 1);
	assert_int_equal(BN_mod_exp(g, g, a, m, ctx), 1);
	do
		assert_int_equal(BN_rand(n, 2048, BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ANY), 1);
	while (BN_num_bits(n) != 2048);
	assert_int_equal(BN_mod(a, n, m, ctx), 1);
	assert_int_equal(BN_sub(n, n, a), 1);
	assert_int_equal(BN_add(n, n, g), 1);
	struct vs_key_public pub = {.type = VS_KEY_RSA, .e = {f4, 3}};
	pub.n = vs_bytes_of(room, (size_t)BN_bn2bin(n, room));
	assert_code(vs_pkey_from_public(o, &pub, false, &k, &err), BAD_KEY);
	assert_non_null(strstr(err.frames[0].text, "ROCA"));
	BN_free(m);
	BN_free(n);
	BN_free(a);
	BN_free(g);
	BN_CTX_free(ctx);
}

static void
an_rsa_key_is_completed_from_what_is_given(void **state)
{
	struct vs_key_private p = {.pub = rsa_parts.pub, .d = rsa_parts.d};
	struct vs_pkey *k = NULL;
	struct vs_err err = {0};

	(void)state;
	assert_ok(vs_pkey_from_private(o, &p, &k, &err), &err);
	assert_true(vs_pkey_matches_public(k, &rsa_parts.pub));
	vs_pkey_unref(k);
	p.p = rsa_parts.p;
	assert_code(vs_pkey_from_private(o, &p, &k, &err), BAD_KEY);
	p.q = rsa_parts.q;
	p.pub.e = vs_bytes_of(NULL, 0);
	assert_ok(vs_pkey_from_private(o, &p, &k, &err), &err);
	assert_true(vs_pkey_matches_public(k, &rsa_parts.pub));
	vs_pkey_unref(k);
	p = (struct vs_key_private){.pub = rsa_parts.pub, .d = changed(rsa_parts.d, 2)};
	assert_code(vs_pkey_from_private(o, &p, &k, &err), BAD_KEY);
	p.d = vs_bytes_of(NULL, 0);
	assert_code(vs_pkey_from_private(o, &p, &k, &err), BAD_KEY);
	p = rsa_parts;
	p.qi = changed(p.qi, 1);
	assert_code(vs_pkey_from_private(o, &p, &k, &err), BAD_KEY);
}

/* ---- EC ---------------------------------------------------------------------------------- */

static void
an_ec_scalar_outside_the_range_is_refused(void **state)
{
	static const uint8_t order[] = {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9,
		0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
	static const uint8_t zero[32];
	struct vs_key_private p = {.pub = {.type = VS_KEY_EC, .curve = VS_CURVE_P256}};
	struct vs_pkey *k = NULL;
	struct vs_err err = {0};

	(void)state;
	const struct vs_bytes bad[] = {
		{zero, 32}, {zero, 0}, {order, 32}, changed(vs_bytes_of(order, 32), 1)};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		p.d = bad[i];
		assert_code(vs_pkey_from_private(o, &p, &k, &err), BAD_KEY);
		assert_non_null(strstr(err.frames[0].text, "between 1 and"));
	}
	p.d = changed(vs_bytes_of(order, 32), -1);
	assert_ok(vs_pkey_from_private(o, &p, &k, &err), &err);
	vs_pkey_unref(k);
	uint8_t wide[33] = {1};
	p.d = vs_bytes_of(wide, 33);
	assert_code(vs_pkey_from_private(o, &p, &k, &err), BAD_KEY);
}

static void
an_ec_point_that_is_not_the_scalars_is_refused(void **state)
{
	struct vs_pkey *other = NULL, *k = NULL;
	struct vs_err err = {0};
	struct vs_key_private p = ec_parts;

	(void)state;
	assert_ok(vs_pkey_generate_ec(o, VS_CURVE_P256, &other, &err), &err);
	p.pub = vs_pkey_public(other);
	assert_bad(&p, "does not belong");
	assert_code(vs_pkey_from_private(o, &p, &k, &err), BAD_KEY);
	vs_pkey_unref(other);
}

static void
a_point_off_the_curve_is_refused(void **state)
{
	static const uint8_t zeros[32];
	struct vs_key_public pub = ec_parts.pub;
	struct vs_pkey *k = NULL;
	struct vs_err err = {0};

	(void)state;
	assert_ok(vs_pkey_from_public(o, &pub, false, &k, &err), &err);
	vs_pkey_unref(k);
	pub.y = changed(pub.y, 1);
	assert_code(vs_pkey_from_public(o, &pub, false, &k, &err), BAD_KEY);
	pub.x = pub.y = vs_bytes_of(zeros, 32);
	assert_code(vs_pkey_from_public(o, &pub, false, &k, &err), BAD_KEY);
	pub = ec_parts.pub;
	pub.curve = VS_CURVE_P256K;
	assert_code(vs_pkey_from_public(o, &pub, false, &k, &err), BAD_KEY);
	pub.curve = VS_CURVE_NONE;
	assert_code(vs_pkey_from_public(o, &pub, false, &k, &err), BAD_KEY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_rsa_key_is_taken),
		cmocka_unit_test(an_rsa_key_with_an_inconsistent_number_is_refused),
		cmocka_unit_test(an_rsa_key_of_equal_or_close_factors_is_refused),
		cmocka_unit_test(an_rsa_key_of_a_short_factor_is_refused),
		cmocka_unit_test(bad_public_exponents_are_refused),
		cmocka_unit_test(rsa_sizes_outside_the_bounds_are_refused),
		cmocka_unit_test(a_modulus_of_the_roca_form_is_refused),
		cmocka_unit_test(an_rsa_key_is_completed_from_what_is_given),
		cmocka_unit_test(an_ec_scalar_outside_the_range_is_refused),
		cmocka_unit_test(an_ec_point_that_is_not_the_scalars_is_refused),
		cmocka_unit_test(a_point_off_the_curve_is_refused),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
