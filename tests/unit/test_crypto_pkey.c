/* SPDX-License-Identifier: BSD-2-Clause */
/* The forms in which key material comes and goes. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

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

/* ---- PKCS#8 forms ------------------------------------------------------------------------ */

/* What a service could send: OpenSSL's own encoding with the form chosen. */
static size_t
openssl_pkcs8(const char *group, bool explicit_curve, bool with_public, uint8_t *out,
	struct vs_key_public *ret, uint8_t *xy, size_t width)
{
	EVP_PKEY *evp = EVP_PKEY_Q_keygen(NULL, NULL, "EC", group);
	BIGNUM *x = NULL, *y = NULL;
	uint8_t *der = NULL;

	assert_non_null(evp);
	if (explicit_curve)
		assert_int_equal(EVP_PKEY_set_utf8_string_param(evp, OSSL_PKEY_PARAM_EC_ENCODING,
					 OSSL_PKEY_EC_ENCODING_EXPLICIT),
			1);
	assert_int_equal(
		EVP_PKEY_set_int_param(evp, OSSL_PKEY_PARAM_EC_INCLUDE_PUBLIC, with_public), 1);
	PKCS8_PRIV_KEY_INFO *p8 = EVP_PKEY2PKCS8(evp);
	const int n = i2d_PKCS8_PRIV_KEY_INFO(p8, &der);
	assert_true(n > 0);
	memcpy(out, der, (size_t)n);
	assert_int_equal(EVP_PKEY_get_bn_param(evp, OSSL_PKEY_PARAM_EC_PUB_X, &x), 1);
	assert_int_equal(EVP_PKEY_get_bn_param(evp, OSSL_PKEY_PARAM_EC_PUB_Y, &y), 1);
	assert_int_equal(BN_bn2binpad(x, xy, (int)width), width);
	assert_int_equal(BN_bn2binpad(y, xy + width, (int)width), width);
	*ret = (struct vs_key_public){
		.type = VS_KEY_EC, .x = {xy, width}, .y = {xy + width, width}};
	BN_free(x);
	BN_free(y);
	OPENSSL_free(der);
	PKCS8_PRIV_KEY_INFO_free(p8);
	EVP_PKEY_free(evp);
	return (size_t)n;
}

static void
all_forms_of_released_ec_keys_become_the_same(void **state)
{
	static const struct {
		const char *group;
		enum vs_curve curve;
		bool explicit_curve, with_public;
		size_t length, canonical;
	} rows[] = {
		{"P-256", VS_CURVE_P256, false, false, 67, 138},
		{"secp256k1", VS_CURVE_P256K, true, false, 287, 135},
		{"secp256k1", VS_CURVE_P256K, false, true, 135, 135},
		{"P-256", VS_CURVE_P256, true, true, 0, 138},
		{"P-384", VS_CURVE_P384, false, true, 185, 185},
		{"P-384", VS_CURVE_P384, true, false, 0, 185},
		{"P-521", VS_CURVE_P521, false, true, 241, 241},
		{"P-521", VS_CURVE_P521, false, false, 0, 241},
	};
	struct vs_err err = {0};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint8_t der[1024], xy[132];
		struct vs_key_public pub;
		struct vs_secret material = {0}, again = {0};
		struct vs_pkey *k = NULL, *k2 = NULL;
		const size_t n = openssl_pkcs8(rows[i].group, rows[i].explicit_curve,
			rows[i].with_public, der, &pub, xy, vs_curve_bytes(rows[i].curve));
		if (rows[i].length != 0)
			assert_int_equal(n, rows[i].length);
		assert_ok(vs_secret_from(arena, der, n, &material, &err), &err);
		assert_ok(vs_pkey_from_released(o, arena, VS_KEY_EC, &material, &k, &err), &err);
		pub.curve = rows[i].curve;
		assert_true(vs_pkey_matches_public(k, &pub));
		assert_int_equal(vs_pkey_desc(k).curve, rows[i].curve);
		assert_int_equal(vs_pkey_desc(k).bits, vs_curve_bits(rows[i].curve));
		assert_ok(vs_pkey_export(k, arena, &again, &err), &err);
		assert_int_equal(again.n, rows[i].canonical);
		assert_ok(vs_pkey_from_released(o, arena, VS_KEY_EC, &again, &k2, &err), &err);
		assert_true(vs_pkey_matches_public(k2, &pub));
		/* asked for as RSA it is refused */
		struct vs_pkey *wrong = NULL;
		assert_code(vs_pkey_from_released(o, arena, VS_KEY_RSA, &material, &wrong, &err),
			BAD_KEY);
		vs_pkey_unref(k);
		vs_pkey_unref(k2);
		vs_secret_done(&material);
		vs_secret_done(&again);
	}
}

