/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The little DER that keys need, written backwards into a fixed buffer: content first, then the
 * header in front of it, so that no length has to be known beforehand.
 */
#ifndef VS_CRYPTO_DER_H
#define VS_CRYPTO_DER_H

#include "base/buf.h"
#include "crypto/pkey.h"

struct vs_der {
	uint8_t *buf;
	size_t cap;
	size_t at; /* what is written stands from here to cap */
	bool bad; /* it did not fit; everything after is ignored */
};

struct vs_der vs_der_of(uint8_t *buf, size_t cap);
void vs_der_put(struct vs_der *d, struct vs_bytes b);
/* Header of what was written since at was mark. */
void vs_der_head(struct vs_der *d, uint8_t tag, size_t mark);
/* INTEGER of a non-negative big-endian number, minimal. */
void vs_der_uint(struct vs_der *d, struct vs_bytes n);
struct vs_bytes vs_der_view(const struct vs_der *d);

/* PrivateKeyInfo; all numbers of parts are there. */
void vs_der_pkcs8(struct vs_der *d, const struct vs_key_private *parts);
/* SubjectPublicKeyInfo. */
void vs_der_spki(struct vs_der *d, const struct vs_key_public *pub);

/* The element that fills in exactly has this tag: its content. False otherwise. */
bool vs_der_unwrap(struct vs_bytes in, uint8_t tag, struct vs_bytes *ret);
/* Take one element with this tag off the front of in. Definite, minimal lengths only. */
bool vs_der_take(struct vs_bytes *in, uint8_t tag, struct vs_bytes *ret);
/* Without leading zeros. */
struct vs_bytes vs_der_strip(struct vs_bytes n);

#endif
