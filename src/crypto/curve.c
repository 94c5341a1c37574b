/* SPDX-License-Identifier: BSD-2-Clause */
/* The elliptic curves that exist here, and how others spell them. */
#include <string.h>

#include <openssl/obj_mac.h>

#include "crypto/internal.h"

static const struct {
	const char *names[4]; /* the first one is OpenSSL's group name */
	int nid;
	uint32_t bits;
	size_t bytes;
	uint8_t oid[10];
	size_t oid_n;
} curves[VS_CURVE_COUNT_] = {
	[VS_CURVE_P256] = {{"prime256v1", "secp256r1", "P-256", NULL}, NID_X9_62_prime256v1, 256,
		32, {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}, 10},
	[VS_CURVE_P384] = {{"secp384r1", "P-384", NULL, NULL}, NID_secp384r1, 384, 48,
		{0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22}, 7},
	[VS_CURVE_P521] = {{"secp521r1", "P-521", NULL, NULL}, NID_secp521r1, 521, 66,
		{0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23}, 7},
	[VS_CURVE_P256K] = {{"secp256k1", "P-256K", NULL, NULL}, NID_secp256k1, 256, 32,
		{0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a}, 7},
};

static bool
known(enum vs_curve c)
{
	return (unsigned)c < VS_CURVE_COUNT_ && c != VS_CURVE_NONE;
}

size_t
vs_curve_bytes(enum vs_curve c)
{
	return known(c) ? curves[c].bytes : 0;
}

uint32_t
vs_curve_bits(enum vs_curve c)
{
	return known(c) ? curves[c].bits : 0;
}

const char *
vs_curve_ossl_name(enum vs_curve c)
{
	return known(c) ? curves[c].names[0] : NULL;
}

int
vs_curve_nid(enum vs_curve c)
{
	return known(c) ? curves[c].nid : NID_undef;
}

struct vs_bytes
vs_curve_oid_der(enum vs_curve c)
{
	return known(c) ? vs_bytes_of(curves[c].oid, curves[c].oid_n) : vs_bytes_of(NULL, 0);
}

static enum vs_curve
from_name(struct vs_bytes name)
{
	for (unsigned c = VS_CURVE_NONE + 1; c < VS_CURVE_COUNT_; c++)
		for (size_t i = 0; i < 4 && curves[c].names[i] != NULL; i++)
			if (vs_bytes_eq_str(name, curves[c].names[i]))
				return (enum vs_curve)c;
	return VS_CURVE_NONE;
}

enum vs_curve
vs_curve_from_ossl_name(const char *name)
{
	return from_name(vs_bytes_str(name));
}

enum vs_curve
vs_curve_from_params(struct vs_bytes der)
{
	for (unsigned c = VS_CURVE_NONE + 1; c < VS_CURVE_COUNT_; c++)
		if (vs_bytes_eq(der, vs_curve_oid_der((enum vs_curve)c)))
			return (enum vs_curve)c;
	/* PrintableString: the curveName choice of PKCS#11 3.0. */
	if (der.n > 2 && der.p[0] == 0x13 && der.p[1] == der.n - 2)
		return from_name(vs_bytes_of(der.p + 2, der.n - 2));
	return VS_CURVE_NONE;
}

vs_rc
vs_curve_split_point(enum vs_curve c, struct vs_bytes point, struct vs_bytes *ret_x,
	struct vs_bytes *ret_y, struct vs_err *err)
{
	const size_t n = vs_curve_bytes(c);
	const size_t raw = 1 + 2 * n;

	if (n == 0)
		VS_FAIL(err, PARAM, "the curve is not known");
	/* OCTET STRING around it; P-521 needs the two-octet length form. */
	if (point.n == raw + 2 && raw < 128 && point.p[0] == 0x04 && point.p[1] == raw)
		point = vs_bytes_of(point.p + 2, raw);
	else if (point.n == raw + 3 && raw >= 128 && point.p[0] == 0x04 && point.p[1] == 0x81 &&
		point.p[2] == raw)
		point = vs_bytes_of(point.p + 3, raw);
	if (point.n != raw || point.p[0] != 0x04)
		VS_FAIL(err, PARAM, "a point of this curve is 04, x, y: %zu octets, not %zu", raw,
			point.n);
	*ret_x = vs_bytes_of(point.p + 1, n);
	*ret_y = vs_bytes_of(point.p + 1 + n, n);
	return VS_OK;
}