static void
foreign_kinds_of_keys_are_refused(void **state)
{
	static const struct {
		const char *type, *group;
	} rows[] = {{"ED25519", NULL}, {"X25519", NULL}, {"EC", "P-224"}, {"EC", "brainpoolP256r1"},
		{"RSA-PSS", NULL}};
	struct vs_pkey *k = NULL;
	struct vs_err err = {0};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, rows[i].type, NULL);
		EVP_PKEY *evp = NULL;
		uint8_t *der = NULL;
		assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
		if (rows[i].group != NULL)
			assert_int_equal(EVP_PKEY_CTX_set_group_name(ctx, rows[i].group), 1);
		assert_int_equal(EVP_PKEY_generate(ctx, &evp), 1);
		PKCS8_PRIV_KEY_INFO *p8 = EVP_PKEY2PKCS8(evp);
		const int n = i2d_PKCS8_PRIV_KEY_INFO(p8, &der);
		assert_code(vs_pkey_from_pkcs8(o, vs_bytes_of(der, (size_t)n), &k, &err), BAD_KEY);
		OPENSSL_free(der);
		PKCS8_PRIV_KEY_INFO_free(p8);
		EVP_PKEY_free(evp);
		EVP_PKEY_CTX_free(ctx);
	}
}

/* Around the parts of an EC key: the curve outside and inside, the point in some form, a tail. */
struct ec_form {
	int outer, inner; /* enum vs_curve; inner 0: not there */
	uint8_t version, unused; /* of the whole; bits of the point */
	int point; /* POINT_CONVERSION_..., 0: not there */
	bool attributes, tail, other_point, long_number;
	enum vs_code want;
};

static void
put_oid(struct vs_der *d, int curve)
{
	vs_der_put(d, vs_curve_oid_der((enum vs_curve)curve));
}

