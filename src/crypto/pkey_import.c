/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes to keys. Private material goes in as numbers, whose copies on the way are all wiped; by
 * DER it would leave one behind (pkey_pkcs8.c). Elliptic curve keys are always rebuilt from curve
 * and scalar, so whatever form they came in, one form is used.
 */
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>

#include "crypto/der.h"
#include "crypto/internal.h"

/* ---- parameters ---------------------------------------------------------------------------- */

static void
bld_done(OSSL_PARAM_BLD **p)
{
	OSSL_PARAM_BLD_free(*p);
	*p = NULL;
}

static void
params_done(OSSL_PARAM **p)
{
	OSSL_PARAM_free(*p);
	*p = NULL;
}

static vs_rc
evp_from_params(struct vs_ossl *o, const char *type, int selection, OSSL_PARAM_BLD *bld,
	EVP_PKEY **ret, struct vs_err *err)
{
	VS_CLEANUP(params_done) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	VS_CLEANUP(vs_evp_pkey_ctx_done)
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(o->ctx, type, NULL);
	if (params == NULL || ctx == NULL)
		OSSL_FAIL(err, CRYPTO, "a key cannot be made");
	OSSL_TRY(err, EVP_PKEY_fromdata_init(ctx), "a key cannot be made");
	EVP_PKEY *evp = NULL;
	if (EVP_PKEY_fromdata(ctx, &evp, selection, params) != 1)
		OSSL_FAIL(err, BAD_KEY, "the key is not valid");
	*ret = evp;
	return VS_OK;
}

/* A secure number: its copy among the parameters is wiped with them. */
static vs_rc
push_secret(OSSL_PARAM_BLD *bld, const char *name, struct vs_bytes number, BIGNUM **bn,
	struct vs_err *err)
{
	*bn = BN_secure_new();
	if (*bn == NULL || BN_bin2bn(number.p, (int)number.n, *bn) == NULL)
		VS_FAIL(err, MEMORY, "no memory for a private key");
	BN_set_flags(*bn, BN_FLG_CONSTTIME);
	if (OSSL_PARAM_BLD_push_BN(bld, name, *bn) != 1)
		VS_FAIL(err, MEMORY, "no memory for a private key");
	return VS_OK;
}

/* ---- EC ---------------------------------------------------------------------------------- */

struct ec_work {
	EC_GROUP *group;
	EC_POINT *point;
	BIGNUM *d, *x, *y;
	BN_CTX *ctx;
};

static void
ec_work_done(struct ec_work *w)
{
	EC_POINT_free(w->point);
	EC_GROUP_free(w->group);
	vs_bn_done(&w->d);
	vs_bn_done(&w->x);
	vs_bn_done(&w->y);
	vs_bn_ctx_done(&w->ctx);
}

static vs_rc
ec_work_new(struct vs_ossl *o, enum vs_curve curve, struct ec_work *w, struct vs_err *err)
{
	w->group = EC_GROUP_new_by_curve_name_ex(o->ctx, NULL, vs_curve_nid(curve));
	if (w->group == NULL)
		OSSL_FAIL(err, CRYPTO, "a curve is not available");
	w->point = EC_POINT_new(w->group);
	w->x = BN_new();
	w->y = BN_new();
	w->ctx = BN_CTX_secure_new_ex(o->ctx);
	if (w->point == NULL || w->x == NULL || w->y == NULL || w->ctx == NULL)
		VS_FAIL(err, MEMORY, "no memory for a curve");
	return VS_OK;
}

