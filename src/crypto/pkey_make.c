/* SPDX-License-Identifier: BSD-2-Clause */
/* RSA private keys that come with some of their numbers only, and fresh key pairs. */
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>

#include "crypto/der.h"
#include "crypto/internal.h"

enum { RECOVER_TRIES = 64 };

/* ---- completing -------------------------------------------------------------------------- */

struct numbers {
	BIGNUM *n, *e, *d, *p, *q, *dp, *dq, *qi;
	BIGNUM *p1, *q1, *t, *u;
	BN_CTX *ctx;
};

static void
numbers_done(struct numbers *w)
{
	BIGNUM **all[] = {&w->n, &w->e, &w->d, &w->p, &w->q, &w->dp, &w->dq, &w->qi, &w->p1, &w->q1,
		&w->t, &w->u};

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		vs_bn_done(all[i]);
	vs_bn_ctx_done(&w->ctx);
}

static vs_rc
numbers_new(struct vs_ossl *o, const struct vs_key_private *parts, struct numbers *w,
	struct vs_err *err)
{
	const struct {
		BIGNUM **to;
		struct vs_bytes from;
	} rows[] = {
		{&w->n, parts->pub.n},
		{&w->e, parts->pub.e},
		{&w->d, parts->d},
		{&w->p, parts->p},
		{&w->q, parts->q},
		{&w->dp, {0}},
		{&w->dq, {0}},
		{&w->qi, {0}},
		{&w->p1, {0}},
		{&w->q1, {0}},
		{&w->t, {0}},
		{&w->u, {0}},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (rows[i].from.n > VS_RSA_MAX_BITS / 8 + 1)
			VS_FAIL(err, BAD_KEY, "a number of the RSA key is too long");
		BIGNUM *bn = *rows[i].to = BN_secure_new();
		if (bn == NULL ||
			(rows[i].from.n != 0 &&
				BN_bin2bn(rows[i].from.p, (int)rows[i].from.n, bn) == NULL))
			VS_FAIL(err, MEMORY, "no memory for an RSA key");
		BN_set_flags(bn, BN_FLG_CONSTTIME);
	}
	w->ctx = BN_CTX_secure_new_ex(o->ctx);
	if (w->ctx == NULL)
		VS_FAIL(err, MEMORY, "no memory for an RSA key");
	return VS_OK;
}

/* One base: squares its odd power until a root of 1 other than 1 and -1 shows a factor. */
static vs_rc
try_base(struct numbers *w, BN_ULONG base, const BIGNUM *odd, int twos, const BIGNUM *minus_one,
	bool *ret, struct vs_err *err)
{
	OSSL_TRY(err, BN_set_word(w->t, base), "an RSA key cannot be completed");
	OSSL_TRY(err, BN_mod_exp(w->u, w->t, odd, w->n, w->ctx), "an RSA key cannot be completed");
	if (BN_is_one(w->u) || BN_cmp(w->u, minus_one) == 0)
		return VS_OK;
	for (int i = 0; i < twos; i++) {
		OSSL_TRY(err, BN_mod_sqr(w->t, w->u, w->n, w->ctx),
			"an RSA key cannot be completed");
		if (BN_is_one(w->t)) {
			OSSL_TRY(err, BN_sub_word(w->u, 1), "an RSA key cannot be completed");
			OSSL_TRY(err, BN_gcd(w->p, w->u, w->n, w->ctx),
				"an RSA key cannot be completed");
			OSSL_TRY(err, BN_div(w->q, NULL, w->n, w->p, w->ctx),
				"an RSA key cannot be completed");
			*ret = true;
			return VS_OK;
		}
		if (BN_cmp(w->t, minus_one) == 0)
			return VS_OK;
		BN_swap(w->t, w->u);
	}
	return VS_OK;
}

/* NIST SP 800-56B, appendix C: the factors from n, e and d. */
static vs_rc
recover_factors(struct numbers *w, struct vs_err *err)
{
	VS_CLEANUP(vs_bn_done) BIGNUM *odd = BN_secure_new();
	VS_CLEANUP(vs_bn_done) BIGNUM *minus_one = BN_dup(w->n);
	if (odd == NULL || minus_one == NULL)
		VS_FAIL(err, MEMORY, "no memory for an RSA key");
	OSSL_TRY(err, BN_sub_word(minus_one, 1), "an RSA key cannot be completed");
	OSSL_TRY(err, BN_mul(odd, w->d, w->e, w->ctx), "an RSA key cannot be completed");
	OSSL_TRY(err, BN_sub_word(odd, 1), "an RSA key cannot be completed");
	if (!BN_is_odd(w->n) || BN_is_zero(odd) || BN_is_odd(odd))
		VS_FAIL(err, BAD_KEY, "the RSA exponents do not belong together");
	int twos = 0;
	while (!BN_is_odd(odd)) {
		OSSL_TRY(err, BN_rshift1(odd, odd), "an RSA key cannot be completed");
		twos++;
	}
	BN_set_flags(odd, BN_FLG_CONSTTIME);
	bool found = false;
	for (BN_ULONG base = 2; base < 2 + RECOVER_TRIES && !found; base++)
		VS_TRY(try_base(w, base, odd, twos, minus_one, &found, err));
	if (!found)
		VS_FAIL(err, BAD_KEY, "the RSA exponents do not belong to the modulus");
	return VS_OK;
}

