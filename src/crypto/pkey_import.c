/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes to keys. Private material goes in by DER, because that is the way on which OpenSSL uses
 * its secure heap where the application has one. Elliptic curve keys are always rebuilt from
 * curve and scalar, so whatever form they came in, one form is used.
 */
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>

#include "crypto/der.h"
#include "crypto/internal.h"

enum { TAG_OCTET_STRING = 0x04, TAG_SEQUENCE = 0x30 };

static void
p8_done(PKCS8_PRIV_KEY_INFO **p)
{
	PKCS8_PRIV_KEY_INFO_free(*p);
	*p = NULL;
}

/* OpenSSL's view of a PrivateKeyInfo that fills der exactly. */
static vs_rc
decode_pkcs8(struct vs_ossl *o, struct vs_bytes der, EVP_PKEY **ret, struct vs_err *err)
{
	if (der.n == 0 || der.n > VS_PKCS8_MAX)
		VS_FAIL(err, BAD_KEY, "the private key has an impossible length");
	const uint8_t *p = der.p;
	VS_CLEANUP(p8_done)
	PKCS8_PRIV_KEY_INFO *p8 = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)der.n);
	if (p8 == NULL || p != der.p + der.n)
		VS_FAIL(err, BAD_KEY, "the private key is not a PKCS#8 structure");
	const uint8_t *inner = NULL;
	int inner_n = 0;
	struct vs_bytes content;
	OSSL_TRY(err, PKCS8_pkey_get0(NULL, &inner, &inner_n, NULL, p8),
		"the private key cannot be read");
	if (!vs_der_unwrap(vs_bytes_of(inner, (size_t)inner_n), TAG_SEQUENCE, &content))
		VS_FAIL(err, BAD_KEY, "the private key inside PKCS#8 is malformed");
	EVP_PKEY *evp = EVP_PKCS82PKEY_ex(p8, o->ctx, NULL);
	if (evp == NULL)
		OSSL_FAIL(err, BAD_KEY, "the private key cannot be read");
	*ret = evp;
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

/* parts->d may have leading zeros or lack them; x and y are compared when they are there. */
static vs_rc
import_ec(struct vs_ossl *o, const struct vs_key_private *parts, bool round, struct vs_pkey **ret,
	struct vs_err *err)
{
	uint8_t x[66], y[66], room[512], d[66] = {0};
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
	memcpy(d + n - scalar.n, scalar.p, scalar.n);
	const struct vs_key_private whole = {
		.pub = {.type = VS_KEY_EC,
			.curve = curve,
			.x = vs_bytes_of(x, n),
			.y = vs_bytes_of(y, n)},
		.d = vs_bytes_of(d, n),
	};
	struct vs_der der = vs_der_of(room, sizeof room);
	vs_der_pkcs8(&der, &whole);
	VS_CLEANUP(vs_evp_pkey_done) EVP_PKEY *evp = NULL;
	const vs_rc rc = der.bad
		? vs_err_put(err, VS_E_INTERNAL, __func__, __LINE__, 0, "no room for a key")
		: decode_pkcs8(o, vs_der_view(&der), &evp, err);
	vs_wipe(room, sizeof room);
	vs_wipe(d, sizeof d);
	VS_TRY(rc);
	VS_CLEANUP(vs_pkey_done) struct vs_pkey *k = NULL;
	VS_TRY(vs_pkey_adopt(o, VS_KEY_EC, true, &evp, &k, err));
	if (round)
		VS_TRY(vs_pkey_check_round(k, err));
	*ret = VS_TAKE(k);
	return VS_OK;
}