/* The point of a scalar in 1 .. order-1, as fixed-length coordinates. */
static vs_rc
ec_public_of(struct vs_ossl *o, enum vs_curve curve, struct vs_bytes d, uint8_t *x, uint8_t *y,
	struct vs_err *err)
{
	const int n = (int)vs_curve_bytes(curve);
	VS_CLEANUP(ec_work_done) struct ec_work w = {0};
	VS_TRY(ec_work_new(o, curve, &w, err));
	w.d = BN_secure_new();
	if (w.d == NULL || BN_bin2bn(d.p, (int)d.n, w.d) == NULL)
		VS_FAIL(err, MEMORY, "no memory for a scalar");
	BN_set_flags(w.d, BN_FLG_CONSTTIME);
	if (BN_is_zero(w.d) || BN_cmp(w.d, EC_GROUP_get0_order(w.group)) >= 0)
		VS_FAIL(err, BAD_KEY, "the EC private key is not between 1 and the curve's order");
	OSSL_TRY(err, EC_POINT_mul(w.group, w.point, w.d, NULL, NULL, w.ctx),
		"a public key cannot be computed");
	OSSL_TRY(err, EC_POINT_get_affine_coordinates(w.group, w.point, w.x, w.y, w.ctx),
		"a public key cannot be computed");
	VS_REQUIRE(err, BN_bn2binpad(w.x, x, n) == n && BN_bn2binpad(w.y, y, n) == n);
	return VS_OK;
}

static bool
same_padded(struct vs_bytes given, const uint8_t *have, size_t n)
{
	const struct vs_bytes a = vs_der_strip(given), b = vs_der_strip(vs_bytes_of(have, n));
	return vs_bytes_eq(a, b);
}

static vs_rc
ec_from_numbers(
	struct vs_ossl *o, const struct vs_key_private *k, EVP_PKEY **ret, struct vs_err *err)
{
	const size_t n = vs_curve_bytes(k->pub.curve);
	uint8_t point[1 + 2 * 66] = {0x04};
	VS_CLEANUP(bld_done) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	VS_CLEANUP(vs_bn_done) BIGNUM *d = NULL;
	memcpy(point + 1, k->pub.x.p, n);
	memcpy(point + 1 + n, k->pub.y.p, n);
	if (bld == NULL ||
		OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME,
			vs_curve_ossl_name(k->pub.curve), 0) != 1 ||
		OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * n) !=
			1)
		VS_FAIL(err, MEMORY, "no memory for a private key");
	VS_TRY(push_secret(bld, OSSL_PKEY_PARAM_PRIV_KEY, k->d, &d, err));
	return evp_from_params(o, VS_OSSL_EC, EVP_PKEY_KEYPAIR, bld, ret, err);
}

/* parts->d may have leading zeros or lack them; x and y are compared when they are there. */
static vs_rc
import_ec(struct vs_ossl *o, const struct vs_key_private *parts, bool round, struct vs_pkey **ret,
	struct vs_err *err)
{
	uint8_t x[66], y[66];
	const enum vs_curve curve = parts->pub.curve;
	const size_t n = vs_curve_bytes(curve);
	const struct vs_bytes scalar = vs_der_strip(parts->d);
	if (n == 0)
		VS_FAIL(err, BAD_KEY, "the key's curve is not offered here");
	if (scalar.n > n)
		VS_FAIL(err, BAD_KEY, "the EC private key is not between 1 and the curve's order");
	VS_TRY(ec_public_of(o, curve, scalar, x, y, err));
	if ((parts->pub.x.n != 0 || parts->pub.y.n != 0) &&
		(!same_padded(parts->pub.x, x, n) || !same_padded(parts->pub.y, y, n)))
		VS_FAIL(err, BAD_KEY, "the private key does not belong to its public key");
	const struct vs_key_private whole = {
		.pub = {.type = VS_KEY_EC,
			.curve = curve,
			.x = vs_bytes_of(x, n),
			.y = vs_bytes_of(y, n)},
		.d = scalar,
	};
	VS_CLEANUP(vs_evp_pkey_done) EVP_PKEY *evp = NULL;
	VS_TRY(ec_from_numbers(o, &whole, &evp, err));
	VS_CLEANUP(vs_pkey_done) struct vs_pkey *k = NULL;
	VS_TRY(vs_pkey_adopt(o, VS_KEY_EC, true, &evp, &k, err));
	if (round)
		VS_TRY(vs_pkey_check_round(k, err));
	*ret = VS_TAKE(k);
	return VS_OK;
}

