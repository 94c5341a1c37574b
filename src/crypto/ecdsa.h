/* SPDX-License-Identifier: BSD-2-Clause */
/* ECDSA signatures: DER as OpenSSL has them, r || s of fixed width as PKCS#11 has them. */
#ifndef VS_CRYPTO_ECDSA_H
#define VS_CRYPTO_ECDSA_H

#include "base/buf.h"

/* SEQUENCE of two INTEGERs of at most 66 octets and a sign octet each */
enum { VS_ECDSA_DER_MAX = 2 * (66 + 1 + 2) + 3 };

/* out has 2 * width octets. False when der is not such a structure or a number is wider. */
bool vs_ecdsa_from_der(struct vs_bytes der, uint8_t *out, size_t width);
/* Returns the length of what was written to out. */
size_t vs_ecdsa_to_der(const uint8_t *rs, size_t width, uint8_t out[VS_ECDSA_DER_MAX]);

#endif
