/* SPDX-License-Identifier: BSD-2-Clause */
/* ECDSA signatures: DER as OpenSSL has them, r || s of fixed width as PKCS#11 has them. */
#include "crypto/ecdsa.h"

#include <string.h>

static bool
take_integer(struct vs_reader *r, uint8_t *out, size_t width)
{
	if (vs_get_u8(r) != 0x02)
		return false;
	struct vs_bytes n = vs_get_bytes(r, vs_get_u8(r));
	if (r->bad || n.n == 0)
		return false;
	if (n.p[0] == 0) {
		n.p++;
		n.n--;
	}
	if (n.n > width)
		return false;
	memset(out, 0, width - n.n);
	memcpy(out + width - n.n, n.p, n.n);
	return true;
}

bool
vs_ecdsa_from_der(struct vs_bytes der, uint8_t *out, size_t width)
{
	struct vs_reader r = vs_reader_of(der);

	if (vs_get_u8(&r) != 0x30)
		return false;
	/* P-521 can need the long form */
	size_t n = vs_get_u8(&r);
	if (n == 0x81)
		n = vs_get_u8(&r);
	return n == r.left && take_integer(&r, out, width) &&
		take_integer(&r, out + width, width) && vs_reader_done(&r);
}

static uint8_t *
put_integer(uint8_t *at, const uint8_t *n, size_t width)
{
	while (width > 1 && n[0] == 0) {
		n++;
		width--;
	}
	const size_t sign = n[0] >> 7;
	*at++ = 0x02;
	*at++ = (uint8_t)(width + sign);
	if (sign != 0)
		*at++ = 0;
	memcpy(at, n, width);
	return at + width;
}

size_t
vs_ecdsa_to_der(const uint8_t *rs, size_t width, uint8_t out[VS_ECDSA_DER_MAX])
{
	uint8_t body[VS_ECDSA_DER_MAX],
		*end = put_integer(put_integer(body, rs, width), rs + width, width);
	const size_t n = (size_t)(end - body);
	size_t head = 0;

	out[head++] = 0x30;
	if (n >= 0x80)
		out[head++] = 0x81;
	out[head++] = (uint8_t)n;
	memcpy(out + head, body, n);
	return head + n;
}