/* Whatever form OpenSSL has understood: named, explicit, with or without public key. */
static vs_rc
normalise_ec(struct vs_ossl *o, EVP_PKEY *evp, bool round, struct vs_pkey **ret, struct vs_err *err)
{
	char group[64];
	uint8_t d[66], x[66], y[66];

	if (EVP_PKEY_get_group_name(evp, group, sizeof group, NULL) != 1)
		VS_FAIL(err, BAD_KEY, "the key's curve has no name");
	const enum vs_curve curve = vs_curve_from_ossl_name(group);
	const int n = (int)vs_curve_bytes(curve);
	if (n == 0)
		VS_FAIL(err, BAD_KEY, "the key's curve %s is not offered here", group);
	VS_CLEANUP(vs_bn_done) BIGNUM *bd = NULL;
	VS_CLEANUP(vs_bn_done) BIGNUM *bx = NULL;
	VS_CLEANUP(vs_bn_done) BIGNUM *by = NULL;
	VS_TRY(vs_pkey_bn(evp, OSSL_PKEY_PARAM_PRIV_KEY, &bd, err));
	VS_TRY(vs_pkey_bn(evp, OSSL_PKEY_PARAM_EC_PUB_X, &bx, err));
	VS_TRY(vs_pkey_bn(evp, OSSL_PKEY_PARAM_EC_PUB_Y, &by, err));
	if (BN_bn2binpad(bd, d, n) != n || BN_bn2binpad(bx, x, n) != n ||
		BN_bn2binpad(by, y, n) != n)
		VS_FAIL(err, BAD_KEY, "a number of the EC key is too long for its curve");
	const struct vs_key_private parts = {
		.pub = {.type = VS_KEY_EC,
			.curve = curve,
			.x = vs_bytes_of(x, (size_t)n),
			.y = vs_bytes_of(y, (size_t)n)},
		.d = vs_bytes_of(d, (size_t)n),
	};
	const vs_rc rc = import_ec(o, &parts, round, ret, err);
	vs_wipe(d, sizeof d);
	return rc;
}

/* ---- PKCS#8 ------------------------------------------------------------------------------ */

static vs_rc
import_pkcs8(struct vs_ossl *o, enum vs_key_type want, struct vs_bytes der, bool round,
	struct vs_pkey **ret, struct vs_err *err)
{
	VS_CLEANUP(vs_evp_pkey_done) EVP_PKEY *evp = NULL;
	VS_TRY(decode_pkcs8(o, der, &evp, err));
	const enum vs_key_type type = EVP_PKEY_is_a(evp, "RSA") == 1 ? VS_KEY_RSA
		: EVP_PKEY_is_a(evp, "EC") == 1                      ? VS_KEY_EC
								     : VS_KEY_NONE;
	if (type == VS_KEY_NONE || EVP_PKEY_get0_provider(evp) == NULL)
		VS_FAIL(err, BAD_KEY, "the private key is neither RSA nor EC");
	if (want != VS_KEY_NONE && type != want)
		VS_FAIL(err, BAD_KEY, "the private key is %s where %s was expected",
			type == VS_KEY_RSA ? "RSA" : "EC", want == VS_KEY_RSA ? "RSA" : "EC");
	if (type == VS_KEY_EC)
		return normalise_ec(o, evp, round, ret, err);
	VS_TRY(vs_pkey_check_rsa_private(evp, err));
	VS_CLEANUP(vs_pkey_done) struct vs_pkey *k = NULL;
	VS_TRY(vs_pkey_adopt(o, VS_KEY_RSA, true, &evp, &k, err));
	if (round)
		VS_TRY(vs_pkey_check_round(k, err));
	*ret = VS_TAKE(k);
	return VS_OK;
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
evp_from_params(struct vs_ossl *o, const char *type, OSSL_PARAM_BLD *bld, EVP_PKEY **ret,
	struct vs_err *err)
{
	VS_CLEANUP(params_done) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	VS_CLEANUP(vs_evp_pkey_ctx_done)
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(o->ctx, type, NULL);
	if (params == NULL || ctx == NULL)
		OSSL_FAIL(err, CRYPTO, "a public key cannot be made");
	OSSL_TRY(err, EVP_PKEY_fromdata_init(ctx), "a public key cannot be made");
	EVP_PKEY *evp = NULL;
	if (EVP_PKEY_fromdata(ctx, &evp, EVP_PKEY_PUBLIC_KEY, params) != 1)
		OSSL_FAIL(err, BAD_KEY, "the public key is not valid");
	*ret = evp;
	return VS_OK;
}

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
	return evp_from_params(o, "RSA", bld, ret, err);
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
	return evp_from_params(o, "EC", bld, ret, err);
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
