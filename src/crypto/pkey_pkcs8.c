/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PrivateKeyInfo to numbers, as views of where they stand. OpenSSL 3.0's decoders leave a copy of
 * what they read behind in the heap (decode_der2key.c frees it as it is), so private keys are
 * read here, and only public parts of odd forms are shown to OpenSSL.
 */
#include <openssl/ec.h>

#include "crypto/der.h"
#include "crypto/internal.h"

enum {
	TAG_INTEGER = 0x02,
	TAG_BIT_STRING = 0x03,
	TAG_OCTET_STRING = 0x04,
	TAG_OID = 0x06,
	TAG_SEQUENCE = 0x30,
	TAG_0 = 0xa0,
	TAG_1 = 0xa1,
};

static const uint8_t rsa_encryption[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};
static const uint8_t ec_public_key[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};

static vs_rc
refuse(struct vs_err *err)
{
	VS_FAIL(err, BAD_KEY, "the private key is not a well-formed PKCS#8 structure");
}

/* A number that is not negative, in its shortest form; without leading zeros. */
static bool
take_number(struct vs_bytes *in, struct vs_bytes *ret)
{
	if (!vs_der_take(in, TAG_INTEGER, ret) || ret->n == 0 || (ret->p[0] & 0x80) != 0 ||
		(ret->n > 1 && ret->p[0] == 0 && (ret->p[1] & 0x80) == 0))
		return false;
	*ret = vs_der_strip(*ret);
	return true;
}

static bool
take_small(struct vs_bytes *in, uint8_t want)
{
	struct vs_bytes n;
	return take_number(in, &n) && (want == 0 ? n.n == 0 : n.n == 1 && n.p[0] == want);
}

/* ---- RSA (RFC 8017 A.1.2, two factors) ----------------------------------------------------- */

static vs_rc
read_rsa(struct vs_bytes key, struct vs_key_private *ret, struct vs_err *err)
{
	struct vs_bytes in;
	struct vs_bytes *const to[] = {
		&ret->pub.n, &ret->pub.e, &ret->d, &ret->p, &ret->q, &ret->dp, &ret->dq, &ret->qi};
	if (!vs_der_unwrap(key, TAG_SEQUENCE, &in) || !take_small(&in, 0))
		return refuse(err);
	for (size_t i = 0; i < sizeof to / sizeof to[0]; i++)
		if (!take_number(&in, to[i]) || to[i]->n == 0)
			return refuse(err);
	ret->pub.type = VS_KEY_RSA;
	return in.n == 0 ? VS_OK : refuse(err);
}

/* ---- EC (RFC 5915) ------------------------------------------------------------------------- */

static void
group_done(EC_GROUP **g)
{
	EC_GROUP_free(*g);
	*g = NULL;
}

static void
point_done(EC_POINT **p)
{
	EC_POINT_free(*p);
	*p = NULL;
}

/* By name, or by its numbers: vaults send both. */
static vs_rc
read_curve(struct vs_bytes params, enum vs_curve *ret, struct vs_err *err)
{
	struct vs_bytes rest = params, content;
	*ret = VS_CURVE_NONE;
	if (vs_der_take(&rest, TAG_OID, &content) && rest.n == 0) {
		*ret = vs_curve_from_params(params);
	} else if (vs_der_unwrap(params, TAG_SEQUENCE, &content)) {
		const uint8_t *p = params.p;
		VS_CLEANUP(group_done)
		EC_GROUP *g = d2i_ECPKParameters(NULL, &p, (long)params.n);
		const int nid = g == NULL ? NID_undef : EC_GROUP_get_curve_name(g);
		for (unsigned c = VS_CURVE_NONE + 1; c < VS_CURVE_COUNT_ && nid != NID_undef; c++)
			if (vs_curve_nid((enum vs_curve)c) == nid)
				*ret = (enum vs_curve)c;
	}
	if (*ret == VS_CURVE_NONE)
		OSSL_FAIL(err, BAD_KEY, "the key's curve is not offered here");
	return VS_OK;
}