static struct vs_bytes
make_ec_form(struct vs_der *d, const struct ec_form *f)
{
	static const uint8_t zero[] = {0x02, 0x01, 0x00}, one[] = {0x02, 0x01, 0x01},
			     padded_one[] = {0x02, 0x02, 0x00, 0x01}, attribute[] = {0x31, 0x00},
			     oid[] = {0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};
	struct vs_secret store = {0};
	struct vs_key_private k;
	struct vs_err err = {0};
	uint8_t point[65];
	assert_ok(vs_pkey_private(ec, arena, &store, &k, &err), &err);
	size_t n = 1 + k.pub.x.n, mark, inner;
	memcpy(point + 1, k.pub.x.p, k.pub.x.n);
	memcpy(point + 1 + k.pub.x.n, k.pub.y.p, k.pub.y.n);
	point[0] = (uint8_t)(f->point == POINT_CONVERSION_COMPRESSED ? 2 | (point[64] & 1) : 4);
	if (f->point == POINT_CONVERSION_UNCOMPRESSED)
		n = sizeof point;
	if (f->other_point)
		point[0] ^= 1; /* of a compressed one: its mirror image */
	const size_t end = d->at;
	if (f->tail)
		vs_der_put(d, vs_bytes_of(one, sizeof one));
	if (f->attributes) {
		mark = d->at;
		vs_der_put(d, vs_bytes_of(attribute, sizeof attribute));
		vs_der_head(d, 0xa0, mark);
	}
	inner = d->at;
	if (f->point != 0) {
		mark = d->at;
		vs_der_put(d, vs_bytes_of(point, n));
		vs_der_put(d, vs_bytes_of(&f->unused, 1));
		vs_der_head(d, 0x03, mark);
		vs_der_head(d, 0xa1, mark);
	}
	if (f->inner != 0) {
		mark = d->at;
		put_oid(d, f->inner);
		vs_der_head(d, 0xa0, mark);
	}
	mark = d->at;
	vs_der_put(d, k.d);
	vs_der_head(d, 0x04, mark);
	vs_der_put(d,
		f->long_number ? vs_bytes_of(padded_one, sizeof padded_one)
			       : vs_bytes_of(one, sizeof one));
	vs_der_head(d, 0x30, inner);
	vs_der_head(d, 0x04, inner);
	mark = d->at;
	put_oid(d, f->outer);
	vs_der_put(d, vs_bytes_of(oid, sizeof oid));
	vs_der_head(d, 0x30, mark);
	vs_der_put(
		d, f->version == 0 ? vs_bytes_of(zero, sizeof zero) : vs_bytes_of(one, sizeof one));
	vs_der_head(d, 0x30, end);
	assert_false(d->bad);
	vs_secret_done(&store);
	return vs_der_view(d);
}

static void
forms_that_contradict_themselves_are_refused(void **state)
{
	enum {
		P256 = VS_CURVE_P256,
		P384 = VS_CURVE_P384,
		WHOLE = POINT_CONVERSION_UNCOMPRESSED,
		SHORT = POINT_CONVERSION_COMPRESSED
	};
	static const struct ec_form rows[] = {
		{.outer = P256, .point = WHOLE},
		{.outer = P256},
		{.outer = P256, .inner = P256, .point = SHORT},
		{.outer = P256, .attributes = true},
		{.outer = P256, .inner = P384, .want = VS_E_BAD_KEY},
		{.outer = P384, .inner = P256, .want = VS_E_BAD_KEY},
		{.outer = P384, .want = VS_E_BAD_KEY, .point = WHOLE},
		{.outer = P256, .point = SHORT, .other_point = true, .want = VS_E_BAD_KEY},
		{.outer = P256, .point = WHOLE, .other_point = true, .want = VS_E_BAD_KEY},
		{.outer = P256, .point = WHOLE, .unused = 1, .want = VS_E_BAD_KEY},
		{.outer = P256, .version = 1, .want = VS_E_BAD_KEY},
		{.outer = P256, .tail = true, .want = VS_E_BAD_KEY},
		{.outer = P256, .attributes = true, .tail = true, .want = VS_E_BAD_KEY},
		{.outer = P256, .long_number = true, .want = VS_E_BAD_KEY},
	};
	const struct vs_key_public pub = vs_pkey_public(ec);
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint8_t room[512];
		struct vs_der d = vs_der_of(room, sizeof room);
		struct vs_pkey *k = NULL;
		struct vs_err err = {0};
		const vs_rc rc = vs_pkey_from_pkcs8(o, make_ec_form(&d, &rows[i]), &k, &err);
		if (rc.code != rows[i].want)
			fail_msg("form %zu: %s", i, vs_code_name(rc.code));
		if (k != NULL)
			assert_true(vs_pkey_matches_public(k, &pub));
		vs_pkey_unref(k);
	}
}