/* ---- RSA ----------------------------------------------------------------------------------- */

enum { RSA_NUMBERS = 8 };

static void
numbers_done(BIGNUM *(*bn)[RSA_NUMBERS])
{
	for (size_t i = 0; i < RSA_NUMBERS; i++)
		vs_bn_done(&(*bn)[i]);
}

static vs_rc
rsa_from_numbers(
	struct vs_ossl *o, const struct vs_key_private *k, EVP_PKEY **ret, struct vs_err *err)
{
	const struct {
		const char *name;
		struct vs_bytes number;
	} rows[RSA_NUMBERS] = {
		{OSSL_PKEY_PARAM_RSA_N, k->pub.n},
		{OSSL_PKEY_PARAM_RSA_E, k->pub.e},
		{OSSL_PKEY_PARAM_RSA_D, k->d},
		{OSSL_PKEY_PARAM_RSA_FACTOR1, k->p},
		{OSSL_PKEY_PARAM_RSA_FACTOR2, k->q},
		{OSSL_PKEY_PARAM_RSA_EXPONENT1, k->dp},
		{OSSL_PKEY_PARAM_RSA_EXPONENT2, k->dq},
		{OSSL_PKEY_PARAM_RSA_COEFFICIENT1, k->qi},
	};
	VS_CLEANUP(bld_done) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	VS_CLEANUP(numbers_done) BIGNUM *bn[RSA_NUMBERS] = {NULL};
	if (bld == NULL)
		VS_FAIL(err, MEMORY, "no memory for a private key");
	for (size_t i = 0; i < RSA_NUMBERS; i++) {
		if (rows[i].number.n > VS_RSA_MAX_BITS / 8)
			VS_FAIL(err, BAD_KEY, "a number of the RSA key is too long");
		VS_TRY(push_secret(bld, rows[i].name, rows[i].number, &bn[i], err));
	}
	return evp_from_params(o, VS_OSSL_RSA, EVP_PKEY_KEYPAIR, bld, ret, err);
}

static vs_rc
import_rsa(struct vs_ossl *o, const struct vs_key_private *parts, bool round, struct vs_pkey **ret,
	struct vs_err *err)
{
	/* Before OpenSSL sees them: it may not like what is refused. */
	VS_TRY(vs_pkey_check_rsa_parts(parts, err));
	VS_CLEANUP(vs_evp_pkey_done) EVP_PKEY *evp = NULL;
	VS_TRY(rsa_from_numbers(o, parts, &evp, err));
	VS_TRY(vs_pkey_check_rsa_private(evp, err));
	VS_CLEANUP(vs_pkey_done) struct vs_pkey *k = NULL;
	VS_TRY(vs_pkey_adopt(o, VS_KEY_RSA, true, &evp, &k, err));
	if (round)
		VS_TRY(vs_pkey_check_round(k, err));
	*ret = VS_TAKE(k);
	return VS_OK;
}

/* ---- PKCS#8 ------------------------------------------------------------------------------ */

static vs_rc
import_pkcs8(struct vs_ossl *o, enum vs_key_type want, struct vs_bytes der, bool round,
	struct vs_pkey **ret, struct vs_err *err)
{
	struct vs_pkcs8 p8;
	VS_TRY(vs_pkcs8_read(o, der, &p8, err));
	const enum vs_key_type type = p8.key.pub.type;
	if (want != VS_KEY_NONE && type != want)
		VS_FAIL(err, BAD_KEY, "the private key is %s where %s was expected",
			type == VS_KEY_RSA ? "RSA" : "EC", want == VS_KEY_RSA ? "RSA" : "EC");
	return type == VS_KEY_EC ? import_ec(o, &p8.key, round, ret, err)
				 : import_rsa(o, &p8.key, round, ret, err);
}

