/* SPDX-License-Identifier: BSD-2-Clause */
/* Public parts: out of a vault's JWK, and where they stand in a certificate. */
#include <string.h>

#include "base/codec.h"
#include "crypto/pkey.h"
#include "keys/akv_impl.h"

enum { NUMBER_MAX = 1024 + 8, SEQUENCE = 0x30, INTEGER = 0x02, VERSION_0 = 0xa0 };

void
vs_akv_jwk_done(struct vs_akv_jwk *k)
{
	vs_buf_done(&k->n);
	vs_buf_done(&k->e);
	vs_buf_done(&k->x);
	vs_buf_done(&k->y);
	*k = (struct vs_akv_jwk){0};
}

/* Services are not always clean: either alphabet, with or without padding, leading zeros. */
static VS_RC
read_number(const struct vs_json *jwk, const char *name, struct vs_buf *out, struct vs_err *err)
{
	struct vs_bytes text = {0};

	out->max = NUMBER_MAX;
	if (!vs_json_bytes(vs_json_get(jwk, name), &text) ||
		vs_failed(vs_b64_any_decode(text, out, NULL)))
		VS_FAIL(err, BAD_KEY, "the member \"%s\" of a key is missing or not base64", name);
	size_t zeros = 0;
	while (zeros < out->n && out->p[zeros] == 0)
		zeros++;
	if (zeros == out->n)
		VS_FAIL(err, BAD_KEY, "the member \"%s\" of a key is zero", name);
	memmove(out->p, out->p + zeros, out->n - zeros);
	out->n -= zeros;
	return VS_OK;
}

static VS_RC
read_coordinate(const struct vs_json *jwk, const char *name, size_t field, struct vs_buf *out,
	struct vs_err *err)
{
	static const uint8_t zeros[66] = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf v = {0};

	VS_TRY(read_number(jwk, name, &v, err));
	if (v.n > field)
		VS_FAIL(err, BAD_KEY, "the member \"%s\" of a key is too long for its curve", name);
	VS_TRY(vs_buf_set(out, zeros, field - v.n, err));
	return vs_buf_add(out, v.p, v.n, err);
}

static uint32_t
bit_length(const struct vs_buf *b)
{
	uint32_t top = 0;

	for (unsigned v = b->p[0]; v > 0; v >>= 1)
		top++;
	return (uint32_t)(b->n - 1) * 8 + top;
}

static VS_RC
read_rsa(const struct vs_json *jwk, struct vs_akv_jwk *k, struct vs_err *err)
{
	k->type = VS_KEY_RSA;
	VS_TRY(read_number(jwk, "n", &k->n, err));
	VS_TRY(read_number(jwk, "e", &k->e, err));
	k->bits = bit_length(&k->n);
	if (k->bits < VS_RSA_MIN_BITS || k->bits > VS_RSA_MAX_BITS || k->e.n > 8)
		VS_FAIL(err, BAD_KEY, "an RSA key of %u bits is not used (%d to %d are)",
			(unsigned)k->bits, (int)VS_RSA_MIN_BITS, (int)VS_RSA_MAX_BITS);
	return VS_OK;
}

static VS_RC
read_ec(const struct vs_json *jwk, struct vs_akv_jwk *k, struct vs_err *err)
{
	static const struct {
		const char *name;
		enum vs_curve curve;
	} curves[] = {
		{"P-256", VS_CURVE_P256},
		{"P-384", VS_CURVE_P384},
		{"P-521", VS_CURVE_P521},
		{"P-256K", VS_CURVE_P256K},
		{"SECP256K1", VS_CURVE_P256K},
		{"secp256k1", VS_CURVE_P256K},
	};

	k->type = VS_KEY_EC;
	for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
		if (vs_json_is_string(vs_json_get(jwk, "crv"), curves[i].name))
			k->curve = curves[i].curve;
	}
	if (k->curve == VS_CURVE_NONE)
		VS_FAIL(err, BAD_KEY, "an EC key is on a curve that is not known");
	k->bits = vs_curve_bits(k->curve);
	VS_TRY(read_coordinate(jwk, "x", vs_curve_bytes(k->curve), &k->x, err));
	return read_coordinate(jwk, "y", vs_curve_bytes(k->curve), &k->y, err);
}