/* Truncated, extended, and every octet changed: refused, or the very same key, never another. */
static void
damaged_pkcs8_is_refused(void **state)
{
	struct vs_pkey *const keys[] = {ec, rsa};
	struct vs_err err = {0};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct vs_secret der = {0};
		uint8_t copy[4096] = {0};
		struct vs_pkey *k = NULL;
		assert_ok(vs_pkey_export(keys[i], arena, &der, &err), &err);
		memcpy(copy, der.p, der.n);
		assert_code(vs_pkey_from_pkcs8(o, vs_bytes_of(copy, der.n + 1), &k, &err), BAD_KEY);
		for (size_t n = 0; n < der.n; n++)
			assert_code(vs_pkey_from_pkcs8(o, vs_bytes_of(copy, n), &k, &err), BAD_KEY);
		const struct vs_key_public pub = vs_pkey_public(keys[i]);
		for (size_t at = 0; at < der.n; at += i == 0 ? 1 : 7) {
			copy[at] ^= 0x04;
			const vs_rc rc = vs_pkey_from_pkcs8(o, vs_bytes_of(copy, der.n), &k, &err);
			copy[at] ^= 0x04;
			if (!vs_failed(rc)) {
				assert_true(vs_pkey_matches_public(k, &pub));
				vs_pkey_unref(k);
			} else {
				assert_true(rc.code == VS_E_BAD_KEY || rc.code == VS_E_KEY_SIZE);
			}
		}
		vs_secret_done(&der);
	}
}

/* ---- symmetric, public parts, generation ------------------------------------------------- */

static void
aes_keys_have_exact_lengths(void **state)
{
	uint8_t octets[64] = {1};
	struct vs_err err = {0};

	(void)state;
	for (size_t n = 0; n <= sizeof octets; n++) {
		struct vs_secret material = {0};
		struct vs_pkey *k = NULL;
		assert_ok(vs_secret_from(arena, octets, n, &material, &err), &err);
		const vs_rc rc = vs_pkey_from_released(o, arena, VS_KEY_AES, &material, &k, &err);
		if (n == 16 || n == 24 || n == 32) {
			assert_ok(rc, &err);
			assert_int_equal(vs_pkey_desc(k).bits, n * 8);
			assert_true(vs_bytes_eq(vs_pkey_octets(k), vs_bytes_of(octets, n)));
		} else {
			assert_code(rc, KEY_SIZE);
		}
		vs_pkey_unref(k);
		vs_secret_done(&material);
	}
}

static void
a_public_part_matches_only_itself(void **state)
{
	struct vs_key_public pub = rsa_parts.pub;
	uint8_t padded[300] = {0};

	(void)state;
	assert_true(vs_pkey_matches_public(rsa, &pub));
	memcpy(padded + 10, pub.n.p, pub.n.n);
	pub.n = vs_bytes_of(padded, pub.n.n + 10);
	assert_true(vs_pkey_matches_public(rsa, &pub));
	padded[265] ^= 1;
	assert_false(vs_pkey_matches_public(rsa, &pub));
	pub = rsa_parts.pub;
	pub.e = changed(pub.e, 2);
	assert_false(vs_pkey_matches_public(rsa, &pub));
	pub.e = vs_bytes_of(NULL, 0);
	assert_false(vs_pkey_matches_public(rsa, &pub));
	assert_false(vs_pkey_matches_public(rsa, &ec_parts.pub));
	pub = ec_parts.pub;
	assert_true(vs_pkey_matches_public(ec, &pub));
	pub.curve = VS_CURVE_P256K;
	assert_false(vs_pkey_matches_public(ec, &pub));
	pub = ec_parts.pub;
	pub.y = pub.x;
	assert_false(vs_pkey_matches_public(ec, &pub));
}

