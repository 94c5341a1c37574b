/* SPDX-License-Identifier: BSD-2-Clause */
#include "crypto/der.h"

#include <string.h>

enum {
	TAG_INTEGER = 0x02,
	TAG_BIT_STRING = 0x03,
	TAG_OCTET_STRING = 0x04,
	TAG_SEQUENCE = 0x30,
	TAG_1 = 0xa1
};

static const uint8_t rsa_algorithm[] = {
	0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};
static const uint8_t ec_oid[] = {0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};

struct vs_der
vs_der_of(uint8_t *buf, size_t cap)
{
	return (struct vs_der){.buf = buf, .cap = cap, .at = cap};
}

void
vs_der_put(struct vs_der *d, struct vs_bytes b)
{
	if (d->bad || b.n > d->at) {
		d->bad = true;
		return;
	}
	d->at -= b.n;
	if (b.n != 0)
		memcpy(d->buf + d->at, b.p, b.n);
}

static void
put_u8(struct vs_der *d, uint8_t v)
{
	vs_der_put(d, vs_bytes_of(&v, 1));
}

void
vs_der_head(struct vs_der *d, uint8_t tag, size_t mark)
{
	if (d->bad)
		return;
	size_t n = mark - d->at;
	if (n < 0x80) {
		put_u8(d, (uint8_t)n);
	} else {
		uint8_t octets = 0;
		for (; n != 0; n >>= 8, octets++)
			put_u8(d, (uint8_t)(n & 0xff));
		put_u8(d, 0x80 | octets);
	}
	put_u8(d, tag);
}

struct vs_bytes
vs_der_strip(struct vs_bytes n)
{
	while (n.n != 0 && n.p[0] == 0) {
		n.p++;
		n.n--;
	}
	return n;
}

void
vs_der_uint(struct vs_der *d, struct vs_bytes n)
{
	const size_t mark = d->at;

	n = vs_der_strip(n);
	vs_der_put(d, n);
	if (n.n == 0 || (n.p[0] & 0x80) != 0)
		put_u8(d, 0);
	vs_der_head(d, TAG_INTEGER, mark);
}

struct vs_bytes
vs_der_view(const struct vs_der *d)
{
	return vs_bytes_of(d->buf + d->at, d->bad ? 0 : d->cap - d->at);
}

static void
put_point(struct vs_der *d, const struct vs_key_public *pub)
{
	const size_t mark = d->at;

	vs_der_put(d, pub->y);
	vs_der_put(d, pub->x);
	put_u8(d, 0x04); /* uncompressed */
	put_u8(d, 0x00); /* no unused bits */
	vs_der_head(d, TAG_BIT_STRING, mark);
}

static void
put_ec_algorithm(struct vs_der *d, enum vs_curve curve)
{
	const size_t mark = d->at;

	vs_der_put(d, vs_curve_oid_der(curve));
	vs_der_put(d, vs_bytes_of(ec_oid, sizeof ec_oid));
	vs_der_head(d, TAG_SEQUENCE, mark);
}

/* RFC 8017 A.1.2 */
static void
put_rsa_private(struct vs_der *d, const struct vs_key_private *k)
{
	const size_t mark = d->at;

	vs_der_uint(d, k->qi);
	vs_der_uint(d, k->dq);
	vs_der_uint(d, k->dp);
	vs_der_uint(d, k->q);
	vs_der_uint(d, k->p);
	vs_der_uint(d, k->d);
	vs_der_uint(d, k->pub.e);
	vs_der_uint(d, k->pub.n);
	vs_der_uint(d, vs_bytes_of(NULL, 0));
	vs_der_head(d, TAG_SEQUENCE, mark);
}

/* RFC 5915; the scalar has the length of the field, which is the order's here. */
static void
put_ec_private(struct vs_der *d, const struct vs_key_private *k)
{
	static const uint8_t one = 1;
	const size_t mark = d->at;

	put_point(d, &k->pub);
	vs_der_head(d, TAG_1, mark);
	const size_t scalar = d->at;
	vs_der_put(d, k->d);
	vs_der_head(d, TAG_OCTET_STRING, scalar);
	vs_der_uint(d, vs_bytes_of(&one, 1));
	vs_der_head(d, TAG_SEQUENCE, mark);
}

void
vs_der_pkcs8(struct vs_der *d, const struct vs_key_private *parts)
{
	const size_t mark = d->at;

	if (parts->pub.type == VS_KEY_RSA)
		put_rsa_private(d, parts);
	else
		put_ec_private(d, parts);
	vs_der_head(d, TAG_OCTET_STRING, mark);
	if (parts->pub.type == VS_KEY_RSA)
		vs_der_put(d, vs_bytes_of(rsa_algorithm, sizeof rsa_algorithm));
	else
		put_ec_algorithm(d, parts->pub.curve);
	vs_der_uint(d, vs_bytes_of(NULL, 0));
	vs_der_head(d, TAG_SEQUENCE, mark);
}

void
vs_der_spki(struct vs_der *d, const struct vs_key_public *pub)
{
	const size_t mark = d->at;

	if (pub->type == VS_KEY_EC) {
		put_point(d, pub);
		put_ec_algorithm(d, pub->curve);
	} else {
		vs_der_uint(d, pub->e);
		vs_der_uint(d, pub->n);
		vs_der_head(d, TAG_SEQUENCE, mark);
		put_u8(d, 0x00);
		vs_der_head(d, TAG_BIT_STRING, mark);
		vs_der_put(d, vs_bytes_of(rsa_algorithm, sizeof rsa_algorithm));
	}
	vs_der_head(d, TAG_SEQUENCE, mark);
}

bool
vs_der_take(struct vs_bytes *in, uint8_t tag, struct vs_bytes *ret)
{
	struct vs_reader r = vs_reader_of(*in);

	if (vs_get_u8(&r) != tag)
		return false;
	size_t n = vs_get_u8(&r);
	if (n == 0x81) {
		n = vs_get_u8(&r);
		if (n < 0x80)
			return false;
	} else if (n == 0x82) {
		n = vs_get_be16(&r);
		if (n < 0x100)
			return false;
	} else if (n >= 0x80) {
		return false;
	}
	const struct vs_bytes content = vs_get_bytes(&r, n);
	if (r.bad)
		return false;
	*in = vs_bytes_of(r.p, r.left);
	*ret = content;
	return true;
}

bool
vs_der_unwrap(struct vs_bytes in, uint8_t tag, struct vs_bytes *ret)
{
	return vs_der_take(&in, tag, ret) && in.n == 0;
}