static vs_rc
crt_numbers(struct numbers *w, struct vs_err *err)
{
	if (BN_cmp(w->p, BN_value_one()) <= 0 || BN_cmp(w->q, BN_value_one()) <= 0)
		VS_FAIL(err, BAD_KEY, "a factor of the RSA modulus is missing or 1");
	OSSL_TRY(err, BN_sub(w->p1, w->p, BN_value_one()), "an RSA key cannot be completed");
	OSSL_TRY(err, BN_sub(w->q1, w->q, BN_value_one()), "an RSA key cannot be completed");
	if (BN_is_zero(w->e)) {
		/* e = d^-1 mod lcm(p-1, q-1) */
		OSSL_TRY(err, BN_gcd(w->t, w->p1, w->q1, w->ctx), "an RSA key cannot be completed");
		OSSL_TRY(err, BN_div(w->u, NULL, w->p1, w->t, w->ctx),
			"an RSA key cannot be completed");
		OSSL_TRY(err, BN_mul(w->t, w->u, w->q1, w->ctx), "an RSA key cannot be completed");
		if (BN_mod_inverse(w->e, w->d, w->t, w->ctx) == NULL)
			VS_FAIL(err, BAD_KEY, "the RSA private exponent has no inverse");
	}
	OSSL_TRY(err, BN_mod(w->dp, w->d, w->p1, w->ctx), "an RSA key cannot be completed");
	OSSL_TRY(err, BN_mod(w->dq, w->d, w->q1, w->ctx), "an RSA key cannot be completed");
	if (BN_mod_inverse(w->qi, w->q, w->p, w->ctx) == NULL)
		VS_FAIL(err, BAD_KEY, "the factors of the RSA modulus have a common divisor");
	return VS_OK;
}

void
vs_rsa_parts_done(struct vs_rsa_parts *parts)
{
	OPENSSL_secure_clear_free(parts->room, parts->room_n);
	*parts = (struct vs_rsa_parts){0};
}

static vs_rc
write_numbers(struct numbers *w, struct vs_rsa_parts *ret, struct vs_err *err)
{
	const BIGNUM *rows[] = {w->n, w->e, w->d, w->p, w->q, w->dp, w->dq, w->qi};
	enum { ROWS = sizeof rows / sizeof rows[0], ROW_MAX = VS_RSA_MAX_BITS / 8 + 2 };
	struct vs_bytes views[ROWS];

	ret->room_n = 2 * ROWS * ROW_MAX;
	ret->room = OPENSSL_secure_zalloc(ret->room_n);
	if (ret->room == NULL)
		VS_FAIL(err, MEMORY, "no memory for an RSA key");
	for (size_t i = 0; i < ROWS; i++) {
		uint8_t *at = ret->room + i * ROW_MAX;
		if (BN_bn2binpad(rows[i], at, ROW_MAX) != ROW_MAX)
			VS_FAIL(err, BAD_KEY, "a number of the RSA key is too long");
		views[i] = vs_der_strip(vs_bytes_of(at, ROW_MAX));
	}
	const struct vs_key_private whole = {
		.pub = {.type = VS_KEY_RSA, .n = views[0], .e = views[1]},
		.d = views[2],
		.p = views[3],
		.q = views[4],
		.dp = views[5],
		.dq = views[6],
		.qi = views[7],
	};
	struct vs_der d = vs_der_of(ret->room + ROWS * ROW_MAX, ROWS * ROW_MAX);
	vs_der_pkcs8(&d, &whole);
	VS_REQUIRE(err, !d.bad);
	const struct vs_bytes view = vs_der_view(&d);
	ret->der = view.p;
	ret->der_n = view.n;
	return VS_OK;
}

/* Numbers that were given are kept as they are: the checks on import look at each of them. */
static vs_rc
keep_given(const struct vs_key_private *parts, struct numbers *w, struct vs_err *err)
{
	const struct {
		BIGNUM *to;
		struct vs_bytes from;
	} rows[] = {{w->dp, parts->dp}, {w->dq, parts->dq}, {w->qi, parts->qi}};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (rows[i].from.n > VS_RSA_MAX_BITS / 8 + 1)
			VS_FAIL(err, BAD_KEY, "a number of the RSA key is too long");
		if (rows[i].from.n != 0 &&
			BN_bin2bn(rows[i].from.p, (int)rows[i].from.n, rows[i].to) == NULL)
			VS_FAIL(err, MEMORY, "no memory for an RSA key");
	}
	return VS_OK;
}