static void
generated_keys_go_out_and_come_back(void **state)
{
	struct vs_err err = {0};
	struct vs_pkey *made[8] = {0};
	size_t n = 0;

	(void)state;
	for (enum vs_curve c = VS_CURVE_P256; c < VS_CURVE_COUNT_; c++)
		assert_ok(vs_pkey_generate_ec(o, c, &made[n++], &err), &err);
	assert_ok(vs_pkey_generate_rsa(o, 3072, vs_bytes_of(NULL, 0), &made[n++], &err), &err);
	for (size_t i = 0; i < n; i++) {
		struct vs_secret der = {0};
		struct vs_buf spki = {.max = 4096};
		struct vs_pkey *back = NULL, *pub = NULL;
		const struct vs_key_public p = vs_pkey_public(made[i]);
		assert_ok(vs_pkey_export(made[i], arena, &der, &err), &err);
		assert_ok(vs_pkey_from_pkcs8(o, vs_secret_view(&der), &back, &err), &err);
		assert_true(vs_pkey_matches_public(back, &p));
		assert_ok(vs_pkey_spki(made[i], &spki, &err), &err);
		/* OpenSSL reads it too */
		const uint8_t *at = spki.p;
		EVP_PKEY *evp = d2i_PUBKEY(NULL, &at, (long)spki.n);
		assert_non_null(evp);
		EVP_PKEY_free(evp);
		assert_ok(vs_pkey_from_spki(o, vs_buf_view(&spki), &pub, &err), &err);
		assert_true(vs_pkey_matches_public(pub, &p));
		assert_false(vs_pkey_is_private(pub));
		struct vs_secret none = {0};
		assert_code(vs_pkey_export(pub, arena, &none, &err), KEY_KIND);
		vs_buf_done(&spki);
		vs_secret_done(&der);
		vs_pkey_unref(back);
		vs_pkey_unref(pub);
		vs_pkey_unref(made[i]);
	}
}

static void
curves_are_known_by_oid_and_name(void **state)
{
	static const uint8_t named[] = {0x13, 5, 'P', '-', '3', '8', '4'},
			     other[] = {0x13, 5, 'P', '-', '2', '2', '4'},
			     p224[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x21};
	struct vs_bytes x, y;
	struct vs_err err = {0};
	uint8_t point[140] = {0x04};

	(void)state;
	for (enum vs_curve c = VS_CURVE_P256; c < VS_CURVE_COUNT_; c++) {
		const struct vs_bytes oid = vs_curve_oid_der(c);
		assert_int_equal(vs_curve_from_params(oid), c);
		assert_int_equal(
			vs_curve_from_params(vs_bytes_of(oid.p, oid.n - 1)), VS_CURVE_NONE);
	}
	assert_int_equal(vs_curve_from_params(vs_bytes_of(named, sizeof named)), VS_CURVE_P384);
	assert_int_equal(vs_curve_from_params(vs_bytes_of(other, sizeof other)), VS_CURVE_NONE);
	assert_int_equal(vs_curve_from_params(vs_bytes_of(p224, sizeof p224)), VS_CURVE_NONE);
	assert_int_equal(vs_curve_from_params(vs_bytes_of(NULL, 0)), VS_CURVE_NONE);
	for (size_t n = 0; n < sizeof point; n++) {
		const vs_rc rc =
			vs_curve_split_point(VS_CURVE_P256, vs_bytes_of(point, n), &x, &y, &err);
		if (n == 65)
			assert_ok(rc, &err);
		else
			assert_code(rc, PARAM);
	}
	memmove(point + 2, point, 65);
	point[0] = 0x04;
	point[1] = 65;
	assert_ok(vs_curve_split_point(VS_CURVE_P256, vs_bytes_of(point, 67), &x, &y, &err), &err);
	point[1] = 64;
	assert_code(
		vs_curve_split_point(VS_CURVE_P256, vs_bytes_of(point, 67), &x, &y, &err), PARAM);
	point[2] = 0x02; /* compressed */
	assert_code(vs_curve_split_point(VS_CURVE_P256, vs_bytes_of(point + 2, 33), &x, &y, &err),
		PARAM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_forms_of_released_ec_keys_become_the_same),
		cmocka_unit_test(foreign_kinds_of_keys_are_refused),
		cmocka_unit_test(forms_that_contradict_themselves_are_refused),
		cmocka_unit_test(damaged_pkcs8_is_refused),
		cmocka_unit_test(aes_keys_have_exact_lengths),
		cmocka_unit_test(a_public_part_matches_only_itself),
		cmocka_unit_test(generated_keys_go_out_and_come_back),
		cmocka_unit_test(curves_are_known_by_oid_and_name),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
