/* SPDX-License-Identifier: BSD-2-Clause */
/* Kinds of keys, in one place for the catalog, the cryptography and the token. */
#ifndef VS_BASE_KEYTYPE_H
#define VS_BASE_KEYTYPE_H

enum vs_key_type {
	VS_KEY_NONE = 0,
	VS_KEY_RSA,
	VS_KEY_EC,
	VS_KEY_AES,
	VS_KEY_SECRET, /* generic secret (HMAC, HKDF); session objects only */
	VS_KEY_COUNT_,
};

enum vs_curve {
	VS_CURVE_NONE = 0,
	VS_CURVE_P256,
	VS_CURVE_P384,
	VS_CURVE_P521,
	VS_CURVE_P256K,
	VS_CURVE_COUNT_,
};

#endif