static uint32_t
read_ops(const struct vs_json *ops)
{
	static const struct {
		const char *name;
		uint32_t bit;
	} names[] = {
		{"sign", VS_KOP_SIGN},
		{"verify", VS_KOP_VERIFY},
		{"encrypt", VS_KOP_ENCRYPT},
		{"decrypt", VS_KOP_DECRYPT},
		{"wrapKey", VS_KOP_WRAP},
		{"unwrapKey", VS_KOP_UNWRAP},
		{"deriveKey", VS_KOP_DERIVE},
	};
	uint32_t bits = 0;

	for (size_t i = 0; i < vs_json_count(ops); i++) {
		for (size_t j = 0; j < sizeof names / sizeof names[0]; j++) {
			if (vs_json_is_string(vs_json_at(ops, i), names[j].name))
				bits |= names[j].bit;
		}
	}
	return bits;
}

vs_rc
vs_akv_jwk_read(const struct vs_json *jwk, struct vs_akv_jwk *ret, struct vs_err *err)
{
	VS_CLEANUP(vs_akv_jwk_done) struct vs_akv_jwk k = {0};
	const char *kty = "";

	(void)vs_json_string(vs_json_get(jwk, "kty"), &kty);
	k.ops = read_ops(vs_json_get(jwk, "key_ops"));
	if (strcmp(kty, "RSA") == 0 || strcmp(kty, "RSA-HSM") == 0)
		VS_TRY(read_rsa(jwk, &k, err));
	else if (strcmp(kty, "EC") == 0 || strcmp(kty, "EC-HSM") == 0)
		VS_TRY(read_ec(jwk, &k, err));
	else if (strcmp(kty, "oct") == 0 || strcmp(kty, "oct-HSM") == 0)
		k.type = VS_KEY_AES;
	else
		VS_FAIL(err, BAD_KEY, "a key is of a type that is not known");
	*ret = k;
	k = (struct vs_akv_jwk){0};
	return VS_OK;
}

/* ---- certificates -------------------------------------------------------------------------- */

/* One DER element with its tag and length; inner is its contents. */
static bool
read_element(struct vs_reader *r, uint8_t tag, struct vs_bytes *ret, struct vs_reader *ret_inner)
{
	const uint8_t *start = r->p;
	const uint8_t seen = vs_get_u8(r);
	size_t n = vs_get_u8(r);

	if (n == 0x81) {
		n = vs_get_u8(r);
	} else if (n == 0x82) {
		n = vs_get_be16(r);
	} else if (n == 0x83) {
		n = (size_t)vs_get_u8(r) << 16;
		n |= vs_get_be16(r);
	} else if (n > 0x7f) {
		return false;
	}
	const struct vs_bytes inner = vs_get_bytes(r, n);
	if (r->bad || seen != tag)
		return false;
	if (ret != NULL)
		*ret = vs_bytes_of(start, (size_t)(inner.p - start) + inner.n);
	if (ret_inner != NULL)
		*ret_inner = vs_reader_of(inner);
	return true;
}

vs_rc
vs_cert_parts_find(struct vs_bytes der, struct vs_cert_parts *ret, struct vs_err *err)
{
	struct vs_reader all = vs_reader_of(der);
	struct vs_reader cert = {0};
	struct vs_reader tbs = {0};
	struct vs_cert_parts p = {0};

	bool ok = read_element(&all, SEQUENCE, NULL, &cert) &&
		read_element(&cert, SEQUENCE, NULL, &tbs);
	if (ok && tbs.left > 0 && tbs.p[0] == VERSION_0)
		ok = read_element(&tbs, VERSION_0, NULL, NULL);
	ok = ok && read_element(&tbs, INTEGER, &p.serial, NULL);
	ok = ok && read_element(&tbs, SEQUENCE, NULL, NULL);
	ok = ok && read_element(&tbs, SEQUENCE, &p.issuer, NULL);
	ok = ok && read_element(&tbs, SEQUENCE, NULL, NULL);
	ok = ok && read_element(&tbs, SEQUENCE, &p.subject, NULL);
	ok = ok && read_element(&tbs, SEQUENCE, &p.spki, NULL);
	if (!ok)
		VS_FAIL(err, FORMAT, "a certificate is not well-formed");
	*ret = p;
	return VS_OK;
}