vs_rc
vs_rsa_parts_complete(struct vs_ossl *o, const struct vs_key_private *parts,
	struct vs_rsa_parts *ret, struct vs_err *err)
{
	VS_CLEANUP(numbers_done) struct numbers w = {0};
	VS_TRY(numbers_new(o, parts, &w, err));
	if (BN_num_bits(w.n) < VS_RSA_MIN_BITS || BN_num_bits(w.n) > VS_RSA_MAX_BITS)
		VS_FAIL(err, KEY_SIZE, "the RSA modulus has %d bits; %d to %d are allowed",
			BN_num_bits(w.n), (int)VS_RSA_MIN_BITS, (int)VS_RSA_MAX_BITS);
	if (BN_is_zero(w.d))
		VS_FAIL(err, BAD_KEY, "the RSA private exponent is missing");
	if (BN_is_zero(w.p) != BN_is_zero(w.q))
		VS_FAIL(err, BAD_KEY, "one factor of the RSA modulus is missing");
	if (BN_is_zero(w.p)) {
		if (BN_is_zero(w.e))
			VS_FAIL(err, BAD_KEY, "the RSA public exponent is missing");
		VS_TRY(recover_factors(&w, err));
	}
	VS_TRY(crt_numbers(&w, err));
	VS_TRY(keep_given(parts, &w, err));
	return write_numbers(&w, ret, err);
}

/* ---- generating -------------------------------------------------------------------------- */

static vs_rc
generate(struct vs_ossl *o, enum vs_key_type type, EVP_PKEY_CTX *ctx, struct vs_pkey **ret,
	struct vs_err *err)
{
	VS_CLEANUP(vs_evp_pkey_done) EVP_PKEY *evp = NULL;
	OSSL_TRY(err, EVP_PKEY_generate(ctx, &evp), "a key pair cannot be generated");
	VS_CLEANUP(vs_pkey_done) struct vs_pkey *k = NULL;
	VS_TRY(vs_pkey_adopt(o, type, true, &evp, &k, err));
	VS_TRY(vs_pkey_check_round(k, err));
	*ret = VS_TAKE(k);
	return VS_OK;
}

vs_rc
vs_pkey_generate_rsa(struct vs_ossl *o, uint32_t bits, struct vs_bytes e, struct vs_pkey **ret,
	struct vs_err *err)
{
	static const uint8_t f4[] = {1, 0, 1};

	if (bits < VS_RSA_MIN_BITS || bits > VS_RSA_MAX_BITS || bits % 8 != 0)
		VS_FAIL(err, KEY_SIZE, "an RSA key has %d to %d bits, a multiple of 8",
			(int)VS_RSA_MIN_BITS, (int)VS_RSA_MAX_BITS);
	e = vs_der_strip(e);
	if (e.n == 0)
		e = vs_bytes_of(f4, sizeof f4);
	if (e.n > 8 || e.n < 3 || (e.p[e.n - 1] & 1) == 0)
		VS_FAIL(err, PARAM,
			"the RSA public exponent is odd, at least 65537, at most 64 bits");
	OSSL_ENTER(err);
	VS_CLEANUP(vs_bn_done) BIGNUM *be = BN_bin2bn(e.p, (int)e.n, NULL);
	VS_CLEANUP(vs_evp_pkey_ctx_done)
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(o->ctx, VS_OSSL_RSA, NULL);
	if (be == NULL || ctx == NULL)
		OSSL_FAIL(err, MEMORY, "no memory to generate a key");
	OSSL_TRY(err, EVP_PKEY_keygen_init(ctx), "a key pair cannot be generated");
	OSSL_TRY(err, EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)bits),
		"a key pair cannot be generated");
	OSSL_TRY(err, EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, be),
		"a key pair cannot be generated");
	return generate(o, VS_KEY_RSA, ctx, ret, err);
}

vs_rc
vs_pkey_generate_ec(
	struct vs_ossl *o, enum vs_curve curve, struct vs_pkey **ret, struct vs_err *err)
{
	if (vs_curve_bytes(curve) == 0)
		VS_FAIL(err, PARAM, "the curve is not known");
	OSSL_ENTER(err);
	VS_CLEANUP(vs_evp_pkey_ctx_done)
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(o->ctx, VS_OSSL_EC, NULL);
	if (ctx == NULL)
		OSSL_FAIL(err, MEMORY, "no memory to generate a key");
	OSSL_TRY(err, EVP_PKEY_keygen_init(ctx), "a key pair cannot be generated");
	OSSL_TRY(err, EVP_PKEY_CTX_set_group_name(ctx, vs_curve_ossl_name(curve)),
		"a curve is not available");
	return generate(o, VS_KEY_EC, ctx, ret, err);
}