vs_rc
vs_pkey_from_pkcs8(struct vs_ossl *o, struct vs_bytes der, struct vs_pkey **ret, struct vs_err *err)
{
	OSSL_ENTER(err);
	return import_pkcs8(o, VS_KEY_NONE, der, true, ret, err);
}

static vs_rc
from_material(struct vs_ossl *o, struct vs_arena *arena, enum vs_key_type type,
	const struct vs_secret *material, bool round, struct vs_pkey **ret, struct vs_err *err)
{
	if (type == VS_KEY_AES)
		return vs_pkey_from_octets(o, arena, type, vs_secret_view(material), ret, err);
	if (type != VS_KEY_RSA && type != VS_KEY_EC)
		VS_FAIL(err, KEY_KIND, "keys of this kind are not released");
	OSSL_ENTER(err);
	return import_pkcs8(o, type, vs_secret_view(material), round, ret, err);
}

vs_rc
vs_pkey_from_released(struct vs_ossl *o, struct vs_arena *arena, enum vs_key_type type,
	const struct vs_secret *material, struct vs_pkey **ret, struct vs_err *err)
{
	return from_material(o, arena, type, material, true, ret, err);
}

vs_rc
vs_pkey_from_agent(struct vs_ossl *o, struct vs_arena *arena, enum vs_key_type type,
	const struct vs_secret *material, struct vs_pkey **ret, struct vs_err *err)
{
	return from_material(o, arena, type, material, false, ret, err);
}

vs_rc
vs_pkey_from_private(struct vs_ossl *o, const struct vs_key_private *parts, struct vs_pkey **ret,
	struct vs_err *err)
{
	OSSL_ENTER(err);
	if (parts->pub.type == VS_KEY_EC)
		return import_ec(o, parts, true, ret, err);
	if (parts->pub.type != VS_KEY_RSA)
		VS_FAIL(err, KEY_KIND, "only RSA and EC keys have private components");
	VS_CLEANUP(vs_rsa_parts_done) struct vs_rsa_parts whole = {0};
	VS_TRY(vs_rsa_parts_complete(o, parts, &whole, err));
	return import_pkcs8(o, VS_KEY_RSA, vs_bytes_of(whole.der, whole.der_n), true, ret, err);
}

/* ---- public keys ------------------------------------------------------------------------- */

static vs_rc
public_rsa(struct vs_ossl *o, const struct vs_key_public *parts, bool allow_weak, EVP_PKEY **ret,
	struct vs_err *err)
{
	const struct vs_bytes n = vs_der_strip(parts->n), e = vs_der_strip(parts->e);

	if (n.n == 0 || n.n > VS_RSA_MAX_BITS / 8 || e.n == 0 || e.n > VS_RSA_MAX_BITS / 8)
		VS_FAIL(err, KEY_SIZE, "the RSA public key has an impossible length");
	VS_CLEANUP(vs_bn_done) BIGNUM *bn = BN_bin2bn(n.p, (int)n.n, NULL);
	VS_CLEANUP(vs_bn_done) BIGNUM *be = BN_bin2bn(e.p, (int)e.n, NULL);
	VS_CLEANUP(bld_done) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	if (bn == NULL || be == NULL || bld == NULL)
		VS_FAIL(err, MEMORY, "no memory for a public key");
	VS_TRY(vs_pkey_check_rsa_public(bn, be, allow_weak, err));
	if (OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn) != 1 ||
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, be) != 1)
		VS_FAIL(err, MEMORY, "no memory for a public key");
	return evp_from_params(o, VS_OSSL_RSA, EVP_PKEY_PUBLIC_KEY, bld, ret, err);
}