/* In any form a point has. */
static vs_rc
read_point(struct vs_ossl *o, struct vs_bytes point, struct vs_pkcs8 *ret, struct vs_err *err)
{
	const enum vs_curve curve = ret->key.pub.curve;
	const int n = (int)vs_curve_bytes(curve);
	VS_CLEANUP(group_done)
	EC_GROUP *g = EC_GROUP_new_by_curve_name_ex(o->ctx, NULL, vs_curve_nid(curve));
	VS_CLEANUP(point_done) EC_POINT *at = g == NULL ? NULL : EC_POINT_new(g);
	VS_CLEANUP(vs_bn_done) BIGNUM *x = BN_new();
	VS_CLEANUP(vs_bn_done) BIGNUM *y = BN_new();
	if (at == NULL || x == NULL || y == NULL)
		OSSL_FAIL(err, MEMORY, "no memory for a point");
	if (EC_POINT_oct2point(g, at, point.p, point.n, NULL) != 1 ||
		EC_POINT_get_affine_coordinates(g, at, x, y, NULL) != 1)
		OSSL_FAIL(err, BAD_KEY, "the key's public point is not on its curve");
	VS_REQUIRE(err, BN_bn2binpad(x, ret->x, n) == n && BN_bn2binpad(y, ret->y, n) == n);
	ret->key.pub.x = vs_bytes_of(ret->x, (size_t)n);
	ret->key.pub.y = vs_bytes_of(ret->y, (size_t)n);
	return VS_OK;
}

static vs_rc
read_ec(struct vs_ossl *o, struct vs_bytes params, struct vs_bytes key, struct vs_pkcs8 *ret,
	struct vs_err *err)
{
	struct vs_key_private *k = &ret->key;
	struct vs_bytes in, more;
	enum vs_curve inner = VS_CURVE_NONE;
	VS_TRY(read_curve(params, &k->pub.curve, err));
	if (!vs_der_unwrap(key, TAG_SEQUENCE, &in) || !take_small(&in, 1) ||
		!vs_der_take(&in, TAG_OCTET_STRING, &k->d) || k->d.n == 0)
		return refuse(err);
	if (vs_der_take(&in, TAG_0, &more)) {
		VS_TRY(read_curve(more, &inner, err));
		if (inner != k->pub.curve)
			VS_FAIL(err, BAD_KEY, "the private key names two curves");
	}
	k->pub.type = VS_KEY_EC;
	if (in.n == 0)
		return VS_OK;
	/* No unused bits in front of the point. */
	if (!vs_der_take(&in, TAG_1, &more) || in.n != 0 ||
		!vs_der_unwrap(more, TAG_BIT_STRING, &in) || in.n < 2 || in.p[0] != 0)
		return refuse(err);
	return read_point(o, vs_bytes_of(in.p + 1, in.n - 1), ret, err);
}

/* ---- PrivateKeyInfo (RFC 5208) --------------------------------------------------------------- */

vs_rc
vs_pkcs8_read(struct vs_ossl *o, struct vs_bytes der, struct vs_pkcs8 *ret, struct vs_err *err)
{
	struct vs_bytes in, algorithm, oid, key, attributes;
	*ret = (struct vs_pkcs8){0};
	if (der.n == 0 || der.n > VS_PKCS8_MAX)
		VS_FAIL(err, BAD_KEY, "the private key has an impossible length");
	if (!vs_der_unwrap(der, TAG_SEQUENCE, &in) || !take_small(&in, 0) ||
		!vs_der_take(&in, TAG_SEQUENCE, &algorithm) ||
		!vs_der_take(&algorithm, TAG_OID, &oid) ||
		!vs_der_take(&in, TAG_OCTET_STRING, &key))
		return refuse(err);
	/* What somebody else says of the key is passed over. */
	if (in.n != 0 && (!vs_der_take(&in, TAG_0, &attributes) || in.n != 0))
		return refuse(err);
	if (vs_bytes_eq(oid, vs_bytes_of(rsa_encryption, sizeof rsa_encryption)))
		return read_rsa(key, &ret->key, err);
	if (vs_bytes_eq(oid, vs_bytes_of(ec_public_key, sizeof ec_public_key)))
		return read_ec(o, algorithm, key, ret, err);
	VS_FAIL(err, BAD_KEY, "the private key is neither RSA nor EC");
}