static vs_rc
public_ec(struct vs_ossl *o, const struct vs_key_public *parts, EVP_PKEY **ret, struct vs_err *err)
{
	const size_t n = vs_curve_bytes(parts->curve);
	const struct vs_bytes x = vs_der_strip(parts->x), y = vs_der_strip(parts->y);
	uint8_t point[1 + 2 * 66] = {0x04};

	if (n == 0)
		VS_FAIL(err, BAD_KEY, "the key's curve is not offered here");
	if (x.n > n || y.n > n)
		VS_FAIL(err, BAD_KEY, "a coordinate of the EC key is too long for its curve");
	if (x.n != 0)
		memcpy(point + 1 + n - x.n, x.p, x.n);
	if (y.n != 0)
		memcpy(point + 1 + 2 * n - y.n, y.p, y.n);
	VS_CLEANUP(bld_done) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	if (bld == NULL ||
		OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME,
			vs_curve_ossl_name(parts->curve), 0) != 1 ||
		OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * n) !=
			1)
		VS_FAIL(err, MEMORY, "no memory for a public key");
	return evp_from_params(o, VS_OSSL_EC, EVP_PKEY_PUBLIC_KEY, bld, ret, err);
}

vs_rc
vs_pkey_from_public(struct vs_ossl *o, const struct vs_key_public *parts, bool allow_weak,
	struct vs_pkey **ret, struct vs_err *err)
{
	OSSL_ENTER(err);
	VS_CLEANUP(vs_evp_pkey_done) EVP_PKEY *evp = NULL;
	if (parts->type == VS_KEY_RSA)
		VS_TRY(public_rsa(o, parts, allow_weak, &evp, err));
	else if (parts->type == VS_KEY_EC)
		VS_TRY(public_ec(o, parts, &evp, err));
	else
		VS_FAIL(err, KEY_KIND, "only RSA and EC keys have public parts");
	return vs_pkey_adopt(o, parts->type, false, &evp, ret, err);
}

vs_rc
vs_pkey_from_spki(struct vs_ossl *o, struct vs_bytes der, struct vs_pkey **ret, struct vs_err *err)
{
	OSSL_ENTER(err);
	if (der.n == 0 || der.n > VS_PKCS8_MAX)
		VS_FAIL(err, BAD_KEY, "the public key has an impossible length");
	const uint8_t *p = der.p;
	VS_CLEANUP(vs_evp_pkey_done)
	EVP_PKEY *evp = d2i_PUBKEY_ex(NULL, &p, (long)der.n, o->ctx, NULL);
	if (evp == NULL || p != der.p + der.n)
		OSSL_FAIL(err, BAD_KEY, "the public key is not a SubjectPublicKeyInfo");
	const enum vs_key_type type = EVP_PKEY_is_a(evp, "RSA") == 1 ? VS_KEY_RSA
		: EVP_PKEY_is_a(evp, "EC") == 1                      ? VS_KEY_EC
								     : VS_KEY_NONE;
	if (type == VS_KEY_NONE)
		VS_FAIL(err, BAD_KEY, "the public key is neither RSA nor EC");
	/* Through its numbers, so that the same checks and the same form apply; no other form is
	 * taken. */
	VS_CLEANUP(vs_pkey_done) struct vs_pkey *k = NULL;
	VS_TRY(vs_pkey_adopt(o, type, false, &evp, &k, err));
	VS_CLEANUP(vs_buf_done) struct vs_buf again = {.max = VS_PKCS8_MAX};
	VS_TRY(vs_pkey_spki(k, &again, err));
	if (!vs_bytes_eq(vs_buf_view(&again), der))
		VS_FAIL(err, BAD_KEY,
			"the public key is not in its canonical form (DER, named curve)");
	const struct vs_key_public pub = vs_pkey_public(k);
	return vs_pkey_from_public(o, &pub, false, ret, err);
}

vs_rc
vs_pkey_public_half(struct vs_pkey *k, struct vs_pkey **ret, struct vs_err *err)
{
	const struct vs_key_public pub = vs_pkey_public(k);
	return vs_pkey_from_public(k->o, &pub, false, ret, err);
}
